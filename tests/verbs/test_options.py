"""A verb's options: read from its dataclass, refused where they are wrong, explained by `--help`."""

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from runner.cli import VERBS
from runner.config.signatures import describe_arguments
from runner.errors import UserError
from runner.verbs.doctor import Doctor
from runner.verbs.evaluate import Evaluate
from runner.verbs.listing import List
from runner.verbs.options import help_page, options, parse
from runner.verbs.predict import Predict
from runner.verbs.register import Register
from runner.verbs.serve import Serve
from runner.verbs.train import Train


def test_values_have_the_types_of_the_fields():
    verb = parse(Predict, ["run=ab", "input=in.csv", "resume=true", "explain=false", "tracking.uri=x", "b=1", "a=2=3"])
    assert verb == Predict(
        run="ab", input=Path("in.csv"), resume=True, explain=False, tracking_uri="x", row=("b=1", "a=2=3")
    )
    assert parse(Serve, ["port=80", "run=last"]).port == 80
    assert parse(Evaluate, ["run=last", "label=", "split=val"]) == Evaluate(run="last", split="val"), (
        "empty = not given"
    )


@pytest.mark.parametrize("flag", [["--config-dir", "mine"], ["--config-dir=mine"], ["-cd", "mine"], ["-cd=mine"]])
def test_the_folder_of_choices_may_be_typed_as_hydra_takes_it(flag):
    assert parse(List, [*flag, "models"]) == List(kind="models", config_dir=Path("mine"))
    assert parse(Doctor, ["model=x", *flag, "a=1"]) == Doctor(overrides=("model=x", "a=1"), config_dir=Path("mine"))


def test_training_gets_the_line_as_it_is():
    line = ["-m", "model=mlp", "--config-dir=mine", "~x"]
    assert parse(Train, line).arguments == tuple(line)


@pytest.mark.parametrize(
    ("verb", "line", "message"),
    [
        (Register, "run=last nam=x", r"received 'nam=x'\. Did you mean \"name\"\? Allowed: "),
        (Evaluate, "run=last split=vall", r"split is test or val, received 'vall'\. Did you mean \"val\""),
        (Evaluate, "split=val", "run= is missing, for example run=last"),
        (Evaluate, "run=", "run= is missing"),
        (Predict, "run=last resume=yes", "resume is true or false, received 'yes'"),
        (Serve, "run=last port=0", "port is a number between 1 and 65535, received '0'"),
        (List, "models data", r"received models data; type runner list \[models"),
    ],
)
def test_mistakes_are_named(verb, line, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        parse(verb, line.split())


@pytest.mark.parametrize("name", VERBS)
def test_help_says_what_every_option_means(name):
    verb = VERBS[name]
    own = [field.name for field in fields(verb) if field.name in vars(verb)["__annotations__"]]
    assert list(describe_arguments(inspect.cleandoc(verb.__doc__))) == own
    page = help_page(verb)
    assert page.startswith(f"runner {name}") and "Args:" not in page
    assert all(option.usage.strip("[]") in page for option in options(verb))
