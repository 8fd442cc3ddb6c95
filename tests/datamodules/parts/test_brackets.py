"""Trees from brackets: treebanks, operations, and what is wrong with a line."""

import pytest
import torch

from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.brackets import TreeInputs, TreeStore, read_trees
from runner.datamodules.parts.codecs import Codec
from runner.errors import UserError
from runner.text.vocabulary import SPECIALS, Vocabulary


def test_sentiment_trees_have_a_label_at_every_node() -> None:
    (tree,) = read_trees("(3 (2 (2 The) (2 film)) (4 shines))", "here")
    assert tree.words == ["The", "film", "(", "shines", "("]
    assert tree.labels == ["2", "2", "2", "4", "3"]
    assert tree.parents == [2, 2, 4, 4, 4]
    assert tree.children() == [[], [], [0, 1], [], [2, 3]]


def test_trees_of_the_penn_treebank_have_an_outer_bracket() -> None:
    one, other = read_trees("( (S \n (NP-SBJ (PRP It) )\n (VP (VBZ is) )\n (. .) ))\n( (X (Y z)) )", "here")
    assert one.words == ["It", "(", "is", "(", ".", "("]
    assert one.labels == ["PRP", "NP-SBJ", "VBZ", "VP", ".", "S"]
    assert other.labels == ["Y", "X"]


def test_an_operation_is_the_token_of_its_node() -> None:
    (tree,) = read_trees("[MAX 2 9 [MIN 4 7 ] 0 ]", "here")
    assert tree.words == ["2", "9", "4", "7", "MIN", "0", "MAX"]
    assert tree.parents == [6, 6, 4, 4, 6, 6, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(3 (2 fine)", "1 brackets that are not closed"),
        ("(3 fine) film", "'film' outside of any bracket"),
        ("(3 fine]", r"'\]' closes '\('"),
        ("(3 very fine)", r"a bracket with the words \['3', 'very', 'fine'\] and 0 brackets"),
        ("[MAX ]", r"a bracket with the words \['MAX'\] and 0 brackets"),
        ("()", r"a bracket with the words \[\] and 0 brackets"),
    ],
)
def test_what_is_wrong_is_named(text, message) -> None:
    with pytest.raises(UserError, match=f"^line 3: found {message}.*A tree is written"):
        list(read_trees(text, "line 3"))


def test_a_batch_is_padded_to_its_largest_tree() -> None:
    trees = list(read_trees("(1 (0 a) (1 b)) (0 c)", "here"))
    vocabulary = Vocabulary([*SPECIALS, "(", "a", "b"])
    batch = TreeStore(trees, vocabulary, {"0": 0, "1": 1}).gather(torch.tensor([1, 0]), torch.Generator())
    assert batch.tokens.tolist() == [[1, 0, 0], [3, 4, 2]]
    assert batch.parents.tolist() == [[1, 0, 0], [3, 3, 3]]
    assert batch.target.tolist() == [[0, IGNORE, IGNORE], [0, 1, 1]]
    roots = TreeStore(trees, vocabulary, {"0": 0, "1": 1}, every_node=False).gather(
        torch.tensor([0]), torch.Generator()
    )
    assert roots.target.tolist() == [[IGNORE, IGNORE, 1]]


def test_a_stored_codec_reads_the_same() -> None:
    codec = TreeInputs(Vocabulary([*SPECIALS, "MAX", "1", "2"]), operations=True)
    again = Codec.restored(codec.stored())
    rows = [{"text": "[MAX 1 2 ]"}, {"text": "[MAX 1 [MAX 2 2 ] ]"}]
    for one, other in zip(codec.encode(rows), again.encode(rows), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(UserError, match="row 1: found 2 trees instead of one"):
        codec.encode([{"text": "(a) (b)"}])
