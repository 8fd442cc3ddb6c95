"""What datasets of texts share that may be read while a net trains, instead of being encoded before."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.streamed import StreamSettings, StreamSource, prepare_stream
from runner.datamodules.text_data import TextData
from runner.errors import UserError


@dataclass(kw_only=True, eq=False, repr=False)
class StreamableTexts(TextData):
    """Texts of any number.

    Args:
        streaming: whether the training rows are read from the source again in every epoch, a block at a time, so that
            neither memory nor disk holds all of them.
        block: rows that are shuffled together with streaming, at least 1; they are in memory.
        held_out: rows of the validation split and of the test split with streaming, at least 1.
        vocab_rows: training rows that the vocabulary is made from with streaming, at least 1.
    """

    streaming: bool = False
    block: int = 10_000
    held_out: int = 1000
    vocab_rows: int = 100_000

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {
            "bucket": self.bucket, "short_first": self.short_first, "sentence_len": self.sentence_len is not None,
            "train_share": self.train_share < 1,
        }  # fmt: skip
        if self.streaming and any(given.values()):
            key = next(name for name, value in given.items() if value)
            raise UserError(
                f"data.{key} does not go with data.streaming=true, which reads plain rows of words in their order."
            )

    def streamed(
        self,
        found: StreamSource,
        text: str | None,
        others: bool,
        class_names: Sequence[str] | None,
        target_names: Sequence[str],
    ) -> Prepared:
        """Return the splits of a source that is read while a net trains.

        Args:
            found: the source.
            text: the text column.
            others: whether other columns are read beside it.
            class_names: names of the classes, or `LabelNames`; None = the targets are real values.
            target_names: names of the real-valued targets.

        Raises:
            UserError: something other than one text column is to be read, or rows are to be divided into folds.
        """
        if text is None or others:
            raise UserError("data.streaming=true is for one text column: name it, data.text=COLUMN, and no other one.")
        if self.fold or self.test_share is not None:
            raise UserError("data.streaming=true keeps data.held_out rows for validation and test: there are no folds.")
        how = StreamSettings(self.block, self.held_out, self.vocab_rows)
        return prepare_stream(found, self.encoded(text), how, class_names, target_names)
