"""The record of runs in MLflow: a training process sends messages, a writer process of its own writes them."""
