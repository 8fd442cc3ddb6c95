"""The metrics that the jobs of a sweep are compared by, and whether larger or smaller values are better."""

from typing import Any

from runner.errors import UserError


def read_objectives(settings: dict[str, Any], monitor: str | None, mode: str) -> tuple[list[str], list[str]]:
    """Return the metrics that pick the best job, and min or max for each.

    Args:
        settings: those of the sweep; `metric` and `direction` are a name, several or None.
        monitor: the metric that the task of the jobs monitors; used if the settings name none.
        mode: min or max, of `monitor`.

    Raises:
        UserError: it is not known whether larger or smaller values of a metric are better.
    """
    metrics, directions = as_list(settings["metric"]), as_list(settings["direction"])
    metrics = metrics or [monitor or "val/loss"]
    if not directions:
        same = {metric: mode for metric in metrics if metric.split("/", 1)[-1] == (monitor or "").split("/", 1)[-1]}
        same |= {metric: "min" for metric in metrics if metric.endswith("/loss")}
        unknown = [metric for metric in metrics if metric not in same]
        if unknown:
            raise UserError(
                f"sweep.metric={','.join(unknown)}: are larger or smaller values better? Write sweep.direction="
                f"{'max' if len(metrics) == 1 else '[' + ','.join(['max'] * len(metrics)) + ']'}, or min"
            )
        directions = [same[metric] for metric in metrics]
    if len(directions) != len(metrics) or not {"min", "max"}.issuperset(directions):
        raise UserError(f"sweep.direction={','.join(directions)}: one of min and max for each of {', '.join(metrics)}")
    return metrics, directions


def as_list(value: Any) -> list[str]:
    """Return a setting that may be one name, several or none as a list."""
    return [] if value is None else [str(one) for one in value] if isinstance(value, list) else [str(value)]
