"""What a configuration finds out: facts of a user's table, and where a pretrained model is.

`${infer:num_classes}` in `conf/data/csv.yaml`; `${packaged_model:PACKAGE,FOLDER}` and `${hub_model:ID,COMMIT}`;
`${run_folder:${init_from}}`, the folder of the run that this one begins with, whose tokens it has to have.
"""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from runner.config.catalog import needed
from runner.config.nodes import as_dict
from runner.config.wording import show
from runner.errors import UserError, user_error
from runner.files import sources
from runner.files.cells import Settings
from runner.files.rows import VOCAB_SIZE, MissingFact, facts
from runner.files.tables import listed


def register_resolvers() -> None:
    """Make the resolvers known to OmegaConf; `infer` and `infer_hub` read the keys next to them (path, label)."""
    OmegaConf.register_new_resolver("packaged_model", _packaged_model, replace=True)
    OmegaConf.register_new_resolver("hub_model", sources.hub_model, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("run_folder", _run_folder, replace=True)
    OmegaConf.register_new_resolver("infer", _infer, replace=True)
    OmegaConf.register_new_resolver("infer_hub", _infer_hub, replace=True)


def settle(data: DictConfig) -> dict[str, str]:
    """Replace the inferred keys of a data node by their values and remove those whose fact does not exist.

    Returns:
        The removed keys, each with the reason in words.

    Raises:
        UserError: the table cannot be read.
    """
    register_resolvers()
    raw = as_dict(data)
    removed: dict[str, str] = {}
    for name in [name for name, value in raw.items() if isinstance(value, str) and "${infer" in value]:
        try:
            OmegaConf.update(data, name, data[name])
        except Exception as error:
            cause = user_error(error)
            if cause is None:
                raise
            if not isinstance(cause, MissingFact):
                raise cause from None
            removed[name] = str(cause)
    with open_dict(data):
        for name in removed:
            del data[name]
    return removed


def _packaged_model(package: str, folder: str) -> str:
    return str(sources.package_file(package, f"{folder}/config.json", extra="pretrained").parent)


def _run_folder(which: str | None) -> str:
    if which is None:
        raise UserError("This begins with a pre-trained net: type init_from=FOLDER, the folder of its run.")
    if not any((place / "preprocessing.json").is_file() for place in (Path(which), Path(which, "model"))):
        raise UserError(
            f"init_from={which} is not the folder of a run with a model. Its folder is wanted here, not its id or its "
            "name: the pieces of words are read from it too."
        )
    return str(Path(which).resolve())


def _infer(fact: str, *, _parent_: DictConfig, _root_: DictConfig) -> Any:
    if fact == "target":  # the label is read as a number if the task or the model asks for how many there are
        readers = [_root_.get(name) for name in ("task", "model")]
        facts_read = needed([as_dict(node) for node in readers if isinstance(node, DictConfig)], "data")
        return "labels" if "num_labels" in facts_read else "number" if "num_targets" in facts_read else "class"
    if fact == "num_targets":
        label = _parent_.get("label")
        return len(label) if isinstance(label, ListConfig) else 1
    if fact == "asks":
        return _asks(_parent_)
    settings = _settings(_parent_)
    found = facts(settings)
    if fact == "num_classes":
        if settings.target != "class":
            read = "numbers" if settings.target == "number" else "several labels in a row"
            raise MissingFact(
                f'data.num_classes does not exist: the label "{settings.label}" is read as {read} here. '
                f"For classes type task=classification."
            )
        return len(found.classes)
    if fact == "num_labels":
        if settings.target != "labels":
            raise MissingFact(f'data.num_labels does not exist: a row has one label in "{settings.label}" here.')
        return len(found.classes)
    if fact == "category_sizes":
        if not settings.categories:
            raise MissingFact("data.categories is not set, so no column is read as categories: data.categories=[...].")
        return found.category_sizes
    if fact == "vocab_size":
        if not settings.text:
            raise MissingFact(
                "data.text is not set, so there is no vocabulary: name the column with the text, data.text=COLUMN. "
                f"Columns of {settings.path}: {listed(found.columns)}."
            )
        return VOCAB_SIZE
    if fact == "in_features":
        if not settings.reads_numbers and settings.text:
            raise MissingFact(
                f"data.text={settings.text} is set, so the input is text and there are no number columns: take a model "
                f"for text, or leave data.text out; or read numbers beside it, data.features=[...], with model=tabular."
            )
        if not found.features:
            raise MissingFact("No number column is read beside the categories.")
        return len(found.features)
    raise UserError(
        f"A table has no fact {fact!r} to infer: num_classes, num_targets, num_labels, in_features, category_sizes, "
        "vocab_size, target, asks."
    )


def _asks(node: DictConfig) -> str | None:
    """Return what a table with two text columns, or with columns of several kinds, asks of a model, see catalog.py."""
    mixed = node.get("categories") or (node.get("text") and node.get("features"))
    return "text_pairs" if node.get("text_pair") else "mixed" if mixed else None


def _settings(node: DictConfig) -> Settings:
    """Return the settings of a table from its node, as far as they are set."""
    ask = {
        "path": "type data.path=FILE (CSV, TSV, JSON, JSONL, Parquet or text), a folder or an address.",
        "label": "type data.label=COLUMN, the column to predict.",
    }
    for name, advice in ask.items():
        if name not in node or OmegaConf.is_missing(node, name) or node[name] is None:
            raise UserError(f"data.{name} is not set: {advice}")
    for name in ("text", "text_pair"):
        if OmegaConf.is_config(node.get(name)):
            raise UserError(f"data.{name}={show(as_dict(node)[name])}: it names one column.")
    return Settings.named({name: node[name] for name in Settings.__dataclass_fields__ if name in node})


def _infer_hub(fact: str, *, _parent_: DictConfig) -> Any:
    if fact == "asks":
        return _asks(_parent_)
    for name in ("path", "label"):
        if OmegaConf.is_missing(_parent_, name):
            raise UserError(f"data.{name} is not set: type data.path=ID (a dataset of the hub) and data.label=COLUMN.")
    if fact != "num_classes":
        raise UserError(f"A dataset of the hub has no fact {fact!r} to infer: num_classes, asks.")
    if _parent_.target == "number":
        raise MissingFact("data.num_classes does not exist: the label is read as numbers (task=regression).")
    if _parent_.get("streaming"):
        return len(sources.hub_stream_classes(_parent_.path, _parent_.revision, _parent_.subset, _parent_.label))
    splits = sources.hub(_parent_.path, _parent_.revision, _parent_.subset)
    return len(sources.hub_classes(splits, _parent_.label))
