"""Metrics that a configuration adds to an objective: `+task.metrics.mcc._target_=torchmetrics.MatthewsCorrCoef`."""

import inspect
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from runner.config.instances import instance, refusals
from runner.errors import UserError


def add_metrics(
    to: MetricCollection, nodes: Mapping[str, Any] | None, facts: Mapping[str, Any], prediction: Tensor, target: Tensor
) -> None:
    """Add metrics of torchmetrics, or of one's own, to those that an objective has.

    Args:
        to: where they are added.
        nodes: {name: node with `_target_`}.
        facts: arguments such as num_classes, which a constructor gets if it has them.
        prediction: an example of what the metrics are given.
        target: what it is compared with.

    Raises:
        UserError: a name is taken, or it is not a metric of such predictions.
    """
    for name, node in (nodes or {}).items():
        key = f"task.metrics.{name}"
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise UserError(f"{key} is a metric by its class: +{key}._target_=torchmetrics.MatthewsCorrCoef")
        if name in (*to, "loss", "accuracy"):
            raise UserError(f"{key}: this objective has a metric of that name already; choose another name")
        kind = get_class(node["_target_"])
        taken = inspect.signature(kind.__new__ if "__new__" in vars(kind) else kind).parameters
        found = instance(
            node, key, **{each: value for each, value in facts.items() if each in taken and each not in node}
        )
        if not isinstance(found, Metric):
            raise UserError(f"{key}: {node['_target_']} is not a metric of torchmetrics")
        with refusals(node, key):
            found.update(prediction, target)
            one = found.compute()
        if not isinstance(one, Tensor) or one.numel() != 1:
            raise UserError(f"{key}: {node['_target_']} does not return one number; with average=macro it may")
        found.reset()
        to.add_metrics({str(name): found})
