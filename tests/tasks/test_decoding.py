"""Decoding against exhaustive search, a known distribution, and itself row by row."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from runner.errors import UserError
from runner.models.char_rnn import CharRNN
from runner.tasks.decoding import Decoding, Window, decode, last_tokens, pick

VOCAB, END, LONGEST = 5, 4, 4  # tokens 1 .. 4 can be written; 4 ends a text
PROMPTS = torch.tensor([[1, 2, 3], [3, 0, 0], [2, 2, 0]])


@pytest.fixture
def net() -> CharRNN:
    torch.manual_seed(0)
    net = CharRNN(VOCAB, embed_dim=6, hidden_dim=7, num_layers=2, cell="lstm").eval()
    with torch.no_grad():
        net.output.weight.mul_(6)  # some texts are much likelier than others
    return net


def decoded(net, prompts: Tensor = PROMPTS, **how):
    return decode(net, net.start(prompts), last_tokens(prompts), Decoding(**{"max_len": LONGEST, "end": END} | how))


def written(row: Tensor) -> list[int]:
    """The tokens of an answer without the padding behind it."""
    return row[row != 0].tolist()


def all_texts() -> list[list[int]]:
    """All texts there are: those that end, and those that are as long as can be."""
    return [
        list(text)
        for length in range(1, LONGEST + 1)
        for text in itertools.product(range(1, VOCAB), repeat=length)
        if END not in text[:-1] and (text[-1] == END or length == LONGEST)
    ]


def log_probability(net: CharRNN, prompt: list[int], text: list[int]) -> float:
    """Of a text after a prompt, by one call of the whole net; padding is never written."""
    logits = net(torch.tensor([prompt + text]))[0, len(prompt) - 1 : -1]  # (L, V)
    return float(logits[:, 1:].detach().log_softmax(dim=1).gather(1, torch.tensor(text)[:, None] - 1).sum())


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all_texts(net, alpha) -> None:
    texts = all_texts()
    found = decoded(net, method="beam", beam_size=len(texts), n_best=len(texts), length_penalty=alpha)
    for row, prompt in enumerate(PROMPTS.tolist()):
        prompt = [token for token in prompt if token]
        scores = {tuple(t): log_probability(net, prompt, t) / ((5 + len(t)) / 6) ** alpha for t in texts}
        ranked = sorted(scores, key=scores.__getitem__, reverse=True)
        assert [tuple(written(tokens)) for tokens in found.tokens[row]] == ranked
        torch.testing.assert_close(found.scores[row], torch.tensor([scores[text] for text in ranked]))


def test_a_beam_finds_what_greedy_misses() -> None:
    """After 1 (0.6) nothing is likely, after 2 (0.4) one text is certain."""

    class Trap(nn.Module):
        def step(self, token: Tensor, state: tuple) -> tuple[Tensor, tuple]:
            after = {3: [0, 0.6, 0.4, 0, 0], 1: [0, 0.3, 0.3, 0.2, 0.2], 2: [0, 0, 0, 0, 1.0]}
            return torch.tensor([after.get(each, [0.2] * VOCAB) for each in token.tolist()]).log(), state

    first, how = torch.tensor([3]), {"max_len": 2, "end": END}
    greedy = decode(Trap(), (), first, Decoding(**how))
    beam = decode(Trap(), (), first, Decoding(method="beam", beam_size=2, n_best=2, **how))
    assert greedy.tokens[0, 0, 0] == 1 and math.isclose(greedy.scores.exp(), 0.6 * 0.3, rel_tol=1e-5)
    assert beam.tokens[0, 0].tolist() == [2, 4] and math.isclose(beam.scores[0, 0].exp(), 0.4, rel_tol=1e-5)


def test_greedy_takes_the_likeliest_token_each_time(net) -> None:
    found = decoded(net)
    for row, prompt in enumerate(PROMPTS.tolist()):
        text = [token for token in prompt if token]
        for token in written(found.tokens[row, 0]):
            assert token == int(net(torch.tensor([text]))[0, -1, 1:].argmax()) + 1
            text.append(token)
        assert text[-1] == END or len(written(found.tokens[row, 0])) == LONGEST


@pytest.mark.parametrize(
    "how",
    [
        {"method": "beam", "beam_size": 1},
        {"method": "beam", "beam_size": 1, "length_penalty": 1.5},
        {"method": "sample", "top_k": 1},
        {"method": "sample", "top_p": 1e-6},
        {"method": "sample", "temperature": 1e-4},
    ],
)
def test_what_comes_down_to_greedy(net, how) -> None:
    assert torch.equal(decoded(net, **how).tokens, decoded(net).tokens)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "sample", "n_best": 3, "top_k": 3, "top_p": 0.9},
        {"method": "beam", "beam_size": 3, "n_best": 3, "length_penalty": 0.7},
    ],
)
def test_a_row_gets_the_same_alone(net, how) -> None:
    together = decoded(net, **how)
    for row in range(len(PROMPTS)):
        alone = decoded(net, PROMPTS[row : row + 1], **how)
        assert [written(text) for text in alone.tokens[0]] == [written(text) for text in together.tokens[row]]
        torch.testing.assert_close(alone.scores[0], together.scores[row])


def test_the_best_answers_come_first_and_no_text_twice(net) -> None:
    found = decoded(net, method="beam", beam_size=6, n_best=4, length_penalty=1.0)
    assert found.tokens.shape[:2] == found.scores.shape == (3, 4)
    assert (found.scores.diff(dim=1) <= 0).all()
    assert all(len({tuple(text) for text in row}) == 4 for row in found.tokens.tolist())


def test_a_beam_wider_than_there_are_texts_adds_none(net) -> None:
    found = decoded(net, method="beam", beam_size=9, n_best=9, max_len=1)  # four texts of one token
    assert found.scores[:, :4].isfinite().all() and found.scores[:, 4:].isinf().all()
    assert found.tokens[:, :4].all() and not found.tokens[:, 4:].any()


def test_a_longer_text_is_worth_more_with_a_length_penalty() -> None:
    """Two texts: one token of probability 0.5, or three of 0.5 x 0.9 x 0.9; by equation 14 of Wu et al. they are level
    where log 0.5 / (6/6)^a = log 0.405 / (8/6)^a."""

    class Two(nn.Module):
        def step(self, token: Tensor, state: tuple) -> tuple[Tensor, tuple]:
            after = {3: [0, 0.5, 0, 0, 0.5], 1: [0, 0, 0.9, 0.1, 0], 2: [0, 0.05, 0.05, 0, 0.9]}
            return torch.tensor([after.get(each, [0.2] * VOCAB) for each in token.tolist()]).log(), state

    level = math.log(math.log(0.405) / math.log(0.5)) / math.log(8 / 6)
    for alpha, best in ((0.0, [4]), (level - 0.05, [4]), (level + 0.05, [1, 2, 4])):
        how = Decoding(method="beam", beam_size=3, length_penalty=alpha, end=END, max_len=3)
        assert written(decode(Two(), (), torch.tensor([3]), how).tokens[0, 0]) == best


class Constant(nn.Module):
    """The next token is distributed in the same way whatever came before."""

    chances = torch.tensor([0.0, 0.4, 0.3, 0.2, 0.1])

    def step(self, token: Tensor, state: tuple) -> tuple[Tensor, tuple]:
        return self.chances.log().expand(len(token), -1), state


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0.5}, [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        ({"temperature": 2.0}, [p**0.5 / sum(q**0.5 for q in (0.4, 0.3, 0.2, 0.1)) for p in (0.4, 0.3, 0.2, 0.1)]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"top_k": 3, "top_p": 0.6}, [4 / 7, 3 / 7, 0, 0]),
    ],
)
def test_samples_have_the_frequencies_of_their_distribution(how, wanted) -> None:
    samples, steps = 5000, 4
    found = decode(
        Constant(), (), torch.tensor([1, 1]), Decoding(method="sample", n_best=samples, max_len=steps, seed=3, **how)
    )
    assert torch.equal(found.tokens[0], found.tokens[1]), "what a row gets does not depend on its place"
    counts = found.tokens[0].flatten().bincount(minlength=VOCAB)[1:] / (samples * steps)
    for share, chance in zip(counts.tolist(), wanted, strict=True):  # five standard deviations
        assert abs(share - chance) <= 5 * math.sqrt(chance * (1 - chance) / (samples * steps))
    together = ((found.tokens[0, :, 0] == 1) & (found.tokens[0, :, 1] == 1)).double().mean()  # steps are independent
    assert abs(together - wanted[0] ** 2) <= 5 * math.sqrt(wanted[0] ** 2 * (1 - wanted[0] ** 2) / samples)
    chances = Constant.chances[found.tokens[0]].log().sum(dim=1)
    torch.testing.assert_close(found.scores[0], chances, msg="a score is the log-probability under the net itself")


def test_a_seed_repeats_its_samples_and_disturbs_no_other_numbers(net) -> None:
    before = torch.get_rng_state()
    one, same = (decoded(net, method="sample", n_best=20, seed=1) for _ in range(2))
    other = decoded(net, method="sample", n_best=20, seed=2)
    assert torch.equal(one.tokens, same.tokens) and not torch.equal(one.tokens, other.tokens)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_stops_when_all_texts_have_ended() -> None:
    class Ending(nn.Module):
        steps = 0

        def step(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            self.steps += 1
            nearer = state - 1
            return nn.functional.one_hot(torch.where(nearer > 0, 1, END), VOCAB).float() * 50, nearer

    net = Ending()
    found = decode(net, torch.tensor([3, 1]), torch.tensor([1, 1]), Decoding(end=END))
    assert found.tokens[:, 0].tolist() == [[1, 1, END], [END, 0, 0]] and net.steps == 3
    assert decode(net, torch.tensor([3]), torch.tensor([1]), Decoding(max_len=7)).tokens.shape == (1, 1, 7)


def test_attention_follows_its_path() -> None:
    """A net that looks at the place whose number is the token it has just read."""

    class Looking(CharRNN):
        def start(self, tokens: Tensor) -> tuple:
            return super().start(tokens), tokens[:, 0]

        def step(self, token: Tensor, state: tuple) -> tuple[Tensor, tuple]:
            logits, inner = super().step(token, state[0])
            return logits, (inner, token)

        def step_attention(self, state: tuple) -> Tensor:
            return nn.functional.one_hot(state[1], VOCAB).float()

    torch.manual_seed(1)
    found = decoded(Looking(VOCAB).eval(), method="beam", beam_size=4, n_best=3, end=None)
    assert found.attention.shape == (3, 3, LONGEST, VOCAB)
    looked = found.attention.argmax(dim=3)  # (B, N, L)
    assert torch.equal(looked[:, :, 1:], found.tokens[:, :, :-1])
    assert torch.equal(looked[:, :, 0], last_tokens(PROMPTS)[:, None].expand(3, 3))


@pytest.mark.parametrize(
    "how",
    [
        {"end": None},
        {"method": "sample", "n_best": 3},
        {"method": "beam", "beam_size": 3, "n_best": 3},
    ],
)
def test_a_net_without_steps_writes_as_one_with_steps(net, how) -> None:
    wanted, found = decoded(net, **how), decoded(Window(net, 20), **how)
    assert torch.equal(found.tokens, wanted.tokens)
    torch.testing.assert_close(found.scores, wanted.scores)


def test_a_window_shows_the_last_tokens_alone(net) -> None:
    cut = decoded(Window(net, 2), end=None).tokens[:, 0]
    for row, prompt in enumerate(PROMPTS.tolist()):
        text = [token for token in prompt if token]
        for token in cut[row].tolist():
            assert token == int(net(torch.tensor([text[-2:]]))[0, -1, 1:].argmax()) + 1
            text.append(token)


def test_rows_of_a_state_are_picked_at_any_depth() -> None:
    state = (torch.arange(3), (torch.arange(6).view(3, 2), ()))
    one, (two, three) = pick(state, torch.tensor([2, 0, 2, 1]))
    assert one.tolist() == [2, 0, 2, 1] and two.tolist() == [[4, 5], [0, 1], [4, 5], [2, 3]] and three == ()


def test_last_tokens() -> None:
    assert last_tokens(torch.tensor([[3, 4, 0], [5, 0, 6], [7, 0, 0]])).tolist() == [4, 6, 7]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "best"}, "task.method must be one of greedy, sample, beam, received best"),
        ({"max_len": 0}, "task.max_len must be at least 1, received 0"),
        ({"temperature": 0}, "task.temperature must be above 0, received 0"),
        ({"top_k": 0}, "task.top_k must be at least 1, or null for all tokens, received 0"),
        ({"top_p": 0.0}, "task.top_p must be above 0 and at most 1, or null for all tokens, received 0.0"),
        ({"top_p": 1.5}, "task.top_p must be above 0 and at most 1"),
        ({"beam_size": 0}, "task.beam_size must be at least 1, received 0"),
        ({"length_penalty": -0.1}, "task.length_penalty must be at least 0, received -0.1"),
        ({"n_best": 2}, "task.n_best must be 1 to 1 with method=greedy, received 2"),
        ({"method": "beam", "beam_size": 3, "n_best": 4}, "task.n_best must be 1 to 3 with method=beam, received 4"),
        ({"method": "sample", "n_best": 0}, "task.n_best must be at least 1 with method=sample, received 0"),
    ],
)
def test_values_out_of_range(settings, message) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        Decoding(**settings)
