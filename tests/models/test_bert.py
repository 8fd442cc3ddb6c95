"""BERT: what each head answers, and that its trunk and heads say what those of Hugging Face say."""

import pytest
import torch
from torchs_blocks import draw_all

from runner.contracts import nets as contracts
from runner.contracts.tiny import compose_tiny
from runner.inference.hub_folder import layout_of, theirs
from runner.models.bert import BERT
from runner.training.warm_start import take

V, T, E, K = 50, 12, 16, 3
DRAW = torch.Generator().manual_seed(0)
TOKENS = torch.randint(2, V, (4, T), generator=DRAW) * (torch.arange(T) < torch.tensor([[12], [9], [5], [1]]))
SEGMENTS = ((torch.arange(T) >= 4) & (TOKENS != 0)).long()
HEADS = {"text": K, "tags": K, "spans": 2, "masked": V}


def net(head: str, **settings: int) -> BERT:
    return BERT(V, HEADS[head], head, T, **{"places": T, "embed_dim": E, "num_heads": 4} | settings).eval()


@pytest.mark.parametrize(("head", "shape"), [("text", (4, K)), ("tags", (4, T, K)), ("spans", (4, T, 2))])
def test_a_head_answers_about_a_text_or_its_tokens(head, shape) -> None:
    assert net(head)(TOKENS).shape == shape
    assert net(head)(TOKENS, SEGMENTS).shape == shape


def test_words_are_read_at_the_places_asked_for() -> None:
    ours, places = net("masked"), torch.tensor([[0, 3], [8, 1], [2, 2], [0, 0]])
    words, elsewhere = ours(TOKENS, SEGMENTS)
    assert words.shape == (4, T, V) and elsewhere.shape == (4, 2)
    some, same = ours(TOKENS, SEGMENTS, places)
    torch.testing.assert_close(some, words[torch.arange(4)[:, None], places])
    torch.testing.assert_close(same, elsewhere)
    assert ours.words.output.weight is ours.encoder.embedding.weight


@pytest.mark.parametrize("head", HEADS)
def test_equals_that_of_hugging_face(head) -> None:
    transformers = pytest.importorskip("transformers", reason='pip install "runner[pretrained]"')
    ours = net(head)
    draw_all(ours)
    layout = layout_of(ours)
    model = getattr(transformers, layout.model)(getattr(transformers, layout.config)(**layout.settings)).eval()
    model.load_state_dict(layout.weights)
    real = TOKENS != 0
    with torch.inference_mode():
        both = zip(theirs(model, TOKENS, SEGMENTS), [*answers(ours(TOKENS, SEGMENTS))], strict=True)
        for expected, found in both:
            if expected.shape[:2] == TOKENS.shape:  # what is said of padding does not count
                expected, found = expected[real], found[real]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        states = model.bert(TOKENS, real.long(), SEGMENTS).last_hidden_state
        torch.testing.assert_close(ours.encoder(TOKENS, SEGMENTS)[real], states[real], rtol=0, atol=1e-5)


def answers(said) -> tuple:
    return said if isinstance(said, tuple) else (said,)


@pytest.mark.parametrize("head", ["text", "tags", "spans"])
def test_a_new_head_takes_the_trunk_of_a_pretrained_net(head) -> None:
    before, after = net("masked"), net(head)
    rows = take(after, {name: value.clone() for name, value in before.state_dict().items()})
    new = {name for name, *_, what in rows if what == "new"}
    assert new == {"output.weight", "output.bias"}
    torch.testing.assert_close(after.encoder(TOKENS, SEGMENTS), before.encoder(TOKENS, SEGMENTS))


@pytest.mark.parametrize(
    "overrides", [["data=corpus", "task=masked_lm"], ["data=conll2003"], ["data=squad"], ["data=rte"]]
)
def test_contracts_of_other_objectives(overrides, subtests: pytest.Subtests) -> None:
    """Those of classification are tested with all models."""
    for name, check in contracts.contracts(compose_tiny(["model=bert", *overrides])).items():
        with subtests.test(name):
            check()


def test_rows_longer_than_the_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"type model\.places=200"):
        BERT(V, K, max_len=200)
