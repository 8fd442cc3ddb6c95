"""`runner evaluate`: the metrics of a finished run, computed again, or the metrics of its model on a labelled file."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from runner.errors import UserError, closest
from runner.verbs.options import File, OfWeights, Typed, options

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pytorch_lightning import Trainer

    from runner.datamodules.base import DataModule
    from runner.tasks.base import Task

TOLERANCE = 1e-4  # relative; another machine adds up numbers in another order


@dataclass(kw_only=True)
class Evaluate(OfWeights):
    """Measure how good a model is, on its own data or on a labelled file.

    Without input: the metrics of the run's own data, computed again; exit code 1 if they differ from those of the run.
    With input: the metrics of a labelled file and its worst rows. Some objectives can measure something else too.
    by, calibrate, probe and neighbours look closer; what they find is a file of the run, too.

    Args:
        measure: what else the objective can measure, such as episodes=100 of an agent.
        split: of the run's own data: test, or val, which is also what checkpoint= looks at if nothing is said.
        input: a labelled file: CSV, TSV, JSON, JSONL, Parquet or text, of any size.
        output: a file that gets every row of input with its answer and error: .csv, .tsv or .jsonl.
        label: the column of input with the truth; usually that of the training data.
        by: a column, of input or of the data, whose values are slices with metrics of their own; many numbers are cut
            into quarters. length = the number of tokens of a text, truth = the true class.
        calibrate: fit the temperature of a classifier on the validation split; how far its probabilities can be
            believed, before and after, on the test split, with a reliability diagram.
        probe: a module of the net, such as encoder: how well a linear classifier of what it says tells the classes.
        neighbours: as many training examples that are most alike to the net, for each of the largest errors.
    """

    measure: Annotated[tuple[str, ...], Typed("[MEASURE=VALUE]", form="rest")] = ()
    split: Literal["test", "val"] | None = None
    input: File = None
    output: File = None
    label: Annotated[str | None, Typed("COLUMN")] = None
    by: Annotated[str | None, Typed("COLUMN")] = None
    calibrate: bool = False
    probe: Annotated[str | None, Typed("MODULE")] = None
    neighbours: Annotated[int | None, Typed("K", allowed=range(1, 101))] = None

    def __call__(self) -> int:
        looks = [name for name in ("by", "calibrate", "probe", "neighbours") if getattr(self, name)]
        if looks and (self.measure or len(looks) > 1):
            raise UserError(f"{looks[0]}= is measured by itself: leave {' and '.join([*looks[1:], *self.measure])} out")
        if looks and self.checkpoint:
            raise UserError(f"{looks[0]}= is about the weights that the run has kept: leave checkpoint= out")
        if looks and self.output:
            raise UserError(f"{looks[0]}= writes files of its own into the folder of the run: leave output= out")
        if self.measure:
            return self.measured()
        if self.input and looks not in ([], ["by"]):
            raise UserError(f"{looks[0]}= is about the run's own data: leave input= out")
        if self.input:
            return self.slices_of_file(self.input, self.by) if self.by else self.on_file(self.input)
        if self.output or self.label:
            raise UserError(f"{'output' if self.output else 'label'}= goes with input=FILE")
        self.let_in()
        run = self.info
        if run.folder is None or not run.folder.is_dir():
            raise UserError(f"the folder of run {run.id} is not on this machine: {run.folder}. Give a file: input=FILE")
        if looks:
            return self.look_closer(run.folder)
        split = self.split or ("val" if self.checkpoint else "test")
        return on_split(run.folder, split, self.changed, self.checkpoint)

    def look_closer(self, folder: Path) -> int:
        """Print by, calibrate, probe or neighbours, and write it into the folder of the run and to its record."""
        from runner.verbs import examine

        split = self.split or "test"
        task, data, _ = own_data(folder, split, self.changed)
        if self.by:
            files = examine.slices_of_split(task, data, split, self.by, folder)
        elif self.calibrate:
            files = examine.calibrated(task, data, folder)
        elif self.probe:
            files = examine.probed(task, data, self.probe, folder)
        else:
            files = examine.near_mistakes(task, data, self.neighbours or 1, folder)
        examine.keep_files(files, self.info, self.tracking_uri, self.outputs)
        return 0

    def slices_of_file(self, file: Path, by: str) -> int:
        """Print the metrics of each slice of a labelled file."""
        from runner.inference.predictor import Predictor
        from runner.verbs.examine import slices_in_file

        slices_in_file(Predictor(self.bundle(), changed=self.changed), file, self.label, by)
        return 0

    def measured(self) -> int:
        """Print what the objective measures of its own."""
        from runner.inference.predictor import Predictor

        predictor = self.with_weights(Predictor(self.bundle(), changed=self.changed))
        measures = predictor.task.measures()
        for word in self.measure:
            if word.partition("=")[0] not in measures:
                known = [*measures, *(option.key for option in options(type(self)) if option.form == "option")]
                near = closest(word.partition("=")[0], known)
                raise UserError(f"received {word!r}.{near} Allowed: {', '.join(f'{key}=' for key in known)}")
        if len(self.measure) > 1 or self.input or self.output or self.label:
            raise UserError(f"{self.measure[0]} is measured by itself: leave the other settings out")
        name, _, value = self.measure[0].partition("=")
        metrics_table(measures[name](value, predictor.data), self.measure[0])
        return 0

    def on_file(self, file: Path) -> int:
        """Score the rows of a file and print the metrics and the rows with the largest errors."""
        from rich.console import Console

        from runner.inference.predictor import Predictor
        from runner.inference.scoring import score_file

        predictor = self.with_weights(Predictor(self.bundle(), changed=self.changed))
        metrics, rows, worst = score_file(predictor, file, self.label, self.output)
        metrics_table(metrics, f"{file}{f', {rows} rows' if rows else ''}")
        console = Console(soft_wrap=True, highlight=False, markup=False)
        if worst:
            console.print("the largest errors:")
        for line in worst:
            console.print(f"  {line}")
        return 0


def metrics_table(metrics: dict[str, float], title: str) -> None:
    """Print metrics under what they are metrics of."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", title=title, title_justify="left")
    for name, value in sorted(metrics.items()):
        table.add_row(name, f"{value:.6f}")
    Console(soft_wrap=True, highlight=False, markup=False).print(table)


def own_data(folder: Path, split: str, changed: dict[str, Any]) -> tuple["Task", "DataModule", "DictConfig"]:
    """Return the trained model of a run, the data that it was trained on, and its configuration.

    Raises:
        UserError: the data have no such split, or have changed.
    """
    from runner.inference.bundle import load_bundle, preprocessing
    from runner.training.lightning import silence

    silence()
    task, data, cfg = load_bundle(folder / "model", changed)
    data.setup()
    if split not in data.sizes:
        raise UserError(f"the data of this run has no {split} split: {data.source}")
    if data.digest != preprocessing(folder / "model")["digest"]:
        raise UserError(f"the data of this run have changed since then: {data.source}. Train again, or type input=FILE")
    return task, data, cfg


def on_split(folder: Path, split: str, changed: dict[str, Any], checkpoint: str | None = None) -> int:
    """Score "val" or "test" and print the metrics next to those the run wrote, of its best or other weights."""
    import pytorch_lightning as lightning
    from rich.console import Console
    from rich.table import Table

    from runner.training.ranking import chosen

    task, data, cfg = own_data(folder, split, changed)
    if checkpoint:
        weights, written = chosen(folder / "checkpoints", checkpoint)
        task.load_state_dict(weights)
    else:
        written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    lightning.seed_everything(cfg.seed, verbose=False)
    metrics = task.evaluate(scorer(cfg), data, split)
    title = f"{folder}{f', checkpoint={checkpoint}' if checkpoint else ''}"
    table = Table("metric", "now", "in the run", title=title, title_justify="left")
    for name, value in sorted(metrics.items()):
        table.add_row(name, f"{value:.6f}", f"{written[name]:.6f}" if name in written else "")
    Console(soft_wrap=True).print(table)
    name = "_".join(["evaluate", split, *([checkpoint] if checkpoint else [])])
    (folder / f"{name}.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    differing = [name for name, value in metrics.items() if name in written and not same(value, written[name])]
    if differing:
        print(f"different from what the run wrote: {', '.join(differing)}")
    return 1 if differing else 0


def same(one: float, other: float) -> bool:
    """Whether two values of a metric are equal up to the order of additions."""
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))


def scorer(cfg: "DictConfig") -> "Trainer":
    """Return the trainer of the run, for scoring on one device, of another kind if the original one is missing."""
    import torch

    from runner.config.instances import instance
    from runner.training.callbacks import ShowProgress
    from runner.training.lightning import PLAIN

    flags = dict(cfg.trainer)
    flags |= {"gradient_clip_val": None, "devices": 1, "strategy": "auto", "num_nodes": 1, "profiler": None}
    if flags.get("accelerator") in ("gpu", "cuda") and not torch.cuda.is_available():
        flags["accelerator"] = "auto"
    return instance(flags, "trainer", logger=False, callbacks=[ShowProgress()], enable_checkpointing=False, **PLAIN)
