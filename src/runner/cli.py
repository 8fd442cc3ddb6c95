"""The command `runner`: verbs, the check before anything heavy is imported, and Hydra's own command line for training.

Imports neither torch, lightning nor mlflow: a verb imports what it needs when it runs.
"""

import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from runner.errors import UserError, closest
from runner.training.interrupt import Interrupt, Interrupted
from runner.training.processes import frozen_config, rank, throwaway_folder

EXAMPLES = {"run": "last", "format": "onnx", "name": "reviews"}  # of what a verb cannot do without
SHOWING_FLAGS = ("--help", "-h", "--cfg", "-c", "--info", "-i")  # Hydra composes one run, prints it and ends
HYDRA_FLAGS = ("--hydra-help", "--version", "--shell-completion", "-sc")  # Hydra composes nothing


def main() -> None:
    """Run the verb of the command line; exit with 0, with 2 after a user's mistake, with 1 after any other error."""
    if config := frozen_config():
        from runner.training.job import run_frozen

        sys.path += [os.getcwd(), *filter(None, os.environ.get("RUNNER_CODE", "").split(os.pathsep))]
        run_frozen(config)
        return
    Interrupt().install()  # any command ends with 130 after Ctrl-C, with 143 after SIGTERM
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        os.environ["RUNNER_DEBUG"] = "1"
        arguments = [argument for argument in arguments if argument != "--debug"]
    add_user_code(arguments)
    try:
        verb, rest = split_verb(arguments)
        if verb is train and {"--help", "-h"} & set(rest) and not any("=" in argument for argument in rest):
            from runner.verbs.help import help_text

            print(help_text(VERBS, dirs(option(rest, "--config-dir", "-cd"))))
            sys.exit(0)
        if verb is not train and {"--help", "-h"} & set(rest):
            print("runner " + inspect.cleandoc(verb.__doc__))
            sys.exit(0)
        sys.exit(verb(rest))
    except UserError as error:
        if os.environ.get("RUNNER_DEBUG"):
            traceback.print_exc()
        print(f"runner: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as stopped:
        sys.exit(stopped.exit_code)
    except BrokenPipeError:  # whoever read the output has gone, as in `runner list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def split_verb(arguments: list[str]) -> tuple[Callable[[list[str]], int], list[str]]:
    """Return the function of the verb and the arguments behind it; no verb means train."""
    first = arguments[0] if arguments else ""
    if not first or first.startswith("-") or "=" in first or first.startswith("~"):
        return train, arguments
    if first not in VERBS:
        raise UserError(
            f"there is no verb {first!r}.{closest(first, VERBS)} Verbs: {', '.join(VERBS)}; "
            "settings are written key=value, for example model=textcnn"
        )
    return VERBS[first], arguments[1:]


def add_user_code(arguments: list[str]) -> None:
    """Let `_target_` find classes in the current folder and beside a --config-dir, after all installed packages."""
    sys.path.append(os.getcwd())
    if config_dir := option(arguments, "--config-dir", "-cd"):
        sys.path.append(str(Path(config_dir).resolve().parent))
        os.environ["RUNNER_CODE"] = sys.path[-1]  # the processes of this run, and what decides which code is the user's


def option(arguments: list[str], *names: str) -> str | None:
    """The value of a command line option, given as `--name value` or `--name=value`."""
    for number, argument in enumerate(arguments):
        for name in names:
            if argument == name and number + 1 < len(arguments):
                return arguments[number + 1]
            if argument.startswith(name + "="):
                return argument.split("=", 1)[1]
    return None


def train(arguments: list[str]) -> int:
    """train [model=NAME] [data=NAME] [key=value ...]: train, pick the best checkpoint, test it, record the run."""
    import hydra

    from runner.config.catalog import config_path
    from runner.config.inferred import register_resolvers

    register_resolvers()
    if any(argument.startswith("resume_sweep=") for argument in arguments):
        from runner.sweep.resume import resumed_sweep

        arguments = resumed_sweep(arguments, outputs())
        add_user_code(arguments)
    multirun = bool({"--multirun", "-m"} & set(arguments))
    flags = {argument.split("=")[0] for argument in arguments}
    showing = flags.intersection(SHOWING_FLAGS)
    if multirun and showing:
        raise UserError(f"{showing.pop()} is for one run: leave -m out, and give every key one value")
    resume = [argument for argument in arguments if argument.startswith("resume=") and argument != "resume=null"]
    if resume and multirun:
        raise UserError(f"{resume[0]} goes on with one run; for a sweep type resume_sweep=ID or resume_sweep=last")
    if resume:
        from runner.training.resume import resumed_command

        options = [a for a in arguments if "=" not in a or a.startswith("-")]
        arguments = options + resumed_command([a for a in arguments if a not in options], outputs())
    if rank() > 0:
        arguments = [*arguments, *throwaway_folder()]
    if not flags.intersection(HYDRA_FLAGS):
        check_first(arguments, runs=not showing)
    sys.argv = [sys.argv[0], *arguments]
    hydra.main(config_path=str(config_path()), config_name="config", version_base="1.3")(run_job)()
    return 0


def check_first(arguments: list[str], runs: bool = True) -> None:
    """Report everything that is wrong with the command, all at once; one that is only shown has to compose."""
    from runner.config.command import check

    flags = {"--multirun", "-m", "--run", "-r"}
    config_dir = option(arguments, "--config-dir", "-cd")
    overrides = [a for a in arguments if not a.startswith("-") and a != config_dir]
    if not runs:
        overrides = [a for a in overrides if "=" in a or a.startswith("~")]  # not the word behind --cfg or --info
    problems = check(overrides, config_dir, multirun=bool({"--multirun", "-m"} & flags & set(arguments)), runs=runs)
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise UserError(f"{len(problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in problems))


def run_job(cfg) -> float | None:
    """What Hydra calls with the composed configuration: one run, recorded from beginning to end."""
    from runner.training.job import run

    return run(cfg)


def list_choices(arguments: list[str]) -> int:
    """list [models|data|tasks|optim|schedules|trainers|experiments] [format=json]: what there is to choose from."""
    from runner.verbs.listing import list_text

    config_dir = option(arguments, "--config-dir", "-cd")
    words = [a for a in arguments if not a.startswith("-") and a != config_dir and "=" not in a]
    settings = key_values([a for a in arguments if "=" in a and not a.startswith("-")], {"format": "text"})
    print(list_text(words[0] if words else None, format=settings["format"], extra_dirs=dirs(config_dir)))
    return 0


def show(arguments: list[str]) -> int:
    """show NAME: its YAML, source, parameters and an example command."""
    from runner.verbs.listing import show_text

    config_dir = option(arguments, "--config-dir", "-cd")
    words = [a for a in arguments if not a.startswith("-") and a != config_dir]
    if len(words) != 1:
        raise UserError("show takes one name, for example: runner show textcnn")
    print(show_text(words[0], extra_dirs=dirs(config_dir)))
    return 0


def dirs(config_dir: str | None) -> list[Path]:
    return [Path(config_dir)] if config_dir else []


def doctor(arguments: list[str]) -> int:
    """doctor [model=NAME [key=value ...] [--config-dir DIR]]: check the installation, or the contracts of a model.

    Without a model: versions, data, the record of runs and a tiny training. With one: whether its net keeps what
    every net has to keep, such as gradients for all weights and answers that do not depend on padding.
    """
    from runner.verbs.doctor import doctor as examine
    from runner.verbs.doctor import examine_model

    config_dir = option(arguments, "--config-dir", "-cd")
    if any(argument.startswith("model=") for argument in arguments):
        check_first(arguments)
        return examine_model([a for a in arguments if "=" in a and not a.startswith("-")], dirs(config_dir))
    key_values(arguments, {})
    return examine()


def ui(arguments: list[str]) -> int:
    """ui [port=5000] [host=127.0.0.1] [tracking.uri=URI]: open MLflow's page on the recorded runs."""
    from runner.tracking.tracker import ui as serve

    settings = key_values(arguments, {"host": "127.0.0.1", "port": "5000", "tracking.uri": None})
    if not (settings["port"].isdigit() and 0 < int(settings["port"]) < 65536):
        raise UserError(f"port is a number between 1 and 65535, received {settings['port']!r}")
    serve(settings["tracking.uri"], outputs(), host=settings["host"], port=int(settings["port"]))
    return 0


def evaluate(arguments: list[str]) -> int:
    """evaluate run=ID|last [split=test|val] | input=FILE [label=COLUMN] [output=FILE.csv]: how good the model is.

    Without input: the metrics of the run's own data, computed again; exit code 1 if they differ from those of the run.
    With input: the metrics of a labelled file and its worst rows; output gets every row with its answer and error.
    """
    from runner.verbs.evaluate import evaluate as score

    known = {"run": None, "split": "test", "input": None, "output": None, "label": None, "allow": None}
    return score(key_values(arguments, {**known, "tracking.uri": None}, required=["run"]), outputs())


def predict(arguments: list[str]) -> int:
    """predict run=ID|last text="..." [explain=true] | input=FILE [output=FILE.csv] [resume=true]: answers for raw rows.

    A file is CSV, TSV, JSON, JSONL, Parquet or text and of any size; output is .csv, .tsv or .jsonl, and resume=true
    goes on with one that was cut off. Without text and input, rows are read from standard input: one text, or one JSON
    object, a line. A table's columns may also be given one by one, as in `predict run=last sepal_length=5.1 ...`.
    explain=true shows which words of the text mattered, and draws them: figure=FILE.png (usually explanation.png).
    """
    from runner.verbs.predict import answer

    known = dict.fromkeys(("run", "input", "output", "resume", "explain", "figure", "allow", "tracking.uri"))
    own = [a for a in arguments if a.split("=", 1)[0] in known]
    columns = [a for a in arguments if a.split("=", 1)[0] not in known]
    settings = key_values(own, known, required=["run"])
    row = dict(pair.split("=", 1) for pair in columns if "=" in pair)
    if len(row) != len(columns):
        raise UserError(f"predict takes key=value arguments, received {' '.join(a for a in columns if '=' not in a)!r}")
    return answer(settings, row, outputs())


def key_values(arguments: list[str], known: dict[str, str | None], required: list[str] = ()) -> dict:
    """Read key=value arguments; every key has to be a known one."""
    settings = dict(known)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in known:
            allowed = ", ".join(f"{name}=" for name in known) or "no arguments"
            raise UserError(f"received {argument!r}.{closest(key, known)} Allowed: {allowed}")
        settings[key] = value
    for name in required:
        if not settings[name]:
            raise UserError(f"{name}= is missing, for example {name}={EXAMPLES[name]}")
    return settings


def outputs() -> Path:
    """Where the runs of this folder and their database lie."""
    return Path.cwd() / "outputs"


def rerun(arguments: list[str]) -> int:
    """rerun ID|last [allow=my.package]: train again as the tracker says a run was trained, and compare the metrics.

    Exit code 1 if they differ. Whatever differs here from there (versions, commit, data) is said first.
    """
    from runner.verbs.rerun import rerun as train_again

    which, rest = words(arguments)
    if len(which) != 1:
        raise UserError("rerun takes one run, for example: runner rerun last")
    return train_again(which[0], key_values(rest, {"allow": None, "tracking.uri": None}), outputs())


def compare(arguments: list[str]) -> int:
    """compare ID ID ... | experiment=NAME [output=FILE.png]: differing settings, metrics and curves in a figure."""
    from runner.verbs.compare import compare as lay_side_by_side

    which, rest = words(arguments)
    known = {"experiment": None, "output": None, "tracking.uri": None}
    return lay_side_by_side(which, key_values(rest, known), outputs())


def export(arguments: list[str]) -> int:
    """export run=ID|last format=onnx|torch_export|safetensors [output=FILE]: the net for other programs, checked."""
    from runner.verbs.export import export as write_net

    known = {"run": None, "format": None, "output": None, "allow": None, "tracking.uri": None}
    return write_net(key_values(arguments, known, required=["run", "format"]), outputs())


def serve(arguments: list[str]) -> int:
    """serve run=ID|last [port=5001] [host=127.0.0.1]: MLflow's scoring server: raw rows in, answers out."""
    from runner.verbs.serve import serve as answer_requests

    known = {"run": None, "host": "127.0.0.1", "port": "5001", "allow": None, "tracking.uri": None}
    return answer_requests(key_values(arguments, known, required=["run"]), outputs())


def register(arguments: list[str]) -> int:
    """register run=ID|last name=NAME [alias=ALIAS]: a version of NAME in the model registry of the tracking server."""
    from runner.verbs.register import register as add_version

    known = {"run": None, "name": None, "alias": None, "tracking.uri": None}
    return add_version(key_values(arguments, known, required=["run", "name"]), outputs())


def fetch(arguments: list[str]) -> int:
    """fetch data=NAME [data.KEY=VALUE ...]: get and prepare a dataset ahead of the runs that read it."""
    from runner.verbs.fetch import fetch as prepare

    config_dir = option(arguments, "--config-dir", "-cd")
    return prepare([a for a in arguments if not a.startswith("-") and a != config_dir], config_dir)


def words(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Divide arguments into plain words and key=value pairs."""
    return [a for a in arguments if "=" not in a], [a for a in arguments if "=" in a]


VERBS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "rerun": rerun,
    "compare": compare,
    "export": export,
    "serve": serve,
    "register": register,
    "fetch": fetch,
    "list": list_choices,
    "show": show,
    "doctor": doctor,
    "ui": ui,
}


if __name__ == "__main__":
    main()
