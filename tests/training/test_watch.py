"""What is seen of the layers while a net trains."""

from pathlib import Path

import pytest
from small_runs import settings

from runner.training.train import train
from runner.training.watch import Watch


def test_activations_and_gradients_are_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setattr(Watch, "state_dict", lambda self: seen.update(self.measured) or {"measured": self.measured})
    train(settings("mlp", "data=iris", "callbacks=watch", "callbacks.watch.every_n_epochs=2"), tmp_path)
    for name in ("activations", "gradients"):
        assert (tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert all(set(sizes) == {1, 3} and min(sizes.values()) > 0 for sizes in seen[name].values()), name
    assert {name.rpartition(".")[0] for name in seen["gradients"]} <= set(seen["activations"])
