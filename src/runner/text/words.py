"""Stop words, and reducing words to their stems."""

import functools
import importlib.util
import json
from collections.abc import Callable

from runner.errors import UserError, closest
from runner.files import sources

PACKAGE, FILE = "stopwordsiso", "stopwordsiso/stopwords-iso.json"
CODES = {
    "arabic": "ar", "chinese": "zh", "danish": "da", "dutch": "nl", "finnish": "fi", "french": "fr", "german": "de",
    "hungarian": "hu", "italian": "it", "japanese": "ja", "korean": "ko", "norwegian": "no", "portuguese": "pt",
    "romanian": "ro", "russian": "ru", "spanish": "es", "swedish": "sv", "turkish": "tr",
}  # fmt: skip


def stop_words(language: str) -> list[str]:
    """Return the stop words of a language, sorted: scikit-learn's for English, otherwise those of stopwords-iso.

    Args:
        language: its English name, such as "english" or "chinese".

    Raises:
        UserError: there is no list for the language, or the package with it is not installed.
    """
    if language == "english":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # late: most runs keep all words

        return sorted(ENGLISH_STOP_WORDS)
    if language not in CODES:
        known = ["english", *CODES]
        raise UserError(
            f'data.stopwords="{language}" is not known. Allowed: {", ".join(known)}, or null.{closest(language, known)}'
        )
    file = sources.package_file(PACKAGE, FILE, extra="data")
    return sorted(json.loads(file.read_text(encoding="utf-8"))[CODES[language]])


def stemmer(language: str) -> Callable[[list[str]], list[str]]:
    """Return the function words -> stems of a language (Porter's Snowball stemmers).

    Raises:
        UserError: there is no stemmer for the language, or the package is not installed.
    """
    if importlib.util.find_spec("snowballstemmer") is None:
        raise UserError('data.stem needs the package snowballstemmer: pip install "runner[data]"')
    import snowballstemmer

    known = sorted(snowballstemmer.algorithms())
    if language not in known:
        raise UserError(
            f'data.stem="{language}" is not known. Allowed: {", ".join(known)}, or null.{closest(language, known)}'
        )
    stem = functools.lru_cache(maxsize=1 << 17)(snowballstemmer.stemmer(language).stemWord)  # texts repeat their words
    return lambda words: [stem(word) for word in words]
