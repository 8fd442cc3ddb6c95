"""Made-up operations and their values, the same rows as texts, and treebanks in files."""

from pathlib import Path

import numpy as np
import pytest

from runner.datamodules.parts.brackets import read_trees
from runner.datamodules.trees import ListOperations, Trees, valued
from runner.errors import UserError


@pytest.mark.parametrize(
    ("made", "text", "value"),
    [
        ("list_operations", "[MAX 2 9 [MIN 4 7 ] 0 ]", "9"),
        ("list_operations", "[SM [MED 3 1 8 ] 9 ]", "2"),
        ("arithmetic", "[- 3 [+ 4 1 ] ]", "8"),
        ("arithmetic", "[* 7 8 ]", "6"),
    ],
)
def test_values(made, text, value) -> None:
    (tree,) = read_trees(text, "here")
    assert valued(tree, made).labels[-1] == value


@pytest.mark.parametrize("made", ["list_operations", "arithmetic"])
def test_texts_and_trees_are_the_same_rows(tmp_path: Path, monkeypatch, made) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    trees, texts = Trees(rows=400, made=made), ListOperations(rows=400, made=made)
    for data in (trees, texts):
        data.setup()
    for part in ("train", "val", "test"):
        assert trees.raw(part) == texts.raw(part)
        assert np.array_equal(trees.targets_of(part), texts.targets_of(part))
    assert not {row["text"] for row in trees.raw("train")} & {row["text"] for row in trees.raw("test")}


def test_files_say_their_split_and_every_node_its_class(tmp_path: Path) -> None:
    for name, label in (("train", "3"), ("dev", "1"), ("test", "0")):
        text = f"({label} (2 a) (NP-SBJ b))\n" * 12 + "(3 (1 c) (0 d))\n(1 x)\n(0 y)\n"
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    data = Trees(path=str(tmp_path), every_node=True, num_classes=5)
    data.setup()
    assert data.sizes == {"train": 15, "val": 15, "test": 15}
    assert data.class_names == ["0", "1", "2", "3", "NP"]
    assert data.raw("test", 1) == [{"text": "(0 (2 a) (NP-SBJ b))"}]
    with pytest.raises(UserError, match=r"data.num_classes=10 is declared, but .* has 3\. Set data.num_classes=3"):
        Trees(path=str(tmp_path)).setup()


def test_a_root_without_a_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.mrg").write_text("(3 (2 a) (2 b))\n((2 a) (2 b))\n", encoding="utf-8")
    with pytest.raises(UserError, match="tree 2 has no label at its root"):
        Trees(path=str(tmp_path)).setup()
