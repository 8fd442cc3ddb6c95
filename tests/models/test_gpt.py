"""Writing with kept keys and values equals reading the text anew, for every option; a full window begins again."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from torchs_blocks import draw_all
from values import sentences

from runner.models.gpt import GPT
from runner.tasks.decoding import Decoding, Window, decode, last_tokens

V = 15
LLAMA = {"positions": "rotary", "activation": "swiglu", "norm": "rms", "bias": False, "num_kv_heads": 2}
PROMPTS = sentences([5, 1, 7, 2], V)


def net(max_len: int = 16, **settings) -> GPT:
    model = GPT(V, max_len, embed_dim=16, num_heads=4, num_layers=2, **settings).eval()
    draw_all(model)
    return model


@pytest.mark.parametrize("settings", [{}, LLAMA, {"num_kv_heads": 1, "tied": False}], ids=["gpt2", "llama", "one kv"])
@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_the_cache_writes_what_reading_anew_writes(settings: dict, method: str) -> None:
    model, how = net(**settings), Decoding(method, max_len=9, beam_size=3, top_k=5)
    written = [
        decode(writer, writer.start(PROMPTS), last_tokens(PROMPTS), how) for writer in (model, Window(model, 16))
    ]
    assert torch.equal(written[0].tokens, written[1].tokens)
    torch.testing.assert_close(written[0].scores, written[1].scores)


@pytest.mark.parametrize("settings", [{}, LLAMA], ids=["gpt2", "llama"])
def test_a_full_window_begins_again_with_its_last_half(settings: dict) -> None:
    """Rows of unequal length, each by its own count: no row depends on the others."""
    model = net(max_len=8, **settings)
    state, token = model.start(PROMPTS), last_tokens(PROMPTS)
    alone = model.start(PROMPTS[1:2, :1])
    texts = [row[row != 0].tolist() for row in PROMPTS]
    for _ in range(20):
        logits, state = model.step(token, state)
        single, alone = model.step(token[1:2], alone)
        torch.testing.assert_close(single, logits[1:2])
        for row, text in enumerate(texts):
            window = state.tokens[row, : state.length[row]]
            assert text[-len(window) :] == window.tolist()
            assert len(window) == len(text) or 4 < len(window) <= 8
            torch.testing.assert_close(logits[row], model(window[None])[0, -1])
        token = logits.argmax(dim=1)
        texts = [[*text, said] for text, said in zip(texts, token.tolist(), strict=True)]


def test_a_long_prompt_is_read_from_its_last_half_window_on() -> None:
    model, prompt = net(max_len=8), torch.arange(1, 14)[None]
    logits, state = model.step(last_tokens(prompt), model.start(prompt))
    assert state.tokens.tolist() == [[9, 10, 11, 12, 13]]
    torch.testing.assert_close(logits, model(state.tokens)[:, -1])


def test_matrices_alone_decay() -> None:
    model = GPT(V, embed_dim=16)
    (group,) = model.parameter_groups()
    names = {name for name, value in model.named_parameters() if any(value is each for each in group["params"])}
    assert group["weight_decay"] == 0 and names == {
        name for name, _ in model.named_parameters() if "norm" in name or name.endswith("bias")
    }


def test_it_begins_by_knowing_nothing() -> None:
    tokens = torch.randint(1, V, (8, 12))
    loss = cross_entropy(GPT(V, 12)(tokens).flatten(0, 1), tokens.roll(1, 0).flatten())
    assert loss.item() == pytest.approx(math.log(V), abs=0.15)


@pytest.mark.parametrize(("tied", "checkpointing"), list(itertools.product([False, True], repeat=2)))
def test_options_of_memory_change_no_answer(tied: bool, checkpointing: bool) -> None:
    torch.manual_seed(0)
    model = GPT(V, 12, embed_dim=16, tied=tied, checkpointing=checkpointing)
    assert (model.output.weight is model.embedding.weight) == tied
    torch.manual_seed(0)
    plain = GPT(V, 12, embed_dim=16, tied=tied)
    tokens = torch.randint(1, V, (2, 12))
    for each in (model, plain):
        each(tokens).square().sum().backward()
    assert all(
        torch.equal(one.grad, other.grad) for one, other in zip(model.parameters(), plain.parameters(), strict=True)
    )


def test_swiglu_has_as_many_weights() -> None:
    sizes = [
        sum(each.numel() for each in GPT(V, embed_dim=96, num_heads=3, activation=name, bias=False).parameters())
        for name in ("gelu", "swiglu")
    ]
    assert sizes[0] == sizes[1]
