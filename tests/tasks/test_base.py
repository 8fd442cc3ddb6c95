"""What holds for every objective."""

from types import SimpleNamespace

import pytest
import torch
from objectives import Given, evaluated
from small_runs import settings

from runner.contracts.tiny import compose_tiny, tiny
from runner.errors import UserError
from runner.tasks.base import Task
from runner.tasks.causal_lm import CausalLM
from runner.tasks.classification import Classification
from runner.tasks.means import value_of
from runner.tasks.regression import Regression


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


class Penalised(Given):
    """Answers twice what it is given, and says so itself."""

    def losses(self, inputs, target):
        return {"outputs": 2 * inputs[0], "penalty": torch.tensor(3.0)}


def test_a_net_may_give_its_answer_with_its_losses():
    logits, target = torch.tensor([[1.0, -1.0]]), torch.tensor([0])
    wanted = torch.nn.functional.cross_entropy(2 * logits, target)
    assert Classification(Penalised(), 2).step((logits, target))["loss"] == wanted + 3


def test_a_penalty_is_minimised_but_not_reported_as_loss():
    logits, target = torch.tensor([[1.0, -1.0]]), torch.tensor([0])
    task = Classification(Penalised(), 2)
    wanted = torch.nn.functional.cross_entropy(2 * logits, target)
    minimised = task.training_step((logits, target), 0)
    reported = task.training_means.pop()
    assert minimised == pytest.approx(float(wanted) + 3)
    assert reported["loss"] == pytest.approx(float(wanted), abs=1e-6) and reported["penalty"] == 3
    assert evaluated(task, logits, target)["loss"] == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, target))
    )


def test_a_task_without_a_step_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r"Task has to define step\(batch\)"):
        Task(Given()).step((torch.zeros(1),))


class Writer(Task):
    """Writes the same in its second epoch, whatever it learns from."""

    data_module, current_epoch = None, 1

    def sample_text(self, data):
        return "words and words"


def test_a_kill_while_a_sample_is_written_loses_none(tmp_path, monkeypatch):
    def killed(number):
        raise KeyboardInterrupt

    path = tmp_path / "samples.txt"
    path.write_text("--- epoch 1 ---\nword\n")
    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        Writer(Given()).write_sample(path)
    assert path.read_text() == "--- epoch 1 ---\nword\n"
    monkeypatch.undo()
    for _ in range(2):  # a resumed run repeats an epoch
        Writer(Given()).write_sample(path)
        assert path.read_text() == "--- epoch 1 ---\nword\n--- epoch 2 ---\nwords and words\n"


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
