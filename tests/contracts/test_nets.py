"""Every model keeps every contract that applies to it; and every contract notices the mistake it is meant for."""

import textwrap

import pytest

from runner.contracts import nets as contracts
from runner.contracts.tiny import compose_tiny, tiny
from runner.errors import UserError


def test_contracts(model: str, request: pytest.FixtureRequest, subtests: pytest.Subtests) -> None:
    folders = request.config.getoption("--config-dir")
    checks = contracts.contracts(compose_tiny([f"model={model}"], folders))
    if not folders:
        checks.pop("export", None)  # tests/inference/test_interop.py exports every model of the catalog in all forms
    for name, check in checks.items():
        with subtests.test(name):
            check()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=textcnn"], {"answers", "padding"}),
        (["model=char_rnn"], {"answers", "padding", "causal"}),
        (["model=mlp"], {"answers"}),
        (["model=vae"], {"answers"}),
        (["model=gan"], set()),
    ],
)
def test_contracts_follow_from_what_a_model_is(overrides: list[str], expected: set[str]) -> None:
    always = {"save_load", "deterministic", "gradients", "no_mixing", "learns", "export", "resume"}
    assert set(contracts.contracts(compose_tiny(overrides))) == always | expected


def test_checks_change_nothing() -> None:
    task, batch = tiny(compose_tiny(["model=textcnn"]))
    twin, _ = tiny(compose_tiny(["model=textcnn"]))
    for check in (contracts.check_gradients, contracts.check_learns, contracts.check_export):
        check(task, batch)
    contracts.check_deterministic(task, twin, batch)


@pytest.mark.parametrize(
    ("overrides", "shapes"),
    [
        (["model=textcnn"], [(6, 12), (6,)]),
        (["model=mlp"], [(6, 4), (6,)]),
        (["model=mlp", "data=boston_housing"], [(6, 13), (6, 1)]),
        (["model=softmax_regression", "data=mnist_5k"], [(6, 784), (6,)]),
        (["model=vae"], [(6, 1, 28, 28), (6,)]),
        (["model=char_rnn"], [(6, 12), (6, 12)]),
        (["model=textcnn", "data=csv", "data.path=x.csv", "data.label=y"], [(6, 12), (6,)]),
        (["model=mlp", "data=csv", "data.path=x.csv", "data.label=y"], [(6, 64), (6,)]),
    ],
)
def test_batch_follows_from_the_facts(overrides: list[str], shapes: list[tuple[int, ...]]) -> None:
    _, batch = tiny(compose_tiny(overrides))
    assert [tuple(value.shape) for value in batch] == shapes


# Someone else's model: one Python file and one YAML in another folder, with one mistake each.

OUTSIDE = '''
import torch
from torch import nn


class Sound(nn.Module):
    """Mean of the embeddings of the words, padding left out."""

    def __init__(self, vocab_size, num_outputs):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 8, padding_idx=0)
        self.output = nn.Linear(8, num_outputs)

    def pooled(self, tokens):
        return self.embedding(tokens).sum(1) / (tokens != 0).sum(1, keepdim=True).clamp(min=1)

    def forward(self, tokens):
        return self.output(self.pooled(tokens))


class CountsPadding(Sound):
    def pooled(self, tokens):
        return self.embedding(tokens).mean(1)


class NothingOfNothing(Sound):
    def pooled(self, tokens):
        return self.embedding(tokens).sum(1) / (tokens != 0).sum(1, keepdim=True)


class Mixes(Sound):
    def forward(self, tokens):
        return super().forward(tokens).softmax(0)


class BatchLast(Sound):
    def forward(self, tokens):
        return super().forward(tokens).T


class Unused(Sound):
    def __init__(self, vocab_size, num_outputs):
        super().__init__(vocab_size, num_outputs)
        self.forgotten = nn.Linear(8, 8)


class CutOff(Sound):
    def pooled(self, tokens):
        return super().pooled(tokens).detach()


class NotANumber(Sound):
    def pooled(self, tokens):
        words = super().pooled(tokens)
        return words + (words - words).sqrt()


class Forgets(Sound):
    def __init__(self, vocab_size, num_outputs):
        super().__init__(vocab_size, num_outputs)
        self.projection = torch.randn(8, 8)

    def pooled(self, tokens):
        return super().pooled(tokens) @ self.projection


class Gambles(Sound):
    def pooled(self, tokens):
        return super().pooled(tokens) + torch.rand(8)


class Drifts(Sound):
    """Remembers something that no checkpoint holds."""

    def __init__(self, vocab_size, num_outputs):
        super().__init__(vocab_size, num_outputs)
        self.steps = 0

    def forward(self, tokens):
        self.steps += self.training
        return super().forward(tokens) * (1 + self.steps)


class Overflows(Sound):
    def forward(self, tokens):
        return super().forward(tokens) + float("inf")


class Stuck(Sound):
    def forward(self, tokens):
        return super().forward(tokens) * 1e-9


class LooksAtValues(Sound):
    def forward(self, tokens):
        logits = super().forward(tokens)
        return logits if logits.sum() > 0 else -logits


class FixedBatch(Sound):
    def pooled(self, tokens):
        return super().pooled(tokens).reshape(6, -1)


class StartsAtZero(Sound):
    def __init__(self, vocab_size, num_outputs):
        super().__init__(vocab_size, num_outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)


class MixesFromZero(StartsAtZero):
    def forward(self, tokens):
        answers = super().forward(tokens)
        return answers + answers.mean(0)


class PaddingFromZero(StartsAtZero):
    def forward(self, tokens):
        return self.output(self.embedding(tokens).mean(1))


class TwoInputs(Sound):
    def forward(self, tokens, others):
        return super().forward(tokens) + super().forward(others)


class FailsAlone(Sound):
    def forward(self, tokens):
        if len(tokens) == 1:
            raise RuntimeError("one row is not enough\\nfor this net")
        return super().forward(tokens)


class SeesTheFuture(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 8, padding_idx=0)
        self.recurrent = nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.output = nn.Linear(16, vocab_size)

    def forward(self, tokens):
        return self.output(self.recurrent(self.embedding(tokens))[0])


class Blind(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.output = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, tokens):
        return self.output.expand(*tokens.shape, -1)
'''
CLASSIFIER = """\
# A model of somebody else.
_target_: outside_nets.{name}
vocab_size: ${{data.vocab_size}}
num_outputs: ${{task.num_outputs}}
"""
LANGUAGE_MODEL = """\
# A language model of somebody else.
defaults:
  - override /task@_global_.task: causal_lm
  - override /data@_global_.data: characters
_target_: outside_nets.{name}
vocab_size: ${{data.vocab_size}}
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """What composes a model of somebody else."""

    def compose(name: str, yaml: str):
        (tmp_path / "outside_nets.py").write_text(textwrap.dedent(OUTSIDE))
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "conf" / "model").mkdir(parents=True)
        (tmp_path / "conf" / "model" / "mine.yaml").write_text(yaml.format(name=name))
        return compose_tiny(["model=mine"], [tmp_path / "conf"])

    return compose


@pytest.mark.parametrize(
    ("name", "yaml", "contract", "message"),
    [
        ("Sound", CLASSIFIER, None, None),
        ("CountsPadding", CLASSIFIER, "padding", "mask the padding"),
        ("NothingOfNothing", CLASSIFIER, "padding", "all padding gives NaN"),
        ("Mixes", CLASSIFIER, "no_mixing", "alone than in its batch"),
        ("StartsAtZero", CLASSIFIER, None, None),
        ("MixesFromZero", CLASSIFIER, "no_mixing", "alone than in its batch"),
        ("PaddingFromZero", CLASSIFIER, "padding", "mask the padding"),
        ("BatchLast", CLASSIFIER, "no_mixing", "the first dimension is the batch"),
        ("Unused", CLASSIFIER, "gradients", "forgotten.bias, forgotten.weight got no gradient"),
        ("Unused", CLASSIFIER, "learns", "forgotten.weight has not moved"),
        ("CutOff", CLASSIFIER, "gradients", "embedding.weight got no gradient"),
        ("NotANumber", CLASSIFIER, "gradients", "the gradient of embedding.weight is not finite"),
        ("Forgets", CLASSIFIER, "save_load", "register_buffer"),
        ("Gambles", CLASSIFIER, "deterministic", "two answers to the same inputs"),
        ("Drifts", CLASSIFIER, "resume", "embedding.weight, .* differ after a training that was stopped and resumed"),
        ("Overflows", CLASSIFIER, "answers", "of an answer is not a finite number"),
        ("Stuck", CLASSIFIER, "learns", "cannot fit even a few examples"),
        ("LooksAtValues", CLASSIFIER, "export", "torch.export does not accept LooksAtValues"),
        ("FixedBatch", CLASSIFIER, "export", "torch.export does not accept FixedBatch"),
        ("SeesTheFuture", LANGUAGE_MODEL, "causal", "sees the future"),
        ("Blind", LANGUAGE_MODEL, "causal", "does not look at its input"),
    ],
)
def test_a_contract_notices(name, yaml, contract, message, outside) -> None:
    cfg = outside(name, yaml)
    if contract is None:
        assert set(contracts.broken(cfg).values()) == {None}
        return
    with pytest.raises(AssertionError, match=message):
        contracts.contracts(cfg)[contract]()


def test_a_model_without_a_known_fact(tmp_path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: torch.nn.Linear\nin_features: 3\nout_features: 2\n")
    with pytest.raises(ValueError, match=r"in_features: \$\{data.in_features\}"):
        contracts.contracts(compose_tiny(["model=mine"], [tmp_path]))


def test_a_net_that_cannot_be_called_is_explained(outside) -> None:
    with pytest.raises(
        UserError, match=r"TwoInputs cannot be called with what Classification gives it, \(6, 12\) int64: "
    ):
        contracts.broken(outside("TwoInputs", CLASSIFIER))


def test_a_net_that_fails_in_one_contract_is_tried_in_the_others(outside) -> None:
    found = contracts.broken(outside("FailsAlone", CLASSIFIER))
    assert found["no_mixing"] == "RuntimeError: one row is not enough" and found["gradients"] is None
