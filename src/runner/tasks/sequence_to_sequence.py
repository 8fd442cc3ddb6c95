"""Writing a target for a source: translation, titles, rows of letters read backwards.

Next to the scores of what is written are those of a target that needs no model (naive_rouge_l ...), where the data has
one, such as the first sentence of an abstract.

The net maps a source (B, S) and the true target so far (B, T) to logits (B, T, V): teacher forcing. It also has `start`
and `step`, with which a target is written token by token. Sources: teacher forcing and beam search as in Sutskever et
al. 2014, arXiv:1409.3215; scheduled sampling: Bengio et al. 2015, arXiv:1506.03099, in two passes as Mihaylova and
Martins 2019, arXiv:1906.07651, do it; label smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7.

Shape letters: B batch, S source tokens, T target tokens, L tokens of a written target, V target vocabulary.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import Columns, TextInputs
from runner.datamodules.parts.pairs import Pairs, as_batch
from runner.errors import UserError
from runner.figures.alignment import alignment, alignment_lines
from runner.figures.charts import scores_by_length
from runner.tasks.base import Task
from runner.tasks.decoding import Decoded, Decoding, decode
from runner.tasks.examples import LENGTH
from runner.tasks.means import Scalars, of_all_processes
from runner.tasks.next_tokens import cross_entropy, mean_over_tokens, perplexity
from runner.tasks.text_scores import TextScores
from runner.tasks.two_programs import two_programs
from runner.text.vocabulary import PAD, UNK

ROWS = 64  # sources that are decoded together
BINS = 6  # lengths of sources that are told apart in a figure
SHOWN = 3  # samples after each epoch, and alignments of the test split


class SequenceToSequence(Task):
    """Cross-entropy of each next target token; the whole split is also written out and compared with its references.

    Args:
        net: maps source (B, S) and target so far (B, T) to logits (B, T, V); it has `start` and `step`.
        max_len: tokens written at most, at least 1.
        label_smoothing: share of the probability that training asks for on all tokens alike, in [0, 1).
        scheduled_sampling: share of the target tokens so far that are the net's own in the last epoch, in [0, 1]; it
            grows evenly from 0 in the first epoch.
        method: how a target is written: greedy, sample or beam (see `runner.tasks.decoding`).
        beam_size: targets that beam search follows in parallel.
        length_penalty: 0 = beam search compares log-probabilities, which favours short targets; 0.6 to 1 are usual.
        n_best: answers for each source: at most beam_size with beam, 1 with greedy.
        temperature: of sampling, above 0.
        sample_seed: of sampling.
        show_attention: whether an answer says at which source tokens the net looked for each token it wrote.
        val_rows: validation rows that are written out after each epoch, at least 1; None = all. The test split is
            always whole.
        bleu_tokenizer: how BLEU cuts a text into words: 13a, zh, char ...
    """

    asked_as = ("summarize", "translate")
    tokens = (0, 1)
    aligned = 1  # the answers follow the target so far
    causal = True
    at_use = (
        "max_len", "method", "beam_size", "length_penalty", "n_best", "temperature", "sample_seed", "show_attention"
    )  # fmt: skip

    def __init__(
        self,
        net: nn.Module,
        max_len: int,
        label_smoothing: float = 0.0,
        scheduled_sampling: float = 0.0,
        method: Literal["greedy", "sample", "beam"] = "greedy",
        beam_size: int = 5,
        length_penalty: float = 0.0,
        n_best: int = 1,
        temperature: float = 1.0,
        sample_seed: int = 0,
        show_attention: bool = False,
        val_rows: int | None = None,
        bleu_tokenizer: str = "13a",
    ):
        super().__init__(net)
        self.show_attention = show_attention
        self.label_smoothing, self.scheduled_sampling = label_smoothing, scheduled_sampling
        self.how = Decoding(
            method, max_len, temperature, None, None, beam_size, length_penalty, n_best, seed=sample_seed
        )
        self.first = PAD  # the token that begins a target
        self.val_rows, self.bleu_tokenizer = val_rows, bleu_tokenizer
        self.texts = TextScores(str.split, bleu_tokenizer)
        self.plain = TextScores(str.split, bleu_tokenizer)  # of targets that need no model
        self.samples: list[tuple[str, str, str]] = []  # source, reference, what was written
        self.alignments: list[Figure] = []
        self.by_length: Figure | None = None

    @classmethod
    def implied(cls, changed: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Several answers come from beam search, which follows at least as many."""
        n_best = changed.get("n_best")
        if not isinstance(n_best, int) or n_best < 2:
            return {}
        method = settings["method"] if "method" in changed or settings["method"] != "greedy" else "beam"
        wider = method == "beam" and "beam_size" not in changed
        return {"method": method} | ({"beam_size": max(settings["beam_size"], n_best)} if wider else {})

    def connect(self, data: DataModule) -> None:
        codec = target_codec(data)
        assert codec.vocabulary.start is not None, "a target begins with a mark"
        beyond = range(len(codec.vocabulary), getattr(data, "tgt_vocab_size", 0))  # a net may have room for more tokens
        self.first = codec.vocabulary.start
        self.how = replace(self.how, end=codec.vocabulary.end, never=(PAD, UNK, *beyond))
        self.texts, self.plain = (TextScores(codec.pipeline.cut, self.bleu_tokenizer) for _ in range(2))

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Pairs:
        length = facts.get("max_len") or LENGTH
        src = torch.randint(2, facts["src_vocab_size"], (rows, length), generator=draw)
        tgt = torch.randint(4, facts["tgt_vocab_size"], (rows, length + 1), generator=draw)
        lengths = torch.tensor([[max(length >> row, 1)] for row in range(rows)])  # (B, 1)
        place = torch.arange(length + 1)
        return as_batch(src.where(place[:-1] < lengths, PAD), tgt.where(place <= lengths, PAD))

    # Training.

    def step(self, batch: Pairs) -> Scalars:
        batch = self.with_own_tokens(batch)
        smoothing = self.label_smoothing if self.training else 0.0
        return mean_over_tokens(
            self.own_losses(batch),
            batch.tgt_out,
            lambda: cross_entropy(self.net(*self.inputs(batch)), batch.tgt_out, smoothing),
        )

    def with_own_tokens(self, batch: Pairs) -> Pairs:
        """Replace some tokens of the target so far by what the net says is likeliest there: scheduled sampling."""
        if not (self.training and self.scheduled_sampling):
            return batch
        epochs = self.trainer.max_epochs or 1
        share = self.scheduled_sampling * self.current_epoch / max(epochs - 1, 1)
        with torch.no_grad():
            said = self.net(*self.inputs(batch)).argmax(dim=2)  # (B, T): the token after each
        said = torch.cat([batch.tgt_in[:, :1], said[:, :-1]], dim=1)  # the start mark is always given
        replaced = (torch.rand(said.shape, device=said.device) < share) & (batch.tgt_in != PAD)
        return batch._replace(tgt_in=torch.where(replaced, said, batch.tgt_in))

    # Writing.

    def write(self, src: Tensor) -> Decoded:
        """Return the targets that the net writes for sources, int64 (B, S)."""
        with torch.inference_mode():
            state = self.net.start(src)
        return decode(self.net, state, torch.full_like(src[:, 0], self.first), self.how)

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return what the net writes for each source; sources of similar length are decoded together."""
        if self.show_attention and not hasattr(self.net, "step_attention"):
            raise UserError(f"show_attention=true is for models with attention; {type(self.net).__name__} has none")
        codec = source_codec(data)
        order = sorted(range(len(rows)), key=lambda number: len(rows[number][codec.column]))
        found: dict[int, dict] = {}
        for begin in range(0, len(rows), ROWS):
            some = order[begin : begin + ROWS]
            (src,) = codec.encode([rows[number] for number in some])
            decoded = self.write(src.to(self.device))
            answers = zip(decoded.tokens.tolist(), decoded.scores.tolist(), strict=True)
            for place, (number, (tokens, scores)) in enumerate(zip(some, answers, strict=True)):
                found[number] = self.named([data.decode(text) for text in tokens], scores)
                if self.show_attention:
                    found[number]["attention"] = Look.of(decoded, place, rows[number], data).stored()
        return [found[number] for number in range(len(rows))]

    def named(self, texts: list[str], scores: list[float]) -> dict[str, Any]:
        """The answers for one source, best first; with their scores if there are several."""
        if len(texts) == 1:
            return {"prediction": texts[0]}
        named: dict[str, Any] = {}
        for number, (text, score) in enumerate(zip(texts, scores, strict=True), 1):
            named |= {"prediction" if number == 1 else f"prediction_{number}": text, f"score_{number}": score}
        return named

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        example = self.named([""] * self.how.n_best, [0.0] * self.how.n_best)
        if self.show_attention:
            example["attention"] = ""
        return {name: "string" if isinstance(value, str) else "double" for name, value in example.items()}

    def shown(self, answer: dict) -> list[str]:
        """An answer, and below it what the net looked at for each token of the best one."""
        plain = super().shown({name: value for name, value in answer.items() if name != "attention"})
        return plain + (alignment_lines(*Look.restored(answer["attention"])) if "attention" in answer else [])

    # Comparing what is written with the references.

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.texts, self.plain = (TextScores(self.texts.cut, self.bleu_tokenizer) for _ in range(2))

    def on_validation_epoch_end(self) -> None:
        self.write_split("val", self.val_rows)
        super().on_validation_epoch_end()

    def on_test_epoch_end(self) -> None:
        self.write_split("test")
        super().on_test_epoch_end()

    def write_split(self, split: str, limit: int | None = None) -> None:
        """Write out a split, or some rows from all over it (a file may be sorted), each process its share."""
        data = self.data_module
        rows = evenly(data.raw(split), limit)[self.global_rank :: self.trainer.world_size]
        written = [answer["prediction"] for answer in self.answer(rows, data)]
        self.compare(rows, written, [row["target"] for row in rows], data)
        shown = zip(rows[:SHOWN], written[:SHOWN], strict=True)
        self.samples = [(row["source"], row["target"], text) for row, text in shown]
        if split == "test":
            self.by_length = self.compared_by_length(rows, data)
        if split == "test" and hasattr(self.net, "step_attention"):
            self.alignments = [self.aligned_words(row, data) for row in rows[:SHOWN]]

    def compare(self, rows: list[dict], written: list[str], references: Sequence[str], data: DataModule) -> None:
        """Add what was written for some sources to the scores, and what needs no model, if the data knows that."""
        self.texts.add(written, references)
        plain = [data.plain_answer(row["source"]) for row in rows] if hasattr(data, "plain_answer") else []
        known = [pair for pair in zip(plain, references, strict=False) if pair[0] is not None]
        if known:
            self.plain.add(*zip(*known, strict=True))

    def evaluation_metrics(self) -> dict[str, float]:
        metrics = super().evaluation_metrics()
        plain = {f"naive_{name}": value for name, value in self.plain.compute().items()}
        return metrics | {"perplexity": perplexity(metrics["loss"])} | self.texts.compute() | plain

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add sources and their true targets to the metrics."""
        if truths is None:
            raise UserError("there is no target to compare with: give a file with the columns source and target")
        whole = [{**row, "target": truth} for row, truth in zip(rows, truths, strict=True)]
        batch = as_batch(*self.encoded(whole, data))
        self.evaluation_means.add(self.step(batch), self.rows(batch))
        self.evaluation_means.close()
        self.compare(rows, [answer["prediction"] for answer in self.answer(rows, data)], truths, data)

    def sample_text(self, data: DataModule) -> str | None:
        names = ("source", "reference", "prediction")
        lines = [f"{name:>10}  {text}" for sample in self.samples for name, text in zip(names, sample, strict=True)]
        return "\n" + "\n".join(lines)

    # For other programs.

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        known, draw = (len(codec(data).vocabulary) for codec in (source_codec, target_codec)), torch.Generator()
        return tuple(torch.randint(1, most, (rows, length), generator=draw.manual_seed(0)) for most in known)

    def longest_input(self, data: DataModule) -> int | None:
        return source_codec(data).max_len  # whatever a target may have

    def programs(self, inputs: list[tuple[Tensor, ...]]) -> dict[str, tuple[nn.Module, list[tuple[Tensor, ...]]]]:
        return two_programs(self.net, [src for src, *_ in inputs], self.first)

    # Figures.

    def aligned_words(self, row: dict, data: DataModule) -> Figure:
        """Where the net looked while it wrote the target of a row."""
        (src,) = source_codec(data).encode([row])
        return alignment(*Look.of(self.write(src.to(self.device)), 0, row, data))

    def compared_by_length(self, rows: list[dict], data: DataModule) -> Figure:
        """BLEU and chrF of short and of long sources, from the rows that have just been written."""
        lengths = [len(tokens) for tokens in source_codec(data).tokens(rows)]
        of_each = list(zip(lengths, self.texts.pairs, strict=True))
        written = sorted((one for part in of_all_processes(of_each) for one in part), key=lambda one: one[0])
        limits = np.unique(
            np.quantile([length for length, _ in written], np.arange(1, BINS + 1) / BINS, method="lower")
        )
        bins = [[*some] for _, some in groupby(written, key=lambda one: np.searchsorted(limits, one[0]))]
        scores = [self.texts.scores([pair for _, pair in some]) for some in bins]
        names = ("bleu", "chrf")
        return scores_by_length(
            [(some[0][0], some[-1][0], len(some)) for some in bins],
            {name: [one[name] for one in scores] for name in names},
        )

    def figures(self) -> dict[str, Figure]:
        lengths = {"scores_by_length": self.by_length} if self.by_length is not None else {}
        return lengths | {f"alignment_{number}": figure for number, figure in enumerate(self.alignments, 1)}


class Look(NamedTuple):
    """How much a net looked at each of S source tokens for each of L tokens it wrote: weights (L, S), both texts."""

    weights: np.ndarray
    read: list[str]
    written: list[str]

    @classmethod
    def of(cls, decoded: Decoded, place: int, row: dict, data: DataModule) -> "Look":
        """That of the best answer for a row, which is one of several that were decoded together."""
        assert decoded.attention is not None, "step_attention says where a step looked"
        numbers = [number for number in decoded.tokens[place, 0].tolist() if number != PAD]
        read, written = source_codec(data).tokens([row])[0], target_codec(data).vocabulary.decode(numbers)
        return cls(decoded.attention[place, 0, : len(written), : len(read)].cpu().numpy(), read, written)

    def stored(self) -> str:
        """The same as JSON, weights rounded to three digits."""
        return json.dumps({**self._asdict(), "weights": self.weights.round(3).tolist()}, ensure_ascii=False)

    @classmethod
    def restored(cls, text: str) -> "Look":
        """Read what `stored` returned."""
        parts = json.loads(text)
        return cls(np.array(parts["weights"]), parts["read"], parts["written"])


def source_codec(data: DataModule) -> TextInputs:
    """What encodes the sources."""
    return part_of(data, "source")


def target_codec(data: DataModule) -> TextInputs:
    """What encodes the targets."""
    return part_of(data, "target")


def part_of(data: DataModule, side: str) -> TextInputs:
    assert isinstance(data.inputs, Columns), "data of pairs"
    part = data.inputs.parts[side]
    assert isinstance(part, TextInputs), "pairs of texts"
    return part


def evenly(rows: list[dict], limit: int | None) -> list[dict]:
    """Return `limit` rows at equal distances; all of them if there are no more, or without a limit."""
    if limit is None or limit >= len(rows):
        return rows
    return [rows[number * len(rows) // limit] for number in range(limit)]
