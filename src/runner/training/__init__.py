"""One run from start to end: the job, training, checkpoints, resuming, signals, processes."""
