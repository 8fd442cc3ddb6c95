"""What Lightning's own resume leaves out, compared with runner's.

    python benchmarks/lightning_resume.py

A small net with dropout is trained for four epochs in one go, and again with a stop after the second epoch. Lightning
restores weights, optimizer and counters, but neither the random states nor the order of the batches, so the second
half sees other batches and other dropout masks, and ends with other weights. Through runner both ways end alike.
"""

import tempfile
import warnings
from pathlib import Path

import pytorch_lightning as lightning
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from runner.config.compose import compose
from runner.training.lightning import silence
from runner.training.train import train

EPOCHS, STOP = 4, 2


class Net(lightning.LightningModule):
    """A perceptron as a Lightning tutorial writes it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))

    def training_step(self, batch: tuple, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


def with_lightning(epochs: int, folder: Path, resume: str | None = None) -> Tensor:
    """All weights after `epochs` epochs of a plain Lightning training."""
    lightning.seed_everything(1, verbose=False)
    x = torch.randn(128, 4)
    loader = DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), batch_size=16, shuffle=True)
    net = Net()
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
                                enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(net, loader, ckpt_path=resume)
    trainer.save_checkpoint(folder / "last.ckpt")
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def with_runner(cfg: DictConfig, folder: Path, epochs: int, resume: bool = False) -> Tensor:
    """All weights after `epochs` epochs through runner."""
    cfg = OmegaConf.merge(cfg, {"trainer": {"max_epochs": epochs}, "resume": "this" if resume else None})
    train(cfg, folder)
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return torch.cat([value.flatten() for name, value in state.items() if name.startswith("net.")])


def main() -> None:
    warnings.filterwarnings("ignore")
    silence()
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place, name) for name in ("whole", "stopped")}
        for folder in folders.values():
            folder.mkdir()
        whole = with_lightning(EPOCHS, folders["whole"])
        with_lightning(STOP, folders["stopped"])
        resumed = with_lightning(EPOCHS, folders["stopped"], resume=str(folders["stopped"] / "last.ckpt"))
        print(f"Lightning's resume: largest difference of a weight {float((whole - resumed).abs().max()):.3g}")
        cfg = compose(["model=mlp", "data=iris", "model.dropout=0.5", "trainer.accelerator=cpu"])
        OmegaConf.resolve(cfg)
        whole = with_runner(cfg, folders["whole"], EPOCHS)
        with_runner(cfg, folders["stopped"], STOP)
        resumed = with_runner(cfg, folders["stopped"], EPOCHS, resume=True)
        print(f"runner's resume:    largest difference of a weight {float((whole - resumed).abs().max()):.3g}")


if __name__ == "__main__":
    main()
