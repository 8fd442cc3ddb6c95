"""Pre-train a BERT, then fine-tune it with each head, and compare with the same heads without pre-training.

    python benchmarks/bert.py                              # everything, three seeds; about half an hour on one thread
    python benchmarks/bert.py --pretrained FOLDER          # the folder of a run of experiment=ch12_bert
    python benchmarks/bert.py --heads sentence --seeds 1

Both trainings of a pair have the same settings, pieces of words, data and seed; only the first weights differ. Each
head is an experiment (ch12_bert_sentence, ch12_bert_pair, ch12_bert_tags, ch12_bert_span). Printed are the metrics of
the test split and the CPU time of a training. Sentence pairs need the corpus rte of NLTK.
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from omegaconf import OmegaConf

from runner.config.compose import compose
from runner.training.train import train

METRICS = {
    "sentence": ["test/accuracy"],
    "pair": ["test/accuracy"],
    "tags": ["test/f1"],
    "span": ["test/f1", "test/exact_match"],
}


def run(overrides: list[str], folder: Path) -> dict:
    """Train as the command does, without MLflow; return metrics.json and the CPU time."""
    cfg = compose([*overrides, "trainer.accelerator=cpu"])
    OmegaConf.resolve(cfg)
    started = time.process_time()
    metrics = train(cfg, folder)
    return metrics | {"cpu_seconds": round(time.process_time() - started, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pretrained", type=Path, help="the folder of a run of experiment=ch12_bert; else one is made")
    parser.add_argument("--heads", nargs="+", choices=METRICS, default=list(METRICS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rte", type=Path, help="rte.zip of NLTK, unless it is where NLTK keeps it")
    parser.add_argument("--set", nargs="*", default=[], help="further settings of every fine-tuning")
    parser.add_argument("--output", type=Path, default=Path(tempfile.mkdtemp()), help="where the runs go")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    pretrained = arguments.pretrained or arguments.output / "pretrained"
    if not (pretrained / "model").is_dir():
        found = run(["experiment=ch12_bert"], pretrained)
        shown = {name: round(value, 4) for name, value in found.items() if name.startswith("test/")}
        print(f"pre-training, {found['cpu_seconds']} s: {shown}", flush=True)
    results: dict[str, dict[str, list[dict]]] = {head: {"pre-trained": [], "not": []} for head in arguments.heads}
    for seed in arguments.seeds:
        for head in arguments.heads:
            for start in results[head]:
                begin = pretrained if start == "pre-trained" else "null"
                settings = [f"experiment=ch12_bert_{head}", f"init_from={begin}", f"data.tokenizer={pretrained}",
                            f"seed={seed}", *arguments.set]  # fmt: skip
                if head == "pair" and arguments.rte:
                    settings.append(f"data.path={arguments.rte}")
                found = run(settings, arguments.output / f"{head}-{start}-{seed}")
                results[head][start].append(found)
                shown = {name: round(found[name], 4) for name in METRICS[head]}
                print(f"{head}, {start}, seed {seed}, {found['cpu_seconds']} s: {shown}", flush=True)
    print("\n| head | metric | pre-trained | not | seconds each |\n|---|---|---|---|---|")
    for head, starts in results.items():
        for name in METRICS[head]:
            cells = [
                f"{statistics.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"
                for values in ([found[name] for found in each] for each in starts.values())
            ]
            seconds = statistics.mean(found["cpu_seconds"] for each in starts.values() for found in each)
            print(f"| {head} | {name} | {' | '.join(cells)} | {seconds:.0f} |")
    (arguments.output / "results.json").write_text(json.dumps(results, default=str))


if __name__ == "__main__":
    main()
