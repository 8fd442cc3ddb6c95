"""Chapters 7 to 9: trains the models and writes the tables of docs/chapters-7-9.md from what they reach.

    python benchmarks/texts.py --folder kept                          # all rows; started again, it continues
    python benchmarks/texts.py --folder kept --only reviews r8        # some rows
    python benchmarks/texts.py --folder kept --polarity rt_polarity   # and the ten folds of all 10 662 sentences
    python benchmarks/texts.py --folder kept --minutes 4              # do not begin a run after so many minutes

Every line of a table is one or more commands `runner ...`, run in this process and without MLflow; the folder keeps
results.jsonl, one line for each run. Runs that are in it are not repeated. --table only writes the tables.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from runner.config.compose import compose
from runner.training.train import train

DOCUMENT = Path(__file__).parent.parent / "docs" / "chapters-7-9.md"
SEEDS = [["seed=1"], ["seed=2"], ["seed=3"]]
FOLDS = [[f"data.fold={fold}"] for fold in range(10)]
ONCE: list[list[str]] = [[]]
PAPER = "experiment=ch07_textcnn_paper"
MULTICHANNEL = "vectors=glove model.mode=multichannel"
ADADELTA = f"{PAPER} optim=adadelta callbacks=default"
GLOVE = "model={} vectors=glove data.tokenizer=penn data.bucket=true"
ATTENTION = "model=gru model.bidirectional=true model.pool=attention vectors=glove data.tokenizer=penn data.bucket=true"
CHARACTERS = "data=chinese_reviews data.tokenizer=char data.max_len=300 data.vocab_size=60000 model.max_ngram=3"
CHINESE = (
    "model=textcnn model.kernel_sizes=[2,3,4] data=chinese_reviews data.tokenizer=char data.max_len=250 "
    "task.monitor=val/accuracy task.mode=max"
)
TABLES = {  # name -> what is measured, how it is written
    "others": ("test/accuracy", ".3f"),
    "reviews": ("test/accuracy", ".3f"),
    "polarity": ("test/accuracy", ".3f"),
    "recurrent": ("test/accuracy", ".3f"),
    "stocks": ("test/rmse", ".1f"),
}


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Args:
        table: one of TABLES.
        name: first column.
        command: what is typed after `runner`.
        wanted: the figure to reach, in words, or the name of a metric of the same run.
        variants: further overrides, one list for each run.
    """

    table: str
    name: str
    command: str
    wanted: str
    variants: tuple[tuple[str, ...], ...]


def row(table: str, name: str, command: str, wanted: str, variants: list[list[str]]) -> Row:
    return Row(table, name, command, wanted, tuple(map(tuple, variants)))


ROWS = [
    row("others", "ten remarks", "experiment=ch07_toy", "10 of 10", SEEDS),
    row("others", "r8", "experiment=ch07_reuters", "0.95", SEEDS),
    row("others", "r52", "experiment=ch07_reuters data=r52", "", ONCE),
    row("others", "r8, tf-idf", "experiment=ch07_tfidf data=r8", "", ONCE),
    row("others", "chinese_reviews, tf-idf of characters", f"experiment=ch07_tfidf {CHARACTERS}", "0.85", ONCE),
    row("others", "chinese_reviews, tf-idf of words", "experiment=ch07_tfidf data=chinese_reviews", "0.85", ONCE),
    row("others", "chinese_reviews, textcnn of characters", CHINESE, "0.85", SEEDS[:1]),
    row("others", "chinese_reviews, fasttext", "model=fasttext data=chinese_reviews optim.lr=0.005", "0.85", ONCE),
    row("others", "ratings", "model=fasttext data=ratings optim.lr=0.005", "", ONCE),
    row("others", "author_age", "model=fasttext data=author_age optim.lr=0.005", "", ONCE),
    row("reviews", "tf-idf, logistic regression", "experiment=ch07_tfidf", "", ONCE),
    row("reviews", "fasttext", "model=fasttext optim.lr=0.005", "0.72", SEEDS),
    row("reviews", "textcnn, the book's sizes", "experiment=ch07_textcnn", "0.72", SEEDS),
    row("reviews", "textcnn1d", "experiment=ch07_textcnn1d", "0.72", SEEDS),
    row("reviews", "textcnn static", GLOVE.format("textcnn model.mode=static"), "0.72", SEEDS),
    row("reviews", "textcnn non_static", GLOVE.format("textcnn model.mode=non_static"), "0.72", SEEDS),
    row("reviews", "textcnn_multichannel", "experiment=ch07_textcnn_multichannel", "0.72", SEEDS),
    row("reviews", "textcnn rand", "model=textcnn data.tokenizer=penn data.bucket=true", "0.72", SEEDS),
    row("reviews", "textcnn rand, paper", PAPER, "0.72", SEEDS),
    row("reviews", "textcnn non_static, paper", f"{PAPER} vectors=glove model.mode=non_static", "0.72", SEEDS),
    row("reviews", "textcnn multichannel, paper", f"{PAPER} {MULTICHANNEL}", "0.72", SEEDS),
    row("reviews", "LSTM", "experiment=ch09_sentiment", "0.72", SEEDS),
    row("reviews", "peephole LSTM", "experiment=ch09_peephole", "0.72", SEEDS),
    row("reviews", "twin LSTM", "experiment=ch09_twin", "0.72", SEEDS),
    row("reviews", "GRU, both directions, attention, GloVe", ATTENTION, "0.76", SEEDS),
    row("recurrent", "imdb, LSTM", "experiment=ch09_sentiment data=imdb data.bucket=true", "0.86", ONCE),
    row("recurrent", "har, GRU", "model=gru data=har", "0.90", SEEDS),
    row("recurrent", "har, LSTM", "model=lstm data=har", "0.90", SEEDS),
    row("recurrent", "har, h' = xK + hR", "experiment=ch09_har", "", SEEDS),
    row("stocks", "Google, next day", "experiment=ch08_stock", "test/naive_rmse", SEEDS),
    row("stocks", "S&P 500, next day", "experiment=ch08_stock data.symbol=SP500", "test/naive_rmse", ONCE),
    row("polarity", "CNN-static", f"{PAPER} vectors=glove model.mode=static", "0.810", FOLDS),
    row("polarity", "CNN-rand", PAPER, "0.761", FOLDS),
    row("polarity", "CNN-multichannel", f"{PAPER} {MULTICHANNEL}", "0.811", FOLDS),
    row("polarity", "CNN-non-static", f"{PAPER} vectors=glove model.mode=non_static", "0.815", FOLDS),
    row("polarity", "CNN-static, AdaDelta", f"{ADADELTA} vectors=glove model.mode=static", "0.810", FOLDS[:3]),
    row("polarity", "CNN-multichannel, AdaDelta", f"{ADADELTA} {MULTICHANNEL}", "0.811", FOLDS[:3]),
    row("polarity", "CNN-rand, AdaDelta", ADADELTA, "0.761", FOLDS[:3]),
]


def run(overrides: list[str], folder: Path) -> dict:
    """Train once; return the metrics of the run."""
    cfg = compose(overrides)
    OmegaConf.resolve(cfg)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return train(cfg, Path(scratch))


def results(folder: Path) -> dict[tuple[str, ...], dict]:
    """Return what has been run: overrides -> metrics."""
    file = folder / "results.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {tuple(one["overrides"]): one["metrics"] for one in map(json.loads, lines)}


def line(each: Row, done: dict[tuple[str, ...], dict]) -> str | None:
    """Return the line of a table, or None if nothing of it has been run."""
    found = [done[key] for variant in each.variants if (key := (*each.command.split(), *variant)) in done]
    if not found:
        return None
    metric, form = TABLES[each.table]
    values = [metrics[metric] for metrics in found]
    reached = f"{statistics.mean(values):{form}}" + (f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else "")
    wanted = f"{found[0][each.wanted]:{form}}" if each.wanted in found[0] else each.wanted
    seconds = statistics.mean(metrics["duration_seconds"] for metrics in found)
    return f"| {each.name} | `runner {each.command}` | {wanted} | {reached} | {len(values)} | {seconds:.0f} s |"


def write(done: dict[tuple[str, ...], dict]) -> None:
    """Put the tables into the document, between their marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for table, (metric, _) in TABLES.items():
        begin, end = f"<!-- {table}: begin -->", f"<!-- {table}: end -->"
        lines = [found for each in ROWS if each.table == table and (found := line(each, done))]
        head = f"| what | command | to reach | {metric} | runs | time of a run |\n|---|---|---|---|---|---|\n"
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}\n{head}{chr(10).join(lines)}\n{end}{after}"
    DOCUMENT.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[], help="names of rows, or of tables")
    parser.add_argument("--polarity", type=Path, help="folder with rt-polarity.pos and rt-polarity.neg")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    done = results(options.folder)
    for each in ROWS if not options.table else []:
        if options.only and not {each.name, each.table} & set(options.only):
            continue
        if each.table == "polarity" and options.polarity is None:
            continue
        for variant in each.variants:
            key = (*each.command.split(), *variant)
            if key in done or time.monotonic() - started > 60 * options.minutes:
                continue
            place = [f"data.path={options.polarity}"] if each.table == "polarity" else []
            done[key] = run([*key, *place], options.folder)
            with open(options.folder / "results.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"overrides": key, "metrics": done[key]}) + "\n")
            print(*key, f"{done[key][TABLES[each.table][0]]:.4f} {done[key]['duration_seconds']:.0f} s", flush=True)
    write(done)


if __name__ == "__main__":
    main()
