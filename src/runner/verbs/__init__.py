"""What `runner VERB` does, a module for each verb, and their options (`options`)."""
