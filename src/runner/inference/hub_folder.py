"""A net of this package as a folder in the Hugging Face layout: config.json, model.safetensors, and its tokeniser.

A net that the package transformers has too says so in `hub_layout()`. The folder is written by that package, read again
with its Auto classes, and compared with the net.

Shape letters: B batch, T tokens.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.tags import Tags
from runner.errors import UserError
from runner.inference.tensors import relative_distance, tensors_in
from runner.models.layers.hub_layouts import Layout
from runner.models.layers.huggingface import transformers
from runner.text.pretrained_pieces import numbered
from runner.text.vocabulary import END, MASK, PAD, SPECIALS, START, UNK

TOLERANCE = 1e-4  # largest difference between a number of theirs and ours, relative to the largest number


def layout_of(net: Any) -> Layout:
    """Return a net in the words of the package transformers.

    Raises:
        UserError: the package has no such net.
    """
    if not hasattr(net, "hub_layout"):
        raise UserError(
            f"format=huggingface is for nets that the package transformers has too, such as bert and gpt, not "
            f"{type(net).__name__}. Take format=safetensors"
        )
    try:
        return net.hub_layout()
    except ValueError as error:
        raise UserError(str(error)) from error


def write_folder(net: nn.Module, data: DataModule, inputs: list[tuple[Tensor, ...]], folder: Path) -> tuple[float, str]:
    """Write a net; return the largest difference to what AutoModel reads, and a line about its tokens.

    Args:
        net: in evaluation mode.
        data: what it was trained on, whose tokens and classes the folder names.
        inputs: batches to compare with.
        folder: it is made if need be.

    Raises:
        UserError: there is no such net there, the package is missing, or what is read answers differently.
    """
    try:
        package = transformers()
    except ImportError as error:
        raise UserError(str(error)) from error
    layout = layout_of(net)
    config = getattr(package, layout.config)(**layout.settings | label_names(data))
    made = getattr(package, layout.model)(config)
    made.load_state_dict(layout.weights)
    made.save_pretrained(folder)
    said = write_tokenizer(package, data, folder, layout.settings)
    read = getattr(package, layout.model).from_pretrained(folder, local_files_only=True).eval()
    worst = 0.0
    with torch.inference_mode():
        for batch in inputs:
            worst = max(worst, relative_distance(theirs(read, *batch), ours(net, *batch)))
    if not worst <= TOLERANCE:
        raise UserError(f"what is read from {folder} answers differently ({worst:.1e} apart); do not use it")
    return worst, said


def theirs(model: Any, tokens: Tensor, segments: Tensor | None = None) -> list[Tensor]:
    """The logits of a model of the package transformers."""
    given = {} if segments is None else {"token_type_ids": segments}
    said = model(input_ids=tokens, attention_mask=(tokens != PAD).long(), **given)
    if hasattr(said, "start_logits"):
        return [torch.stack([said.start_logits, said.end_logits], dim=2)]
    if hasattr(said, "prediction_logits"):
        return [said.prediction_logits, said.seq_relationship_logits]
    return [said.logits]


def ours(net: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """The logits of our net."""
    return tensors_in(net(*inputs))


def label_names(data: DataModule) -> dict[str, Any]:
    """The names of classes or tags, as a configuration has them."""
    names = data.targets.names if isinstance(data.targets, Tags) else data.class_names
    if names is None:
        return {} if data.target_names is None else {"num_labels": len(data.target_names), "problem_type": "regression"}
    numbers = {name: number for number, name in enumerate(names)}
    return {"id2label": {number: name for name, number in numbers.items()}, "label2id": numbers}


def write_tokenizer(package: Any, data: DataModule, folder: Path, settings: Mapping[str, Any]) -> str:
    """Write the tokeniser, where the package tokenizers has one that cuts as the data do; say so in a line."""
    pieces = as_pieces(data)
    if pieces is None:
        (folder / "vocabulary.json").write_text(json.dumps(tokens_by_number(data)), encoding="utf-8")
        return "its texts are not cut into pieces, so there is no tokeniser: vocabulary.json has the tokens by number"
    from tokenizers import Tokenizer

    names = {"pad": SPECIALS[PAD], "unk": SPECIALS[UNK], "cls": START, "sep": END, "mask": MASK}
    known = set(tokens_by_number(data))
    longest = settings.get("max_position_embeddings") or settings.get("n_positions")
    package.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(pieces)),
        model_max_length=longest,
        model_input_names=[
            "input_ids",
            *(["token_type_ids"] if "type_vocab_size" in settings else []),
            "attention_mask",
        ],
        **{f"{name}_token": token for name, token in names.items() if token in known},
    ).save_pretrained(folder)
    return "with its tokeniser"


def tokens_by_number(data: DataModule) -> list[str]:
    """The tokens by number."""
    vocabulary = getattr(data.inputs, "vocabulary", None)
    return [] if vocabulary is None else vocabulary.tokens


def as_pieces(data: DataModule) -> dict | None:
    """What cuts the texts, as the package tokenizers writes it; None = they are not cut into pieces."""
    pipeline = getattr(data.inputs, "pipeline", None)
    vocabulary = getattr(data.inputs, "vocabulary", None)
    if pipeline is None or vocabulary is None or not pipeline.learned:
        return None
    return numbered(pipeline.learned, vocabulary.tokens, vocabulary.specials)
