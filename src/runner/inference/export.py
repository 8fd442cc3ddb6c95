"""The trained net as a file for other programs, checked against the net's own answers.

onnx: for onnxruntime and similar programs. torch_export: a .pt2 program, read by `torch.export.load`. safetensors: the
weights with the configuration and the preprocessing, a folder. huggingface: a folder for the package transformers, see
`runner.inference.hub_folder`. Only the net is exported: what turns text into numbers
is written next to it, to `preprocessing.json`.
"""

import copy
import importlib.util
import inspect
import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.errors import UserError, first_line
from runner.inference import hub_folder
from runner.inference.bundle import load_bundle
from runner.inference.tensors import relative_distance, tensors_in
from runner.tasks.base import FILES, Task

log = logging.getLogger(__name__)
OPSET = 20  # of the ONNX operators; onnxruntime reads it since 1.17
MOST_SHAPES = 3  # of the inputs of a batch that are named in what is printed
ROWS = (1, 2, 7, 32)  # batch sizes the exported net is checked with
LONGEST = 50  # tokens of a row, if the data do not say how long a row may be
TOLERANCE = 1e-4  # largest difference between an exported number and the net's own, relative to the largest number
CHATTY = ("onnxscript", "onnx_ir", "torch.onnx._internal.exporter._registration")  # about what is not installed here
ENDINGS = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": "", "huggingface": ""}

Batches = list[tuple[Tensor, ...]]
Reader = Callable[[tuple[Tensor, ...]], list[Tensor]]  # from inputs to the outputs of an exported file


def export_bundle(bundle: Path, form: str, target: Path) -> list[str]:
    """Write the net of a trained model; return lines that say where it is and how accurate.

    Args:
        bundle: the folder `model/` of a run.
        form: onnx, torch_export, safetensors or huggingface.
        target: the file, or the folder, to write.
    """
    task, data, _ = load_bundle(bundle)
    if form in ("onnx", "torch_export") or not task.by_gradient:
        refuse(task.net, estimator=not task.by_gradient)
    target.parent.mkdir(parents=True, exist_ok=True)
    if form == "huggingface":
        task.net.cpu().eval()
        inputs = [batch[:2] for batch in samples(task, data)]
        apart, tokens = hub_folder.write_folder(task.net, data, inputs, target)
        return [*said_of(target, apart, [[tuple(part.shape) for part in batch] for batch in inputs]), tokens]
    if form != "safetensors":
        shutil.copyfile(bundle / "preprocessing.json", target.with_name("preprocessing.json"))
    task.net.cpu().eval()
    inputs = samples(task, data)
    if form == "safetensors":
        return said_of(target, *export_net(task.net, inputs, form, target, bundle))
    said = []
    for name, (program, batches) in task.programs(inputs).items():
        file = target.with_stem(f"{target.stem}_{name}") if name else target
        apart, shapes = export_net(program, batches, form, file)
        said += said_of(file, apart, shapes)
        lengths = lengths_taken(batches, shapes)
        if len(lengths) == 1:
            said.append(
                f"it takes rows of exactly {lengths.pop()} tokens, padded with 0: the export unrolls recurrent layers"
            )
    return said


def refuse(net: Any, estimator: bool = False) -> None:
    """Refuse what cannot be followed, and what has no weights.

    Args:
        net: what was trained.
        estimator: whether it is one, not a net.

    Raises:
        UserError: saying why.
    """
    if estimator:
        raise UserError(f"{type(net).__name__} is an estimator, not a net: it cannot be exported. Use predict or serve")
    if hasattr(net, "no_export"):
        raise UserError(f"{type(net).__name__} cannot be exported, since {net.no_export}. Use predict or serve")


def lengths_taken(batches: Batches, shapes: list[list[tuple[int, ...]]]) -> set[int]:
    """Return the numbers of tokens of a row that an exported net was checked with; empty if there is but one number."""
    first = [batch[0] for batch in batches]
    if first[0].dtype != torch.int64 or first[0].ndim != 2 or len({tensor.shape[1] for tensor in first}) == 1:
        return set()
    return {shape[1] for shape, *_ in shapes}


def said_of(file: Path, apart: float, shapes: list[list[tuple[int, ...]]]) -> list[str]:
    """Where an exported net is and how it was checked."""
    shown = ", ".join(" and ".join(" x ".join(map(str, shape)) for shape in of_one[:MOST_SHAPES]) for of_one in shapes)
    return [str(file), f"checked with inputs of {shown}: at most {apart:.1e} from the net's own answers"]


def need_packages(form: str) -> None:
    """Refuse a format whose packages are not installed."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if form == "onnx" and missing:
        raise UserError(f'format=onnx needs {", ".join(missing)}: pip install "runner[export]"')


def export_net(
    net: nn.Module,
    batches: Batches,
    form: str,
    target: Path,
    bundle: Path | None = None,
    traced_as: tuple[torch.export.ExportedProgram, Batches] | None = None,
) -> tuple[float, list[list[tuple[int, ...]]]]:
    """Write a net and check it; return (largest relative difference, shapes of the inputs it was checked with).

    Args:
        net: the net; it is not changed, except that it is put into evaluation mode.
        batches: inputs of several sizes; the net is traced with the last one.
        form: onnx, torch_export or safetensors.
        target: the file, or the folder, to write.
        bundle: the folder `model/` of the run; safetensors copies its other files.
        traced_as: what `follow` returned for this net and these batches; None = it is followed now.

    Raises:
        UserError: the net cannot be exported, or the exported one answers differently.
    """
    net = net.cpu().eval()
    if form == "safetensors":
        reader = write_safetensors(net, target, bundle)
    else:
        program, followed = traced_as or follow(net, batches)
        whole = write_recurrent_onnx(net, target, batches) if followed is not batches and form == "onnx" else None
        batches = batches if whole else followed
        reader = whole or WRITERS[form](program, target, batches[-1])
    worst = 0.0
    with torch.inference_mode():
        for batch in batches:
            own = tensors_in(net(*batch))
            try:
                worst = max(worst, relative_distance(reader(batch), own))
            except Exception as error:  # of onnxruntime or of the program's own guards
                sizes = " and ".join(str(tuple(tensor.shape)) for tensor in batch)
                reason = str(error).strip().splitlines()[0][:200]
                raise UserError(
                    f"the exported {type(net).__name__} does not take inputs of {sizes}: {reason}"
                ) from error
    if not worst <= TOLERANCE:
        raise UserError(
            f"the exported net gives other answers than the net itself ({worst:.1e} apart); do not use {target}"
        )
    return worst, [[tuple(tensor.shape) for tensor in batch] for batch in batches]


def samples(task: Task, data: DataModule, longest: int | None = None) -> Batches:
    """Return inputs of the net of several batch sizes and, for tokens, several lengths.

    Args:
        task: the objective.
        data: what encodes the inputs.
        longest: tokens of the longest row; None = as many as the data give.
    """
    longest = longest or task.longest_input(data) or LONGEST
    sizes = zip(ROWS, (1, 3, 11, longest), strict=True)
    return [task.export_inputs(data, rows, min(length, longest)) for rows, length in sizes]


def follow(net: nn.Module, batches: Batches) -> tuple[torch.export.ExportedProgram, Batches]:
    """Return the net as a program for batches of any size and any length, and the batches to check it with.

    torch.export unrolls torch's recurrent layers, so that a program with one takes rows of one length only; the
    returned batches then all have this length.
    """
    refuse(net)
    axes = [changing([batch[place] for batch in batches]) for place in range(len(batches[-1]))]
    any_length = any(len(free) > 1 for free in axes)
    reason: Exception | None = None
    if not (any_length and loops_over_steps(net, batches[-1])):
        try:
            program = traced(net, batches[-1], axes)
            takes = program.module()
            for batch in batches:  # a program may refuse by a guard what it was said to take
                takes(*batch)
            return program, batches
        except Exception as error:  # torch.export raises many kinds, its own and those of the net's code
            reason = error
    if any_length:
        try:
            program = traced(net, batches[-1], [free[:1] for free in axes])
        except Exception as error:
            reason = error
        else:
            return program, [tuple(tensor[:rows] for tensor in batches[-1]) for rows in ROWS]
    assert reason is not None, "it has been tried at least once"
    raise UserError(f"torch.export cannot follow {type(net).__name__}: {first_line(reason)}") from reason


def loops_over_steps(net: nn.Module, batch: tuple[Tensor, ...]) -> bool:
    """Return whether one of torch's recurrent layers reads several steps: torch.export writes each of them out."""
    read: list[int] = []
    layers = [layer for layer in net.modules() if isinstance(layer, nn.RNNBase)]
    hooks = [
        layer.register_forward_pre_hook(lambda its, given: read.append(given[0].shape[1 if its.batch_first else 0]))
        for layer in layers
    ]
    try:
        with torch.inference_mode():
            net(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    return max(read, default=0) > 1


def traced(net: nn.Module, example: tuple[Tensor, ...], free: list[list[int]]) -> torch.export.ExportedProgram:
    """Return the net as a program whose inputs may differ from the example in the axes `free`."""
    shapes: tuple[Any, ...] = tuple({axis: torch.export.Dim.DYNAMIC for axis in axes} for axes in free)
    if any(each.kind is each.VAR_POSITIONAL for each in inspect.signature(net.forward).parameters.values()):
        shapes = (shapes,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own layers
        return torch.export.export(net, example, dynamic_shapes=shapes)


def changing(tensors: list[Tensor]) -> list[int]:
    """Return the axes in which these inputs differ."""
    return [axis for axis in range(tensors[0].ndim) if len({tensor.shape[axis] for tensor in tensors}) > 1]


# One writer for each format: it returns a function from inputs to the outputs of the file it has written.


def write_torch_export(program: torch.export.ExportedProgram, target: Path, example: tuple) -> Reader:
    """Write a .pt2 file."""
    torch.export.save(program, target)
    module = torch.export.load(target).module()
    return lambda batch: tensors_in(module(*batch))


def write_onnx(program: torch.export.ExportedProgram, target: Path, example: tuple) -> Reader:
    """Write an .onnx file, weights included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of onnxscript about its own future
        names = [f"input_{number}" for number in range(len(example))] if len(example) > 1 else ["input"]
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            written = torch.onnx.export(
                program, (), input_names=names, opset_version=OPSET, dynamo=True, verbose=False, external_data=False
            )
        except torch.onnx.errors.OnnxExporterError as error:
            why = first_line(error.__cause__ or error)
            raise UserError(
                f"torch cannot write {target.name} as ONNX; try format=torch_export. It said: {why}"
            ) from error
        assert written is not None
        written.save(target, external_data=False)
    return onnx_reader(target)


def write_recurrent_onnx(net: nn.Module, target: Path, batches: Batches) -> Reader | None:
    """Write an .onnx file by torch's older exporter, which keeps torch's recurrent layers whole: any length works.

    Returns:
        None if the net loops over the steps itself, which this exporter unrolls.
    """
    names = [f"input_{number}" for number in range(len(batches[-1]))] if len(batches[-1]) > 1 else ["input"]
    words = {0: "batch", 1: "length", 2: "length_2", 3: "length_3"}
    axes = {
        name: {axis: words[axis] for axis in changing([batch[place] for batch in batches])}
        for place, name in enumerate(names)
    }
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that it is the older one
        torch.onnx.export(
            net, batches[-1], str(target), input_names=names, dynamic_axes=axes, opset_version=17, dynamo=False
        )
        reader = onnx_reader(target)
        try:
            agree = all(relative_distance(reader(batch), tensors_in(net(*batch))) <= TOLERANCE for batch in batches)
        except Exception as error:  # of onnxruntime, about a shape
            log.debug("an unrolled loop: %s", error)
            agree = False
    return reader if agree else None


def onnx_reader(target: Path) -> Reader:
    """Return a function from inputs to the outputs that onnxruntime gets from a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])
    wanted = [each.name for each in session.get_inputs()]

    def read(batch: tuple[Tensor, ...]) -> list[Tensor]:
        given = dict(zip(wanted, (tensor.numpy() for tensor in batch), strict=True))
        return [torch.from_numpy(np.asarray(value)) for value in session.run(None, given)]

    return read


def write_safetensors(net: nn.Module, target: Path, bundle: Path | None) -> Reader:
    """Write a folder with weights.safetensors and, from the bundle, all the rest: it is a bundle itself."""
    from safetensors.torch import load_model, save_model

    target.mkdir(parents=True, exist_ok=True)
    save_model(net, str(target / "weights.safetensors"))
    if bundle is not None:
        for name in ("config.yaml", "preprocessing.json"):
            shutil.copyfile(bundle / name, target / name)
        if (bundle / FILES).is_dir():
            shutil.copytree(bundle / FILES, target / FILES, dirs_exist_ok=True)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    load_model(twin, str(target / "weights.safetensors"))
    return lambda batch: tensors_in(twin(*batch))


WRITERS = {"onnx": write_onnx, "torch_export": write_torch_export}
