"""A tiny encoder with random weights in the Hugging Face layout, written by the tests: nothing is fetched."""

import importlib.util
from pathlib import Path

import pytest

WORDS = ["a", "fine", "dull", "film", "the", "plot", "##ly", "##ness", "un", "##s", ".", "really", "number", ","]
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason='the extra "pretrained" is not installed'
)


def write_encoder(folder: Path, marks_first: bool = False) -> Path:
    """Write a BERT of two layers of eight units; its padding is not 0 unless `marks_first` is False.

    Args:
        folder: where to; it is made.
        marks_first: whether [CLS] and [SEP] have the numbers 0 and 1, as those of RoBERTa, and padding another one.
    """
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    marks, others = ["[CLS]", "[SEP]"], ["[PAD]", "[unused0]", "[UNK]"]
    tokens = [*marks, *others, "[MASK]", *WORDS] if marks_first else [*others, *marks, "[MASK]", *WORDS]
    numbers = {token: number for number, token in enumerate(tokens)}
    pieces = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [(token, numbers[token]) for token in marks]
    pieces.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    pieces.enable_truncation(4)  # as checkpoints often have it: it must not count
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, **names).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(tokens), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40, pad_token_id=numbers["[PAD]"], initializer_range=0.5,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder
