"""Pretrained word vectors: file formats, coverage, unknown words, and a net that begins with them."""

import gzip
import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_runs import settings

from runner.build import give_vectors
from runner.errors import UserError
from runner.models.textcnn import TextCNN
from runner.text.vectors import PackagedGlove, VectorFile, Vectors
from runner.text.vocabulary import PAD, UNK, Vocabulary

WORDS = {"film": [1.0, 2.0, 3.0], "fine": [-1.0, 0.5, 0.0], "dull": [0.25, -0.25, 4.0]}
TOKENS = ["<pad>", "<unk>", "film", "zebra", "dull"]


def glove(words=WORDS) -> bytes:
    return "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in words.items()).encode()


def binary(words=WORDS, end=b"\n") -> bytes:
    records = (word.encode() + b" " + struct.pack("<3f", *vector) + end for word, vector in words.items())
    return f"{len(words)} 3\n".encode() + b"".join(records)


FILES = {
    "glove.txt": glove(),
    "glove.txt.gz": gzip.compress(glove()),
    "word2vec.txt": b"3 3\n" + glove(),
    "word2vec.bin": binary(),
    "word2vec_without_line_ends.bin": binary(end=b""),
    "word2vec.bin.gz": gzip.compress(binary()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_recognised(name, tmp_path):
    (tmp_path / name).write_bytes(FILES[name])
    found = VectorFile(str(tmp_path / name), dim=3).find(TOKENS)
    assert found.matrix.shape == (5, 3) and found.matrix.dtype == np.float32
    assert found.matrix[2].tolist() == WORDS["film"] and found.matrix[4].tolist() == WORDS["dull"]
    assert found.matrix[PAD].tolist() == [0, 0, 0]
    assert found.coverage == pytest.approx(2 / 3)


def test_unknown_words_are_drawn_as_wide_as_the_known_and_always_the_same(tmp_path):
    random = np.random.default_rng(0)
    known = {f"word{number}": random.normal(0, 2, 3).round(4).tolist() for number in range(300)}
    (tmp_path / "v.txt").write_bytes(glove(known))
    tokens = ["<pad>", "<unk>", *known, *(f"other{number}" for number in range(300))]
    source = VectorFile(str(tmp_path / "v.txt"), dim=3)
    one, two = source.find(tokens).matrix, source.find(tokens).matrix
    assert np.array_equal(one, two)
    assert one[302:].std() == pytest.approx(one[2:302].std(), rel=0.1)
    assert np.abs(one[UNK]).sum() > 0


def test_vectors_are_centred_and_brought_to_one_length(tmp_path):
    (tmp_path / "v.txt").write_bytes(glove())
    tokens = ["<pad>", "<unk>", *WORDS]
    matrix = VectorFile(str(tmp_path / "v.txt"), dim=3, length=2).find(tokens).matrix
    wanted = np.array(list(WORDS.values())) - np.mean(list(WORDS.values()), axis=0)
    assert np.allclose(np.linalg.norm(matrix[2:], axis=1), 2)
    cosines = (matrix[2:] * wanted).sum(axis=1) / (2 * np.linalg.norm(wanted, axis=1))
    assert np.allclose(cosines, 1), "the direction from the mean has changed"
    assert matrix[PAD].tolist() == [0, 0, 0]
    with pytest.raises(UserError, match="length must be above 0"):
        VectorFile(str(tmp_path / "v.txt"), dim=3, length=0)


def test_the_first_of_two_vectors_of_a_word_counts(tmp_path):
    (tmp_path / "v.txt").write_bytes(glove() + b"film 9 9 9\n")
    assert VectorFile(str(tmp_path / "v.txt"), dim=3).find(TOKENS).matrix[2].tolist() == WORDS["film"]


def test_words_with_blanks_are_read(tmp_path):
    (tmp_path / "v.txt").write_bytes(glove() + b". . . 1 1 1\n")
    assert VectorFile(str(tmp_path / "v.txt"), dim=3).find(TOKENS).coverage == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("content", "dim", "message"),
    [
        (glove(), 4, "set vectors.dim=3"),
        (glove(), 2, "set vectors.dim=3"),
        (binary(), 2, "set vectors.dim=3"),
        (glove() + b"plot 1 two 3\n", 3, "line 4: a word and 3 numbers are expected"),
        (binary()[:-9], 3, "ends after 2 of 3 words"),
        (glove({"zebu": [1.0, 1.0, 1.0]}), 3, "no vector for any of the 3 words"),
    ],
)
def test_what_is_wrong_with_a_file(content, dim, message, tmp_path):
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(UserError, match=message):
        VectorFile(str(tmp_path / "v"), dim=dim).find(TOKENS)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        VectorFile(str(tmp_path / "v.txt"), dim=3).find(TOKENS)
    with pytest.raises(UserError, match=r"vectors\.format"):
        VectorFile("v.txt", format="bert")


def test_the_packaged_vectors():
    found = PackagedGlove().find(["<pad>", "<unk>", "good", "bad", "zzzzqqq", "great"])
    good, bad, great = (found.matrix[place] / np.linalg.norm(found.matrix[place]) for place in (2, 3, 5))
    assert found.coverage == 0.75
    assert good @ great > 0.75 and good @ bad > 0.5, "neighbours in meaning are neighbours in space"
    assert found.matrix[2][:2] == pytest.approx([-0.35586, 0.5213], abs=1e-5)  # as in glove.6B.50d.txt


# A net that begins with vectors.


class Given(Vectors):
    def read(self, wanted):
        yield from ((wanted[word], np.array(vector)) for word, vector in WORDS.items() if word in wanted)

    def __str__(self):
        return "three words"


DATA = SimpleNamespace(inputs=SimpleNamespace(vocabulary=Vocabulary(TOKENS)))


@pytest.mark.parametrize(("mode", "learned"), [("static", False), ("non_static", True), ("multichannel", True)])
def test_textcnn_begins_with_the_vectors(mode, learned):
    net = TextCNN(vocab_size=9, num_outputs=2, embed_dim=3, num_filters=2, mode=mode)
    before = net.embedding.weight[5:].clone()
    assert give_vectors(net, Given(3), DATA) == pytest.approx(2 / 3)
    assert net.embedding.weight[2].tolist() == WORDS["film"]
    assert net.embedding.weight[PAD].abs().sum() == 0
    assert torch.equal(net.embedding.weight[5:], before), "places without a word keep their numbers"
    net(torch.tensor([[2, 3, 4, 5]])).sum().backward()
    assert (net.embedding.weight.grad is not None) == learned
    if mode == "multichannel":
        assert torch.equal(net.fixed.weight[:5], net.embedding.weight[:5]) and net.fixed.weight.grad is None


def test_a_net_and_its_vectors_have_to_fit():
    with pytest.raises(UserError, match=r"set\s+model.embed_dim=3"):
        give_vectors(TextCNN(9, 2, embed_dim=4, mode="static"), Given(3), DATA)
    with pytest.raises(UserError, match="room for 4"):
        give_vectors(TextCNN(4, 2, embed_dim=3, mode="static"), Given(3), DATA)
    with pytest.raises(UserError, match="cannot use word vectors"):
        give_vectors(torch.nn.Linear(2, 2), Given(3), DATA)
    with pytest.raises(UserError, match="type vectors=glove"):
        give_vectors(TextCNN(9, 2, mode="static"), None, DATA)
    with pytest.raises(UserError, match=r"model\.mode=non_static"):
        give_vectors(TextCNN(9, 2, embed_dim=3), Given(3), DATA)
    assert give_vectors(TextCNN(9, 2), None, DATA) is None


def test_a_run_with_vectors_leaves_a_model_that_needs_no_file(tmp_path, no_figures):
    from runner.inference.predictor import Predictor
    from runner.training.train import train

    draw = np.random.default_rng(0)
    words = {word: draw.normal(0, 1, 3).round(3).tolist() for word in ("the", "film", "of", "and", "good")}
    (tmp_path / "v.txt").write_bytes(glove(words))
    cfg = settings("textcnn", "vectors=file", f"vectors.path={tmp_path / 'v.txt'}", "vectors.dim=3",
                   "model.embed_dim=3", "model.mode=static", "data.vocab_size=500")  # fmt: skip
    metrics = train(cfg, tmp_path / "run")
    assert metrics["fit/vector_coverage"] == pytest.approx(5 / 498, abs=1e-4)
    (tmp_path / "v.txt").unlink()
    predictor = Predictor(tmp_path / "run" / "model")
    place = predictor.data.inputs.vocabulary.numbers["film"]
    assert predictor.task.net.embedding.weight[place].tolist() == pytest.approx(words["film"])
    (answer,) = predictor([{"text": "the film"}])
    assert json.dumps(answer["label"])
