"""Regularisation of any net: penalties on weights, biases and activations, other penalties, limits on norms.

The task adds the penalty to the loss it minimises; the loss it reports stays that of the data, so that training and
validation can be compared, and the penalty is reported separately.

Sources: L2: Hoerl and Kennard 1970; L1: Tibshirani 1996; activations: Merity, McCann and Socher 2017,
arXiv:1708.01009; max-norm: Srivastava et al. 2014, section 5.1, and Kim 2014, arXiv:1408.5882, section 2.1.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from runner.config.functions import DottedPath, function
from runner.errors import UserError

ACTIVATIONS = "torch.nn.modules.activation"  # the module of torch's activation functions
NO_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)  # which are also there


class Regulariser:
    """Penalties that are added to the loss, and limits on the norms of weights.

    Layers are given by their names in the net ("output", "layers.*") or by their classes ("Linear", "Conv*").

    Args:
        l1: factor, at least 0, of the sum of |w| over all weights.
        l2: factor, at least 0, of the sum of w^2 over all weights.
        bias_l1: factor, at least 0, of the sum of |b| over all biases.
        bias_l2: factor, at least 0, of the sum of b^2 over all biases.
        activation_l1: factor, at least 0, of the sum of |a| over an example's activations, mean over the batch.
        activation_l2: factor, at least 0, of the sum of a^2 over an example's activations, mean over the batch.
        layers: whose weights and biases count; None = all except normalisation layers.
        activation_layers: whose outputs count; None = all activation functions that are layers of the net.
        max_norm: {layer: largest norm} of the weights to one unit; longer ones are scaled down after each step.
        penalties: functions of the user, from the net to a number: dotted paths, or nodes with `_target_`.
    """

    def __init__(
        self,
        l1: float = 0.0,
        l2: float = 0.0,
        bias_l1: float = 0.0,
        bias_l2: float = 0.0,
        activation_l1: float = 0.0,
        activation_l2: float = 0.0,
        layers: list[str] | None = None,
        activation_layers: list[str] | None = None,
        max_norm: dict[str, float] | None = None,
        penalties: list[DottedPath] | None = None,
    ):
        for name, largest in (max_norm or {}).items():
            if largest <= 0:
                raise UserError(f"regularise.max_norm: the norm of {name} must be above 0, received {largest}")
        self.l1, self.l2, self.bias_l1, self.bias_l2 = l1, l2, bias_l1, bias_l2
        self.activation_l1, self.activation_l2 = activation_l1, activation_l2
        self.layers, self.activation_layers = layers, activation_layers
        self.max_norm = max_norm or {}
        self.own: list[Callable] = [function(each, {}, "regularise.penalties") for each in penalties or []]
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        self.limited: list[tuple[Tensor, float]] = []
        self.activations: list[Tensor] = []  # penalties of the forward passes since the last step
        self.hooks: list[Any] = []

    @property
    def changes_nothing(self) -> bool:
        return not (self.penalises or self.max_norm or self.layers or self.activation_layers)

    @property
    def penalises(self) -> bool:
        """Whether anything is added to the loss."""
        on_parameters = self.l1 or self.l2 or self.bias_l1 or self.bias_l2
        return bool(on_parameters or self.activation_l1 or self.activation_l2 or self.own)

    def attach(self, net: nn.Module) -> None:
        """Find the layers in the net before it is trained, and hook those whose activations count."""
        self.detach()
        chosen = [layer for _, layer in layers_of(net, self.layers, "layers")]
        self.weights, self.biases = weights_and_biases(chosen)
        self.limited = [
            (weight, largest)
            for name, largest in self.max_norm.items()
            for _, layer in layers_of(net, [name], "max_norm")
            if isinstance(weight := getattr(layer, "weight", None), Tensor) and weight.requires_grad
        ]
        wanted = self.activation_l1 or self.activation_l2
        listened = activation_layers(net, self.activation_layers) if wanted or self.activation_layers else []
        self.hooks = [layer.register_forward_hook(self.listen) for layer in listened if wanted]

    def detach(self) -> None:
        """Remove the hooks."""
        for hook in self.hooks:
            hook.remove()
        self.hooks, self.activations = [], []

    def listen(self, layer: nn.Module, inputs: tuple, output: Any) -> None:
        """Add the penalty of a layer's output in training; called by torch after each forward pass."""
        if not (layer.training and torch.is_grad_enabled()):
            return
        values = output[0] if isinstance(output, tuple) else output
        self.activations.append(norms([values], self.activation_l1, self.activation_l2) / len(values))

    def penalty(self, net: nn.Module) -> Tensor:
        """What is added to the loss of this step, a scalar."""
        parts = list(self.activations)
        self.activations = []
        if self.l1 or self.l2:
            parts.append(norms(self.weights, self.l1, self.l2))
        if self.bias_l1 or self.bias_l2:
            parts.append(norms(self.biases, self.bias_l1, self.bias_l2))
        parts += [penalty(net) for penalty in self.own]
        return torch.as_tensor(sum(parts))

    @torch.no_grad()
    def limit(self) -> None:
        """Scale the weights that lead to one unit down to their largest norm."""
        for weight, largest in self.limited:
            weight.copy_(weight.renorm(p=2, dim=0, maxnorm=largest))


def norms(tensors: list[Tensor], l1: float, l2: float) -> Tensor:
    """l1 times the sum of absolute values plus l2 times the sum of squares, over all tensors."""
    total: Tensor | float = 0.0
    for tensor in tensors:
        if l1:
            total = total + l1 * tensor.abs().sum()
        if l2:
            total = total + l2 * tensor.square().sum()
    return torch.as_tensor(total)


def layers_of(net: nn.Module, patterns: list[str] | None, key: str) -> list[tuple[str, nn.Module]]:
    """The layers whose name or class is among the patterns; None = all except normalisation layers.

    Raises:
        UserError: a pattern fits no layer.
    """
    named = [(name, layer) for name, layer in net.named_modules(remove_duplicate=False) if name]
    if patterns is None:
        return [(name, layer) for name, layer in net.named_modules() if "Norm" not in type(layer).__name__]
    found: dict[str, nn.Module] = {}
    for pattern in patterns:
        fitting = {
            name: layer
            for name, layer in named
            if fnmatchcase(name, pattern) or fnmatchcase(type(layer).__name__, pattern)
        }
        if not fitting:
            known = ", ".join(f"{name} ({type(layer).__name__})" for name, layer in named) or "none"
            raise UserError(f"regularise.{key}: {type(net).__name__} has no layer {pattern!r}. Its layers: {known}")
        found |= fitting
    return list(found.items())


def activation_layers(net: nn.Module, patterns: list[str] | None) -> list[nn.Module]:
    """The layers whose outputs are penalised."""
    if patterns is not None:
        return [layer for _, layer in layers_of(net, patterns, "activation_layers")]
    found = [
        layer
        for layer in net.modules()
        if type(layer).__module__ == ACTIVATIONS and not isinstance(layer, NO_ACTIVATIONS)
    ]
    if not found:
        known = ", ".join(f"{name} ({type(layer).__name__})" for name, layer in net.named_modules() if name) or "none"
        raise UserError(
            f"regularise.activation_l1 and activation_l2: {type(net).__name__} has no activation function among its "
            f"layers. Name those whose outputs count: regularise.activation_layers=[...], of: {known}"
        )
    return found


def weights_and_biases(layers: list[nn.Module]) -> tuple[list[Tensor], list[Tensor]]:
    """The layers' own trainable parameters, each once: those whose names begin with "bias", and the others."""
    weights: dict[Tensor, None] = {}
    biases: dict[Tensor, None] = {}
    for layer in layers:
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.requires_grad:
                (biases if name.startswith("bias") else weights)[parameter] = None
    return list(weights), list(biases)
