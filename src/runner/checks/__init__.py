"""What can be known of a command before torch is imported."""
