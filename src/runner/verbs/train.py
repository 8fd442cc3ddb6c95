"""`runner train`, and `runner` without a verb: a check before anything heavy is imported, then Hydra."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Annotated

from runner.errors import UserError, storage_error
from runner.verbs.options import Typed, Verb, joined_flags

if TYPE_CHECKING:
    from omegaconf import DictConfig

SHOWING_FLAGS = ("--help", "-h", "--cfg", "-c", "--info", "-i")  # Hydra composes one run, prints it and ends
MAIN_FLAGS = ("--config-name", "-cn", "--config-path", "-cp")  # Hydra would compose another file, unchecked
HYDRA_FLAGS = ("--hydra-help", "--version", "--shell-completion", "-sc")  # Hydra composes nothing


@dataclass(kw_only=True)
class Train(Verb):
    """Train, pick the best checkpoint, test it, record the run.

    Args:
        arguments: the settings of the run, and Hydra's flags.
    """

    arguments: Annotated[tuple[str, ...], Typed("[model=NAME] [data=NAME] [KEY=VALUE ...]", form="rest")] = ()

    def __call__(self) -> int:
        self.start(run_job)
        return 0

    def start(self, job: Callable[["DictConfig"], float | None]) -> None:
        """Check the settings, compose them and call the job with them; a sweep calls it once for each of its runs."""
        import hydra
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        from runner.config.catalog import config_path
        from runner.config.inferred import register_resolvers
        from runner.training.processes import rank, throwaway_folder

        register_resolvers()
        arguments = self.resumed(list(self.arguments))
        if rank() > 0:
            arguments = [*arguments, *throwaway_folder()]
        flags = {argument.split("=")[0] for argument in arguments}
        if taken := flags.intersection(MAIN_FLAGS):
            raise UserError(
                f"{taken.pop()}: the file is always config.yaml of runner; your own choices: --config-dir=DIR"
            )
        if not flags.intersection(HYDRA_FLAGS):
            runs = not flags.intersection(SHOWING_FLAGS)
            check_first(arguments, runs)
            if runs and rank() == 0:
                print(f"{datetime.now():%H:%M:%S} INFO Starting {' '.join(arguments) or 'the defaults'}", flush=True)
        sys.argv = [sys.argv[0], *arguments]
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # raise what Hydra would print
        try:
            hydra.main(config_path=str(config_path()), config_name="config", version_base="1.3")(job)()
        except (HydraException, OmegaConfBaseException, OSError, ValueError) as error:
            frames = {frame.f_code for frame, _ in walk_tb(error.__traceback__)}
            if isinstance(error, UserError) or run_job.__code__ in frames:
                raise
            raise before_the_job(error) from error

    def resumed(self, arguments: list[str]) -> list[str]:
        """Replace resume= or resume_sweep= by the command that the run or the sweep began with."""
        if any(argument.startswith("resume_sweep=") for argument in arguments):
            from runner.sweep.resume import resumed_sweep

            arguments = resumed_sweep(arguments, self.outputs)
            add_user_code(arguments)
        multirun = bool({"--multirun", "-m"} & set(arguments))
        showing = {argument.split("=")[0] for argument in arguments}.intersection(SHOWING_FLAGS)
        if multirun and showing:
            raise UserError(f"{showing.pop()} is for one run: leave -m out, and give every key one value")
        resume = [argument for argument in arguments if argument.startswith("resume=") and argument != "resume=null"]
        if resume and multirun:
            raise UserError(f"{resume[0]} continues one run; for a sweep type resume_sweep=ID or resume_sweep=last")
        if resume:
            from runner.training.resume import resumed_command

            options = [a for a in arguments if "=" not in a or a.startswith("-")]
            arguments = options + resumed_command([a for a in arguments if a not in options], self.outputs)
        return arguments


def check_first(arguments: list[str], runs: bool = True) -> None:
    """Report everything that is wrong with the command at once; a command that is only shown just has to compose."""
    from runner.config.command import check

    folder = config_dir(arguments)
    overrides = [a for a in joined_flags(arguments) if not a.startswith("-")]
    if not runs:
        overrides = [a for a in overrides if "=" in a or a.startswith("~")]  # not the word after --cfg or --info
    problems = check(overrides, folder, multirun=bool({"--multirun", "-m"} & set(arguments)), runs=runs)
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise UserError(f"{len(problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in problems))


def config_dir(arguments: list[str]) -> str | None:
    """Return the folder of `--config-dir`."""
    given = [a.split("=", 1)[1] for a in joined_flags(arguments) if a.startswith("--config-dir=")]
    return given[0] if given else None


def add_user_code(arguments: list[str]) -> None:
    """Let `_target_` find classes in the current folder and next to a --config-dir, after all installed packages."""
    sys.path.append(os.getcwd())
    if folder := config_dir(arguments):
        sys.path.append(str(Path(folder).resolve().parent))
        os.environ["RUNNER_CODE"] = sys.path[
            -1
        ]  # read by the processes of this run, and to decide which code is the user's


def before_the_job(error: Exception) -> UserError:
    """Return as one sentence what Hydra raises before it calls the job."""
    from runner.config.wording import one_line

    if not isinstance(error, OSError):
        return UserError(one_line(error))
    if error.filename is None and (full := storage_error(error, Path.cwd(), "type the command again")):
        return full
    reason = f"{error.filename} cannot be written ({error.strerror})"
    return UserError(f"{reason}: choose another folder, hydra.run.dir=FOLDER, for a sweep hydra.sweep.dir=FOLDER")


def run_job(cfg: "DictConfig") -> float | None:
    """What Hydra calls with the composed configuration: one run, recorded from beginning to end."""
    from runner.training.job import run

    return run(cfg)
