"""Launchers of Hydra that may not be installed."""

from runner.config import launchers


def test_a_launcher_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(launchers.importlib.util, "find_spec", lambda name: None)
    assert 'pip install "runner[sweep]"' in launchers.problem(["model=mlp", "hydra/launcher=slurm"])
    assert 'pip install "runner[ray]"' in launchers.problem(["hydra/launcher=ray_cluster"])
    assert launchers.problem(["hydra/launcher=basic"]) is None and launchers.problem(["model=mlp"]) is None
