"""The command `runner`: a verb with its options, or the settings of a training run.

Imports neither torch, lightning nor mlflow: a verb imports what it needs when it runs.
"""

import os
import sys
from pathlib import Path

from runner.errors import UserError, closest, print_mistake, storage_error
from runner.files.progress import doing, foot
from runner.tracking.uri import bare_arguments
from runner.training.deferred import defer
from runner.training.interrupt import Interrupt, Interrupted
from runner.training.processes import frozen_config, rank, started_as
from runner.verbs.compare import Compare
from runner.verbs.completion import complete
from runner.verbs.demo import Demo
from runner.verbs.doctor import Doctor
from runner.verbs.evaluate import Evaluate
from runner.verbs.export import Export
from runner.verbs.fetch import Fetch
from runner.verbs.help import overview
from runner.verbs.listing import List, Show
from runner.verbs.new import Copy, New
from runner.verbs.options import Verb, help_page, parse
from runner.verbs.predict import Predict
from runner.verbs.register import Register
from runner.verbs.rerun import Rerun
from runner.verbs.serve import Serve
from runner.verbs.train import Train, add_user_code, config_dir
from runner.verbs.ui import Ui

KINDS: tuple[type[Verb], ...] = (
    Train, Evaluate, Predict, Rerun, Compare, Export, Serve, Demo, Register, Fetch, List, Show, New, Copy, Doctor, Ui,
)  # fmt: skip
VERBS = {kind.__name__.lower(): kind for kind in KINDS}


def main() -> None:
    """Run the verb of the command line; exit with 0, with 2 after a UserError, with 1 after any other error."""
    defer()
    started_as(__spec__.name)
    if config := frozen_config():
        from runner.training.job import run_frozen

        sys.path += [os.getcwd(), *filter(None, os.environ.get("RUNNER_CODE", "").split(os.pathsep))]
        run_frozen(config)
        return
    if rank() == 0:
        foot.watch()
    Interrupt().install()  # any command ends with 130 after Ctrl-C, with 143 after SIGTERM
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        os.environ["RUNNER_DEBUG"] = "1"
        arguments = [argument for argument in arguments if argument != "--debug"]
    arguments = bare_arguments(arguments)
    sys.argv[1:] = arguments  # the record holds the command
    add_user_code(arguments)
    try:
        sys.exit(run_verb(arguments))
    except UserError as error:
        doing(None)
        print_mistake(error)
        sys.exit(2)
    except Interrupted as stopped:
        sys.exit(stopped.exit_code)
    except BrokenPipeError:  # the reader of the output has ended, as in `runner list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if mistake := storage_error(error, Path.cwd(), "type the command again"):
            print_mistake(mistake)
            sys.exit(2)
        raise


def run_verb(arguments: list[str]) -> int:
    """Do what the line says; return the exit code."""
    if arguments[:1] in (["-sc"], ["--shell-completion"]) and arguments[-1].startswith("query="):
        return complete(arguments, VERBS)
    name, rest = split_verb(arguments)
    if {"--help", "-h"} & set(rest) and not (name == "train" and any("=" in argument for argument in rest)):
        print(overview(VERBS.values(), config_dir(rest)) if name == "train" else help_page(VERBS[name]))
        return 0
    verb = parse(VERBS[name], rest)
    doing("starting")
    try:
        return verb()
    finally:
        doing(None)


def split_verb(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the verb and the arguments after it; no verb means train."""
    first = arguments[0] if arguments else ""
    if not first or first.startswith(("-", "~")) or "=" in first:
        return "train", arguments
    if first not in VERBS:
        raise UserError(
            f"there is no verb {first!r}.{closest(first, VERBS)} Verbs: {', '.join(VERBS)}; "
            "settings are written key=value, for example model=textcnn"
        )
    return first, arguments[1:]


if __name__ == "__main__":
    main()
