"""The tokeniser of a pretrained net, read from its folder: its pieces keep their meaning and get our numbers.

The folder is that of a run here, whose numbers are kept, or has the Hugging Face layout. Of the latter padding is 0 and
unknown is 1 as everywhere, then come the marks that such an encoder wants around a text ([CLS] and [SEP] of BERT) as
start and end; all others follow in the order of the encoder. `runner.models.layers.huggingface` has the order, and the
net maps numbers back with it.
"""

import copy
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.errors import UserError
from runner.text.subwords import Subwords
from runner.text.vocabulary import END, SPECIALS, START, UNK

STATE = "preprocessing.json"  # what a model of a run knows of its texts


class PretrainedPieces(Subwords):
    """Pieces as a pretrained encoder knows them.

    Args:
        learned: "pieces", as the package tokenizers writes them; the "tokens" in the order of their numbers, and which
            of them are "specials".
    """

    name = "FOLDER"

    def __init__(self, learned: dict):
        super().__init__(learned["pieces"])
        self.pieces.no_padding()
        self.pieces.no_truncation()
        self.learned, self.specials = learned, tuple(learned["specials"])

    def __call__(self, text: str) -> list[str]:
        return self.pieces.encode(text, add_special_tokens=False).tokens

    @property
    def tokens(self) -> list[str]:
        """The pieces in the order of their numbers here, special ones first."""
        return list(self.learned["tokens"])

    def joined(self, tokens: list[str]) -> str:
        """Return the text of pieces."""
        return self.pieces.decoder.decode(tokens) if self.pieces.decoder else " ".join(tokens)


class InFolder:
    """The tokeniser of a folder, that of a run or one in the Hugging Face layout: it has learned already.

    Args:
        folder: with the tokeniser's files; a trained model does not need it any more.
    """

    def __init__(self, folder: str):
        self.folder = Path(folder, "model") if Path(folder, "model", STATE).is_file() else Path(folder)

    def __call__(self, learned: dict) -> PretrainedPieces:
        return PretrainedPieces(learned)

    def learn(self, texts: Iterable[str], vocab_size: int, min_count: int) -> PretrainedPieces:
        """Read the tokeniser; the texts change nothing.

        Args:
            texts: of the training split.
            vocab_size: at least as many as it has tokens.
            min_count: not used.

        Raises:
            UserError: it cannot be read, or it has more tokens.
        """
        if (self.folder / STATE).is_file():
            found = of_run(self.folder)
            self.check_size(len(found.tokens), vocab_size)
            return found
        return self.of_others(vocab_size)

    def check_size(self, size: int, vocab_size: int) -> None:
        """Refuse a vocabulary that is too small."""
        if size > vocab_size:
            raise UserError(f"{self.folder} has {size} tokens: type data.vocab_size={size}")

    def of_others(self, vocab_size: int) -> PretrainedPieces:
        """Read the tokeniser of a folder in the Hugging Face layout."""
        from runner.models.layers import huggingface

        try:
            found = huggingface.tokenizer_of(self.folder)
        except (ImportError, ValueError) as error:
            raise UserError(f"data.tokenizer: {error}") from error
        if not found.is_fast:
            raise UserError(
                f"data.tokenizer: that of {self.folder} cannot be stored with a model (it is not a fast one)"
            )
        names = found.convert_ids_to_tokens(range(len(found)))
        self.check_size(len(names), vocab_size)
        specials = [*SPECIALS, START, END][: len(huggingface.special_numbers(found))]
        tokens = [names[number] for number in huggingface.numbering(found, len(names))]
        pieces = json.loads(found.backend_tokenizer.to_str())
        return PretrainedPieces(
            {"pieces": pieces, "tokens": [*specials, *tokens[len(specials) :]], "specials": specials}
        )

    def digest(self) -> str:
        """Return the SHA-256 of the files that it may be read from, hexadecimal."""
        found = hashlib.sha256()
        for file in sorted(self.folder.glob("*")):
            if file.suffix in (".json", ".txt", ".model"):
                found.update(file.name.encode() + file.read_bytes())
        return found.hexdigest()


def of_run(folder: Path) -> PretrainedPieces:
    """Return the pieces of a run, with the numbers that they have there.

    Args:
        folder: `model/` of the run.

    Raises:
        UserError: its texts are not cut into pieces.
    """
    inputs = json.loads((folder / STATE).read_text(encoding="utf-8"))["state"]["inputs"]
    if not inputs.get("subword"):
        raise UserError(
            f"data.tokenizer={folder}: the texts of that run are not cut into pieces. Train it with "
            "data.tokenizer=wordpiece or data.tokenizer=bpe"
        )
    tokens, specials = inputs["vocabulary"]["tokens"], inputs["vocabulary"]["specials"]
    pieces = numbered(inputs["subword"], tokens, SPECIALS)  # marks that are typed by hand are no marks
    return PretrainedPieces({"pieces": pieces, "tokens": tokens, "specials": specials})


def numbered(learned: dict, tokens: Sequence[str], specials: Sequence[str]) -> dict:
    """Return what cuts texts, as the package tokenizers writes it, with other numbers and special tokens.

    Args:
        learned: the state of a tokeniser of pieces.
        tokens: the pieces in the order of their numbers; what is not among them is left out.
        specials: those that are no pieces; start and end mark are put around a text, and between two.
    """
    made = copy.deepcopy(learned.get("pieces", learned))
    numbers = {token: number for number, token in enumerate(tokens)}
    model = made["model"]
    model |= {"vocab": numbers, "unk_token": SPECIALS[UNK]}
    if "merges" in model:  # of byte pairs
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        model["merges"] = [list(pair) for pair in pairs if {*pair, "".join(pair)} <= set(numbers)]
    made["added_tokens"] = [
        {"id": numbers[token], "content": token, "special": True, "normalized": False}
        | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        for token in specials
    ]
    marked = START in specials and END in specials
    made["post_processor"] = marks_around(numbers) if marked else None
    return made


def marks_around(numbers: dict[str, int]) -> dict:
    """Return, as the package tokenizers writes it, how marks are put around a text and between two."""

    def mark(token: str, segment: int) -> dict:
        return {"SpecialToken": {"id": token, "type_id": segment}}

    first, second = ({"Sequence": {"id": name, "type_id": segment}} for segment, name in enumerate("AB"))
    single = [mark(START, 0), first, mark(END, 0)]
    special = {token: {"id": token, "ids": [numbers[token]], "tokens": [token]} for token in (START, END)}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, second, mark(END, 1)],
        "special_tokens": special,
    }
