"""What every net must keep to, whatever its architecture: one function for each contract.

Each `check_...` raises AssertionError with a sentence that says what is wrong and how to fix it. `contracts` says
which checks apply to a model, by what it reads and what its task says; they run on the tiny tasks of `tiny.py`.
No check changes the weights of the task it is given.

Shape letters: B batch, T time (tokens).
"""

import copy
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor

from runner.contracts.tiny import ROWS, tiny, tiny_data
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader
from runner.errors import UserError, first_line
from runner.inference.export import traced
from runner.inference.tensors import relative_distance, tensors_in
from runner.tasks.base import Task
from runner.tasks.means import Scalars, value_of
from runner.text.vocabulary import PAD
from runner.training.checkpoint import AtomicWriter, Checkpoint
from runner.training.lightning import ON_TRIAL

Outputs = list[Tensor]
ROUNDING = 1e-5  # largest difference of answers that are the same, see `relative_distance`


# Shared by the checks.


def outputs(task: Task, inputs: tuple) -> Outputs:
    """What the net answers in evaluation mode, as a list of tensors."""
    task.net.eval()
    with torch.inference_mode():
        return tensors_in(task.net(*inputs))


def inputs_of(task: Task, batch: Any) -> tuple:
    """What the net is called with; if the task draws it at random, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return task.inputs(batch)


def token_places(task: Task, inputs: tuple) -> tuple[int, ...]:
    """Which inputs are padded rows of tokens: what the task says, or else those that are int64 (B, T)."""
    if task.tokens is not None:
        return task.tokens
    found = [place for place, value in enumerate(inputs) if value.ndim == 2 and value.dtype == torch.int64]
    return tuple(place for place in found if place not in task.shared)


def some_rows(task: Task, inputs: tuple, rows: slice) -> tuple:
    """The inputs of these examples; what all examples share is unchanged."""
    return tuple(value if place in task.shared else value[rows] for place, value in enumerate(inputs))


def changed(inputs: tuple, places: tuple[int, ...], change: Callable[[Tensor], Tensor]) -> tuple:
    """The inputs, those at `places` changed."""
    return tuple(change(value) if place in places else value for place, value in enumerate(inputs))


def total(scalars: Scalars) -> Tensor:
    """What is minimised: the loss, or the sum of the losses where several players have one each."""
    values = {name: value_of(scalar) for name, scalar in scalars.items()}
    return values["loss"] if "loss" in values else torch.stack([v for v in values.values() if v.requires_grad]).sum()


def differing_weights(task: Task, other: Task) -> list[str]:
    """Names of the weights and buffers in which two tasks differ."""
    theirs = other.net.state_dict()
    return [name for name, value in task.net.state_dict().items() if not torch.equal(value, theirs[name])]


def name_of(task: Task) -> str:
    """The name of the net's class, for messages."""
    return type(task.net).__name__


# The contracts.


def check_gradients(task: Task, batch: Any) -> None:
    """Every trainable parameter gets a finite gradient that is not zero within three training steps."""
    task = copy.deepcopy(task).train()
    assert task.optimizer is not None, "tiny() gives one"
    optimizer = task.optimizer(task.net)
    waiting = {name for name, parameter in task.net.named_parameters() if parameter.requires_grad}
    for _ in range(3):  # weights that start at zero may hold back the gradients of others for a step
        optimizer.zero_grad()
        loss = total(task.step(batch))
        assert torch.isfinite(loss), f"the loss of {name_of(task)} is {loss.item()} on inputs in the usual range"
        loss.backward()
        for name, parameter in task.net.named_parameters():
            if parameter.grad is not None:
                grad = parameter.grad.coalesce().values() if parameter.grad.is_sparse else parameter.grad
                assert torch.isfinite(grad).all(), (
                    f"the gradient of {name} is not finite: look for a division by zero, a logarithm of zero "
                    "or a softmax over -inf alone"
                )
                if grad.any():
                    waiting.discard(name)
        optimizer.step()
    assert not waiting, (
        f"{', '.join(sorted(waiting))} got no gradient: forward does not use it, or a detach() cuts it off. "
        "Use it, delete it, or set requires_grad_(False) if it is meant to be frozen"
    )


def check_no_mixing(task: Task, batch: Any) -> None:
    """In evaluation mode an example gets the same answer alone and in a batch."""
    inputs = inputs_of(task, batch)
    together = outputs(task, inputs)
    rows = task.rows(batch)
    for output in together:
        assert output.ndim and len(output) == rows, (
            f"an output of {name_of(task)} has shape {tuple(output.shape)} for {rows} examples: the first "
            "dimension is the batch"
        )
    for row in range(rows):
        alone = outputs(task, some_rows(task, inputs, slice(row, row + 1)))
        apart = relative_distance(alone, [output[row : row + 1] for output in together])
        assert apart < ROUNDING, (
            f"example {row} gets a different answer alone than in its batch ({apart:.2g} apart): some operation "
            "runs over the batch dimension, such as a view that mixes it with another, a softmax over dim 0 "
            "or a batch norm in training mode"
        )


def check_padding(task: Task, batch: Any) -> None:
    """Padding after the last token changes no answer, and a text of padding alone gives finite numbers."""
    inputs = inputs_of(task, batch)
    places = token_places(task, inputs)
    together = outputs(task, inputs)

    padded = changed(inputs, places, lambda value: F.pad(value, (0, 5), value=PAD))
    apart = distance_without_padding(outputs(task, padded), together, inputs[task.aligned])
    assert apart < ROUNDING, (
        f"five more columns of padding change the answer of {name_of(task)} by {apart:.2g}: mask the padding "
        f"(token {PAD}) before pooling, attention and recurrence, and remember the biases, which are not zero "
        "where the tokens are"
    )
    for row in range(task.rows(batch)):
        cut = changed(some_rows(task, inputs, slice(row, row + 1)), places, trimmed)
        in_batch = [output[row : row + 1] for output in together]
        apart = distance_without_padding(in_batch, outputs(task, cut), cut[task.aligned])
        assert apart < ROUNDING, (
            f"a text of {cut[places[0]].size(1)} tokens gets a different answer without its padding "
            f"({apart:.2g} apart): mask the padding"
        )
    empty = outputs(task, changed(inputs, places, torch.zeros_like))
    assert all(torch.isfinite(output).all() for output in empty), (
        "a text that is all padding gives NaN or infinity: a maximum or a softmax over no tokens needs a "
        "value to fall back on"
    )


def trimmed(value: Tensor) -> Tensor:
    """One row of tokens (1, T) without the padding at its end; at least one column is kept."""
    places = (value[0] != PAD).nonzero()
    return value[:, : int(places[-1]) + 1 if len(places) else 1]


def distance_without_padding(longer: Outputs, shorter: Outputs, tokens: Tensor) -> float:
    """How far answers for padded inputs are from those for `tokens` (B, T), what both say of padding left out."""
    real, apart = tokens != PAD, 0.0  # real (B, T)
    for more, less in zip(longer, shorter, strict=True):
        if less.ndim > 1 and less.shape[:2] == tokens.shape and more.size(1) >= less.size(1):  # one for each token
            keep = real.reshape(real.shape + (1,) * (less.ndim - 2))
            more, less = more[:, : less.size(1)] * keep, less * keep
        assert more.shape == less.shape, (
            f"padding changes the shape of an answer: {tuple(less.shape)}, {tuple(more.shape)}"
        )
        apart = max(apart, relative_distance([more], [less]))
    return apart


def check_causal(task: Task, batch: Any) -> None:
    """What comes later in a text does not change what was said before."""
    inputs = inputs_of(task, batch)
    tokens = inputs[task.aligned]
    length = tokens.size(1)
    before = outputs(task, inputs)[0]
    for place in (1, length // 2, length - 1):
        later = tokens.clone()
        later[:, place:] = torch.where(tokens[:, place:] == 2, 3, 2)
        after = outputs(task, (*inputs[: task.aligned], later, *inputs[task.aligned + 1 :]))[0]
        apart = relative_distance([after[:, :place]], [before[:, :place]])
        assert apart < ROUNDING, (
            f"changing the tokens from place {place} on changes logits before it by {apart:.2g}: "
            f"{name_of(task)} sees the future. Mask attention to later places, pad convolutions on the left "
            "only, use no bidirectional layer"
        )
        assert relative_distance([after[:, place:]], [before[:, place:]]) > ROUNDING, (
            f"changing the tokens from place {place} on has no effect: {name_of(task)} does not look at its input"
        )


def check_learns(task: Task, batch: Any, steps: int = 40) -> None:
    """Training repeatedly on one batch moves all weights and lowers the loss, if there is one."""
    start, task = task.net.state_dict(), copy.deepcopy(task)
    before = evaluation_loss(task, batch)
    train_on(task, Repeated(batch, steps))
    after = evaluation_loss(task, batch)
    if before is not None and after is not None:
        assert after < before - abs(before) / 20, (
            f"after {steps} steps on one batch the loss of {name_of(task)} went from {before:.4g} to "
            f"{after:.4g}: the net cannot fit even a few examples. Look at the initial weights, at the "
            "activation after the last layer, and for a detach()"
        )
    moved = task.net.state_dict()
    for name, parameter in task.net.named_parameters():
        assert torch.isfinite(moved[name]).all(), f"{name} is not finite after {steps} training steps"
        assert not parameter.requires_grad or not torch.equal(moved[name], start[name]), (
            f"{name} has not moved in {steps} training steps: no optimizer of the task holds it"
        )


def evaluation_loss(task: Task, batch: Any) -> float | None:
    """The loss without dropout; None if several players have one each."""
    task.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        loss = task.step(batch).get("loss")
    return None if loss is None else float(value_of(loss))


class Repeated:
    """A split that gives the same batch several times."""

    def __init__(self, batch: Any, times: int):
        self.batch, self.times = batch, times

    def __len__(self) -> int:
        return self.times

    def gather(self, index: Tensor, draw: torch.Generator | None = None) -> Any:
        return self.batch


def train_on(
    task: Task,
    split: Repeated,
    epochs: int = 1,
    callbacks: Sequence[lightning.Callback] = (),
    folder: Path | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Train as a run does, on the batches of a split, from the checkpoint if there is one."""
    loader = Loader(split, batch_size=1, shuffle=True)
    task.train()
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as made:
        torch.manual_seed(0)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=[*callbacks],
            plugins=[AtomicWriter()],
            enable_checkpointing=bool(callbacks),
            default_root_dir=str(folder or made),
            **ON_TRIAL,
        )
        # Without validation data Lightning would warn that there is none.
        trainer.fit(task, loader, loader, ckpt_path=checkpoint and str(checkpoint), weights_only=True)


class Stopped(BaseException):
    """Ends a training immediately."""


class StopAfter(lightning.Callback):
    """Saves the run after a number of batches, counted over all epochs, and ends it there."""

    def __init__(self, batches: int, checkpoint: Checkpoint):
        self.left, self.checkpoint = batches, checkpoint

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        self.left -= 1
        if not self.left:
            self.checkpoint.save(trainer)
            trainer.strategy.checkpoint_io.teardown()  # the file is there once this returns
            raise Stopped


def check_resume(task: Task, other: Task, batch: Any) -> None:
    """A training that is stopped between two steps and resumed elsewhere ends with the same weights."""
    task, stopped, other = copy.deepcopy(task), copy.deepcopy(task), copy.deepcopy(other)
    split = Repeated(batch, 3)
    train_on(task, split, epochs=2)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint()
        with suppress(Stopped):
            train_on(stopped, split, 2, [checkpoint, StopAfter(4, checkpoint)], Path(folder))
        train_on(other, split, 2, [Checkpoint()], Path(folder), Path(folder, "checkpoints", "last.ckpt"))
    different = differing_weights(task, other)
    assert not different, (
        f"{', '.join(different)} of {name_of(task)} differ after a training that was stopped and resumed: everything "
        "that training changes must be a parameter, a buffer or in training_state(), and random numbers must come from "
        "torch, NumPy or Python's random"
    )


def check_save_load(task: Task, other: Task, batch: Any) -> None:
    """`other`, built with other weights, answers as `task` does after loading the weights of `task`."""
    task, other = copy.deepcopy(task), copy.deepcopy(other)
    with tempfile.TemporaryDirectory() as folder:
        task.save_weights(Path(folder))
        other.load_weights(Path(folder))
    inputs = inputs_of(task, batch)
    assert relative_distance(answers(other, inputs), answers(task, inputs)) < ROUNDING, (
        f"{name_of(task)} answers differently after its weights were saved and loaded: something it computes "
        "with is neither a parameter nor a buffer (see register_buffer), or for an estimator not in state()"
    )


def answers(task: Task, inputs: tuple) -> Outputs:
    """What a net or an estimator answers to these inputs."""
    if task.by_gradient:
        return outputs(task, inputs)
    ask = task.net.predict_proba if hasattr(task.net, "predict_proba") else task.net.predict
    return [torch.as_tensor(np.asarray(ask(*inputs), dtype=np.float64))]


@torch.inference_mode()  # as users of a model ask
def check_answers(task: Task, data: DataModule) -> None:
    """Each raw row gets one answer with the promised columns, the same alone, in company and when asked again."""
    task = copy.deepcopy(task).eval()
    task.connect(data)
    assert data.inputs is not None, "tiny_data() gives inputs"
    rows = data.inputs.example(ROWS, np.random.default_rng(0))
    found, columns = task.answer(rows, data), task.answer_columns(data)
    assert len(found) == len(rows), f"{len(rows)} rows were given, {len(found)} answered"
    for answer in found:
        assert list(answer) == list(columns), f"an answer has the columns {list(answer)}, promised are {list(columns)}"
        odd = [name for name, value in answer.items() if isinstance(value, float) and not math.isfinite(value)]
        assert not odd, f"{', '.join(odd)} of an answer is not a finite number"
        json.dumps(answer)  # numbers and texts of Python's own, not of torch or NumPy
    assert same_answers(task.answer(rows, data), found), "the same rows were answered differently the second time"
    for row, answer in zip(rows, found, strict=True):
        alone = task.answer([row], data)
        assert same_answers(alone, [answer]), f"{row} is answered with {alone[0]} alone, with {answer} in a batch"


def same_answers(ones: list[dict], others: list[dict]) -> bool:
    """Whether answers are the same but for rounding."""
    pairs = [(one[name], other[name]) for one, other in zip(ones, others, strict=True) for name in one]
    return all(
        math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5) if isinstance(one, float) else one == other
        for one, other in pairs
    )


def check_deterministic(task: Task, twin: Task, batch: Any) -> None:
    """`twin`, built with the same seed, has the same weights and gives the same answers."""
    if task.by_gradient:
        different = differing_weights(task, twin)
        assert not different, (
            f"{', '.join(different)} differ between two nets built with one seed: draw random numbers with "
            "torch alone, from its default generator"
        )
    inputs = inputs_of(task, batch)
    same = all(torch.equal(one, other) for one, other in zip(answers(task, inputs), answers(twin, inputs), strict=True))
    assert same, (
        f"{name_of(task)} gives two answers to the same inputs in evaluation mode: nothing may be drawn at random there"
    )


def check_export(task: Task, batch: Any) -> None:
    """torch.export accepts the net for batches of any size, and the exported net gives the same answers."""
    net = copy.deepcopy(task.net).eval()
    inputs = inputs_of(task, batch)
    try:
        program = traced(net, inputs, [[] if place in task.shared else [0] for place in range(len(inputs))]).module()
    except Exception as error:
        raise AssertionError(
            f"torch.export does not accept {name_of(task)}: keep Python's if and loops off the values of "
            "tensors, and the size of the batch out of the code. It said: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    fewer = some_rows(task, inputs, slice(3))
    with torch.inference_mode():
        exported = tensors_in(program(*fewer))
    apart = relative_distance(exported, outputs(task, fewer))
    assert apart < ROUNDING, f"the exported form of {name_of(task)} answers differently ({apart:.2g} apart)"


def check_estimator(task: Task, batch: Any) -> None:
    """A fitted estimator answers in the right shape, and better than the same answer for every example would."""
    examples, targets = batch
    if hasattr(task.net, "predict_proba"):
        probabilities = np.asarray(task.net.predict_proba(examples))  # (N, K)
        assert probabilities.ndim == 2 and len(probabilities) == len(examples), (
            f"predict_proba returned shape {probabilities.shape} for {len(examples)} examples, wanted "
            "(examples, classes)"
        )
        assert np.allclose(probabilities.sum(axis=1), 1) and (probabilities >= 0).all(), (
            "predict_proba has to return probabilities: none below 0, each row summing to 1"
        )
        right = (np.asarray(task.net.predict(examples)) == targets).mean()
        usual = np.bincount(targets).max() / len(targets)
        assert right > usual, (
            f"{name_of(task)} is right on {right:.2f} of its own training examples, guessing on {usual:.2f}"
        )
    else:
        predicted = np.asarray(task.net.predict(examples))
        assert predicted.shape == targets.shape, f"predict returned shape {predicted.shape}, wanted {targets.shape}"
        error, usual = ((predicted - targets) ** 2).mean(), targets.var(axis=0).mean()
        assert error < usual, (
            f"{name_of(task)} has squared error {error:.3g} on its own training examples, their mean {usual:.3g}"
        )


# Which contract applies to which model.


def contracts(cfg: DictConfig) -> dict[str, Callable[[], None]]:
    """The checks that apply to a composed model, by name, each ready to be called.

    Raises:
        UserError: the objective cannot be checked without its data.
    """
    task, batch = tiny(cfg)
    twin, _ = tiny(cfg)
    other, _ = tiny(cfg, seed=2)
    if batch is None:
        raise UserError(f"{type(task).__name__} has no example(): it cannot be checked without its data")
    data, tried = tiny_data(cfg), copy.deepcopy(task)
    if task.by_gradient:
        call(task, batch)
        with suppress(Exception):  # what is wrong with the training is found by the contracts about it
            train_on(tried, Repeated(batch, 3))  # a net may answer 0 before its first steps, whatever it is given
    else:
        for each in (task, twin, other, tried):
            each.connect(data)  # some are told the names of the classes
        for each in (task, twin, tried):
            each.net.fit(*batch)
    checks: dict[str, Callable[[], None]] = {
        "save_load": partial(check_save_load, tried, other, batch),
        "deterministic": partial(check_deterministic, task, twin, batch),
    }
    if task.answer_columns(data):
        checks["answers"] = partial(check_answers, task, data)
    if not task.by_gradient:
        return checks | {"estimator": partial(check_estimator, task, batch)}
    checks |= {
        "gradients": partial(check_gradients, task, batch),
        "no_mixing": partial(check_no_mixing, tried, batch),
        "learns": partial(check_learns, task, batch),
        "resume": partial(check_resume, task, other, batch),
    }
    if not hasattr(task.net, "no_export"):
        checks["export"] = partial(check_export, tried, batch)
    if token_places(task, inputs_of(task, batch)):
        checks["padding"] = partial(check_padding, tried, batch)
    if task.causal:
        checks["causal"] = partial(check_causal, tried, batch)
    return checks


def call(task: Task, batch: Any) -> None:
    """Call the net once, as its objective does.

    Raises:
        UserError: it cannot be called in this way.
    """
    inputs = inputs_of(task, batch)
    try:
        outputs(task, inputs)
    except Exception as error:  # whatever a net makes of inputs that it does not expect
        given = ", ".join(f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}" for value in inputs)
        raise UserError(
            f"{name_of(task)} cannot be called with what {type(task).__name__} gives it, {given}: "
            f"{type(error).__name__}: {first_line(error)}. An objective of your own says what a net is called with, in "
            "inputs(batch) and example(); and `takes:` in the model's YAML says which data it reads"
        ) from error


def broken(cfg: DictConfig) -> dict[str, str | None]:
    """Run every check: {contract: what is wrong}, None if it is kept. For `runner doctor`."""
    found: dict[str, str | None] = {}
    for name, check in contracts(cfg).items():
        try:
            check()
            found[name] = None
        except AssertionError as wrong:
            found[name] = str(wrong)
        except Exception as error:  # a net may fail in any way, and the other contracts are of interest too
            found[name] = f"{type(error).__name__}: {first_line(error)}"
    return found
