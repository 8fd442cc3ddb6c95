"""From a text to numbers and back: tokenisers, words that are left out, stems, subwords, the vocabulary."""

from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.tokenizers import TOKENIZERS, char, jieba, penn, regex, tokenizer, truncated, word
from runner.text.vocabulary import END, MASK, PAD, SPECIALS, START, UNK, Vocabulary

__all__ = [
    "END",
    "MASK",
    "PAD",
    "SPECIALS",
    "START",
    "TOKENIZERS",
    "UNK",
    "Pipeline",
    "TokenSettings",
    "Vocabulary",
    "char",
    "jieba",
    "penn",
    "regex",
    "tokenizer",
    "truncated",
    "word",
]
