"""A trained model on disk: load, answer, explain, export."""
