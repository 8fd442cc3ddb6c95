"""The options of a verb: the fields of a dataclass, from which parsing, `--help` and completion are derived.

    @dataclass(kw_only=True)
    class Register(OfRun):
        '''Add the model of a run to the model registry of the tracking server.

        Args:
            name: what the model is called there.
            alias: a second name for this version.
        '''

        name: str
        alias: str | None = None

        def __call__(self) -> int: ...

`runner register run=last name=reviews` is `Register(run="last", name="reviews")()`. Slow imports of a
verb are inside its functions, since the command imports the modules of all verbs.
"""

import inspect
import socket
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from runner.errors import UserError, closest

if TYPE_CHECKING:
    from runner.inference.predictor import Predictor
    from runner.tracking.find import RunInfo


@dataclass(frozen=True)
class Typed:
    """How an option is typed, if its name and type do not say so.

    Args:
        shown: what help shows for its value.
        key: what comes before "=", if it is not the name of the field; how an argument of the rest begins.
        form: an "option" (key=value), "words" without a key, or the "rest" of the arguments, unchanged.
        allowed: the numbers it may be.
        candidates: what Tab offers for it.
    """

    shown: str = ""
    key: str = ""
    form: Literal["option", "words", "rest"] = "option"
    allowed: range | None = None
    candidates: Callable[[], Iterable[str]] = tuple


@dataclass(frozen=True, kw_only=True)
class Option(Typed):
    """An option of a verb: how it is typed, completed by its field.

    Args:
        field: its name.
        type: of its value, without None.
        required: whether it has to be given.
        own: whether the verb itself declares it, not one of its bases.
    """

    field: str
    type: Any
    required: bool
    own: bool

    @property
    def usage(self) -> str:
        """How it is typed, such as "[output=FILE]"."""
        if self.form == "rest":
            return self.shown
        text = self.shown if self.form == "words" else f"{self.key}={self.shown}"
        return text if self.required else f"[{text}]"

    def read(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            UserError: the text is not such a value.
        """
        choices = self.choices
        if choices and text not in choices:
            allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise UserError(f"{self.key} is {allowed}, received {text!r}.{closest(text, choices)}")
        if self.type is bool:
            return text == "true"
        if numbers := self.allowed:
            if not text.isdecimal() or int(text) not in numbers:
                span = f"{numbers.start} and {numbers.stop - 1}"
                raise UserError(f"{self.key} is a number between {span}, received {text!r}")
            return int(text)
        return Path(text) if self.type is Path else text

    @property
    def choices(self) -> list[str]:
        """The only values it takes; empty if there are too many to list."""
        if self.type is bool:
            return ["true", "false"]
        return list(get_args(self.type)) if get_origin(self.type) is Literal else []

    def completions(self, text: str) -> list[str]:
        """Return the values that begin with `text`."""
        if self.type is Path:
            found = Path(text).parent.glob(f"{Path(text).name if not text.endswith('/') else ''}*")
            return [f"{path}/" if path.is_dir() else str(path) for path in found]
        return [each for each in (self.choices or self.candidates()) if each.startswith(text)]


def run_ids(status: tuple[str, ...] = ("FINISHED",)) -> list[str]:
    from runner.tracking.find import recent_runs

    return ["last", *recent_runs(Path.cwd() / "outputs", status)]


RunId = Annotated[str, Typed("ID|last", candidates=run_ids)]
File = Annotated[Path | None, Typed("FILE")]
Port = Annotated[int, Typed(allowed=range(1, 65536))]
Overrides = Annotated[tuple[str, ...], Typed("[KEY=VALUE ...]", form="rest")]


@dataclass(kw_only=True)
class Verb:
    """A word after `runner` and its options; calling it does the work and returns the exit code."""

    def __call__(self) -> int:
        raise NotImplementedError

    @property
    def outputs(self) -> Path:
        """Where the runs of the current folder and their database are."""
        return Path.cwd() / "outputs"


@dataclass(kw_only=True)
class Choosing(Verb):
    """A verb that reads the available choices.

    Args:
        config_dir: a folder with more choices.
    """

    config_dir: Annotated[Path | None, Typed("DIR", key="--config-dir")] = None

    @property
    def folders(self) -> list[Path]:
        """The folders with more choices."""
        return [self.config_dir] if self.config_dir else []

    @property
    def flags(self) -> list[str]:
        """The same, as typed."""
        return [f"--config-dir={folder}" for folder in self.folders]


@dataclass(kw_only=True)
class Tracked(Verb):
    """A verb that reads the record of runs.

    Args:
        tracking_uri: the database or the server with the runs; usually the database in `outputs`.
    """

    tracking_uri: Annotated[str | None, Typed("URI", key="tracking.uri")] = None


@dataclass(kw_only=True)
class OfRun(Tracked):
    """A verb about one finished run.

    Args:
        run: last, an id or its beginning, a name, or the folder of a run.
    """

    run: RunId

    @cached_property
    def info(self) -> "RunInfo":
        """What the tracker knows of the run; asked once, since another run may become the last one."""
        from runner.tracking.find import find_run

        return find_run(self.tracking_uri, self.outputs, self.run, status="FINISHED")


@dataclass(kw_only=True)
class OfModel(OfRun):
    """A verb that loads the model of a run.

    Args:
        allow: packages whose classes the model may name too, separated by commas.
    """

    allow: Annotated[str | None, Typed("PACKAGE,...")] = None

    def let_in(self) -> None:
        """Allow the packages of `allow`."""
        from runner.config import safety

        safety.allow(self.allow)

    def bundle(self) -> Path:
        """Return the folder with the model."""
        from runner.tracking.artifacts import model_folder

        self.let_in()
        return model_folder(self.info, self.tracking_uri, self.outputs)


@dataclass(kw_only=True)
class OfTask(OfModel):
    """A verb that asks the model something.

    Args:
        settings: of the objective that replace those it was trained with, such as task.temperature=0.5.
    """

    settings: Annotated[tuple[str, ...], Typed("[task.KEY=VALUE ...]", form="rest", key="task.")] = ()

    @property
    def changed(self) -> dict[str, Any]:
        """The settings by name."""
        import yaml

        pairs = (setting.removeprefix("task.").split("=", 1) for setting in self.settings)
        return {pair[0]: yaml.safe_load(pair[1]) for pair in pairs if len(pair) == 2}


@dataclass(kw_only=True)
class OfWeights(OfTask):
    """A verb that can use other weights of the run than its best.

    Args:
        checkpoint: other weights that the run has kept: 2 = those after its second-best epoch, average = the mean of
            its best few (see callbacks.checkpoint.top_k).
    """

    checkpoint: Annotated[str | None, Typed("K|average")] = None

    def with_weights(self, predictor: "Predictor") -> "Predictor":
        """Let a model answer with the weights that `checkpoint` names."""
        if self.checkpoint:
            from runner.training.ranking import chosen

            folder = self.info.folder
            if folder is None or not folder.is_dir():
                raise UserError(f"checkpoint=: the folder of run {self.info.id} is not on this machine: {folder}")
            predictor.task.load_state_dict(chosen(folder / "checkpoints", self.checkpoint)[0])
        return predictor


V = TypeVar("V", bound=Verb)


def options(verb: type[Verb]) -> list[Option]:
    """Return the options of a verb: words, required ones, other own ones, and finally those shared with other verbs."""
    hints = get_type_hints(verb, include_extras=True)
    found = []
    for field in fields(verb):
        hint, typed = hints[field.name], Typed()
        if get_origin(hint) is Annotated:
            hint, typed = get_args(hint)
        if get_origin(hint) in (UnionType, Union):
            (hint,) = (each for each in get_args(hint) if each is not type(None))
        own, required = field.name in vars(verb)["__annotations__"], field.default is MISSING
        option = Option(**vars(typed), field=field.name, type=hint, required=required, own=own)
        default = field.default if isinstance(field.default, str | int) else field.name.upper()
        shown = typed.shown or ("true" if hint is bool else "|".join(option.choices) or str(default))
        key = typed.key or ("" if typed.form == "rest" else field.name)
        found.append(replace(option, shown=shown, key=key))
    order = {"words": 0, "option": 1, "rest": 2}

    def place(option: Option) -> int:
        stands_early = option.required or (option.own and option.form != "option")
        return order[option.form] if stands_early else 4 - option.own

    return sorted(found, key=place)


def parse(verb: type[V], arguments: list[str]) -> V:
    """Return the verb with the options of the command line.

    Raises:
        UserError: an argument is not one of its options, has a wrong value or is missing.
    """
    known = options(verb)
    by_key = {option.key: option for option in known if option.form == "option"}
    words_of = next((option for option in known if option.form == "words"), None)
    rests = sorted((o for o in known if o.form == "rest"), key=lambda o: o.key, reverse=True)
    given: dict[str, Any] = {}
    words: list[str] = []
    for argument in joined_flags(arguments):
        key, equals, text = argument.partition("=")
        if equals and key in by_key:
            if text:
                given[by_key[key].field] = by_key[key].read(text)
        elif words_of and not equals and not argument.startswith("-"):
            words.append(argument)
        elif rest := next((each for each in rests if argument.startswith(each.key)), None):
            given[rest.field] = (*given.get(rest.field, ()), argument)
        else:
            allowed = ", ".join(f"{key}=" for key in by_key) or "no arguments"
            raise UserError(f"received {argument!r}.{closest(key, by_key)} Allowed: {allowed}")
    if words_of:
        given |= read_words(words_of, words, verb)
    for key, option in by_key.items():
        if option.required and option.field not in given:
            near = next((meant for each in arguments if (meant := closest(each.partition("=")[0], [key]))), "")
            raise UserError(f"{key}= is missing, for example {key}={example(option)}.{near}".rstrip("."))
    return verb(**given)


def joined_flags(arguments: list[str]) -> list[str]:
    """Write `--config-dir DIR` and `-cd DIR` as `--config-dir=DIR`."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] in ("--config-dir", "-cd"):
            found[-1] = f"--config-dir={argument}"
        else:
            found.append(argument.replace("-cd=", "--config-dir=", 1) if argument.startswith("-cd=") else argument)
    return found


def read_words(option: Option, words: list[str], verb: type[Verb]) -> dict[str, Any]:
    """Return the value of the words without a key, with its field."""
    if get_origin(option.type) is tuple:
        return {option.field: tuple(words)}
    if len(words) > 1 or (option.required and not words):
        raise UserError(f"received {' '.join(words) or 'nothing'}; type runner {usage(verb)}")
    return {option.field: words[0]} if words else {}


def example(option: Option) -> str:
    """Return a value that the option may have."""
    return (option.choices or [*option.candidates()][:1] or [option.shown])[0]


def usage(verb: type[Verb], shared: bool = True) -> str:
    """Return the line to type.

    Args:
        verb: the verb.
        shared: whether the optional settings that several verbs share are included.
    """
    shown = [option.usage for option in options(verb) if shared or option.own or option.required]
    return " ".join([verb.__name__.lower(), *shown])


def help_page(verb: type[Verb]) -> str:
    """Return what `runner VERB --help` prints."""
    from runner.config.signatures import describe_arguments

    docs = [inspect.cleandoc(each.__doc__ or "") for each in verb.__mro__ if issubclass(each, Verb)]
    meanings = {name: text for doc in reversed(docs) for name, text in describe_arguments(doc).items()}
    lines = [f"runner {usage(verb)}", "", docs[0].split("\nArgs:")[0].strip()]
    for option in options(verb):
        lines += ["", f"  {option.usage.strip('[]')}"]
        lines += textwrap.wrap(meanings[option.field], 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def check_address(host: str, port: int) -> None:
    """Check that the port is free, before anything slow is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or error
            raise UserError(f"cannot listen on {host}:{port} ({why}). Try port={port + 1}") from error
