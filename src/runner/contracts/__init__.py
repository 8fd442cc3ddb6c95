"""What every net promises, and the small batches it is tried on."""
