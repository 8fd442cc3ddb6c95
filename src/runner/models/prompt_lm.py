"""Classification by a prompt: a language model reads a few labelled examples and says how one more would go on.

Sources: Tom Brown et al., Language Models are Few-Shot Learners, NeurIPS 2020, arXiv:2005.14165, section 2 (examples in
the prompt, nothing is trained, the likelihood of each label decides); Tony Zhao et al., Calibrate Before Use, ICML
2021, arXiv:2102.09690, section 5 (probabilities are divided by those that the prompt gives to a text without content).

Shape letters: N texts, K classes, L tokens of a label, V vocabulary.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from runner.models.ranges import check_choice, check_size

ModelFolder: TypeAlias = str  # a folder that travels with the model
METHODS = ("likelihood", "generation")


class PromptLM:
    """An estimator whose fit is the choice of the examples.

    Args:
        path: the folder of the language model.
        lm: reads that folder; what it returns has `encode`, `decode`, `logits` and `window`.
        shots: examples in the prompt, spread over the classes, at least 0.
        method: likelihood (of all tokens of a label) or generation (token by token, each time only among the tokens
            with which a label can go on).
        calibrate: whether probabilities are divided by those of texts without content.
        form: an example in the prompt, with {text} and, at the end, {label}.
        instruction: what stands before the examples.
        between: what stands between two examples.
        content_free: texts without content.
        question_form: the prompt of a question, with {question}.
        max_words: longest example in words; longer texts are not chosen, at least 1.
        answer_len: tokens of the answer to a question, at least 1.
        batch_size: prompts read at once, at least 1.
        seed: of the choice of the examples.

    Raises:
        ValueError: a value out of range, or a form without its places.
    """

    def __init__(
        self,
        path: ModelFolder,
        lm: Callable[[str], Any],
        shots: int = 6,
        method: Literal["likelihood", "generation"] = "likelihood",
        calibrate: bool = True,
        form: str = "Tweet: {text}\nMood: {label}",
        instruction: str = "",
        between: str = "\n\n",
        content_free: list[str] | tuple[str, ...] = ("N/A", "...", "nothing"),
        question_form: str = "Question: {question}\nAnswer:",
        max_words: int = 20,
        answer_len: int = 20,
        batch_size: int = 16,
        seed: int = 0,
    ):
        check_size(0, shots=shots)
        check_size(max_words=max_words, answer_len=answer_len, batch_size=batch_size)
        check_choice(METHODS, method=method)
        if "{text}" not in form or not form.rstrip().endswith("{label}"):
            raise ValueError(f"form needs {{text}} and, at its end, {{label}}; received {form!r}")
        if "{question}" not in question_form:
            raise ValueError(f"question_form needs {{question}}; received {question_form!r}")
        if calibrate and not content_free:
            raise ValueError("calibrate needs at least one text in content_free")
        self.lm, self.shots, self.method, self.calibrate = lm(path), shots, method, calibrate
        self.form, self.instruction, self.between = form.rstrip(), instruction, between
        self.content_free, self.question_form = content_free, question_form
        self.max_words, self.answer_len, self.batch_size, self.seed = max_words, answer_len, batch_size, seed
        self.names: list[str] = []
        self.chosen: list[tuple[str, int]] = []  # texts and their classes

    def name_classes(self, names: Sequence[str]) -> None:
        """Take what the K classes are called in the prompt, in their order.

        Raises:
            ValueError: the language model does not tell them apart, or has no room for them.
        """
        self.names = list(names)
        self.tokens_of("")

    def fit(self, X: Sequence[str], y: ArrayLike) -> "PromptLM":
        """Choose examples from N texts and their class numbers (N,): as many of each class as possible."""
        draw = random.Random(self.seed)
        short = [(" ".join(text.split()), int(kind)) for text, kind in zip(X, np.asarray(y), strict=True)]
        short = [pair for pair in short if 0 < len(pair[0].split()) <= self.max_words]
        draw.shuffle(short)
        of_class = [[pair for pair in short if pair[1] == kind] for kind in sorted({kind for _, kind in short})]
        draw.shuffle(of_class)  # where the examples do not divide by the classes, chance decides who has one more
        rounds = itertools.zip_longest(*of_class)
        self.chosen = [pair for pair in itertools.chain.from_iterable(rounds) if pair is not None][: self.shots]
        draw.shuffle(self.chosen)
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Probabilities (N, K) of N texts."""
        found = self.scores(X).double().log_softmax(dim=1)  # (N, K)
        if self.calibrate:
            usual = self.scores(self.content_free).double().softmax(dim=1).mean(dim=0)  # (K,)
            found = (found - usual.log()).log_softmax(dim=1)
        return found.exp().numpy()

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Class numbers (N,) of N texts."""
        return self.predict_proba(X).argmax(axis=1)

    # The prompt.

    def prompt(self, text: str) -> str:
        """Return the instruction, the examples and a text, up to where its label would follow."""
        shown = [self.filled(example, self.label_of(kind)) for example, kind in self.chosen]
        asked = self.filled(" ".join(text.split()), "").rstrip()
        return self.between.join([*([self.instruction] if self.instruction else []), *shown, asked])

    def filled(self, text: str, label: str) -> str:
        """Return an example in its form; braces in a text mean nothing."""
        before, after = self.form.split("{text}")
        return f"{before}{text}{after.removesuffix('{label}')}{label}"

    def label_of(self, kind: int) -> str:
        return self.names[kind]

    def tokens_of(self, text: str) -> tuple[list[int], list[list[int]]]:
        """Return the tokens of the prompt of a text and those of each label after it.

        Where the prompt is longer than the window of the model, its beginning is left out.
        """
        prompt = self.prompt(text)
        gap = self.form.removesuffix("{label}")[len(self.form.removesuffix("{label}").rstrip()) :]
        whole = [self.lm.encode(f"{prompt}{gap}{name}") for name in self.names]
        start = common([self.lm.encode(prompt), *whole])
        labels = [row[start:] for row in whole]
        if not all(labels) or len(set(map(tuple, labels))) < len(labels):
            raise ValueError(f"the language model does not tell the labels {', '.join(self.names)} apart: rename them")
        prompt_tokens = whole[0][:start]
        if self.lm.window is not None:
            room = self.lm.window - max(map(len, labels)) + 1
            if room < 1:
                raise ValueError(f"the language model looks back on {self.lm.window} tokens, too few for the labels")
            prompt_tokens = prompt_tokens[-room:]
        return prompt_tokens, labels

    # What the model says.

    def scores(self, texts: Sequence[str]) -> Tensor:
        """Logarithms of how likely each label is after each text, (N, K)."""
        found = []
        for first in range(0, len(texts), self.batch_size):
            asked = [self.tokens_of(text) for text in texts[first : first + self.batch_size]]
            # A label of one token is read off behind the prompt; of longer ones all but the last token are read too.
            read = [(place, begin) for place, (_, labels) in enumerate(asked) for begin in beginnings(labels)]
            rows = [[*asked[place][0], *begin] for place, begin in read]
            logits = dict(zip(read, self.lm.logits(rows, [len(begin) + 1 for _, begin in read]), strict=True))
            for place, (_, labels) in enumerate(asked):
                found.append(torch.stack([self.score(logits[place, tuple(it[:-1])], it, labels) for it in labels]))
        return torch.stack(found)

    def score(self, logits: Tensor, label: list[int], labels: list[list[int]]) -> Tensor:
        """Logarithm of the probability of a label, from the logits (L, V) before each of its tokens."""
        if self.method == "generation":
            logits = logits.clone()
            for place, row in enumerate(logits):
                allowed = sorted({it[place] for it in labels if it[:place] == label[:place] and len(it) > place})
                kept = row[allowed].clone()
                row.fill_(-torch.inf)
                row[allowed] = kept
        return logits.float().log_softmax(dim=1)[torch.arange(len(label)), label].sum()

    def ask(self, question: str) -> str:
        """Return what the model writes after a question, up to the end of the line."""
        prompt = self.question_form.replace("{question}", question.strip())
        tokens = self.lm.encode(prompt)
        written: list[int] = []
        while len(written) < self.answer_len:
            kept = [*tokens, *written] if self.lm.window is None else [*tokens, *written][-self.lm.window :]
            written.append(int(self.lm.logits([kept], [1])[0][-1].argmax()))
            if "\n" in self.lm.decode(written).lstrip():
                break
        return self.lm.decode(written).strip().split("\n")[0]

    def state(self) -> dict:
        """The chosen examples; the folder of the language model travels with the model."""
        return {"texts": [text for text, _ in self.chosen], "classes": [kind for _, kind in self.chosen]}

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""
        self.chosen = list(zip(state["texts"], state["classes"], strict=True))


def common(rows: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all rows have in common at their beginning."""
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False)))


def beginnings(labels: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the labels without their last tokens, each once."""
    return list(dict.fromkeys(tuple(label[:-1]) for label in labels))
