"""What datasets share: splits, batches, inputs and targets."""
