"""Many runs of one command: grid, random and Optuna searches, recorded together, resumable, in parallel."""
