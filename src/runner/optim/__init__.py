"""How weights are changed: building optimizers, schedules, penalties, and the optimizers that torch lacks."""
