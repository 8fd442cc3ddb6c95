"""Changed texts: swaps, words left out, synonyms."""

import pytest
import torch

from runner.augment.text import Drop, Swap, Synonyms
from runner.errors import UserError
from runner.text.vocabulary import SPECIALS, Vocabulary


def words(row: torch.Tensor) -> list[int]:
    return row[row != 0].tolist()


def tidy(tokens: torch.Tensor) -> bool:
    """Whether padding is only at the end."""
    real = tokens != 0
    return bool((real[:, 1:] <= real[:, :-1]).all())


def test_swap_exchanges_neighbours(tokens):
    swapped = Swap(0.5)(tokens)
    assert tidy(swapped) and not torch.equal(swapped, tokens)
    for before, after in zip(tokens, swapped, strict=True):
        pairs = zip(words(before), words(after), strict=True)
        assert sorted(words(before)) == sorted(words(after))
        assert all(abs(one - other) <= 1 for one, other in pairs)  # no word moves further than one place
    assert torch.equal(Swap(0.0)(tokens), tokens)
    share = (Swap(0.1)(torch.arange(2, 1002).view(1, -1)) != torch.arange(2, 1002)).float().mean()
    assert 0.1 < share < 0.25  # two words an exchange


def test_drop_leaves_out_and_moves_up(tokens):
    dropped = Drop(0.4)(tokens)
    assert tidy(dropped) and dropped.shape == tokens.shape
    for before, after in zip(tokens, dropped, strict=True):
        left = words(after)
        assert left == sorted(left) and set(left) <= set(words(before))
        assert bool(left) == bool(words(before))
    assert (dropped != 0).sum() < 0.8 * (tokens != 0).sum()
    assert ((Drop(1.0)(tokens) != 0).sum(dim=1) == (tokens != 0).any(dim=1)).all()  # one word stays
    assert torch.equal(Drop(0.0)(tokens), tokens)


def test_words_stay_in_their_sentence():
    sentences = torch.tensor([[2, 3, 4, 0, 5, 6, 0, 0, 7, 8, 9, 10]]).repeat(200, 1)
    for step in (Swap(0.5), Drop(0.5)):
        found = step(sentences)
        assert not torch.equal(found, sentences)
        for places in (slice(0, 4), slice(4, 8), slice(8, 12)):
            assert set(found[:, places].unique().tolist()) <= {*sentences[0, places].tolist(), 0}
            assert all(tidy(row[None]) for row in found[:, places])


class Data:
    """A stand-in for a data module of texts."""

    def __init__(self, *tokens: str):
        self.inputs = type("Inputs", (), {"vocabulary": Vocabulary([*SPECIALS, *tokens])})()


def test_synonyms_come_from_the_table(tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("# of one meaning\ngood fine decent\nbad poor\nnowhere never\n")
    data = Data("good", "bad", "fine", "poor", "film", "decent")
    step = Synonyms(share=1.0, path=str(table))
    step.connect(data)
    number = data.inputs.vocabulary.numbers
    tokens = torch.tensor([[number["good"], number["film"], number["bad"], 0]]).repeat(300, 1)
    found = step(tokens)
    good, film, bad, rest = (set(column.tolist()) for column in found.T)
    assert good == {number["fine"], number["decent"]} and film == {number["film"]}
    assert bad == {number["poor"]} and rest == {0}
    assert not step.state_dict()
    rarely = Synonyms(share=0.2, path=str(table))
    rarely.connect(data)
    assert 0.1 < (rarely(tokens) != tokens)[:, 0].float().mean() < 0.3


def test_the_table_that_comes_along():
    step = Synonyms()
    step.connect(Data("good", "fine", "film", "movie"))
    lines = step.lines()
    assert len(lines) > 50 and all(len(line) > 1 for line in lines)
    assert len({word for line in lines for word in line}) == sum(map(len, lines))  # no word has two meanings


def test_tables_that_are_of_no_use(tmp_path):
    with pytest.raises(UserError, match="no two words of one line"):
        Synonyms().connect(Data("wort"))
    with pytest.raises(UserError, match=r"gone\.txt"):
        Synonyms(path=str(tmp_path / "gone.txt")).connect(Data("good"))
    with pytest.raises(UserError, match="this data has none"):
        Synonyms().connect(type("Data", (), {"inputs": None})())


@pytest.mark.parametrize("step", [Swap(), Drop(), Synonyms()])
def test_no_texts(step, images):
    with pytest.raises(UserError, match="Leave augment=text out"):
        step(images)
