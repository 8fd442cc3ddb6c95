"""Characters of a text as one long stream, for language models: any text file, or the packaged film reviews.

Prepared once: `tokens.npy` (one byte a character where the vocabulary allows it), `ends.npy` (where the
training and the validation part end) and `meta.json` are in the cache and are memory-mapped.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.movie_reviews import FILE, PACKAGE, shuffled_reviews
from runner.datamodules.parts.codecs import TextInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import PARTS
from runner.datamodules.parts.token_store import LaneSplit, WindowSplit, one_document
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.tables import TableFile
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.tokenizers import blocks
from runner.text.vocabulary import SPECIALS, UNK, Vocabulary

SHARES = (0.9, 0.95)  # where training and validation end, as shares of the text
CHUNK = 1 << 20  # characters handled at a time
UNICODE = 0x110000  # number of code points
VIEWS = {"windows": WindowSplit, "stream": LaneSplit}


@dataclass(kw_only=True, eq=False, repr=False)
class Characters(DataModule):
    """Windows of `context_len` characters; the first 90 % of the text is for training, 5 % each for
    validation and test.

    The text is cut at ends of lines. The packaged reviews are put into a fixed random order, one per line.

    Args:
        path: a text file; None = the packaged IMDB reviews.
        max_chars: read no more characters than this, at least 1; None = all.
        vocab_size: at most this many characters in the vocabulary, including PAD and UNK, at least 3; the rest becomes
            UNK.
        context_len: characters of a window, at least 1.
        encoding: of the file.
        view: what a row of a batch is: windows, in random order in training, or the same as a stream in which each row
            continues that of the batch before.
    """

    token_unit: ClassVar[str] = "character"

    path: str | None = None
    max_chars: int | None = 1_000_000
    vocab_size: int = 128
    context_len: int = 64
    encoding: str = "utf-8"
    view: Literal["windows", "stream"] = "windows"
    batch_size: int = 64

    def prepare(self) -> Prepared:
        if self.path is None:
            file, source = (
                sources.package_file(PACKAGE, FILE),
                f"{sources.package_source(PACKAGE, FILE)}, rows of imdb",
            )
        else:
            file, source = Path(self.path), f"text {self.path}"
            TableFile(file, str(self.path), self.encoding, format="txt")  # checks that it exists and is not empty
        digest = cache.file_digest(file)
        key = {
            "digest": digest,
            "packaged": self.path is None,
            "max_chars": self.max_chars,
            "vocab_size": self.vocab_size,
            "encoding": self.encoding,
        }
        folder = cache.prepared("characters", key, self._write)
        tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        ends = [0, *np.load(folder / "ends.npy").tolist()]
        vocabulary = Vocabulary(json.loads((folder / "meta.json").read_text(encoding="utf-8"))["vocabulary"])
        streams = {part: tokens[ends[number] : ends[number + 1]] for number, part in enumerate(PARTS)}
        for part, stream in streams.items():
            if len(stream) <= self.context_len:
                raise UserError(
                    f"{source}: the {part} part has {len(stream)} characters, too few for one window of "
                    f"data.context_len={self.context_len} and the next character. Give more text or a shorter context."
                )
        view = VIEWS[self.view]
        made: dict[str, Any] = {part: view(one_document(stream), self.context_len) for part, stream in streams.items()}
        inputs = TextInputs("text", Pipeline(TokenSettings("char")), vocabulary)
        rows = StreamRows(streams, self.context_len, inputs)
        return Prepared(inputs, None, **made, rows=rows, source=source, digest=digest)

    def _texts(self) -> Iterator[str]:
        """Yield lines, each with its line break."""
        if self.path is not None:
            for _, cells in TableFile(self.path, encoding=self.encoding, format="txt").rows():
                yield cells["text"] + "\n"
            return
        yield from (f"{text}\n" for text in shuffled_reviews())

    def _write(self, folder: Path) -> None:
        """Write code points first, then replace them by character numbers counted in the training part."""
        codes_file = folder / "codes.bin"
        length = write_codes(codes_file, self._texts(), self.max_chars)
        if not length:
            raise UserError(f"{self.path} holds no characters.")
        codes = np.memmap(codes_file, dtype=np.uint32, mode="r")
        ends = [*(line_end(codes, int(length * share)) for share in SHARES), length]
        counts = np.zeros(UNICODE, dtype=np.int64)
        for start in range(0, ends[0], CHUNK):
            counts += np.bincount(codes[start : min(start + CHUNK, ends[0])], minlength=UNICODE)
        seen = {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}
        vocabulary = Vocabulary.build(seen, self.vocab_size)

        numbers = np.full(UNICODE, UNK, dtype=np.uint8 if len(vocabulary) <= 256 else np.int32)
        for number, character in enumerate(vocabulary.tokens[len(SPECIALS) :], len(SPECIALS)):
            numbers[ord(character)] = number
        tokens = np.lib.format.open_memmap(folder / "tokens.npy", mode="w+", dtype=numbers.dtype, shape=(length,))
        for start in range(0, length, CHUNK):
            tokens[start : start + CHUNK] = numbers[codes[start : start + CHUNK]]
        tokens.flush()
        del codes, tokens
        codes_file.unlink()
        np.save(folder / "ends.npy", np.array(ends))
        meta = json.dumps({"vocabulary": vocabulary.tokens}, ensure_ascii=False)
        (folder / "meta.json").write_text(meta, encoding="utf-8")


class StreamRows:
    """Raw rows of a stream: its windows as text.

    Args:
        streams: character numbers of each split.
        context_len: characters of a window, at least 1.
        inputs: decodes character numbers.
    """

    def __init__(self, streams: dict[str, np.ndarray], context_len: int, inputs: TextInputs):
        self.streams, self.context_len, self.inputs = streams, context_len, inputs

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        stream, length = self.streams[part], self.context_len
        count = -(-(len(stream) - 1) // length)
        count = count if limit is None else min(limit, count)
        return [
            {"text": self.inputs.decode(stream[:-1][number * length : (number + 1) * length])}
            for number in range(count)
        ]

    def targets(self, part: str) -> np.ndarray:
        raise UserError("A stream of characters has no labels: use a language model, such as model=char_rnn.")


def write_codes(file: Path, texts: Iterator[str], limit: int | None) -> int:
    """Write the code points of the first `limit` characters as 32-bit numbers; return their number."""
    written = 0
    with open(file, "wb") as handle:
        for block in blocks(texts, CHUNK):
            block = block if limit is None else block[: limit - written]
            handle.write(block.encode("utf-32-le", "replace"))
            written += len(block)
            if written == limit:
                break
    return written


def line_end(codes: np.ndarray, position: int) -> int:
    """Return where the line at this position ends, or the position itself if that is more than 1 % of the text away."""
    breaks = np.flatnonzero(codes[position : position + len(codes) // 100] == ord("\n"))
    return position + int(breaks[0]) + 1 if len(breaks) else position
