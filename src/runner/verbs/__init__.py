"""What `runner VERB` does, a module for each verb, and what several of them share (`answer`)."""
