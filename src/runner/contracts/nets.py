"""What every net must keep to, whatever its architecture: one function a contract.

Each `check_...` raises AssertionError with a sentence that says what is wrong and how to mend it. `contracts` says
which checks a model falls under by what it reads and what its task is; they are tried on the tiny tasks of `tiny.py`.
No check changes the weights of the task it is given.

Shape letters: B batch, T time (tokens).
"""

import copy
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor

from runner.contracts.tiny import LEARNING_RATE, Batch, tiny
from runner.datamodules.parts.batches import Loader, Subset, TensorSplit
from runner.tasks.base import Task
from runner.tasks.causal_lm import CausalLM
from runner.tasks.estimator import Estimator
from runner.text.vocabulary import PAD

CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # two ways to compute the same float32 number

Outputs = tuple[Tensor, ...]


# What the checks have in common.


def outputs(task: Task, inputs: tuple) -> Outputs:
    """What the net answers in evaluation mode, as a flat tuple of tensors."""
    task.net.eval()
    with torch.inference_mode():
        answer = task.net(*inputs)
    return flat(answer)


def flat(answer: Any) -> Outputs:
    """The tensors of an answer that may be a tensor or tuples and dicts of them."""
    if isinstance(answer, Tensor):
        return (answer,)
    parts = answer.values() if isinstance(answer, dict) else answer
    return tuple(tensor for part in parts for tensor in flat(part))


def inputs_of(task: Task, batch: Batch) -> tuple:
    """What the net is called with; where a task draws it, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return task.inputs(batch)


def is_tokens(value: Any) -> bool:
    """Whether an input is a batch of token numbers, int64 (B, T)."""
    return isinstance(value, Tensor) and value.ndim == 2 and value.dtype == torch.int64


def total(scalars: dict[str, Tensor]) -> Tensor:
    """What is minimised: the loss, or the sum of the losses where several players have one each."""
    if "loss" in scalars:
        return scalars["loss"]
    return sum(value for value in scalars.values() if value.requires_grad)


def far_apart(found: Outputs, wanted: Outputs) -> float | None:
    """Largest difference of two answers of the same shapes, or None if they are equal up to rounding."""
    pairs = list(zip(found, wanted, strict=True))
    if all(torch.allclose(one, other, **CLOSE) for one, other in pairs):
        return None
    return max(float((one - other).abs().max()) for one, other in pairs if one.numel())


def name_of(task: Task) -> str:
    """The name of the net's class, for messages."""
    return type(task.net).__name__


# The contracts.


def check_gradients(task: Task, batch: Batch) -> None:
    """Every trainable parameter gets a finite gradient that is not zero within three training steps."""
    task = copy.deepcopy(task).train()
    optimizer = torch.optim.Adam(task.net.parameters(), lr=LEARNING_RATE)
    waiting = {name for name, parameter in task.net.named_parameters() if parameter.requires_grad}
    for _ in range(3):  # weights that start at zero may hold back the gradients of others for a step
        optimizer.zero_grad()
        loss = total(task.step(batch))
        assert torch.isfinite(loss), f"the loss of {name_of(task)} is {loss.item()} on inputs in the usual range"
        loss.backward()
        for name, parameter in task.net.named_parameters():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), (
                    f"the gradient of {name} is not finite: look for a division by zero, a logarithm of zero "
                    "or a softmax over nothing but -inf"
                )
                if parameter.grad.any():
                    waiting.discard(name)
        optimizer.step()
    assert not waiting, (
        f"{', '.join(sorted(waiting))} got no gradient: forward does not use it, or a detach() cuts it off. "
        "Use it, delete it, or set requires_grad_(False) if it is meant to stay as it is"
    )


def check_no_mixing(task: Task, batch: Batch) -> None:
    """In evaluation mode an example gets the same answer alone and in company."""
    inputs = inputs_of(task, batch)
    together = outputs(task, inputs)
    rows = len(inputs[0])
    for output in together:
        assert output.ndim and len(output) == rows, (
            f"an output of {name_of(task)} has shape {tuple(output.shape)} for {rows} examples: the first "
            "dimension is the batch"
        )
    for row in range(rows):
        alone = outputs(task, tuple(value[row : row + 1] for value in inputs))
        apart = far_apart(alone, tuple(output[row : row + 1] for output in together))
        assert apart is None, (
            f"example {row} gets another answer alone than in its batch ({apart:.2g} apart): some operation "
            "runs over the batch dimension, such as a view that mixes it with another, a softmax over dim 0 "
            "or a batch norm in training mode"
        )


def check_padding(task: Task, batch: Batch) -> None:
    """Padding after the last token changes no answer, and a text of nothing else gives finite numbers."""
    inputs = inputs_of(task, batch)
    together = outputs(task, inputs)

    padded = tuple(F.pad(value, (0, 5), value=PAD) if is_tokens(value) else value for value in inputs)
    apart = far_apart(*without_padding(outputs(task, padded), together, inputs))
    assert apart is None, (
        f"five more columns of padding change the answer of {name_of(task)} by {apart:.2g}: mask the padding "
        f"(token {PAD}) before pooling, attention and recurrence, and mind the biases, which are not zero "
        "where the tokens are"
    )
    for row in range(len(inputs[0])):
        cut = tuple(trimmed(value[row : row + 1]) for value in inputs)
        in_batch = tuple(output[row : row + 1] for output in together)
        apart = far_apart(*without_padding(in_batch, outputs(task, cut), cut))
        assert apart is None, (
            f"a text of {cut[0].size(1)} tokens gets another answer without its padding ({apart:.2g} apart): "
            "mask the padding"
        )
    empty = outputs(task, tuple(torch.zeros_like(value) if is_tokens(value) else value for value in inputs))
    assert all(torch.isfinite(output).all() for output in empty), (
        "a text of nothing but padding gives NaN or infinity: a maximum or a softmax over no token at all "
        "needs a value of its own"
    )


def trimmed(value: Tensor) -> Tensor:
    """One row of an input without the padding at its end; tokens (1, T) keep at least one column."""
    return value[:, : max(int((value != PAD).sum()), 1)] if is_tokens(value) else value


def without_padding(longer: Outputs, shorter: Outputs, inputs: tuple) -> tuple[Outputs, Outputs]:
    """Cut answers for padded inputs to the shape of those for `inputs`; zero what both say of padding."""
    tokens = next(value for value in inputs if is_tokens(value))
    real = tokens != PAD  # (B, T)
    pairs = []
    for more, less in zip(longer, shorter, strict=True):
        by_token = less.ndim > 1 and less.shape[:2] == tokens.shape and more.size(1) >= less.size(1)
        if by_token:
            keep = real.reshape(real.shape + (1,) * (less.ndim - 2))
            more, less = more[:, : less.size(1)] * keep, less * keep
        assert more.shape == less.shape, (
            f"padding changes the shape of an answer: {tuple(less.shape)}, {tuple(more.shape)}"
        )
        pairs.append((more, less))
    return tuple(more for more, _ in pairs), tuple(less for _, less in pairs)


def check_causal(task: Task, batch: Batch) -> None:
    """What comes later in a text does not change what was said before."""
    (tokens,) = inputs_of(task, batch)
    length = tokens.size(1)
    (before,) = outputs(task, (tokens,))
    for place in (1, length // 2, length - 1):
        changed = tokens.clone()
        changed[:, place:] = torch.where(tokens[:, place:] == 2, 3, 2)
        (after,) = outputs(task, (changed,))
        apart = far_apart((after[:, :place],), (before[:, :place],))
        assert apart is None, (
            f"changing the tokens from place {place} on changes logits before it by {apart:.2g}: "
            f"{name_of(task)} sees the future. Mask attention to later places, pad convolutions on the left "
            "only, use no bidirectional layer"
        )
        assert far_apart((after[:, place:],), (before[:, place:],)) is not None, (
            f"changing the tokens from place {place} on changes nothing at all: {name_of(task)} does not "
            "look at its input"
        )


def check_learns(task: Task, batch: Batch, steps: int = 40) -> None:
    """Training on one batch again and again moves all weights and lowers the loss, if there is one."""
    task = copy.deepcopy(task)
    start = copy.deepcopy(task.net.state_dict())
    before = evaluation_loss(task, batch)
    train(task, batch, steps)
    after = evaluation_loss(task, batch)
    if before is not None:
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


def evaluation_loss(task: Task, batch: Batch) -> float | None:
    """The loss without dropout; None where several players have one each."""
    task.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        loss = task.step(batch).get("loss")
    return None if loss is None else float(loss)


def train(task: Task, batch: Batch, steps: int) -> None:
    """Train as a run does, on the same batch in every step."""
    rows = torch.arange(len(batch[-1])).repeat(steps)
    loader = Loader(Subset(TensorSplit(batch), rows), batch_size=len(batch[-1]))
    task.train()
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        trainer.fit(task, loader, loader)  # without validation data Lightning would warn that there is none


def check_save_load(task: Task, other: Task, batch: Batch) -> None:
    """`other`, built with other weights, answers as `task` does once it has loaded the weights of `task`."""
    task, other = copy.deepcopy(task), copy.deepcopy(other)
    with tempfile.TemporaryDirectory() as folder:
        task.save_weights(Path(folder))
        other.load_weights(Path(folder))
    inputs = inputs_of(task, batch)
    assert far_apart(answers(other, inputs), answers(task, inputs)) is None, (
        f"{name_of(task)} answers otherwise after its weights were saved and loaded: something it computes "
        "with is no parameter and no buffer (see register_buffer), or for an estimator not in state()"
    )


def answers(task: Task, inputs: tuple) -> Outputs:
    """What a net or an estimator says to these inputs."""
    if not isinstance(task, Estimator):
        return outputs(task, inputs)
    ask = task.net.predict_proba if task.classifies else task.net.predict
    return (torch.as_tensor(np.asarray(ask(*inputs), dtype=np.float64)),)


def check_deterministic(task: Task, twin: Task, batch: Batch) -> None:
    """`twin`, built with the same seed, has the same weights and gives the same answers."""
    if not isinstance(task, Estimator):
        ours, theirs = task.net.state_dict(), twin.net.state_dict()
        different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
        assert not different, (
            f"{', '.join(different)} differ between two nets built with one seed: draw random numbers with "
            "torch alone, from its default generator"
        )
    inputs = inputs_of(task, batch)
    same = all(torch.equal(one, other) for one, other in zip(answers(task, inputs), answers(twin, inputs), strict=True))
    assert same, (
        f"{name_of(task)} gives two answers to one question in evaluation mode: nothing may be drawn at random there"
    )


def check_export(task: Task, batch: Batch) -> None:
    """torch.export takes the net for batches of any size, and what it makes of it gives the same answers."""
    net = copy.deepcopy(task.net).eval()
    inputs = inputs_of(task, batch)
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    try:
        with warnings.catch_warnings():
            # torch's own recurrent layers keep a list of their weights, which export mentions and handles.
            warnings.filterwarnings("ignore", message=".*_flat_weights.* were assigned during export")
            program = torch.export.export(net, inputs, dynamic_shapes=shapes).module()
    except Exception as error:
        raise AssertionError(
            f"torch.export does not take {name_of(task)}: keep Python's if and loops off the values of "
            "tensors, and the size of the batch out of the code. It said: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    fewer = tuple(value[:3] for value in inputs)
    with torch.inference_mode():
        exported = flat(program(*fewer))
    apart = far_apart(exported, outputs(task, fewer))
    assert apart is None, f"the exported form of {name_of(task)} answers otherwise ({apart:.2g} apart)"


def check_estimator(task: Task, batch: Batch) -> None:
    """A fitted estimator answers in the promised shape, and better than one answer for all would be."""
    examples, targets = batch
    if task.classifies:
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


# Which contract applies to what.


def contracts(cfg: DictConfig) -> dict[str, Callable[[], None]]:
    """The checks that a composed model falls under, by name, each ready to be called."""
    task, batch = tiny(cfg)
    twin, _ = tiny(cfg)
    other, _ = tiny(cfg, seed=2)
    checks = {
        "save_load": partial(check_save_load, task, other, batch),
        "deterministic": partial(check_deterministic, task, twin, batch),
    }
    if isinstance(task, Estimator):
        for each in (task, twin):
            each.net.fit(*batch)
        return checks | {"estimator": partial(check_estimator, task, batch)}
    checks |= {
        "gradients": partial(check_gradients, task, batch),
        "no_mixing": partial(check_no_mixing, task, batch),
        "learns": partial(check_learns, task, batch),
        "export": partial(check_export, task, batch),
    }
    if any(is_tokens(value) for value in inputs_of(task, batch)):
        checks["padding"] = partial(check_padding, task, batch)
    if isinstance(task, CausalLM):
        checks["causal"] = partial(check_causal, task, batch)
    return checks


def broken(cfg: DictConfig) -> dict[str, str | None]:
    """Call every check: {contract: what is wrong}, None for one that is kept. For `runner doctor`."""
    found: dict[str, str | None] = {}
    for name, check in contracts(cfg).items():
        try:
            check()
            found[name] = None
        except AssertionError as wrong:
            found[name] = str(wrong)
    return found
