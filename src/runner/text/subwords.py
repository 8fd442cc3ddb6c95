"""Pieces of words, learnt from the training split: byte-pair encoding and WordPiece.

Sources: Rico Sennrich, Barry Haddow and Alexandra Birch, Neural Machine Translation of Rare Words with Subword Units,
ACL 2016, arXiv:1508.07909; Mike Schuster and Kaisuke Nakajima, Japanese and Korean Voice Search, ICASSP 2012, as used
in BERT, arXiv:1810.04805. The work is done by the package tokenizers.
"""

import importlib.util
import json
from collections.abc import Callable, Iterable

from runner.errors import UserError
from runner.text.vocabulary import SPECIALS

JOINED = "##"  # begins a piece of WordPiece that does not begin a word


def train(kind: str, texts: Iterable[str], vocab_size: int, min_count: int) -> dict:
    """Learn pieces from texts; return the state of the tokeniser, JSON-able.

    Args:
        kind: bpe (a piece that begins a word begins with a low line) or wordpiece (others begin with ##).
        texts: of the training split.
        vocab_size: pieces at most, PAD and UNK included.
        min_count: a pair that is rarer is not joined.

    Raises:
        UserError: the package is not installed.
    """
    _need_package(kind)
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    settings = {
        "vocab_size": vocab_size,
        "min_frequency": min_count,
        "special_tokens": list(SPECIALS),
        "show_progress": False,
    }
    if kind == "bpe":
        made = Tokenizer(models.BPE(unk_token=SPECIALS[1]))
        made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
        trainer = trainers.BpeTrainer(**settings)
    else:
        made = Tokenizer(models.WordPiece(unk_token=SPECIALS[1], max_input_chars_per_word=100))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(**settings, continuing_subword_prefix=JOINED)
    made.train_from_iterator(texts, trainer)
    return json.loads(made.to_str())


def tokenizer(state: dict) -> Callable[[str], list[str]]:
    """Return the function text -> pieces of a learnt state."""
    loaded = _loaded(state)
    return lambda text: loaded.encode(text).tokens


def vocabulary(state: dict) -> list[str]:
    """Return the pieces of a learnt state in the order of their numbers."""
    pieces = _loaded(state).get_vocab(with_added_tokens=True)
    return sorted(pieces, key=pieces.__getitem__)


def _loaded(state: dict):
    _need_package(state["model"]["type"].lower())
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(state))


def _need_package(kind: str) -> None:
    if importlib.util.find_spec("tokenizers") is None:
        raise UserError(f'data.tokenizer={kind} needs the package tokenizers: pip install "runner[data]"')
