"""Pairs of texts in one row: the marks, the segments, what is cut, and that they are as transformers makes them."""

from pathlib import Path

import pytest
import torch
from tiny_encoder import needs_transformers, write_encoder

from runner.build import build_data
from runner.config.compose import compose
from runner.config.inferred import settle
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.text_pairs import PairInputs, shares
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError

PAIRS = [("a fine film", "the film"), ("The unfineness of the plot, really dull", "a plot"), ("zzz", "a"), ("a", "")]


def codec(tokenizer: str = "word", vocab_size: int = 20, max_len: int = 40, texts=("a fine film", "the plot")):
    return PairInputs.made(("one", "two"), TextSettings("", tokenizer, vocab_size, max_len), texts)


def rows(pairs) -> list[dict]:
    return [{"one": one, "two": two} for one, two in pairs]


def test_a_row_has_both_texts_with_marks_and_says_which_is_which():
    inputs = codec()
    tokens, segments = inputs.encode(rows([("a film", "the plot"), ("a", "zzz")]))
    named = [" ".join(inputs.vocabulary.decode(row)) for row in tokens.tolist()]
    assert named == ["<start> a film <end> the plot <end>", "<start> a <end> <unk> <end> <pad> <pad>"]
    assert segments.tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]
    restored = Codec.restored(inputs.stored())
    assert all(map(torch.equal, restored.encode(rows(PAIRS)), inputs.encode(rows(PAIRS))))


@pytest.mark.parametrize(("first", "second", "room", "kept"), [
    (3, 4, 9, (3, 4)), (9, 2, 6, (4, 2)), (2, 9, 6, (2, 4)), (9, 9, 7, (4, 3)), (0, 9, 6, (0, 6)),
])  # fmt: skip
def test_the_longer_text_is_cut(first, second, room, kept):
    assert shares(first, second, room) == kept


@pytest.mark.parametrize("tokenizer", ["bpe", "wordpiece", "char"])
def test_any_other_tokeniser_gets_the_marks_too(tokenizer):
    inputs = codec(tokenizer, 30)
    (row,), _ = inputs.encode(rows([("a film", "the plot")]))
    assert len(inputs.vocabulary) <= 30 and inputs.vocabulary.tokens[:4] == ["<pad>", "<unk>", "<start>", "<end>"]
    assert row[0] == 2 and (row == 3).sum() == 2 and row.max() > 3


def test_a_row_needs_room_for_two_words():
    with pytest.raises(UserError, match=r"data\.max_len=4 is too small"):
        codec(max_len=4)


@needs_transformers
def test_they_are_as_the_tokeniser_of_transformers_makes_them(tmp_path):
    import transformers

    from runner.models.pretrained import Pretrained

    folder = str(write_encoder(tmp_path / "encoder", marks_first=True))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = codec(folder, max_len=9)
    net = Pretrained(folder, vocab_size=20, max_len=9, num_outputs=2, pooling="first").eval()
    tokens, segments = inputs.encode(rows(PAIRS[:3]))
    for place, (one, two) in enumerate(PAIRS[:3]):
        first, second = (
            tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"] for text in (one, two)
        )
        kept = shares(len(first), len(second), 6)
        first, second = first[: kept[0]], second[: kept[1]]
        cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        numbers, types = [cls, *first, sep, *second, sep], [0] * (len(first) + 2) + [1] * (len(second) + 1)
        length = len(numbers)
        assert net.ids[tokens[place, :length]].tolist() == numbers and segments[place, :length].tolist() == types
        with torch.inference_mode():
            states = reference(torch.tensor([numbers]), token_type_ids=torch.tensor([types])).last_hidden_state
            found = net(tokens, segments)[place]
            torch.testing.assert_close(found, net.output(states[0, 0]), rtol=1e-5, atol=1e-5)
            assert not torch.allclose(found, net(tokens)[place]), "segments count"


# A user's own table.


def table(tmp_path: Path, *typed: str):
    lines = [
        f"premise {number // 2},hypothesis {number},{'yes' if number % 2 else 'no'},{number}" for number in range(60)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,same,score", *lines]), encoding="utf-8")
    cfg = compose(["model=pretrained", "data=csv", f"data.path={tmp_path}/t.csv", "data.tokenizer=word",
                   "data.vocab_size=100", "data.text=a", *typed])  # fmt: skip
    settle(cfg.data)
    data = build_data(cfg)
    data.setup()
    return cfg, data


@pytest.mark.parametrize(("label", "task"), [("same", "classification"), ("score", "regression")])
def test_a_table_with_two_text_columns(label, task, tmp_path):
    cfg, data = table(tmp_path, "data.text_pair=b", f"data.label={label}", f"task={task}")
    assert cfg.data.asks == "text_pairs" and data.columns == {"a": "string", "b": "string"}
    premises = [{row["a"] for row in data.raw(split)} for split in ("train", "val", "test")]
    assert not premises[0] & premises[2] and not premises[0] & premises[1] and all(premises)
    batch = data.test.gather(torch.arange(2), torch.Generator())
    assert all(map(torch.equal, batch[:2], data.encode(data.raw("test", 2))))
    assert data.class_names == (["no", "yes"] if label == "same" else None)
    assert len(data.targets_of("train")) == len(data.train)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["data.text_pair=a", "data.label=same"], r"data\.text and data\.text_pair are both \"a\""),
        (["data.text_pair=same", "data.label=same"], r"data\.text_pair and data\.label are both \"same\""),
        (["data.text_pair=c", "data.label=same"], r"no column \"c\""),
        (["data.text=null", "data.text_pair=b", "data.label=same"], r"name the first one too, data\.text=COLUMN"),
    ],
)
def test_columns_that_cannot_be_a_pair(typed, message, tmp_path):
    with pytest.raises(UserError, match=message):
        table(tmp_path, *typed)
