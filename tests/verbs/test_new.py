"""`runner new` and `runner copy`: files of one's own that work as they are."""

import pytest
import yaml

from runner.config.compose import compose
from runner.contracts.nets import contracts
from runner.errors import UserError
from runner.verbs.new import Copy, New


@pytest.mark.parametrize(
    ("group", "files"),
    [
        ("model", {"mine_1.py", "conf/model/mine_1.yaml"}),
        ("data", {"mine_1.py", "conf/data/mine_1.yaml", "mine_1.txt"}),
        ("task", {"mine_1.py", "conf/task/mine_1.yaml"}),
        ("optim", {"mine_1.py", "conf/optim/mine_1.yaml"}),
    ],
)
def test_new_writes_what_the_page_shows_under_another_name(group, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert New(names=(group, "mine_1"))() == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == files
    code = (tmp_path / "mine_1.py").read_text()
    compile(code, "mine_1.py", "exec")
    target = yaml.safe_load((tmp_path / f"conf/{group}/mine_1.yaml").read_text())["_target_"]
    assert target == "mine_1.Mine1" and "class Mine1(" in code
    assert f"{group}=mine_1" in capsys.readouterr().out or group == "data"
    with pytest.raises(UserError, match="is there already"):
        New(names=(group, "mine_1"))()


def test_a_copied_model_trains_like_the_original(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert Copy(names=("lstm", "own_lstm"))() == 0
    assert "_target_: own_lstm.RecurrentNet" in (tmp_path / "conf/model/own_lstm.yaml").read_text()
    cfg = compose(["model=own_lstm", "model.embed_dim=8", "model.hidden_dim=8"], [tmp_path / "conf"])
    contracts(cfg)["padding"]()


def test_a_choice_without_code_of_this_package_is_only_yaml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Copy(names=("adam", "slow_adam"))()
    assert [path.name for path in tmp_path.rglob("*.*")] == ["slow_adam.yaml"]


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (New(), "type runner new model|data|task|optim NAME"),
        (New(names=("modle", "x")), 'Did you mean "model"?'),
        (New(names=("model", "textcnn")), "model=textcnn is there already"),
        (New(names=("model", "random")), "the name of an installed package"),
        (New(names=("model", "My-Net")), "letters a to z"),
        (Copy(names=("textcn", "a")), 'Did you mean "textcnn"?'),
        (Copy(names=("textcnn",)), "type runner copy textcnn mine"),
        (Copy(names=("callbacks/gone", "a")), 'there is nothing called "callbacks/gone"'),
    ],
)
def test_a_mistake_writes_nothing(verb, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        verb()
    assert said in str(refused.value) and not list(tmp_path.iterdir())
