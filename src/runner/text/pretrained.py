"""The tokeniser of a pretrained encoder, read from its folder: its pieces keep their meaning and get our numbers.

Padding is 0 and unknown is 1 as everywhere, then come the marks that such an encoder wants around a text ([CLS] and
[SEP] of BERT) as start and end; all others follow in the order of the encoder. `runner.models.layers.huggingface` has
the order, and the net maps numbers back with it.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from runner.errors import UserError
from runner.text.subwords import Subwords
from runner.text.vocabulary import END, SPECIALS, START


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
    """The tokeniser of a folder in the Hugging Face layout: it has learned already.

    Args:
        folder: with the tokeniser's files; a trained model does not need it any more.
    """

    def __init__(self, folder: str):
        self.folder = Path(folder)

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
        if len(names) > vocab_size:
            raise UserError(f"{self.folder} has {len(names)} tokens: type data.vocab_size={len(names)}")
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
