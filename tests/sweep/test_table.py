"""The closing tables: every job, and mean and deviation of each setting."""

from runner.sweep.report import best_jobs
from runner.sweep.state import Job, JobState, SweepState
from runner.sweep.table import closing_tables, difference_table, job_table, setting_table, write_tables


def test_the_table_of_a_paper(repeated):
    paper = setting_table(repeated, ["test/accuracy"], paper=True)
    assert paper.header == ["model", "imdb test/accuracy", "reviews test/accuracy"]
    assert paper.rows == [
        ["textcnn", "0.7200 ± 0.0100", "0.6200 ± 0.0100"],
        ["lstm", "0.8200 ± 0.0100", "0.7200 ± 0.0100"],
    ]
    assert paper.bold == {(1, 1), (1, 2)}
    assert "| lstm | **0.8200 ± 0.0100** | **0.7200 ± 0.0100** |" in paper.markdown()
    assert r"lstm & \textbf{0.8200 $\pm$ 0.0100} & \textbf{0.7200 $\pm$ 0.0100} \\" in paper.latex()
    assert r"\begin{tabular}{lrr}" in paper.latex()


def test_every_job_is_in_the_table_and_the_best_is_bold(repeated):
    repeated.best = best_jobs(repeated)
    assert repeated.best == [8]
    shown = job_table(repeated, ["val/accuracy", "test/accuracy"])
    assert [row[0] for row in shown.rows] == [str(number) for number in range(13)]
    assert shown.rows[12][1:7] == ["textcnn", "imdb", "4", "", "", "failed"]
    assert {row for row, _ in shown.bold} == {8}
    grouped = setting_table(repeated, ["val/accuracy"], paper=False)
    assert grouped.rows[0] == ["textcnn", "imdb", "3", "0.8200 ± 0.0100", "0.7952 to 0.8448"]
    assert grouped.header == ["model", "data", "n", "val/accuracy", "95 % interval"]
    assert grouped.bold == {(2, 3)}


def test_differences_from_the_best_setting(repeated):
    shown = difference_table(repeated, ["val/accuracy", "test/accuracy"])
    assert shown.header == ["model", "data", "minus", "val/accuracy", "p", "test/accuracy", "p"]
    assert [row[:3] for row in shown.rows] == [["textcnn", d, f"lstm, {d}"] for d in ("imdb", "reviews")]
    assert shown.rows[0][5].startswith("-0.1000 ± ") and shown.rows[0][6] == "0.2500"


def test_files_of_a_sweep(repeated):
    written = write_tables(repeated, ["val/accuracy"])
    assert [path.name for path in written] == [
        "table.md", "table.tex", "jobs.csv", "paper.csv", "settings.csv", "differences.csv"
    ]  # fmt: skip
    assert (repeated.folder / "table.tex").read_text().count("tabular}") == 2 * 4
    assert (repeated.folder / "settings.csv").read_text().startswith("model,data,n,val/accuracy,95 % interval\n")
    lines = (repeated.folder / "jobs.csv").read_text().splitlines()
    assert lines[0] == "job,status,run_id,model,data,seed,test/accuracy,val/accuracy" and len(lines) == 14
    assert lines[-1] == f"12,failed,{12:032x},textcnn,imdb,4,,"


def test_a_setting_without_repetitions_has_no_deviation(tmp_path):
    few = SweepState(tmp_path, keys=["model"], metrics=["val/accuracy"], directions=["max"])
    few.jobs = {0: Job(["model=a_b"], JobState.FINISHED, values={"val/accuracy": 0.5})}
    assert r"a\_b & 0.5000" in setting_table(few, ["val/accuracy"], paper=True).latex()
    assert [page.title for page in closing_tables(few, [])] == [f"sweep {few.name}: 1 jobs"]


def test_a_table_of_a_sweep_in_which_nothing_finished(tmp_path):
    none = SweepState(tmp_path, keys=["model", "data", "seed"], jobs={0: Job(["model=a"], JobState.FAILED)})
    assert setting_table(none, ["val/loss"], paper=True).rows == []
    assert "tabular" in setting_table(none, ["val/loss"], paper=True).latex() and len(closing_tables(none, [])) == 1
