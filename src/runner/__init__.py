"""Train any text model of the course from one command: Hydra composes, Lightning trains, MLflow records."""

from runner.api import Run, load, run

__all__ = ["Run", "load", "run"]
