"""The prompt, what each label is worth in it, calibration, and language models of both kinds behind it."""

import itertools
import math

import numpy as np
import pytest
import torch
from tiny_encoder import needs_transformers

from runner.contracts.nets import contracts
from runner.contracts.tiny import compose_tiny
from runner.errors import UserError
from runner.inference.language_model import LanguageModel
from runner.models.prompt_lm import PromptLM
from runner.tasks.prompting import Prompting

LETTERS = " \nabcdefghijklmnopqrstuvwxyz:"
TABLE = torch.randn(len(LETTERS), len(LETTERS), generator=torch.Generator().manual_seed(0)).log_softmax(dim=1)


class Letters:
    """A language model of letters, each of which depends on the one before it."""

    window = None

    def encode(self, text):
        return [LETTERS.index(letter) for letter in text]

    def decode(self, tokens):
        return "".join(LETTERS[token] for token in tokens)

    def logits(self, rows, last):
        return [TABLE[torch.tensor(row[len(row) - count :])] for row, count in zip(rows, last, strict=True)]


def made(lm=None, **settings) -> PromptLM:
    usual = {"form": "text: {text}\nmood: {label}", "content_free": ["nothing", "x"], "calibrate": False, "shots": 2}
    net = PromptLM("nowhere", lambda path: lm or Letters(), **usual | settings)
    net.name_classes(["bad", "balmy", "good"])
    return net


def chain(text: str) -> float:
    """The logarithm of the probability of all letters but the first, each after the one before it."""
    tokens = Letters().encode(text)
    return float(sum(TABLE[before, after] for before, after in itertools.pairwise(tokens)))


def test_examples_are_spread_over_the_classes_and_fit_the_length():
    net = made(shots=5, max_words=3)
    texts = ["one", "two words", "a b c d e f", "four", "five", "six", "seven"]
    net.fit(texts, [0, 0, 0, 1, 1, 2, 2])
    assert len(net.chosen) == 5 and "a b c d e f" not in dict(net.chosen)
    assert np.bincount([kind for _, kind in net.chosen], minlength=3).tolist() in ([2, 2, 1], [2, 1, 2], [1, 2, 2])


def test_the_prompt():
    net = made(instruction="be fair", between="\n\n")
    net.chosen = [("fine  {film}", 2), ("dull", 0)]
    expected = "be fair\n\ntext: fine  {film}\nmood: good\n\ntext: dull\nmood: bad\n\ntext: a plot\nmood:"
    assert net.prompt("a\n plot") == expected


def test_likelihood_is_the_product_over_the_letters_of_a_label():
    found = np.log(made().predict_proba(["so so", "other"]))
    scores = torch.tensor([chain(f" {name}") for name in ("bad", "balmy", "good")])
    assert found == pytest.approx(np.tile(scores.log_softmax(0).numpy(), (2, 1)), abs=1e-5)


def test_generation_chooses_only_among_letters_that_a_label_can_go_on_with():
    found = made(method="generation").predict_proba(["so so"])
    first = TABLE[LETTERS.index(" "), [LETTERS.index("b"), LETTERS.index("g")]].softmax(0)
    third = TABLE[LETTERS.index("a"), [LETTERS.index("d"), LETTERS.index("l")]].softmax(0)
    expected = [[first[0] * third[0], first[0] * third[1], first[1]]]
    assert found == pytest.approx(np.array(expected), abs=1e-6) and found.sum() == pytest.approx(1)


def test_calibration_makes_a_text_without_content_say_nothing():
    class Reads(Letters):
        """The first letter of a label depends on whether the text had a q."""

        def logits(self, rows, last):
            moved = [(LETTERS.index("q") in row) * 2.0 for row in rows]
            found = super().logits(rows, last)
            return [
                torch.cat([each[:1], each[1:2] + up * TABLE[0], each[2:]])
                for each, up in zip(found, moved, strict=True)
            ]

    net = made(Reads(), calibrate=True, content_free=["q"])
    assert net.predict_proba(["q"]) == pytest.approx(np.full((1, 3), 1 / 3))
    assert net.predict_proba(["y"]).max() > 0.34


def test_a_prompt_longer_than_the_window_loses_its_beginning():
    lm = Letters()
    lm.window = 20
    net = made(lm)
    net.chosen = [("some long text", 0)]
    prompt, labels = net.tokens_of("abc")
    assert len(prompt) + max(map(len, labels)) - 1 == 20
    assert lm.decode(prompt).endswith("abc\nmood:")


def test_labels_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="does not tell the labels good, good apart"):
        made().name_classes(["good", "good"])
    lm = Letters()
    lm.window = 3
    with pytest.raises(ValueError, match="too few for the labels"):
        made(lm)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """The folder of a tiny GPT-2 with random weights, whose tokens are words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("gpt2")
    words = ["<unk>", "class", "0", "1", "2", "Tweet", "Mood", ":", "a", "fine", "film"]
    pieces = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=8, n_layer=2, n_head=2, initializer_range=1.0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@needs_transformers
def test_likelihood_is_that_of_transformers(gpt2):
    import transformers

    net = PromptLM(str(gpt2), LanguageModel, shots=0, calibrate=False)
    net.name_classes(["class 0", "class 1 2", "fine"])
    found = net.predict_proba(["a fine film", "film"])
    model = transformers.AutoModelForCausalLM.from_pretrained(gpt2).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(gpt2)
    for row, text in zip(found, ["a fine film", "film"], strict=True):
        scores = []
        for label in net.names:
            before = len(tokenizer(f"Tweet: {text}\nMood:")["input_ids"])
            tokens = tokenizer(f"Tweet: {text}\nMood: {label}", return_tensors="pt")["input_ids"]
            with torch.inference_mode():
                loss = model(tokens, labels=torch.where(torch.arange(tokens.size(1)) < before, -100, tokens)).loss
            scores.append(-loss * (tokens.size(1) - before))
        assert row == pytest.approx(torch.stack(scores).softmax(0).numpy(), abs=1e-5)


@needs_transformers
def test_it_keeps_the_contracts_of_an_estimator(gpt2):
    checks = contracts(compose_tiny(["model=prompt_lm", f"model.path={gpt2}"]))
    assert {"save_load", "deterministic", "answers", "estimator"} == set(checks)
    for name, check in checks.items():
        if name != "estimator":  # a net with random weights answers worse than guessing
            check()


def test_a_run_here_is_a_language_model(trained):
    lm = LanguageModel(str(trained("char_rnn") / "model"))
    tokens = lm.encode("the film")
    (logits,) = lm.logits([tokens], [2])
    net = lm.inner.net
    with torch.inference_mode():
        expected = net(torch.tensor([tokens]))[0, -2:]
    torch.testing.assert_close(logits, expected)
    net = PromptLM("nowhere", lambda path: lm, shots=0, method="generation")
    net.name_classes(["bad", "good"])
    assert math.isclose(net.predict_proba(["a film"]).sum(), 1, rel_tol=1e-6)
    assert isinstance(net.ask("what is it?"), str)


@pytest.mark.parametrize(("other", "said"), [("mlp", "trained no language model"), (None, "Did you mean")])
def test_what_is_no_language_model(trained, other, said):
    folder = trained("mlp") / "model" if other else trained("char_rnn")
    with pytest.raises(UserError, match=said):
        LanguageModel(str(folder))


def test_questions_are_for_models_that_write():
    assert list(Prompting(made(), 3).questions()) == ["question"]
