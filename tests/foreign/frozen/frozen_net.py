"""A trained layer on features that come from a folder and stay as they are.

Shape letters: B rows, F inputs, H features, K outputs.
"""

import json
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

ModelFolder: TypeAlias = str  # a folder that travels with the model
FEATURES = "features.npy"


class FrozenFeatures(nn.Module):
    """Maps numbers (B, F) to (B, K): half of the features are cosines, half sines, of fixed projections.

    Args:
        path: folder with settings.json, {"seed", "num_features", "scale"}.
        in_features: numbers F of a row.
        num_outputs: outputs K.
    """

    def __init__(self, path: ModelFolder, in_features: int, num_outputs: int):
        super().__init__()
        settings = json.loads(Path(path, "settings.json").read_text(encoding="utf-8"))
        draw = np.random.default_rng(settings["seed"])
        projection = settings["scale"] * draw.standard_normal((in_features, settings["num_features"] // 2))
        # float16, and not among the weights: a file of its own holds it
        self.register_buffer("projection", torch.from_numpy(projection.astype(np.float16)), persistent=False)
        self.output = nn.Linear(settings["num_features"], num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        angles = features @ self.projection.float()  # (B, H / 2)
        return self.output(torch.cat([angles.cos(), angles.sin()], dim=1))

    def save_files(self, folder: Path) -> None:
        """Write the projection."""
        np.save(folder / FEATURES, self.projection.cpu().numpy())

    def load_files(self, folder: Path) -> None:
        """Read it again: another release of NumPy may draw other numbers."""
        self.projection = torch.from_numpy(np.load(folder / FEATURES, allow_pickle=False))
