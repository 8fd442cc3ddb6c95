"""Folders, checkpoints, archives, configurations and plug-ins of somebody else: none of them runs code.

Every payload makes the file `ran`, which must not exist afterwards.
"""

import io
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from small_runs import settings

from runner.config import safety
from runner.config.command import check
from runner.errors import UserError
from runner.files import sources
from runner.text.tokenizers import tokenizer
from runner.tracking.find import RunInfo
from runner.training import resume
from runner.training.resume import resumed_command
from runner.training.train import train
from runner.verbs.evaluate import Evaluate
from runner.verbs.export import Export
from runner.verbs.options import Verb
from runner.verbs.predict import Predict
from runner.verbs.rerun import Rerun

REFUSED = r"none of these|cannot be imported"
ROW = ("sepal_length=5", "sepal_width=3", "petal_length=1", "petal_width=1")


class Payload:
    """Makes the file when it is unpickled."""

    def __init__(self, ran: Path):
        self.ran = ran

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.ran}'",)


TOUCH, PYTHON = {"command": "touch '{folder}/ran'"}, {"_args_": ["open('{folder}/ran', 'w')"]}
HUB = {"repo_or_dir": "{folder}", "model": "net", "source": "local"}
PICKLE = {"f": "{folder}/pickle.pt", "weights_only": False}
PAYLOADS = {  # {dotted path: the rest of a node that makes the file `ran` when it is built}
    "os.system": TOUCH,
    "subprocess.getoutput": {"cmd": TOUCH["command"]},
    "builtins.exec": PYTHON,
    "runpy.run_path": {"path_name": "{folder}/hubconf.py"},
    "torch.hub.load": HUB,
    "torch.load": PICKLE,
    "torch.nn.functional.torch.hub.load": HUB,
    "torch.nn.functional.torch.load": PICKLE,
    "torch.nn.functional.torch.os.system": TOUCH,
    "torch.nn.functional.torch.builtins.exec": PYTHON,
    "torch.optim.optimizer.torch.hub.load": HUB,
    "torchmetrics.functional.text.bert.os.system": TOUCH,
    "sklearn.utils.os.system": TOUCH,
    "pytorch_lightning.trainer.trainer.torch.load": PICKLE,
    "pytorch_lightning.callbacks.model_checkpoint.os.system": TOUCH,
    "runner.files.sources.os.system": TOUCH,
    "runner.tasks.losses.inspect.builtins.exec": PYTHON,
    "hydra.utils.call": {"config": {"_target_": "os.system", **TOUCH}},
    "innocent_net.subprocess.getoutput": {"cmd": TOUCH["command"]},  # the user's own module has imported it
}


def payload(target: str, folder: Path) -> dict:
    """Return a node that makes the file `ran` in the folder when it is built."""

    def filled(value: object) -> object:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        return value.replace("{folder}", str(folder)) if isinstance(value, str) else value

    return {"_target_": target, **filled(PAYLOADS[target])}


@pytest.fixture
def folder(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder of somebody, with code and plug-ins; the current folder is another one, with the user's module."""
    monkeypatch.setenv(safety.ALLOW, "")
    monkeypatch.setenv(safety.CODE, "")
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    shutil.copytree(trained("mlp"), theirs)
    (theirs / "run_id").write_text("f" * 32)
    (theirs / "pickle.pt").write_bytes(pickle.dumps(Payload(theirs / "ran")))
    for name in (
        "hubconf.py",
        "sitecustomize.py",
        "code/own.py",
        "hydra_plugins/evil/__init__.py",
        "model/x.py",
    ):
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).write_text(f"open('{theirs}/ran', 'w')\ndef net(): ...\n")
    mine.mkdir()
    (mine / "innocent_net.py").write_text("import os, subprocess\n")
    monkeypatch.syspath_prepend(str(mine))
    monkeypatch.chdir(mine)
    return theirs


def stored(folder: Path, place: str, node: dict) -> None:
    """Write a node into the stored configurations of a run folder, which also allow everything."""
    for file in ("model/config.yaml", "config.yaml"):
        cfg = OmegaConf.load(folder / "model" / "config.yaml")
        cfg.allow = ["os", "torch", "innocent_net"]
        OmegaConf.update(cfg, place, node, force_add=True)
        OmegaConf.save(cfg, folder / file)


def verbs(folder: Path) -> list[Verb]:
    """What one does with the run folder of somebody."""
    return [
        Predict(run=str(folder), row=ROW),
        Evaluate(run=str(folder)),
        Export(run=str(folder), format="safetensors"),
    ]


@pytest.mark.parametrize("target", PAYLOADS)
@pytest.mark.parametrize("place", ["augment.x", "model.inner"])
def test_a_stored_model_runs_nothing(folder: Path, target: str, place: str) -> None:
    stored(folder, place, payload(target, folder))
    for verb in verbs(folder):
        with pytest.raises(UserError, match=REFUSED):
            verb()
    with pytest.raises(UserError, match=REFUSED):
        Rerun(run="x").configuration((folder / "config.yaml").read_text())
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("target", ["os.system", "torch.nn.functional.torch.os.system", "innocent_net.os.system"])
def test_a_function_by_its_path_runs_nothing(folder: Path, target: str) -> None:
    with pytest.raises(UserError, match=REFUSED):
        tokenizer(target)
    (problem,) = check(["model=mlp", "data=iris", f"task.loss={target}"])
    assert "none of these" in problem or "has no" in problem
    stored(folder, "task.loss", target)
    for verb in verbs(folder):
        with pytest.raises(UserError, match=REFUSED):
            verb()
    assert not (folder / "ran").exists()


def test_a_variable_cannot_smuggle_a_name_in(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("INNOCENT", "os.system")
    stored(folder, "augment.x", payload("os.system", folder) | {"_target_": "${oc.env:INNOCENT}"})
    for verb in verbs(folder):
        with pytest.raises(UserError, match=r"augment\.x\._target_=os\.system"):
            verb()
    assert not (folder / "ran").exists()


def test_code_and_plug_ins_in_a_folder_are_not_run(folder: Path) -> None:
    for verb in verbs(folder):
        verb()
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("file", ["model/weights.safetensors", "checkpoints/best.ckpt", "checkpoints/last.ckpt"])
def test_pickles_in_a_folder_are_not_read(folder: Path, file: str) -> None:
    for content in (pickle.dumps(Payload(folder / "ran"), protocol=2), zipped({"weights": Payload(folder / "ran")})):
        (folder / file).write_bytes(content)
        if file.startswith("model"):
            for verb in verbs(folder):
                with pytest.raises(UserError, match="not a file of weights"):
                    verb()
            with pytest.raises(UserError, match="not a file of weights"):
                train(settings("mlp", f"init_from='{folder}'"), folder / "again")
        else:
            for name in ("last.ckpt", "previous.ckpt"):
                (folder / "checkpoints" / name).write_bytes(content)
            with pytest.raises(UserError, match="can be read"):
                train(settings("mlp", "resume=this"), folder)
    assert not (folder / "ran").exists()


def zipped(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


SLY = [
    "allow=[os]", "+allow=[os]", "++allow=[os]", "++allow.0=os", "hydra.searchpath=[file:///tmp/evil]",
    "+hydra.callbacks.x._target_=os.system", "++hydra.job.env_set.RUNNER_ALLOW=os", "hydra/job_logging=evil",
    "trainer@hydra.job_logging=default", "data@_global_.hydra.x=iris", "~hydra.job_logging",
    "--config-dir=/tmp/evil", "--config-path=/tmp/evil", "-cd=/tmp/evil", "--multirun", "-m", " allow=[os]", "",
]  # fmt: skip


@pytest.mark.parametrize("line", SLY)
def test_what_a_folder_says_about_itself_does_not_count(folder: Path, monkeypatch, line: str) -> None:
    honest = [
        "model=mlp",
        "+trainer.limit_train_batches=5",
        "~schedule",
        "trainer@_global_.trainer=default",
    ]
    OmegaConf.save(OmegaConf.create([*honest, line]), folder / "overrides.yaml")
    killed = RunInfo("f" * 32, "theirs", folder, "KILLED")
    monkeypatch.setattr(resume, "find_run", lambda *arguments, **options: killed)
    command = resumed_command(["resume=last"], folder / "outputs")
    assert command == [*honest, f"hydra.run.dir='{folder}'", f"resume={killed.id}"]
    typed = resumed_command(["resume=last", "allow=[numpy]"], folder / "outputs")
    assert "allow=[numpy]" in typed, "what is typed counts"


def test_a_folder_that_is_not_among_the_recorded_runs_is_not_resumed(folder: Path) -> None:
    OmegaConf.save(OmegaConf.create(["model=mlp", "allow=[os]"]), folder / "overrides.yaml")
    with pytest.raises(UserError, match="may be somebody else's"):
        resumed_command([f"resume={folder}"], folder / "outputs")


@pytest.mark.parametrize("name", ["../evil", "/evil", "inside/../../evil", "link", "link/evil", "hard"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_writes_and_reads_only_inside_its_folder(tmp_path: Path, name: str, kind: str) -> None:
    file, target, secret = tmp_path / f"archive.{kind}", tmp_path / "a" / "b", tmp_path / "secret"
    secret.write_text("secret")
    member = name.replace("/evil", f"{tmp_path}/evil") if name == "/evil" else name
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            shortcut = zipfile.ZipInfo("link")
            shortcut.external_attr = 0o120777 << 16
            archive.writestr(shortcut, str(tmp_path))
            if member != "link":
                archive.writestr(member, "evil")
    else:
        with tarfile.open(file, "w") as archive:
            for kind_of, called in ((tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard")):
                link = tarfile.TarInfo(called)
                link.type, link.linkname = kind_of, str(tmp_path if called == "link" else secret)
                archive.addfile(link)
            if member not in ("link", "hard"):
                archive.addfile(tarfile.TarInfo(member), io.BytesIO())
    before = sorted(tmp_path.rglob("*"))
    try:
        written = sources.extract(file, [member], target)
    except UserError:
        written = []
    for path in written:
        assert path.resolve().is_relative_to(target.resolve()) and not path.is_symlink()
        assert path.read_text() != "secret"
    new = set(tmp_path.rglob("*")) - set(before)
    assert all(path.is_relative_to(tmp_path / "a") for path in new), new
