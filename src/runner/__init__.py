"""Train any text model of the course from one command: Hydra composes, Lightning trains, MLflow records."""
