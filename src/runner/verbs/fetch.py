"""`runner fetch`: get and prepare a dataset ahead, for machines that cannot reach the package index when they train."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import UserError
from runner.verbs.options import Choosing, Overrides
from runner.verbs.train import check_first

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(kw_only=True)
class Fetch(Choosing):
    """Get and prepare a dataset ahead of the runs that read it.

    Args:
        overrides: data=NAME and its settings, data.KEY=VALUE; those of a run are allowed too. With model=NAME, also
            what its objective reads besides, such as the judgements that word vectors are tested with.
    """

    overrides: Overrides = ()

    def __call__(self) -> int:
        name = next((o.split("=", 1)[1] for o in self.overrides if o.startswith("data=")), None)
        if not name:
            raise UserError("fetch takes a dataset, for example: runner fetch data=mnist. There are: runner list data")
        cfg = self.composed(name)
        from hydra.utils import get_class

        from runner.build import build_data
        from runner.config import safety
        from runner.files import cache

        safety.allow(cfg.allow)
        safety.guard({"data": cfg.data, "task": {"_target_": cfg.task._target_}})
        data = build_data(cfg)
        data.setup()
        objective: Any = get_class(cfg.task._target_)
        objective.fetch(cfg.task)
        sizes = ", ".join(f"{size} {part}" for part, size in data.sizes.items())
        print(f"{name}: {data.source}\nrows: {sizes}\nsha256: {data.digest}\ncache: {cache.folder()}")
        return 0

    def composed(self, name: str) -> "DictConfig":
        """Return the configuration of a run on this dataset, with a model that can read it."""
        from omegaconf import OmegaConf

        from runner.config.catalog import Catalog, config_path
        from runner.config.compose import compose
        from runner.config.inferred import settle

        overrides = list(self.overrides)
        catalog = Catalog([*self.folders, config_path()])
        readers = catalog.readers(name) if name in catalog.choices("data") else []
        if readers and not any(o.startswith(("model=", "task=", "experiment=")) for o in overrides):
            overrides.append(f"model={readers[0]}")
        check_first([*overrides, *self.flags])
        cfg = compose(overrides, self.folders)
        settle(cfg.data)
        OmegaConf.resolve(cfg.data)
        return cfg
