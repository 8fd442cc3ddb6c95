"""Pretrained encoders in a folder of the Hugging Face layout: config.json, model.safetensors and the tokeniser's files.

Nothing here reaches for the hub, runs code of a checkpoint or reads a pickle: weights are read from safetensors alone.
The packages transformers and peft (extra "pretrained") are imported on first use, because most runs do not need them.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn


def transformers() -> Any:
    """Return the package, told to be silent.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import transformers as package
    except ImportError as error:
        raise ImportError(
            'a pretrained model needs the package transformers: pip install "runner[pretrained]"'
        ) from error
    package.utils.logging.set_verbosity_error()
    package.utils.logging.disable_progress_bar()
    return package


def check_folder(folder: str | Path) -> None:
    """Raise ValueError unless a folder has a config.json."""
    if not Path(folder, "config.json").is_file():
        raise ValueError(
            f"{folder} has no config.json: a folder in the Hugging Face layout is wanted; a model of the hub is "
            "fetched by '${hub_model:ID,COMMIT}'"
        )


def has_weights(folder: str | Path) -> bool:
    """Return whether a folder has weights: one inside the model of a run has none."""
    return any(Path(folder).glob("*.safetensors"))


def tokenizer_of(folder: str | Path) -> Any:
    """Return the tokeniser of a folder.

    Raises:
        ValueError: it has none, or one without padding or without a token for what is unknown.
    """
    check_folder(folder)
    try:
        found = transformers().AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} has no tokeniser that can be read: {str(error).strip().splitlines()[0]}") from error
    if found.pad_token_id is None or found.unk_token_id is None:
        raise ValueError(
            f"the tokeniser of {folder} has no padding token or no unknown token, as those of encoders have"
        )
    return found


def special_numbers(tokenizer: Any) -> list[int]:
    """Return the numbers of padding, unknown, start mark and end mark; without the marks where a text gets none."""
    marks = [tokenizer.cls_token_id, tokenizer.sep_token_id]
    return [tokenizer.pad_token_id, tokenizer.unk_token_id, *(marks if None not in marks else [])]


def numbering(tokenizer: Any, size: int) -> list[int]:
    """Return the checkpoint's numbers of its tokens in the order in which they are numbered here.

    Here padding is 0 and unknown is 1, then come the marks; all others keep their order.

    Args:
        tokenizer: see `tokenizer_of`.
        size: how many tokens there are.
    """
    first = special_numbers(tokenizer)
    return [*first, *(number for number in range(size) if number not in first)]


def encoder(folder: str | Path, num_layers: int | None = None) -> Any:
    """Return the encoder of a folder with its weights, in float32, without the layer that some have on top ("pooler").

    A folder inside the model of a run (`files/path`) has no weights: they are in the run's own file and loaded later.

    Args:
        folder: in the Hugging Face layout.
        num_layers: the first so many layers; None = all.

    Raises:
        ValueError: the folder lacks something, or its weights are not those of the model that it describes.
    """
    check_folder(folder)
    library = transformers()
    try:
        config = library.AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        if num_layers is not None:
            if num_layers > config.num_hidden_layers:
                raise ValueError(f"num_layers={num_layers}: {folder} has {config.num_hidden_layers}")
            config.num_hidden_layers = num_layers
        if not has_weights(folder):
            if not Path(folder, "..", "..", "weights.safetensors").is_file():
                raise ValueError(f"{folder} has no weights in safetensors, the only format that is read")
            made, missing = library.AutoModel.from_config(config, trust_remote_code=False, dtype=torch.float32), []
        else:
            made, info = library.AutoModel.from_pretrained(
                str(folder), config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                dtype=torch.float32, output_loading_info=True,
            )  # fmt: skip
            missing = [name for name in info["missing_keys"] if not name.startswith("pooler.")]
    except OSError as error:
        raise ValueError(f"{folder} cannot be read: {str(error).strip().splitlines()[0]}") from error
    if missing:
        raise ValueError(f"{folder} lacks weights of the model that its config.json describes: {', '.join(missing)}")
    if getattr(made, "pooler", None) is not None:
        made.pooler = None
    return made


def add_lora(net: nn.Module, rank: int, alpha: int, dropout: float) -> None:
    """Freeze a net and add to every linear layer a trained product of two thin matrices, B A * alpha / rank.

    Source: Edward Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022, arXiv:2106.09685; here all
    linear layers are adapted, not only queries and values.

    Args:
        net: an encoder of the package transformers.
        rank: columns of B and rows of A.
        alpha: how much the product counts.
        dropout: share of its inputs dropped in training.

    Raises:
        ImportError: the package peft is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise ImportError('LoRA needs the package peft: pip install "runner[pretrained]"') from error
    settings = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear")
    peft.inject_adapter_in_model(settings, net)
