"""The record of runs in MLflow: the training process sends messages, a separate writer process writes them."""
