"""A text as documents and sentences: what is read, split, counted, and how it is continued."""

import json

import numpy as np
import pytest
import torch

from runner.datamodules.corpus import Corpus, Prompt
from runner.datamodules.parts.codecs import Codec
from runner.errors import UserError

POEM = "So much depends. Upon a red wheel\nbarrow glazed with rain!\n\nWater beside the white chickens.\n"


def read(path, **settings) -> Corpus:
    data = Corpus(path=str(path), **settings)
    data.setup()
    return data


def texts(data: Corpus, view: str = "documents") -> list[str]:
    """Documents or sentences in the order of the file, words and end marks."""
    store = data.store if view == "documents" else data.sentences
    return [" ".join(data.inputs.vocabulary.decode(each)) for each in store.documents(range(len(store)))]


@pytest.fixture
def lines(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"The word{number} is here. It is word{number % 3}!\n" for number in range(40)))
    return file


def test_documents_are_lines_paragraphs_or_files(tmp_path):
    for name in "abcdefghij":
        (tmp_path / f"{name}.txt").write_text(POEM)
    by = {kind: read(tmp_path, document=kind, tokenizer="word") for kind in ("line", "paragraph", "file")}
    assert {kind: len(data.store) for kind, data in by.items()} == {"line": 30, "paragraph": 20, "file": 10}
    end = "<end>"
    assert texts(by["paragraph"])[0] == f"so much depends {end} upon a red wheel barrow glazed with rain {end}"
    assert texts(by["line"])[:2] == [f"so much depends {end} upon a red wheel {end}", f"barrow glazed with rain {end}"]
    assert len(texts(by["file"], "sentences")) == 30
    lined = read(tmp_path, document="file", sentence="line")
    assert texts(lined, "sentences")[0] == f"so much depends upon a red wheel {end}"


def test_vocabulary_and_counts_are_those_of_the_training_documents(lines):
    data = read(lines)
    counted: dict[str, int] = {}
    for document in data.store.documents(data.members["train"]):
        for word in data.inputs.vocabulary.decode(document):
            counted[word] = counted.get(word, 0) + 1
    counted["<end>"] += 0 in data.members["train"]  # the mark before the first document
    tokens = data.inputs.vocabulary.tokens
    assert tokens[:3] == ["<pad>", "<unk>", "<end>"]
    assert {word: int(count) for word, count in zip(tokens, data.counts, strict=True) if count} == counted
    assert set(tokens[3:]) == set(counted) - {"<end>"}


def test_every_token_of_a_split_is_predicted_once_in_every_view(lines):
    found = {}
    for view in ("windows", "stream", "sentences"):
        data = read(lines, view=view, context_len=4, max_len=3, batch_size=5)
        targets = torch.cat([batch[-1].flatten() for batch in data.train_dataloader()])
        found[view] = sorted(targets[targets >= 0].tolist())
    wanted = sorted(np.concatenate(data.store.documents(data.members["train"])).tolist())
    assert found == dict.fromkeys(found, wanted)


def test_a_sentence_is_a_row(lines):
    data = read(lines, view="sentences")
    rows = data.val.gather(torch.arange(len(data.val)), torch.Generator())
    assert len(rows.tokens) == 2 * len(data.members["val"])
    assert (rows.tokens[:, 0] == data.inputs.vocabulary.end).all()


def test_a_file_belongs_to_the_split_in_its_name(tmp_path):
    """As the Penn Treebank's files are: words and marks between spaces, a sentence a line, rare words <unk>."""
    for part in ("train", "valid", "test"):
        (tmp_path / f"ptb.{part}.txt").write_text(f" mr. <unk> is chairman of {part} n.v. \n the N {part} group \n")
        (tmp_path / f"ptb.char.{part}.txt").write_text("m r . _\n")
    settings = {"files": "ptb.[tv]*.txt", "document": "file", "sentence": "line", "tokenizer": "space"}
    data = read(tmp_path, **settings, view="stream")
    assert [data.raw(part, 9)[0]["text"].split("\n")[1] for part in ("train", "val")] == [
        "the N train group",
        "the N \ufffd group",
    ]
    assert texts(data)[1].startswith("mr. <unk> is chairman of train n.v. <end> the N"), (
        "files in the order of their names"
    )
    assert set(data.inputs.vocabulary.tokens) >= {"mr.", "n.v.", "N", "train"} and data.sizes == {
        "train": 1,
        "val": 1,
        "test": 1,
    }


def test_a_prompt_begins_with_the_end_mark_and_is_decoded_to_lines(lines):
    data = read(lines)
    (tokens,) = data.encode([{"text": "The nowhere is"}])
    assert data.inputs.vocabulary.decode(tokens[0].tolist()) == ["<end>", "the", "<unk>", "is"]
    assert data.decode([2, *tokens[0].tolist(), 2, tokens[0, 1].item()]) == "the \ufffd is\nthe"
    (two,) = data.encode([{"text": "It is here. The word1 is\n"}])
    assert data.decode(two[0].tolist()) == "it is here\nthe word1 is" and two[0, 0] == two[0, -1] == 2
    again = Codec.restored(json.loads(json.dumps(data.inputs.stored())))
    assert isinstance(again, Prompt) and torch.equal(
        again.encode([{"text": "the is"}])[0], data.encode([{"text": "the is"}])[0]
    )


def test_pieces_of_words_are_learnt_from_the_training_documents(lines):
    data = read(lines, tokenizer="bpe", vocab_size=60)
    assert data.raw("train", 1)[0]["text"].startswith("the word") and len(data.inputs.vocabulary) <= 60


def test_most_words(lines):
    assert len(read(lines, max_words=100).store.tokens) < 115


def test_a_text_that_is_not_there():
    with pytest.raises(UserError, match=r"nowhere\.txt does not exist"):
        Corpus(path="nowhere.txt").setup()


def test_a_folder_without_such_files_and_a_text_without_words(tmp_path):
    with pytest.raises(UserError, match=r"no file of this folder is called \*.txt"):
        read(tmp_path, files="*.txt")
    (tmp_path / "a.txt").write_text("... !\n\n")
    with pytest.raises(UserError, match="no words"):
        read(tmp_path)


def test_two_sentences_with_hidden_words(lines):
    data = read(lines, view="masked", batch_size=16, masks={"share": 0.3})
    tokens = data.inputs.vocabulary.tokens
    assert tokens[:5] == ["<pad>", "<unk>", "<start>", "<end>", "<mask>"]
    assert data.sizes["train"] == len(data.members["train"])  # each document has two sentences
    one, again = (list(data.train_dataloader()) for _ in range(2))
    assert all(torch.equal(a, b) for rows in zip(one, again, strict=True) for a, b in zip(*rows, strict=True))
    loader = data.train_dataloader()
    loader.set_epoch(1)
    assert not torch.equal(next(iter(loader)).tokens, one[0].tokens)
    rows = data.val.gather(torch.arange(len(data.val)), torch.Generator().manual_seed(0))
    assert (rows.tokens == data.inputs.vocabulary.mask).any() and (rows.tokens[:, 0] == 2).all()
    words = {data.inputs.vocabulary.tokens[number] for number in rows.tokens.flatten().tolist()}
    training = {word for row in data.raw("train") for word in row["text"].split()}
    assert words <= {*tokens[:5], *training}, "the rows of validation have no word that training lacks"
    (encoded,) = data.encode([{"text": "The <mask> is here."}])
    assert data.inputs.vocabulary.decode(encoded[0].tolist()) == ["<start>", "the", "<mask>", "is", "here", "<end>"]
    restored = Codec.restored(data.inputs.stored())
    assert restored.encode([{"text": "The <mask> is here."}])[0].equal(encoded)
