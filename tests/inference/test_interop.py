"""Every model of the catalog in both exported forms and as plain weights; docs/interop.md says what can be exported."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from pages import ROOT
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from runner.config.catalog import choices
from runner.contracts.tiny import compose_tiny, tiny, tiny_data
from runner.errors import UserError
from runner.inference import export
from runner.inference.tensors import relative_distance, tensors_in

LONGEST = 3  # tokens of a row: a recurrent layer is written out step by step
ONE_TABLE = functools.cache(ONNXRegistry.from_torchlib)
PAGE = (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def one_table_of_operators(monkeypatch):
    """Let all exports share torch's table of ONNX operators, which takes longer to build than a tiny net to export."""
    monkeypatch.setattr(ONNXRegistry, "from_torchlib", staticmethod(ONE_TABLE))


def row_of(name: str, folders: list[Path], folder: Path) -> str:
    """What the table says of a model: what is exported of it, and which sizes it takes as .pt2 and as ONNX."""
    cfg = compose_tiny([f"model={name}"], folders)
    kind, objective = get_class(cfg.model._target_), get_class(cfg.task._target_)
    try:
        export.refuse(kind.__new__(kind), estimator=not objective.by_gradient)
    except UserError as why:
        return f"| {name} | - | {why} | |"
    (task, _), data = tiny(cfg), tiny_data(cfg)
    task.connect(data)
    batches = export.samples(task, data, LONGEST)
    assert export.export_net(task.net, batches, "safetensors", folder / "weights")[0] == 0
    programs, taken = task.programs(batches), {"torch_export": set(), "onnx": set()}
    for part, (program, inputs) in programs.items():
        traced, followed = export.follow(program.eval(), inputs)
        with torch.inference_mode():  # files of this form are read again in test_export.py
            pairs = [(tensors_in(traced.module()(*batch)), tensors_in(program(*batch))) for batch in followed]
        assert all(relative_distance(*pair) < 1e-5 for pair in pairs)
        apart, shapes = export.export_net(
            program, inputs, "onnx", folder / f"{part}.onnx", traced_as=(traced, followed)
        )
        assert apart < 1e-5 and [shape[0][0] for shape in shapes] == [len(batch[0]) for batch in inputs]
        for form, checked in (("torch_export", [[batch[0].shape] for batch in followed]), ("onnx", shapes)):
            lengths = export.lengths_taken(inputs, checked)
            taken[form] |= {"one length" if len(lengths) == 1 else "any length"} if lengths else set()
    parts = ", ".join(programs) if len(programs) > 1 else "net"
    return f"| {name} | {parts} | {' | '.join(', '.join(sizes) or 'any rows' for sizes in taken.values())} |"


def test_every_model_is_exported_as_the_page_says(model: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folders = request.config.getoption("--config-dir")
    row = row_of(model, folders, tmp_path)
    assert folders or row in PAGE.splitlines(), f"docs/interop.md needs the line {row}"


def test_the_page_names_every_model() -> None:
    assert re.findall(r"^\| (\w+) \|", PAGE.partition("|---|")[2], flags=re.MULTILINE) == choices("model")


def test_tensors_pass_to_numpy_and_back_without_a_copy() -> None:
    task, batch = tiny(compose_tiny(["model=textcnn"]))
    net = task.net.eval()
    (tokens,) = task.inputs(batch)
    array = np.from_dlpack(tokens)
    array[0, 0] = 3
    assert tokens[0, 0] == 3 and array.dtype == np.int64  # the same memory
    with torch.inference_mode():
        logits = net(torch.from_dlpack(array))
        assert torch.equal(logits, net(tokens)) and np.from_dlpack(logits).ctypes.data == logits.data_ptr()


@pytest.mark.parametrize("model_name", ["textcnn", "aae", "transformer", "lstm", "word_lm", "dqn"])
def test_answers_of_every_kind_of_number_pass_to_numpy(model_name: str) -> None:
    task, batch = tiny(compose_tiny([f"model={model_name}"]))
    with torch.inference_mode():
        for tensor in tensors_in(task.net.eval()(*task.inputs(batch))):
            again = torch.from_dlpack(np.from_dlpack(tensor))
            assert torch.equal(again, tensor) and again.data_ptr() == tensor.data_ptr()


def test_the_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads a .pt2 and an .onnx of one net and hands arrays to and fro; here both are those of a tiny net."""
    net = nn.Sequential(nn.Linear(3, 2)).eval()
    inputs = [(torch.randn(rows, 3),) for rows in export.ROWS]
    for form in ("torch_export", "onnx"):
        export.export_net(net, inputs, form, tmp_path / f"net{export.ENDINGS[form]}")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    np.save("rows.npy", np.ones((5, 3), dtype=np.float32))
    found: dict = {}
    exec(code, found)
    assert np.allclose(found["answers"], found["same"], atol=1e-6) and found["answers"].shape == (5, 2)
