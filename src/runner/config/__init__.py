"""What a configuration may say: the choices, composing, checking, what `_target_` names and may name."""
