"""Exported nets answer as the net itself, for any batch and any length; what cannot be exported is refused clearly."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from runner.contracts.tiny import compose_tiny, tiny
from runner.errors import UserError
from runner.inference import export

LENGTHS = (1, 3, 5, 8)  # tokens of a row


def batches(model: str) -> tuple[nn.Module, list[tuple[torch.Tensor, ...]]]:
    """A tiny net, and inputs of it of several batch sizes and lengths."""
    task, batch = tiny(compose_tiny([f"model={model}"]))
    generator = torch.Generator().manual_seed(0)
    found = []
    for rows, length in zip(export.ROWS, LENGTHS, strict=True):
        inputs = []
        for tensor in task.inputs(batch):
            shape = (rows, *tensor.shape[1:]) if tensor.is_floating_point() else (rows, length)
            values = torch.randn(shape, generator=generator)
            inputs.append(values if tensor.is_floating_point() else values.abs().mul(3).long().clamp(1, 9))
        found.append(tuple(inputs))
    return task.net, found


@pytest.mark.parametrize("net_name", ["textcnn", "mlp", "char_rnn", "vae", "gan", "gpt"])
@pytest.mark.parametrize("form", ["torch_export", "safetensors"])
def test_answers_are_those_of_the_net(net_name: str, form: str, tmp_path: Path) -> None:
    net, inputs = batches(net_name)
    apart, shapes = export.export_net(net, inputs, form, tmp_path / f"net{export.ENDINGS[form]}")
    assert apart < 1e-5 and [shape[0][0] for shape in shapes] == list(export.ROWS)
    lengths = {shape[0][1] for shape in shapes}
    assert net_name not in ("textcnn", "gpt") or lengths == set(LENGTHS)
    assert net_name != "char_rnn" or lengths == ({8} if form == "torch_export" else set(LENGTHS))
    assert (tmp_path / f"net{export.ENDINGS[form]}").exists()


@pytest.mark.parametrize("net_name", ["textcnn", "char_rnn"])
def test_onnx_answers_are_those_of_the_net(net_name: str, tmp_path: Path) -> None:
    import onnxruntime

    net, inputs = batches(net_name)
    apart, shapes = export.export_net(net, inputs, "onnx", tmp_path / "net.onnx")
    assert apart < 1e-5 and [shape[0] for shape in shapes] == [tuple(batch[0].shape) for batch in inputs]
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]  # the weights are inside
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert isinstance(session.get_inputs()[0].shape[0], str)  # a free size has a name instead of a number


def test_a_file_that_answers_otherwise_is_reported(tmp_path: Path, monkeypatch) -> None:
    net, inputs = batches("mlp")
    monkeypatch.setitem(export.WRITERS, "torch_export", lambda *_: lambda batch: [net(*batch) + 1])
    with pytest.raises(UserError, match=r"gives other answers than the net itself \(1\.\de\+00 apart\)"):
        export.export_net(net, inputs, "torch_export", tmp_path / "net.pt2")


class AsksValues(nn.Module):
    """A net that torch.export cannot follow: its way depends on the numbers."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * 2 if values.sum() > 0 else values


def test_a_net_that_cannot_be_followed_is_named(tmp_path: Path) -> None:
    inputs = [(torch.randn(rows, 3),) for rows in export.ROWS]
    with pytest.raises(UserError, match="cannot follow AsksValues"):
        export.export_net(AsksValues(), inputs, "torch_export", tmp_path / "net.pt2")


def test_packages_that_are_missing_are_named(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "runner\[export\]"'):
        export.need_packages("onnx")


WRITERS = ["seq2seq", "gru_maxout", "attention_seq2seq", "conv_seq2seq", "title_gru", "transformer"]


@pytest.mark.parametrize("name", WRITERS)
def test_an_encoder_decoder_is_two_programs(name: str, tmp_path: Path) -> None:
    """They write what the net writes, for a batch of a size that they were not traced with."""
    task, _ = tiny(compose_tiny([f"model={name}"]))
    net = task.net.eval()
    draw = torch.Generator().manual_seed(0)
    sources = [(torch.randint(2, 20, shape, generator=draw),) for shape in zip(export.ROWS, LENGTHS, strict=True)]
    programs = task.programs(sources)
    assert list(programs) == ["encoder", "decoder"]
    written = {}
    for part, (program, inputs) in programs.items():
        apart, _ = export.export_net(program, inputs, "torch_export", tmp_path / f"{part}.pt2")
        assert apart < 1e-5
        written[part] = torch.export.load(tmp_path / f"{part}.pt2").module()
    src = torch.randint(2, 20, (5, LENGTHS[-1]), generator=draw)
    state, parts = net.start(src), written["encoder"](src)
    token = src[:, 0]
    for _ in range(4):
        expected, state = net.step(token, state)
        logits, *parts = written["decoder"](token, *parts)
        assert torch.allclose(logits, expected, atol=1e-5)
        token = expected.argmax(dim=1)


def test_the_step_of_an_encoder_decoder_is_written_as_onnx(tmp_path: Path) -> None:
    task, _ = tiny(compose_tiny(["model=attention_seq2seq"]))
    sources = [(torch.randint(2, 20, shape),) for shape in zip(export.ROWS, LENGTHS, strict=True)]
    for part, (program, inputs) in task.programs(sources).items():
        apart, shapes = export.export_net(program, inputs, "onnx", tmp_path / f"{part}.onnx")
        assert apart < 1e-5 and shapes[0] == [tuple(tensor.shape) for tensor in inputs[0]]
