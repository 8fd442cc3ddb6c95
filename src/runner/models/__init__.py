"""Architectures: nets without loss, optimizer, input or output; one file each."""
