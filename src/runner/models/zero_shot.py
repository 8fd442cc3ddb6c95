"""Zero-shot classification: a text and the descriptions of the classes are compared by a pretrained model as it is.

By embeddings: text and description become the mean of what an encoder says of their tokens, and the cosine decides.
By entailment: a model of natural language inference says whether "This text is about sport." follows from the text.

Sources: Nils Reimers and Iryna Gurevych, Sentence-BERT, EMNLP 2019, arXiv:1908.10084 (mean pooling, cosine); Wenpeng
Yin, Jamaal Hay and Dan Roth, Benchmarking Zero-shot Text Classification, EMNLP 2019, arXiv:1909.00161 (entailment).
Nothing is learned: the fit only keeps that it has been.

Shape letters: N texts, K classes, T tokens, H width of the encoder.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from runner.models.layers import checkpoints, huggingface
from runner.models.ranges import check_choice, check_size

ModelFolder: TypeAlias = str  # a folder that travels with the model
METHODS = ("embeddings", "entailment")


class ZeroShot:
    """An estimator that needs no training examples, only what the classes are called.

    Args:
        path: folder in the Hugging Face layout: an encoder, or a classifier of pairs with a class "entailment".
        method: what is compared: embeddings of text and description, or entailment of one by the other.
        template: sentence in which a description stands at {}.
        max_len: longest text in tokens, its marks included, at least 1.
        scale: factor of the cosines before they become probabilities, above 0.
        batch_size: texts that are read at once, at least 1.
        num_layers: layers of the encoder that are used, the first so many; None = all.

    Raises:
        ValueError: a value out of range, or a folder that does not fit.
        ImportError: a package of the extra "pretrained" is not installed.
    """

    def __init__(
        self,
        path: ModelFolder,
        method: Literal["embeddings", "entailment"] = "embeddings",
        template: str = "{}",
        max_len: int = 256,
        scale: float = 20.0,
        batch_size: int = 32,
        num_layers: int | None = None,
    ):
        check_choice(METHODS, method=method)
        check_size(max_len=max_len, batch_size=batch_size)
        if scale <= 0:
            raise ValueError(f"scale must be above 0, received {scale}")
        if template.count("{}") != 1:
            raise ValueError(
                f"template needs {{}} once, where the description of a class stands; received {template!r}"
            )
        self.tokenizer: Any = huggingface.tokenizer_of(path)
        self.model: Any
        if method == "embeddings":
            self.model = huggingface.encoder(path, num_layers).eval()
        else:
            self.model = checkpoints.with_head(path, "AutoModelForSequenceClassification")
            self.entailment = entailment_of(self.model.config.label2id, path)
        self.max_len = min(max_len, self.model.config.max_position_embeddings)
        self.method, self.template, self.scale, self.batch_size = method, template, scale, batch_size
        self.sentences: list[str] = []

    def name_classes(self, names: Sequence[str]) -> None:
        """Take the descriptions of the K classes, in their order."""
        self.sentences = [self.template.format(name) for name in names]

    def fit(self, X: Sequence[str], y: ArrayLike) -> "ZeroShot":
        """Learn nothing from N texts and their class numbers."""
        return self

    @torch.inference_mode()
    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Probabilities (N, K) of N texts."""
        if self.method == "embeddings":
            scores = self.scale * self.embedded(X) @ self.embedded(self.sentences).T  # (N, K)
        else:
            scores = torch.stack([self.entailed(X, sentence) for sentence in self.sentences], dim=1)
        return scores.double().softmax(dim=1).numpy()

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Class numbers (N,) of N texts."""
        return self.predict_proba(X).argmax(axis=1)

    def embedded(self, texts: Sequence[str]) -> Tensor:
        """Texts as vectors of length 1, (N, H): the mean over their tokens."""
        found = torch.empty(len(texts), self.model.config.hidden_size)
        for rows, tokens in self.batches(texts):
            states = self.model(**tokens).last_hidden_state  # (B, T, H)
            mask = tokens["attention_mask"].unsqueeze(2)  # (B, T, 1)
            found[rows] = (states * mask).sum(dim=1) / mask.sum(dim=1)
        return torch.nn.functional.normalize(found, dim=1)

    def entailed(self, texts: Sequence[str], sentence: str) -> Tensor:
        """How much each text entails a sentence, logits (N,)."""
        found = torch.empty(len(texts))
        for rows, tokens in self.batches(texts, sentence):
            found[rows] = self.model(**tokens).logits[:, self.entailment]
        return found

    def batches(self, texts: Sequence[str], sentence: str | None = None) -> Iterator[tuple[list[int], Any]]:
        """Yield numbers of texts of similar length and their tokens (B, T), with the same sentence after each."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for first in range(0, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            pair = None if sentence is None else [sentence] * len(rows)
            cut = True if pair is None else "only_first"
            yield rows, self.tokenizer(
                [texts[row] for row in rows], pair, padding=True, truncation=cut, max_length=self.max_len,
                return_tensors="pt",
            )  # fmt: skip

    def state(self) -> dict:
        """Nothing: the folder travels with the model."""
        return {}

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""


def entailment_of(classes: dict[str, int], path: str) -> int:
    """Return the number of the class "entailment" of a model.

    Raises:
        ValueError: it has none.
    """
    for name, number in classes.items():
        if name.lower().startswith("entail"):
            return number
    raise ValueError(f"{path} has no class entailment, only {', '.join(classes)}: a model of inference (NLI) is wanted")
