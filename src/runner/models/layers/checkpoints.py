"""Whole pretrained models in a folder of the Hugging Face layout, used as they are, and their tokenisers.

Only safetensors are read, nothing is fetched and no code of a checkpoint is run.
"""

from pathlib import Path
from typing import Any

import torch

from runner.models.layers.huggingface import check_folder, has_weights, transformers


def with_head(folder: str | Path, kind: str) -> Any:
    """Return a pretrained model with its head, in float32 and in evaluation mode.

    Args:
        folder: in the Hugging Face layout.
        kind: the class of the package transformers that loads it, such as AutoModelForCausalLM.

    Raises:
        ValueError: the folder lacks something, or holds a model of another kind.
        ImportError: the package transformers is not installed.
    """
    check_folder(folder)
    if not has_weights(folder):
        raise ValueError(f"{folder} has no weights in safetensors, the only format that is read")
    try:
        made, info = getattr(transformers(), kind).from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} cannot be read: {str(error).strip().splitlines()[0]}") from error
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"]))
        raise ValueError(f"{folder} is no model for {kind}: it lacks the weights {missing}")
    return made.eval()


def pieces_of(folder: str | Path) -> Any:
    """Return the tokeniser of a folder, whatever special tokens it has.

    Raises:
        ValueError: it has none that can be read.
    """
    check_folder(folder)
    try:
        return transformers().AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} has no tokeniser that can be read: {str(error).strip().splitlines()[0]}") from error
