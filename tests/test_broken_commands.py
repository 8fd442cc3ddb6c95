"""Broken commands, each as a newcomer may type it: exit code 2 and one short message that says what to do."""

import os
import sys

import pytest

from runner import cli

# command -> fragments of the message; `recorded` has runs named iris, textcnn and others
BROKEN = [
    # verbs
    ("trian", ["there is no verb 'trian'", 'Did you mean "train"?', "evaluate", "model=textcnn"]),
    ("textcnn", ["there is no verb 'textcnn'", "settings are written key=value"]),
    ("predcit run=last", ['Did you mean "predict"?']),
    ("help", ["there is no verb 'help'", "Verbs: train"]),
    # training
    ("model=textcn", ['Did you mean "textcnn"?']),
    ("train model=textcn", ['Did you mean "textcnn"?']),
    ("modle=textcnn", ['Did you mean "model"?']),
    ("model=textcnn data=iris", ["model=textcnn cannot read data=iris", "vocab_size"]),
    ("model=mlp trainer.max_epochs=ten", ["trainer.max_epochs=ten: expected int"]),
    ("model=mlp optim.lr=fast seed=x", ["2 problems:", "optim.lr=fast", "seed=x"]),
    ("model=mlp --config-dir nowhere", ["--config-dir nowhere: there is no such folder"]),
    ("model=mlp seed=1,2", ["seed=1,2", "--multirun"]),
    ("-m model=mlp seed=1,x", ["seed=x"]),
    ("model=mlp data=csv data.path=gone.csv data.label=y", ["gone.csv"]),
    ("-m model=mlp seed=1,2 --cfg job", ["--cfg is for one run: leave -m out"]),
    ("-m model=mlp seed=1,2 --help", ["--help is for one run: leave -m out"]),
    ("model=mlp,lstm --help", ["model=mlp,lstm: for several runs add --multirun"]),
    ("model=textcn --cfg job", ['Did you mean "textcnn"?']),
    ("model=mlp model.hidden=[8] --info", ["model=mlp has no key hidden"]),
    # resuming
    ("resume=last", ["there is no run that is FAILED or KILLED or RUNNING or UNKNOWN", "The last runs:"]),
    ("resume=nothing", ['there is no run "nothing"']),
    ("resume=mlp-iris", ["has finished; there is nothing to resume", "trainer.max_epochs="]),
    ("resume=mlp-iris trainer.max_epochs=1", ["set more than its 3 epochs: trainer.max_epochs=6"]),
    (
        "resume=mlp-iris trainer.max_epochs=9 model.hidden_dims=[9]",
        ["a resumed run can change trainer", "model.hidden_dims: [8] -> [9]", "Leave resume= out"],
    ),
    ("-m model=mlp resume=last seed=1,2", ["resume=last", "resume_sweep="]),
    # predict
    ("predict", ["run= is missing, for example run=last"]),
    ("predict run=", ["run= is missing"]),
    ("predict run=nothing text=x", ['there is no run "nothing"', "The last runs:"]),
    ("predict run=textcnn-textcnn hello", ["predict takes key=value arguments, received 'hello'"]),
    ("predict run=textcnn-textcnn --fast", ["received '--fast'"]),
    ("predict run=textcnn-textcnn txt=x", ['"txt" is not a column', 'Did you mean "text"?']),
    ("predict run=textcnn-textcnn text=", ["text", "empty"]),
    ("predict run=mlp-iris sepal_length=5", ["sepal_width"]),
    ("predict run=mlp-iris sepal_length=x sepal_width=1 petal_length=1 petal_width=1", ["sepal_length", "x", "number"]),
    ("predict run=textcnn-textcnn input=gone.csv", ["gone.csv"]),
    ("predict run=textcnn-textcnn input=reviews.csv text=x", ["either a row (text=...) or input=FILE, not both"]),
    ("predict run=textcnn-textcnn text=x output=answers.xls", [".csv", "answers.xls"]),
    # evaluate
    ("evaluate", ["run= is missing"]),
    ("evaluate last", ["run= is missing, for example run=last"]),
    (
        "export run=mlp-iris format=onx",
        ["format is onnx, torch_export, safetensors or huggingface", 'Did you mean "onnx"?'],
    ),
    ("predict run=mlp-iris resume=yes", ["resume is true or false, received 'yes'"]),
    ("evaluate rum=last", ["run= is missing, for example run=last", 'Did you mean "run"?']),
    ("evaluate run=mlp-iris split=train", ["split is test or val, received 'train'"]),
    ("evaluate run=mlp-iris split=valid", ["split is test or val, received 'valid'"]),
    ("evaluate run=mlp-iris output=x.csv", ["output= goes with input=FILE"]),
    ("evaluate run=mlp-iris input=gone.csv", ["gone.csv"]),
    # looking
    ("show", ["received nothing; type runner show NAME"]),
    ("show textcnn mlp", ["received textcnn mlp; type runner show NAME"]),
    ("show textcn", ['Did you mean "textcnn"?']),
    ("list modles", ["modles", 'Did you mean "models"?']),
    ("list models format=xml", ["xml"]),
    ("list colour=red", ["received 'colour=red'", "Allowed: format="]),
    ("ui port=many", ["port is a number between 1 and 65535, received 'many'"]),
    ("ui prot=5001", ['Did you mean "port"?']),
    ("ui host=999.1.1.1 port=5001", ["cannot listen on 999.1.1.1:5001"]),
    ("ui port=99999", ["between 1 and 65535", "99999"]),
    ("doctor now", ["received 'now'", "doctor model=NAME"]),
    ("doctor model=textcn", ['Did you mean "textcnn"?']),
]


def run(words: list[str], monkeypatch, capsys) -> tuple[int, str]:
    """The exit code of a command in this process, and what it said on standard error."""
    monkeypatch.setattr(sys, "argv", ["runner", *words])
    monkeypatch.setattr(sys, "path", list(sys.path))
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, capsys.readouterr().err


@pytest.mark.parametrize(("command", "fragments"), BROKEN, ids=[command for command, _ in BROKEN])
def test_a_broken_command_is_explained(command, fragments, recorded, monkeypatch, capsys):
    folder, _ = recorded
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RUNNER_DEBUG", raising=False)
    before = sorted(folder.rglob("metrics.json"))
    code, said = run(command.split(), monkeypatch, capsys)
    assert code == 2, said
    assert said.startswith("runner: ") and "Traceback" not in said
    missing = [fragment for fragment in fragments if fragment not in said]
    assert not missing, said
    assert len(said) < 1500 and said.count("\n") <= 12, "short"
    assert sorted(folder.rglob("metrics.json")) == before, "nothing was touched"


def test_debug_shows_the_traceback(recorded, monkeypatch, capsys):
    monkeypatch.chdir(recorded[0])
    monkeypatch.delenv("RUNNER_DEBUG", raising=False)
    code, said = run(["--debug", "show", "textcn"], monkeypatch, capsys)
    assert code == 2 and "Traceback" in said and said.rstrip().splitlines()[-1].startswith("runner: ")
    os.environ.pop("RUNNER_DEBUG")


def test_there_are_no_runs_yet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in ("predict run=last text=x", "evaluate run=last", "resume=last"):
        code, said = run(command.split(), monkeypatch, capsys)
        assert code == 2 and "there is no run" in said and "yet" in said
    assert not (tmp_path / "outputs").exists(), "looking makes nothing"
