"""Muon for matrices, AdamW for everything else: both are torch's, this makes one optimizer of the two.

Muon replaces the momentum of a matrix by the nearest matrix whose rows are orthogonal (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/). It is made for the matrices of hidden layers. Tables of embeddings are no
such matrices, though they look like them; they, biases, norms and the kernels of convolutions learn by AdamW. Both use
one learning rate, since the steps of Muon are made as large as those of AdamW usually are (Liu et al. 2025,
arXiv:2502.16982, section 2.2).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from runner.errors import UserError


class MuonAdamW(Optimizer):
    """Matrices learn by Muon, all other parameters by AdamW.

    Args:
        params: parameters, or groups of them; those of a group with "muon": False learn by AdamW.
        lr: learning rate, at least 0.
        weight_decay: share of a weight, times lr, that a step takes away, at least 0.
        momentum: of Muon, in [0, 1).
        betas: of AdamW, in [0, 1).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.001,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        if not hasattr(torch.optim, "Muon"):
            raise UserError(f"optim=muon needs torch 2.9 or a newer one; this is {torch.__version__}")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas})
        if any("muon" not in group for group in self.param_groups):
            self.param_groups = self.divide(self.param_groups, None)
        self.share()

    @staticmethod
    def divide(groups: list[dict[str, Any]], net: Any) -> list[dict[str, Any]]:
        """Divide each group in two, matrices and the rest, and note which is which as "muon"."""
        layers = net.modules() if isinstance(net, nn.Module) else ()
        tables = {layer.weight for layer in layers if isinstance(layer, nn.Embedding | nn.EmbeddingBag)}
        divided = []
        for group in groups:
            for muon in (True, False):
                some = [each for each in group["params"] if (each.ndim == 2 and each not in tables) == muon]
                divided += [group | {"params": some, "muon": muon}] if some else []
        return divided

    def share(self) -> None:
        """Let torch's two optimizers work on the groups and the state of this one."""
        self.parts: list[Optimizer] = []
        for muon in (True, False):
            if groups := [group for group in self.param_groups if group["muon"] == muon]:
                part = torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw") if muon else AdamW(groups, fused=True)
                part.state = self.state
                self.parts.append(part)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.share()

    @torch.no_grad()
    def step(self, closure=None):  # without annotations, as in torch, whose overloads no single one fits
        """Take one step; return what the closure returns, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss
