"""What all datasets of tagged sentences share."""

from dataclasses import dataclass
from typing import Any, ClassVar

from runner.datamodules.base import DataModule
from runner.datamodules.pair_data import LETTERS
from runner.datamodules.parts.codecs import Codec, TextInputs
from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.tags import TaggedSentence, Tags, prepare_tags, tag_names
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import TextSettings
from runner.text.vocabulary import SPECIALS, Vocabulary


@dataclass(kw_only=True, eq=False, repr=False)
class TaggedData(DataModule):
    """Sentences with a tag for each token. A subclass writes `find_sentences`.

    Args:
        num_tags: declared number of tags: 1 for O, and 2 for each kind of span.
        vocab_size: at most this many words in the vocabulary, including PAD and UNK, at least 3.
        max_len: tokens of a sentence that are kept, at least 1.
        min_count: words rarer than this in the training split become UNK, at least 1.
        tokenizer: what cuts each word into pieces, of which the first has the tag: wordpiece, bpe, or the folder of a
            run or of a pretrained model. None = words stay whole.
        bucket: whether sentences of similar length come together in a training batch, so that there is less padding.
        short_first: in this many epochs at the beginning the sentences come from short to long, at least 0.
    """

    num_tags: int
    vocab_size: int = 10_000
    max_len: int = 100
    min_count: int = 1
    tokenizer: str | None = None
    bucket: bool = True
    short_first: int = 0

    words: ClassVar[str] = "regex"  # what cuts a text without tags into words

    @property
    def text_settings(self) -> TextSettings:
        """How sentences are encoded."""
        return TextSettings("text", self.words, self.vocab_size, self.max_len, self.min_count)

    def find_sentences(self) -> FoundRows[TaggedSentence]:
        """Return where the sentences come from.

        Raises:
            UserError: they cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find_sentences()")

    def prepare(self) -> Prepared:
        return prepare_tags(self.find_sentences(), self.text_settings, self.splitting, self.tokenizer)

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        words = [*SPECIALS, *LETTERS[: facts["vocab_size"] - len(SPECIALS)]]
        targets = Tags(tag_names(LETTERS[: facts["num_tags"] // 2]))
        return TextInputs("text", self.text_settings.pipeline(), Vocabulary(words)), targets
