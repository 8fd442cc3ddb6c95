"""Objectives: every metric against scikit-learn or a closed form, on batches of unequal size."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sk
from small_runs import settings
from torch import nn

from runner.build import build_task
from runner.contracts.tiny import compose_tiny, tiny
from runner.datamodules.parts.batches import Features, Loader, TensorSplit
from runner.errors import UserError
from runner.tasks.adversarial import Adversarial
from runner.tasks.base import Task
from runner.tasks.causal_lm import CausalLM
from runner.tasks.classification import Classification
from runner.tasks.decoding import Decoding
from runner.tasks.estimator import Estimator
from runner.tasks.means import Mean, RunningMeans, value_of
from runner.tasks.regression import Regression
from runner.tasks.variational import Variational


class Given(nn.Module):
    """Answers what it is given."""

    def forward(self, answer):
        return answer


def evaluated(task: Task, *tensors: torch.Tensor, batch_size: int = 7) -> dict[str, float]:
    """The metrics of a split, gone through in batches of which the last is smaller."""
    task.on_validation_epoch_start()
    with torch.inference_mode():
        for batch in Loader(TensorSplit(Features(*tensors)), batch_size):
            task.validation_step(batch, 0)
    return task.evaluation_metrics()


# Losses of a net's own.


class OwnLosses(Given):
    """Answers what it is given; half of what the others would say, and a penalty."""

    def losses(self, inputs, target):
        return {"loss": torch.tensor(0.5), "penalty": inputs[0].abs().sum()}


def test_a_net_may_bring_losses_of_its_own():
    logits, target = torch.tensor([[1.0, -1.0]]), torch.tensor([0])
    assert Classification(OwnLosses(), 2).step((logits, target))["loss"] == pytest.approx(2.5)
    found = CausalLM(OwnLosses(), context_len=1).step((logits[None], target[None]))
    assert value_of(found["loss"]) == pytest.approx(2.5) and found["penalty"] == 2
    assert Regression(OwnLosses(), 2).step((logits, logits))["loss"] == pytest.approx(2.5)


# Running means.


def test_a_mean_is_weighted_by_what_it_counts():
    means = RunningMeans()
    means.add({"loss": Mean(torch.tensor(1.0), 30), "exact": torch.tensor(1.0)}, 2)
    means.add({"loss": Mean(torch.tensor(4.0), torch.tensor(10)), "exact": torch.tensor(0.0)}, 6)
    means.add({"loss": Mean(torch.tensor(math.nan), 0), "exact": torch.tensor(0.0)}, 0)  # a batch without tokens
    assert means.pop() == pytest.approx({"loss": 1.75, "exact": 0.25})


def test_means_count_examples_not_batches():
    means = RunningMeans()
    means.add({"loss": torch.tensor(1.0), "kl": torch.tensor(4.0)}, 9)
    means.add({"loss": torch.tensor(2.0), "kl": torch.tensor(8.0)}, 1)
    assert means.close() == pytest.approx({"loss": 1.1, "kl": 4.4})
    means.add({"loss": torch.tensor(3.0), "kl": torch.tensor(0.0)}, 10)
    assert means.close() == pytest.approx({"loss": 3.0, "kl": 0.0}), "the window alone"
    assert means.pop() == pytest.approx({"loss": (9 + 2 + 30) / 20, "kl": (36 + 8) / 20}), "all of it"
    assert means.close() == means.pop() == {}


@pytest.mark.parametrize("closed", [0, 2, 4])
def test_means_go_on_from_a_checkpoint_as_if_there_had_been_none(closed, tmp_path):
    values = torch.rand(20, generator=torch.Generator().manual_seed(0))

    def run(save_at: int | None) -> tuple[list, dict]:
        means, windows = RunningMeans(), []
        for number, value in enumerate(values):
            if number == save_at:
                torch.save(means.state_dict(), tmp_path / "means.pt")
                means = RunningMeans()
                means.load_state_dict(torch.load(tmp_path / "means.pt", weights_only=True))
            means.add({"loss": value}, 3 + number % 2)
            if number % 5 == 4:
                windows.append(means.close())
        return windows, means.pop()

    assert run(closed * 5 + 2 if closed < 4 else 19) == run(None)


def test_means_keep_no_graph():
    means = RunningMeans()
    weight = torch.ones(1, requires_grad=True)
    means.add({"loss": (weight * 2).sum()}, 1)
    assert not means.pending[0]["loss"].value.requires_grad


# Classification.


@pytest.mark.parametrize("classes", [2, 4])
def test_classification_metrics(classes):
    draw = torch.Generator().manual_seed(classes)
    target = torch.randint(0, classes, (53,), generator=draw)
    logits = torch.randn(53, classes, generator=draw) + F.one_hot(target, classes)
    found = evaluated(Classification(Given(), classes), logits, target)
    probabilities, decided = logits.double().softmax(1).numpy(), logits.argmax(1).numpy()
    right = probabilities[:, 1] if classes == 2 else probabilities
    wanted = {
        "loss": sk.log_loss(target, probabilities),
        "accuracy": sk.accuracy_score(target, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(target, decided),
        "f1_macro": sk.f1_score(target, decided, average="macro"),
        "auroc": sk.roc_auc_score(target, right, multi_class="ovr"),
        "average_precision": sk.average_precision_score(target, right),
    }
    assert found == pytest.approx(wanted, rel=1e-5)


def test_classification_metrics_start_anew_each_time():
    task = Classification(Given(), 2)
    logits, target = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    assert evaluated(task, logits, target)["accuracy"] == 1
    assert evaluated(task, logits, 1 - target)["accuracy"] == 0


def test_a_class_that_a_split_lacks_leaves_ranking_undefined():
    found = evaluated(Classification(Given(), 3), torch.eye(3)[:2], torch.tensor([0, 1]))
    assert math.isnan(found["auroc"]) and math.isnan(found["average_precision"])
    assert found["accuracy"] == found["balanced_accuracy"] == 1


def test_label_smoothing_is_of_the_training_loss_too():
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    found = Classification(Given(), 3, label_smoothing=0.2).step((logits, target))["loss"]
    assert torch.equal(found, F.cross_entropy(logits, target, label_smoothing=0.2))


def test_wrong_logits_are_explained():
    with pytest.raises(UserError, match=r"logits of shape \(batch, 3\); Given returned \(4, 2\)"):
        Classification(Given(), 3).step((torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)))
    with pytest.raises(UserError, match=r"at least 2 classes, received data.num_classes=1"):
        Classification(Given(), 1)


def test_classification_answers_with_label_and_probabilities():
    task, data = Classification(Given(), 2), SimpleNamespace(class_names=["bad", "good"], encode=lambda rows: (rows,))
    (answer,) = task.answer(torch.tensor([[0.0, math.log(3)]]), data)
    assert answer == pytest.approx({"label": "good", "probability_bad": 0.25, "probability_good": 0.75})
    assert list(answer) == list(task.answer_columns(data))


# Regression.


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_metrics_are_in_the_units_of_the_data(targets):
    draw = torch.Generator().manual_seed(targets)
    actual = torch.randn(40, targets, generator=draw) * 7 + 100
    predicted = actual + torch.randn(40, targets, generator=draw)
    task = Regression(Given(), targets)
    mean, std = actual.mean(0), actual.std(0)
    task.connect(SimpleNamespace(target_mean=mean, target_std=std))
    found = evaluated(task, (predicted - mean) / std, (actual - mean) / std)
    wanted = {
        "mse": sk.mean_squared_error(actual, predicted),
        "rmse": sk.mean_squared_error(actual, predicted) ** 0.5,
        "mae": sk.mean_absolute_error(actual, predicted),
        "r2": sk.r2_score(actual, predicted),
        "loss": F.mse_loss((predicted - mean) / std, (actual - mean) / std).item(),
    }
    assert found == pytest.approx(wanted, rel=1e-4)


def test_r2_of_years():
    """Sums of squares of values far from zero leave nothing of their variance in 32 bits."""
    actual = torch.linspace(1990, 2020, 31)[:, None]
    predicted = actual + torch.tensor([3.0, -3.0] * 15 + [3.0])[:, None]
    task = Regression(Given(), 1)
    mean, std = actual.mean(0), actual.std(0)
    task.connect(SimpleNamespace(target_mean=mean, target_std=std))
    found = evaluated(task, (predicted - mean) / std, (actual - mean) / std)
    assert found["r2"] == pytest.approx(sk.r2_score(actual, predicted), rel=1e-5)


def test_a_single_row_has_no_r2():
    found = evaluated(Regression(Given(), 1), torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    assert math.isnan(found["r2"]) and found["mse"] == pytest.approx(4)


def test_regression_answers_in_the_units_of_the_data():
    task = Regression(Given(), 1)
    task.connect(SimpleNamespace(target_mean=torch.tensor([20.0]), target_std=torch.tensor([5.0])))
    data = SimpleNamespace(target_names=["price"], encode=lambda rows: (rows,))
    assert task.answer(torch.tensor([[2.0], [-1.0]]), data) == [{"price": 30.0}, {"price": 15.0}]


def test_wrong_values_are_explained():
    with pytest.raises(UserError, match=r"shape \(batch, 1\); Given returned \(4,\)"):
        Regression(Given(), 1).step((torch.zeros(4), torch.zeros(4, 1)))


# Language modelling.


def test_perplexity_and_bits_per_char():
    vocabulary, draw = 11, torch.Generator().manual_seed(0)
    logits, target = torch.randn(9, 6, vocabulary, generator=draw), torch.randint(0, vocabulary, (9, 6), generator=draw)
    target[2, 3:], target[8, 1:] = -100, -100  # batches in which unequally many tokens count
    task = CausalLM(Given(), context_len=6)
    task.connect(SimpleNamespace(token_unit="character"))
    found = evaluated(task, logits, target, batch_size=4)
    keep = target.flatten() != -100
    probability = logits.flatten(0, 1).softmax(1)[keep].gather(1, target.flatten()[keep, None])
    nats = -probability.double().log().mean().item()
    wanted = {"loss": nats, "perplexity": math.exp(nats), "bits_per_char": nats / math.log(2)}
    assert found == pytest.approx(wanted, rel=1e-5)


def test_words_have_no_bits_per_char():
    task = CausalLM(Given(), context_len=2)
    task.connect(SimpleNamespace(token_unit="word"))
    found = evaluated(task, torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.int64))
    assert found == pytest.approx({"loss": math.log(4), "perplexity": 4})


def test_a_hopeless_model_has_a_finite_perplexity():
    task = CausalLM(Given(), context_len=1)
    task.connect(SimpleNamespace(token_unit="word"))
    logits = torch.tensor([[[1e4, 0.0]]])
    assert math.isfinite(evaluated(task, logits, torch.ones(1, 1, dtype=torch.int64))["perplexity"])


def test_writing_follows_the_model():
    shown = []

    class Counts(nn.Module):
        """The next token is the one after the last, with certainty; notes how many tokens it is shown."""

        def forward(self, tokens):
            shown.append(tokens.shape[1])
            return 1e4 * F.one_hot(tokens % 6 + 1, 7).float()

    task = CausalLM(Counts(), context_len=3)
    written = task.write(torch.tensor([[2, 3], [5, 0]]), Decoding(max_len=5))
    assert written.tolist() == [[4, 5, 6, 1, 2], [6, 1, 2, 3, 4]], "padding behind a prompt does not count"
    assert max(shown) == 3, "no more than its context"


def test_the_temperature_flattens():
    class Fixed(nn.Module):
        def forward(self, tokens):
            return torch.tensor([0.0, 0.0, math.log(9.0)]).expand(1, tokens.shape[1], 3)

    def share(temperature: float) -> float:
        task = CausalLM(Fixed(), context_len=2, temperature=temperature)
        written = task.write(torch.tensor([[1]]), replace(task.how, max_len=3000))
        return (written == 2).float().mean().item()

    assert share(1.0) == pytest.approx(0.9, abs=0.02)
    assert share(2.0) == pytest.approx(0.75, abs=0.03)
    assert share(0.5) == pytest.approx(81 / 82, abs=0.01)
    with pytest.raises(UserError, match=r"task.temperature must be above 0, received 0"):
        share(0)


# Variational.


def test_the_bound_against_torch_distributions():
    task = Variational(Given(), [1, 2, 3], kl_weight=2.0)
    draw = torch.Generator().manual_seed(0)
    pixels = torch.rand(5, 1, 2, 3, generator=draw)
    x_hat = torch.randn(5, 1, 2, 3, generator=draw)
    mean, log_var = torch.randn(5, 2, generator=draw), torch.randn(5, 2, generator=draw)
    found = task.scalars((pixels, None), x_hat, mean, log_var)
    code = torch.distributions.Normal(mean, (log_var / 2).exp())
    kl = torch.distributions.kl_divergence(code, torch.distributions.Normal(0, 1)).sum(1).mean()
    nats = F.binary_cross_entropy(x_hat.sigmoid(), pixels, reduction="none").sum((1, 2, 3)).mean()
    wanted = {"kl": kl, "reconstruction": nats, "loss": nats + 2 * kl, "elbo": -(nats + kl)}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value.item() for name, value in wanted.items()}, rel=1e-5
    )


def test_a_code_like_the_prior_costs_nothing():
    task = Variational(Given(), [1, 1, 1])
    zeros = torch.zeros(3, 4)
    assert task.scalars((torch.zeros(3, 1, 1, 1),), torch.zeros(3, 1, 1, 1), zeros, zeros)["kl"] == 0


# Adversarial.


@pytest.fixture
def gan() -> Adversarial:
    torch.manual_seed(0)
    return build_task(settings("gan", "task.discriminator_steps=3"))


def moved(before: dict, module: nn.Module) -> set[str]:
    """The players whose parameters have changed."""
    return {name.split(".")[0] for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


def test_the_players_take_turns_and_move_only_themselves(gan, monkeypatch):
    class Trainer:
        gradient_clip_val = gradient_clip_algorithm = None

    optimizers = gan.optimizer(gan.net.generator.parameters()), gan.optimizer(gan.net.discriminator.parameters())
    turns = []

    def update(optimizer, loss):
        before = {name: value.clone() for name, value in gan.net.state_dict().items()}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        turns.append(moved(before, gan.net))
        return loss

    monkeypatch.setattr(gan, "optimizers", lambda: optimizers)
    monkeypatch.setattr(gan, "lr_schedulers", lambda: None)
    monkeypatch.setattr(gan, "update", update)
    gan.training_step((torch.rand(6, 1, 28, 28), torch.zeros(6)), 0)
    assert turns == [{"discriminator"}] * 3 + [{"generator"}]
    assert set(gan.training_means.close()) == {"discriminator_loss", "generator_loss"}


def test_the_losses_of_the_players(gan):
    gan.eval()
    real = torch.rand(4, 1, 28, 28)
    torch.manual_seed(1)
    found = gan.discriminator_loss(real)
    torch.manual_seed(1)
    fake = gan.net.generator(torch.randn(4, gan.net.latent_dim))
    right = gan.net.discriminator(real.reshape_as(fake)).sigmoid(), 1 - gan.net.discriminator(fake).sigmoid()
    assert found.item() == pytest.approx(-torch.cat(right).log().mean().item(), rel=1e-5)
    torch.manual_seed(1)
    assert gan.generator_loss(4).item() == pytest.approx(-(1 - right[1]).log().mean().item(), rel=1e-4)


def test_the_discriminator_sends_no_gradient_to_the_generator(gan):
    gan.discriminator_loss(torch.rand(4, 1, 28, 28)).backward()
    assert all(parameter.grad is None for parameter in gan.net.generator.parameters())


def test_steps_of_the_discriminator():
    with pytest.raises(UserError, match=r"task.discriminator_steps must be at least 1, received 0"):
        build_task(settings("gan", "task.discriminator_steps=0"))


def test_a_gan_clips_its_gradients(tmp_path, no_figures, monkeypatch):
    from runner.training.train import train

    norms = []
    clip = Adversarial.clip

    def noted(task, optimizer):
        clip(task, optimizer)
        grads = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.cat(grads).norm().item())

    monkeypatch.setattr(Adversarial, "clip", noted)
    train(settings("gan", "trainer.gradient_clip_val=0.001"), tmp_path)
    assert max(norms) <= 0.00101 and len(norms) == 2 * 15


# Estimators.


class Fixed:
    """An estimator that answers what it is told."""

    def __init__(self, answers: np.ndarray, classifies: bool):
        self.answers = answers
        if classifies:
            self.predict_proba = lambda rows: self.answers

    def predict(self, rows):
        return self.answers


@pytest.mark.parametrize("classes", [2, 4])
def test_estimators_are_scored_as_nets_are(classes):
    draw = torch.Generator().manual_seed(classes)
    target = torch.randint(0, classes, (60,), generator=draw)
    logits = torch.randn(60, classes, generator=draw) + F.one_hot(target, classes)
    net = evaluated(Classification(Given(), classes), logits, target)
    probabilities = logits.double().softmax(1).numpy()
    task = Estimator(Fixed(probabilities, classifies=True))
    found = task.evaluate(None, SimpleNamespace(examples=lambda split: (range(60), target.numpy())), "test")
    assert found == pytest.approx({f"test/{name}": value for name, value in net.items()}, rel=1e-5)


def test_estimators_of_values_are_scored_as_nets_are():
    draw = torch.Generator().manual_seed(0)
    actual, predicted = torch.randn(30, 1, generator=draw), torch.randn(30, 1, generator=draw)
    net = evaluated(Regression(Given(), 1), predicted, actual)
    task = Estimator(Fixed(predicted.numpy()[:, 0], classifies=False))
    data = SimpleNamespace(examples=lambda split: (range(30), actual.numpy()[:, 0]))
    wanted = {f"val/{name}": value for name, value in net.items()}
    assert task.evaluate(None, data, "val") == pytest.approx(wanted, rel=1e-5)


def test_an_estimator_leaves_out_what_is_undefined():
    task = Estimator(Fixed(np.array([[0.9, 0.1], [0.8, 0.2]]), classifies=True))
    found = task.evaluate(None, SimpleNamespace(examples=lambda split: ([0, 1], np.array([0, 0]))), "test")
    assert set(found) == {"test/loss", "test/accuracy", "test/balanced_accuracy", "test/f1_macro"}


# All of them.


def test_a_task_without_a_step_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r"Task has to define step\(batch\)"):
        Task(Given()).step((torch.zeros(1),))


def test_a_schedule_that_watches_needs_a_metric(tmp_path, no_figures):
    from runner.training.train import train

    with pytest.raises(UserError, match=r"schedule=plateau watches task.monitor"):
        train(settings("gan", "schedule=plateau"), tmp_path)


@pytest.mark.parametrize("net", ["mlp", "vae", "gan", "char_rnn"])
def test_evaluating_draws_the_same_numbers_every_time(net):
    task, batch = tiny(compose_tiny([f"model={net}"]))
    task.eval()
    if isinstance(task, CausalLM):
        task.connect(SimpleNamespace(token_unit="word"))

    def once() -> dict:
        torch.manual_seed(5)
        return evaluated(task, *batch, batch_size=4)

    assert once() == once()
