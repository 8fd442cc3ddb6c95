"""What all datasets of pairs of texts with a class share: a dataset defines where its rows come from."""

from dataclasses import dataclass
from typing import Any, ClassVar

from runner.datamodules.pair_data import LETTERS
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.pairs import MARKS
from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.targets import Classes, Targets
from runner.datamodules.parts.text_pairs import PairedRow, PairInputs, prepare_text_pairs
from runner.datamodules.text_data import TextData
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import Vocabulary


@dataclass(kw_only=True, eq=False, repr=False)
class TextPairData(TextData):
    """Pairs of texts with one class each. A subclass writes `find_pairs`, and says how columns and classes are called.

    Args:
        num_classes: declared number of classes.
    """

    num_classes: int = 2
    max_len: int = 128

    names: ClassVar[tuple[str, str]]  # the raw columns of first and second text
    class_names_found: ClassVar[tuple[str, ...]]  # names of the classes, in order

    def find_pairs(self) -> FoundRows[PairedRow]:
        """Return where the pairs come from.

        Raises:
            UserError: they cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find_pairs()")

    def prepare(self) -> Prepared:
        return prepare_text_pairs(self.find_pairs(), self.names, self.encoded(), self.splitting, self.class_names_found)

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        words = Vocabulary([*MARKS, *LETTERS[: facts["vocab_size"] - len(MARKS)]], MARKS)
        inputs = PairInputs(self.names, Pipeline(TokenSettings("word"), facts["max_len"]), words)
        return inputs, Classes(self.class_names_found)
