"""Answers for files of every kind, texts, a row and standard input."""

import csv
import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recorded_runs import bundle, called, composed
from small_runs import small
from tables import flowers, write_csv

from runner.build import build_data, build_task
from runner.errors import UserError
from runner.inference.bundle import save_bundle
from runner.inference.predictor import BATCH, Predictor
from runner.models.attention_seq2seq import AttentionSeq2Seq
from runner.tasks.classification import Classification
from runner.verbs.evaluate import own_data
from runner.verbs.options import parse
from runner.verbs.predict import Predict, stamp


def predict(recorded, run: str, **options) -> int:
    return called(recorded, Predict(run=run, **options))


def test_every_kind_of_file_gives_the_same_answers(recorded, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = flowers(20)
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "a.tsv", rows, "\t")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    expected = list(Predictor(bundle(recorded, "iris"))(rows))
    for ending in ("csv", "tsv", "json", "jsonl", "parquet"):
        predict(recorded, run="iris", input=tmp_path / f"a.{ending}", output=tmp_path / "out.jsonl")
        assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == expected
    predict(recorded, run="iris", input=tmp_path / "a.csv", output=tmp_path / "out.tsv")
    with open(tmp_path / "out.tsv", newline="") as file:
        again = [
            {k: v if k == "label" else float(v) for k, v in row.items()} for row in csv.DictReader(file, delimiter="\t")
        ]
    assert again == expected


def test_texts_and_standard_input(recorded, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "a.txt").write_text("a fine film\nso dull\n")
    predict(recorded, run="textcnn", input=tmp_path / "a.txt")
    from_file = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO('a fine film\n\n{"text": "so dull"}\n'))
    predict(recorded, run="textcnn")
    assert capsys.readouterr().out == from_file
    assert [json.loads(line)["label"] in ("negative", "positive") for line in from_file.splitlines()] == [True, True]


def test_a_row_is_answered_and_a_key_that_is_no_column_refused(recorded, capsys) -> None:
    assert predict(recorded, "textcnn", row=("text=a fine film",)) == 0
    assert capsys.readouterr().out.startswith("label: ")
    for row, said in (
        (("text=x", "temprature=2"), '"temprature" is not a column of this model'),
        (("text=x", "explan=true"), 'Did you mean "explain"'),
        (("txet=x",), 'Did you mean "text"'),
    ):
        with pytest.raises(UserError, match=said):
            predict(recorded, "textcnn", row=row)
    with pytest.raises(UserError, match=r'"petal_lenght" is not a column.*Did you mean "petal_length"'):
        predict(recorded, "iris", row=("petal_lenght=1",))


def test_the_columns_of_the_input_are_kept_on_request(recorded, tmp_path: Path, monkeypatch, capsys) -> None:
    rows = [{"id": number, **row, "label": "mine"} for number, row in enumerate(flowers(BATCH + 3))]
    answers = list(Predictor(bundle(recorded, "iris"))(rows))
    source = write_csv(tmp_path / "in.csv", rows)
    for ending in ("csv", "jsonl"):
        output = tmp_path / f"out.{ending}"
        predict(recorded, run="iris", input=source, output=output, keep_columns=True)
        with open(output, newline="") as file:
            found = [*csv.DictReader(file)] if ending == "csv" else [json.loads(line) for line in file]
        assert [*found[0]] == [*[*rows[0]][:-1], "input_label", *answers[0]]
        assert [(row["id"], row["input_label"], row["label"]) for row in found] == [
            (str(number), "mine", answer["label"]) for number, answer in enumerate(answers)
        ]
    (tmp_path / ".out.csv.unfinished").write_text(json.dumps({"run": recorded[1]["iris"], **stamp(source)}))
    with pytest.raises(UserError, match="begun with another run"):  # without the columns
        predict(recorded, run="iris", input=source, output=tmp_path / "out.csv", keep_columns=True, resume=True)
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"text": "fine", "id": 1}\n{"text": "dull", "name": 2}\n'))
    with pytest.raises(UserError, match=r"row 2 has the columns text, name, label.*ends in \.jsonl"):
        predict(recorded, run="textcnn", output=tmp_path / "two.csv", keep_columns=True)
    predict(recorded, run="textcnn", row=("text=fine",), keep_columns=True)
    assert capsys.readouterr().out.splitlines()[0] == "text: fine"


def test_lines_are_answered_until_one_is_empty(recorded, monkeypatch, capsys) -> None:
    """What cannot be answered is said, and the next line is read; the model is loaded once."""
    loaded = []
    init = Predictor.__init__
    monkeypatch.setattr(Predictor, "__init__", lambda self, *a, **k: (loaded.append(1), init(self, *a, **k))[0])
    typed = 'a fine film\ntext="so dull"\n{"text": "a {brace}"}\n{not json\n{"txet": "x"}\n\nnot read\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert predict(recorded, "textcnn", interactive=True) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = Predictor(bundle(recorded, "textcnn"))([{"text": text} for text in ("a fine film", "so dull")])
    assert [line.removeprefix("label: ") for line in lines[::3]][:2] == [row["label"] for row in expected]
    assert len(lines) == 4 * 3 + 1 and 'Did you mean "text"' in lines[-1] and len(loaded) == 2  # one of them is ours
    row = " ".join(f"{name}={value}" for name, value in flowers(1)[0].items() if name != "species")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{row}\npetal_lenght=1\n{row.replace('=', '=x', 1)}"))
    predict(recorded, "iris", interactive=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("label: ") and 'Did you mean "petal_length"' in lines[-2] and "not a number" in lines[-1]
    for other in ({"row": ("text=x",)}, {"input": Path("x.csv")}, {"output": Path("x.csv")}):
        with pytest.raises(UserError, match="interactive=true reads what is typed"):
            predict(recorded, "textcnn", interactive=True, **other)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_that_was_cut_off_is_gone_on_with_exactly(recorded, tmp_path: Path, ending: str) -> None:
    source, whole, part = tmp_path / "in.csv", tmp_path / f"whole.{ending}", tmp_path / f"part.{ending}"
    write_csv(source, flowers(2 * BATCH + 100))
    predict(recorded, run="iris", input=source, output=whole)
    content = whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", whole.name]
    job = {"run": recorded[1]["iris"], **stamp(source)}
    for cut in (0, 3, len(content) // 3, len(content) // 2, len(content) - 20, len(content) - 1):
        part.write_bytes(content[:cut])
        (tmp_path / f".{part.name}.unfinished").write_text(json.dumps(job))
        predict(recorded, run="iris", input=source, output=part, resume=True)
        assert part.read_bytes() == content, cut
    predict(recorded, run="iris", input=source, output=part, resume=True)  # complete: nothing to do
    assert part.read_bytes() == content


def test_resume_refuses_another_input(recorded, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", flowers(3))
    (tmp_path / "out.csv").write_text("")
    (tmp_path / ".out.csv.unfinished").write_text(json.dumps({"run": "another"}))
    with pytest.raises(UserError, match="another run or input file"):
        predict(recorded, run="iris", input=source, output=tmp_path / "out.csv", resume=True)
    with pytest.raises(UserError, match="needs input=FILE and output=FILE"):
        predict(recorded, run="iris", input=source, resume=True)


def test_an_interrupted_prediction_keeps_its_note(recorded, tmp_path: Path) -> None:
    """A bad row ends it; what was answered before is in the file, and a note says that it is not whole."""
    rows = flowers(BATCH + 5)
    rows[-1]["petal_width"] = "wide"
    source = write_csv(tmp_path / "in.csv", rows)
    with pytest.raises(UserError, match=rf'in.csv, line {BATCH + 6}, column "petal_width": \'wide\' is not a number'):
        predict(recorded, run="iris", input=source, output=tmp_path / "out.csv")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == BATCH + 1
    assert (tmp_path / ".out.csv.unfinished").exists()


def test_outputs_of_other_kinds_are_refused(recorded, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in .csv, .tsv, .jsonl"):
        predict(recorded, run="iris", input=Path("a.csv"), output=tmp_path / "out.xlsx")


def test_a_question_of_the_objective_is_answered(recorded, monkeypatch, capsys) -> None:
    near = {"near": lambda word, data: [{"word": f"{word}{number}", "distance": number / 4} for number in (1, 2)]}
    monkeypatch.setattr(Classification, "questions", lambda task: near)
    assert predict(recorded, "textcnn", row=("near=fine",)) == 0
    assert capsys.readouterr().out.split() == [
        "word:",
        "fine1",
        "distance:",
        "0.2500",
        "word:",
        "fine2",
        "distance:",
        "0.5000",
    ]
    with pytest.raises(UserError, match="near= is a question of its own: leave text out"):
        predict(recorded, "textcnn", row=("near=fine", "text=x"))
    with pytest.raises(UserError, match=r'"neer" is not a column.*Did you mean "near"\?.*questions: near'):
        predict(recorded, "textcnn", row=("neer=fine",))


def test_settings_of_the_objective_are_read_as_yaml() -> None:
    verb = parse(Predict, ["run=x", "task.temperature=0.5", "task.method=beam", "text=task.y=1"])
    assert verb.changed == {"temperature": 0.5, "method": "beam"} and verb.row == ("text=task.y=1",)


@pytest.fixture
def writer(tmp_path: Path, monkeypatch) -> Path:
    """The untrained model of a run that writes rows of letters backwards; the verb takes it for any run."""
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    cfg = composed([*small("attention_seq2seq"), "data=reverse", "data.rows=300"])
    data, task = build_data(cfg), build_task(cfg)
    data.setup()
    task.connect(data)
    bundle = save_bundle(tmp_path / "run", cfg, task, data)
    monkeypatch.setattr(Predict, "bundle", lambda verb: bundle)
    monkeypatch.setattr(Predict, "info", SimpleNamespace(id="a-run"))
    return bundle


def answered(*arguments: str) -> int:
    return parse(Predict, ["run=last", *arguments])()


def test_settings_of_a_model_are_typed_as_they_are(writer, capsys) -> None:
    assert answered("text=abc", "n_best=7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines][:4] == ["prediction", "score_1", "prediction_2", "score_2"]
    scores = [float(line.split(": ")[1]) for line in lines[1::2]]
    assert len(scores) == 7 and scores == sorted(scores, reverse=True)
    answered("text=abc", "n_best=7", "beam_size=7", "method=beam")
    assert capsys.readouterr().out.splitlines() == lines
    for typed, said in (
        (["n_best=3", "method=greedy"], "n_best must be 1 to 1 with method=greedy"),
        (["n_best=3", "beam_size=2"], "n_best must be 1 to 2 with method=beam"),
        (["n_bets=3"], 'Did you mean "n_best"'),
    ):
        with pytest.raises(UserError, match=said):
            answered("text=abc", *typed)


def test_where_a_model_looked_is_shown_and_written(writer, tmp_path: Path, capsys) -> None:
    assert answered("text=abcd", "show_attention=true") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("prediction: ") and all(line.split("|")[2].split() for line in lines)
    assert all(len(line.split("|")[1]) == 4 for line in lines)  # a shade for each letter of the source
    answered("text=abcd", "show_attention=true", f"output={tmp_path / 'out.jsonl'}")
    (answer,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    look = json.loads(answer["attention"])
    assert look["read"] == list("abcd") and len(look["written"]) == len(lines)
    assert np.allclose(np.sum(look["weights"], axis=1), 1, atol=0.01)


@pytest.mark.parametrize(("kind", "said"), [("writes", "has none"), ("classifies", "is not a column")])
def test_a_model_without_attention_says_so(kind: str, said: str, writer, recorded, monkeypatch) -> None:
    if kind == "classifies":
        monkeypatch.setattr(Predict, "bundle", lambda verb: bundle(recorded, "textcnn"))
    else:
        monkeypatch.delattr(AttentionSeq2Seq, "step_attention")
    with pytest.raises(UserError, match=said):
        answered("text=abc", "show_attention=true")


def test_files_are_answered_in_their_own_order(writer, tmp_path: Path) -> None:
    """Rows of any length, more than are decoded together; each answer is that of the row alone."""
    draw = np.random.default_rng(0)
    texts = ["".join(draw.choice(list("abcdefghij"), size=size)) for size in draw.integers(1, 11, size=BATCH + 30)]
    (tmp_path / "a.txt").write_text("".join(f"{text}\n" for text in texts))
    (tmp_path / "a.tsv").write_text("number\tsource\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(texts)))
    (tmp_path / "a.csv").write_text("source\n" + "".join(f"{text}\n" for text in texts))
    found = []
    for ending in ("txt", "tsv", "csv"):
        answered(f"input={tmp_path / f'a.{ending}'}", f"output={tmp_path / 'out.tsv'}", "n_best=2")
        with open(tmp_path / "out.tsv", newline="") as file:
            found.append([row["prediction"] for row in csv.DictReader(file, delimiter="\t")])
    alone = Predictor(writer, changed={"n_best": 2})
    some = list(range(0, len(texts), 29))
    assert [found[0][place] for place in some] == [
        next(alone([{"source": texts[place]}]))["prediction"] for place in some
    ]
    assert found[0] == found[1] == found[2] and len(found[0]) == len(texts)


def test_only_one_text_is_explained(recorded) -> None:
    for options in ({"input": Path("x.csv"), "explain": True}, {"explain": True}, {"figure": Path("x.png")}):
        with pytest.raises(UserError, match="explain=true goes with one text"):
            predict(recorded, "textcnn", **options)


def test_the_nearest_training_examples_of_a_row(recorded, capsys) -> None:
    assert called(recorded, Predict(run="csv", row=("text=a dull film number 3, really",), neighbours=3)) == 0
    label, *_, first, second, third = capsys.readouterr().out.splitlines()
    assert label.startswith("label: ")
    cosines = [float(line.split()[0]) for line in (first, second, third)]
    assert cosines == sorted(cosines, reverse=True) and 0.9 < cosines[0] <= 1
    assert all(re.search(r"train row \d+: (bad  dull|good  fine) film number", line) for line in (first, second, third))
    _, data, _ = own_data(bundle(recorded, "boston").parent, "train", {})
    row, price = data.raw("train")[5], data.targets_of("train")[5]
    typed = tuple(f"{name}={value}" for name, value in row.items())
    assert called(recorded, Predict(run="boston", row=typed, neighbours=1)) == 0
    assert f"1.000  train row 5: {price:g}  " in capsys.readouterr().out, "it is that row"
    for given in ({}, {"row": ("text=x",), "checkpoint": "2"}, {"row": ("text=x",), "output": Path("a.csv")}):
        with pytest.raises(UserError, match="neighbours=K goes with one row"):
            called(recorded, Predict(run="csv", neighbours=2, **given))
