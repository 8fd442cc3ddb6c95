"""What goes through the layers of a net while it trains: the size of activations and of gradients, by layer and epoch.

Both are measured on the first batch of an epoch, so that the other steps cost nothing. A layer whose activations all
are zero, or whose gradients are a millionth of those of its neighbours, does not learn.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from runner.figures.charts import entitle, new_figure

ACTIVATIONS, GRADIENTS = "activations", "gradients"
SMALLEST = 1e-12  # a size of zero has no logarithm


class Watch(Callback):
    """Draws figures/activations.png and figures/gradients.png: their root mean square, by layer and epoch.

    Args:
        every_n_epochs: how often they are measured, at least 1.
    """

    def __init__(self, every_n_epochs: int = 1):
        self.every_n_epochs = every_n_epochs
        self.measured: dict[str, dict[str, dict[int, float]]] = {ACTIVATIONS: {}, GRADIENTS: {}}
        self.hooks: list[Any] = []

    def state_dict(self) -> dict[str, Any]:
        return {"measured": self.measured}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.measured = state_dict["measured"]

    def note(self, what: str, name: str, epoch: int, values: Tensor) -> None:
        """Keep the root mean square of some values."""
        self.measured[what].setdefault(name, {})[epoch] = float(values.detach().float().square().mean().sqrt())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        epoch = trainer.current_epoch + 1
        if batch_idx or (epoch - 1) % self.every_n_epochs:
            return

        def seen(name: str) -> Any:
            def look(_: nn.Module, given: Any, output: Any) -> None:
                output = output[0] if isinstance(output, tuple | list) and output else output
                if isinstance(output, Tensor) and output.is_floating_point() and output.numel():
                    self.note(ACTIVATIONS, name, epoch, output)

            return look

        leaves = [(name, each) for name, each in net_of(pl_module).named_modules() if name and not [*each.children()]]
        self.hooks = [module.register_forward_hook(seen(name)) for name, module in leaves]

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        if self.hooks:
            for name, parameter in net_of(pl_module).named_parameters():
                if parameter.grad is not None:
                    self.note(GRADIENTS, name, trainer.current_epoch + 1, parameter.grad)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        for hook in self.hooks:
            hook.remove()
        self.hooks = []

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = Path(trainer.default_root_dir) / "figures"
        for name, layers in self.measured.items():
            if layers and trainer.is_global_zero:
                folder.mkdir(parents=True, exist_ok=True)
                figure = sizes_by_layer(layers)
                entitle(figure, f"{name}: root mean square on the first batch of an epoch, power of ten")
                figure.savefig(folder / f"{name}.png")


def net_of(module: Any) -> nn.Module:
    """Return the net of an objective."""
    return module.net


def sizes_by_layer(layers: dict[str, dict[int, float]]) -> Figure:
    """One row a layer, in the order in which they were met, and one column an epoch, coloured by the power of ten."""
    epochs = sorted({epoch for sizes in layers.values() for epoch in sizes})
    table = np.array([[layers[name].get(epoch, np.nan) for epoch in epochs] for name in layers])
    figure, axes = new_figure(4.0 + 0.25 * min(len(epochs), 40), 1.5 + 0.22 * len(layers))
    shown = axes.imshow(np.log10(np.maximum(table, SMALLEST)), aspect="auto", cmap="viridis", interpolation="nearest")
    axes.set_yticks(range(len(layers)), list(layers), fontsize=7, parse_math=False)
    places = np.unique(np.linspace(0, len(epochs) - 1, 8).round().astype(int))
    axes.set_xticks(places, [epochs[place] for place in places])
    axes.set_xlabel("epoch")
    figure.colorbar(shown)
    return figure
