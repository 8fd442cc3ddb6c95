"""Settings that are right one by one, but not together."""

from collections.abc import Iterator
from typing import Any

ONES_OWN_AVERAGE = "StochasticWeightAveraging"  # which is itself what is tested at the end


def clashes(raw: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a composed configuration beyond its single values.

    Args:
        raw: its nodes as plain containers; what is still an interpolation is passed over.
    """
    yield from of_checkpoints(mapping(raw.get("callbacks")))
    yield from of_freezing(raw)
    yield from of_lengths(mapping(raw.get("data")))
    yield from of_class_weights(mapping(raw.get("task")), mapping(raw.get("data")))


def mapping(node: Any) -> dict[str, Any]:
    return node if isinstance(node, dict) else {}


def of_checkpoints(callbacks: dict[str, Any]) -> Iterator[str]:
    """An average needs several weights, and there can be only one average."""
    settings = mapping(callbacks.get("checkpoint"))
    if settings.get("average") is not True:
        return
    if settings.get("top_k", 1) == 1:
        yield "callbacks.checkpoint.average=true needs several weights: add callbacks.checkpoint.top_k=5."
    others = [name for name, node in callbacks.items() if str(mapping(node).get("_target_")).endswith(ONES_OWN_AVERAGE)]
    if others:
        yield f"callbacks.checkpoint.average and callbacks.{others[0]} are each the average that is tested; use one."


def of_freezing(raw: dict[str, Any]) -> Iterator[str]:
    """An epoch in which something begins to learn has to come."""
    epochs, trainer = mapping(raw.get("unfreeze")), mapping(raw.get("trainer"))
    last = trainer.get("max_epochs")
    for pattern, epoch in epochs.items():
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
            yield (
                f"unfreeze={{{pattern}: {epoch}}}: expected the epoch from which it learns, at least 1. "
                f"For example: unfreeze={{{pattern}: 3}}"
            )
        elif isinstance(last, int) and epoch > last > 0:
            yield (
                f"unfreeze={{{pattern}: {epoch}}}: training ends after epoch {last}. To freeze it for good: "
                f"freeze=[{pattern}]"
            )
    several = isinstance(trainer.get("devices"), int) and trainer["devices"] > 1
    if epochs and several and trainer.get("strategy") != "ddp_find_unused_parameters_true":
        yield "unfreeze= in several processes needs trainer.strategy=ddp_find_unused_parameters_true."


def of_lengths(data: dict[str, Any]) -> Iterator[str]:
    """Only texts have lengths: a table may be read as numbers."""
    if data.get("short_first") and "text" in data and data["text"] is None:
        yield "data.short_first sorts texts by length: name the column with them, data.text=COLUMN, or leave it out."


def of_class_weights(task: dict[str, Any], data: dict[str, Any]) -> Iterator[str]:
    """One weight for each class, given or computed."""
    weights, classes = task.get("class_weights"), data.get("num_classes")
    if weights is None:
        return
    if isinstance(weights, list) and isinstance(classes, int) and len(weights) != classes:
        yield (
            f"task.class_weights={weights}: the data has {classes} classes, received {len(weights)} numbers. "
            "By name, where the others weigh 1: task.class_weights={NAME: 3}"
        )
    numbers = list(weights.values()) if isinstance(weights, dict) else weights if isinstance(weights, list) else []
    if any(isinstance(number, int | float) and number < 0 for number in numbers):
        yield f"task.class_weights={weights}: a weight is at least 0."
    remedies = task.get("imbalance")
    if "class_weight" in (remedies if isinstance(remedies, list) else [remedies]):
        yield "task.imbalance=class_weight computes what task.class_weights gives; use one of them."
