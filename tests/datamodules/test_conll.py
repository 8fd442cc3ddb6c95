"""Sentences in columns."""

import io
import zipfile

import pytest
import torch

import runner.datamodules.conll as module
from runner.datamodules.conll import ColumnFiles, Conll2003
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.tags import tagged_words
from runner.errors import UserError

TEXT = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O
. . O O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


def test_files_are_splits(tmp_path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(TEXT if name == "train" else TEXT.replace("Peter", "Paul"))
    data = ColumnFiles(path=str(tmp_path), files="*.txt", num_tags=7)
    data.setup()
    assert data.sizes == {"train": 2, "val": 2, "test": 2}
    assert data.raw("train")[1] == {"text": "Peter Blackburn", "tags": "B-PER I-PER"}
    assert data.targets.names == ["O", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    batch = data.train.gather(torch.tensor([0, 1]), torch.Generator())
    assert batch.target.tolist() == [[3, 0, 1, 0, 0], [5, 6, -100, -100, -100]]
    assert data.decode(batch.tokens[1].tolist()) == "Peter Blackburn"
    (tokens,) = data.encode([{"text": "Paul rejects Peter."}])
    assert tokens[0, 0] == 1 and tokens.shape == (1, 4)  # Paul is unknown, the mark is a token


def test_the_first_piece_of_a_word_has_its_tag(tmp_path) -> None:
    file = tmp_path / "names.txt"
    file.write_text(TEXT * 10)
    data = ColumnFiles(path=str(file), num_tags=7, tokenizer="wordpiece", vocab_size=24, folds=5)  # letters, mostly
    data.setup()
    batch = data.train.gather(torch.arange(len(data.train)), torch.Generator())
    row = data.raw("train").index({"text": "Peter Blackburn", "tags": "B-PER I-PER"})
    pieces = data.inputs.vocabulary.decode(batch.tokens[row].tolist())
    tagged = {piece: tag for piece, tag in zip(pieces, batch.target[row].tolist(), strict=True) if tag != -100}
    assert tagged == {"p": 5, "b": 6} and len([piece for piece in pieces if piece != "<pad>"]) > 8
    ((words, places),) = tagged_words(data.inputs, [{"text": "Peter Blackburn"}])
    assert words == ["Peter", "Blackburn"] and [pieces[place] for place in places] == ["p", "b"]
    (tokens,) = data.encode([{"text": "Peter Blackburn"}])
    assert tokens[0].tolist() == batch.tokens[row, : tokens.size(1)].tolist()
    restored = Codec.restored(data.inputs.stored())
    assert restored.encode([{"text": "Peter Blackburn"}])[0].equal(tokens)


def test_a_long_sentence_keeps_whole_words(tmp_path) -> None:
    file = tmp_path / "names.txt"
    file.write_text(TEXT * 10)
    data = ColumnFiles(path=str(file), num_tags=7, tokenizer="wordpiece", vocab_size=24, max_len=8, folds=5)
    data.setup()
    ((words, _),) = tagged_words(data.inputs, [{"text": "Peter Blackburn"}])
    assert words == ["Peter"]  # the pieces of Blackburn do not all fit
    with pytest.raises(UserError, match=r"data\.tokenizer=regex cuts texts into words"):
        ColumnFiles(path=str(file), num_tags=7, tokenizer="regex").setup()


def test_another_column_may_hold_the_tags(tmp_path) -> None:
    file = tmp_path / "chunks.txt"
    file.write_text(TEXT * 10)
    data = ColumnFiles(path=str(file), column=2, num_tags=5, folds=5)
    data.setup()
    assert data.targets.names == ["O", "B-NP", "I-NP", "B-VP", "I-VP"]
    assert sum(data.sizes.values()) == 20


def test_a_wrong_number_of_tags_is_corrected(tmp_path) -> None:
    file = tmp_path / "names.txt"
    file.write_text(TEXT * 10)
    with pytest.raises(UserError, match=r"Set data\.num_tags=7"):
        ColumnFiles(path=str(file), num_tags=9).setup()


@pytest.mark.parametrize(
    ("text", "said"), [("word\n", "line 1: expected a token and its tag"), ("a O\nb X\n", "line 2: 'X' is not a tag")]
)
def test_a_line_of_another_format_is_named(tmp_path, text, said) -> None:
    file = tmp_path / "names.txt"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        ColumnFiles(path=str(file), num_tags=9).setup()


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        ColumnFiles(path=str(tmp_path / "none.txt"), num_tags=9).setup()


def test_the_archive_is_read(tmp_path, monkeypatch) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in module.FILES:
            archive.writestr(f"{module.FOLDER}/{name}", TEXT.replace("call NN I-NP O", "Rome NN I-NP B-LOC"))
    file = tmp_path / "archive.whl"
    file.write_bytes(content.getvalue())
    monkeypatch.setattr(module.sources, "archive", lambda wanted, otherwise: file)
    data = Conll2003(path=None, num_tags=9)
    data.setup()
    assert data.sizes == {"train": 2, "val": 2, "test": 2}
