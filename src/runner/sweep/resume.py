"""`resume_sweep=NAME|last`: continuing a sweep until all its jobs are done."""

import os
from pathlib import Path

from runner.errors import UserError
from runner.sweep.state import find_sweep
from runner.training.resume import key_of, quoted

KEY = "resume_sweep"
# Other settings would make it a different sweep.
MAY_CHANGE = ("sweep.jobs", "sweep.on_error", "sweep.trials", "sweep.columns")


def resumed_sweep(arguments: list[str], outputs: Path) -> list[str]:
    """Replace `resume_sweep=...` by the command that the sweep began with, in its folder.

    Args:
        arguments: what the user typed.
        outputs: the folder of all runs.

    Raises:
        UserError: there is no such sweep, it was started in another folder, or a typed setting may not change.
    """
    typed = {key_of(text): text for text in arguments if not text.startswith("-")}
    state = find_sweep(typed.pop(KEY).split("=", 1)[1], outputs)
    other = [text for key, text in typed.items() if key not in MAY_CHANGE and not key.startswith("hydra")]
    if other:
        raise UserError(
            f"a resumed sweep keeps its settings; received {' '.join(other)}. "
            f"Only these can be given: {', '.join(MAY_CHANGE)} and those of hydra/launcher"
        )
    if state.cwd != os.getcwd():
        raise UserError(f"the sweep {state.name} was started in {state.cwd}: go there first")
    flags = [text for text in arguments if text.startswith("-") and text not in ("-m", "--multirun")]
    config_dir = [f"--config-dir={state.config_dir}"] if state.config_dir else []
    earlier = [text for text in state.overrides if key_of(text) not in typed]
    own = [f"hydra.sweep.dir={quoted(state.folder)}", "sweep.resume=true"]
    return ["-m", *flags, *config_dir, *earlier, *typed.values(), *own]
