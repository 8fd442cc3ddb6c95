"""What all datasets of tagged sentences share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from runner.datamodules.base import DataModule
from runner.datamodules.pair_data import LETTERS
from runner.datamodules.parts.codecs import Codec, TextInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tags import TaggedSentence, Tags, prepare_tags, tag_names
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import TextSettings
from runner.text.vocabulary import SPECIALS, Vocabulary


class FoundSentences(NamedTuple):
    """The sentences of a dataset, and a description of them.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the sentences.
        source: one line that says where the sentences come from.
        digest: SHA-256 of what is read.
        reading: what else decides which sentences there are, JSON-able.
    """

    name: str
    rows: Callable[[], Iterable[TaggedSentence]]
    source: str
    digest: str
    reading: dict[str, Any]


@dataclass(kw_only=True, eq=False, repr=False)
class TaggedData(DataModule):
    """Sentences with a tag for each token. A subclass writes `find_sentences`.

    Args:
        num_tags: declared number of tags: 1 for O, and 2 for each kind of span.
        vocab_size: at most this many words in the vocabulary, including PAD and UNK, at least 3.
        max_len: tokens of a sentence that are kept, at least 1.
        min_count: words rarer than this in the training split become UNK, at least 1.
        bucket: whether sentences of similar length come together in a training batch, so that there is less padding.
    """

    num_tags: int
    vocab_size: int = 10_000
    max_len: int = 100
    min_count: int = 1
    bucket: bool = True

    tokenizer: ClassVar[str] = "regex"  # what cuts a text without tags

    @property
    def text_settings(self) -> TextSettings:
        """How sentences are encoded."""
        return TextSettings("text", self.tokenizer, self.vocab_size, self.max_len, self.min_count)

    def find_sentences(self) -> FoundSentences:
        """Return where the sentences come from.

        Raises:
            UserError: they cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find_sentences()")

    def prepare(self) -> Prepared:
        found = self.find_sentences()
        return prepare_tags(
            found.name,
            found.rows,
            self.text_settings,
            self.splitting,
            source=found.source,
            digest=found.digest,
            reading=found.reading,
        )

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        words = [*SPECIALS, *LETTERS[: facts["vocab_size"] - len(SPECIALS)]]
        targets = Tags(tag_names(LETTERS[: facts["num_tags"] // 2]))
        return TextInputs("text", self.text_settings.pipeline(), Vocabulary(words)), targets
