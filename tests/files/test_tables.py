"""Reading tables of every format, their facts, and the facts inside a configuration."""

import gzip
import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from runner.config.inferred import register_resolvers, settle
from runner.datamodules.table import Table
from runner.errors import UserError
from runner.files import rows
from runner.files.cells import combined
from runner.files.rows import Settings
from runner.files.tables import TableFile

ROWS = [{"text": f"text {number}, with a comma", "label": "yes" if number % 2 else "no"} for number in range(12)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def csv_of(rows, delimiter=","):
    lines = [delimiter.join(rows[0])] + [delimiter.join(f'"{cell}"' for cell in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


def write(path, rows):
    """Write rows in the format of the file's ending."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(csv_of(rows).encode()))
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        texts = {
            ".csv": lambda: "\ufeff" + csv_of(rows),  # as Excel writes it
            ".tsv": lambda: csv_of(rows, "\t"),
            ".json": lambda: json.dumps(rows, indent=1),
            ".jsonl": lambda: "\n".join(map(json.dumps, rows)) + "\n\n",
        }
        path.write_text(texts[path.suffix](), encoding="utf-8")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    write(tmp_path / name, ROWS)
    settings = Settings(path=name, text="text", label="label")
    found = rows.facts(settings)
    assert (found.rows, found.classes, found.columns) == (12, ["no", "yes"], ["text", "label"])
    assert [(row.text, row.target) for row in rows.rows(settings)] == [(r["text"], r["label"]) for r in ROWS]
    many = ROWS * 100  # more than are read between two looks at the progress
    write(tmp_path / name, many)
    assert [cells for _, cells in rows.read_rows(name)] == many


def test_plain_text_has_one_column_and_a_folder_of_them_has_classes(tmp_path):
    for name in ("good", "bad"):
        (tmp_path / "reviews").mkdir(exist_ok=True)
        (tmp_path / "reviews" / f"{name}.txt").write_text(f"a {name} film\n" * 6)
    assert TableFile(tmp_path / "reviews" / "good.txt").columns() == ["text"]
    found = rows.facts(Settings(path="reviews", text="text", label="label"))
    assert (found.rows, found.classes) == (12, ["bad", "good"])


def test_a_folder_with_splits(tmp_path):
    for name in ("train.csv", "dev.csv", "test.csv"):
        write(tmp_path / name, ROWS)
    (tmp_path / "README.txt").write_text("")
    read = list(rows.rows(Settings(path=".", text="text", label="label")))
    assert [read[place].split for place in (0, 12, 24)] == ["train", "val", "test"]


def test_lines_are_those_of_the_file(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n"two\nlines",a\nb,c\n\nd,e\n')
    assert [number for number, _ in TableFile(tmp_path / "a.csv").rows()] == [2, 4, 6]


def test_number_columns_are_found_and_others_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("id,x,y,price\n" + "".join(f"h{n},{n},{n / 2},{n * 3.5}\n" for n in range(20)))
    found = rows.facts(Settings(path="a.csv", text=None, label="price", target="number"))
    assert found.features == ["x", "y"]
    read = list(rows.rows(Settings("a.csv", None, "price", target="number"), found.features))
    assert read[3].numbers == [3.0, 1.5] and read[3].target == 10.5


def test_what_is_read_and_what_is_left_out_is_said(tmp_path, caplog):
    caplog.set_level("INFO")
    lines = "".join(f"h{n},{n},{n / 2},{'ab'[n % 2]}\n" for n in range(20))
    (tmp_path / "a.csv").write_text("id,x,y,kind\n" + lines)
    for _ in range(2):  # also where the facts are in the cache already
        caplog.clear()
        Table(path="a.csv", label="kind").setup()
        said = {record.getMessage(): record.levelname for record in caplog.records}
        assert said["Read: the numbers of x, y; as label kind, 2 classes (a, b)"] == "INFO"
        assert said["Left out, since they hold words and not numbers: id"] == "WARNING"
    Table(path="a.csv", label="kind", features=["y"]).setup()
    assert "Left out: id, x" in caplog.messages
    caplog.clear()
    Table(path="a.csv", label="x", text="id", target="number").setup()
    assert {"Read: the text of id; as label x, numbers", "Left out: y, kind"} < set(caplog.messages)


@pytest.mark.parametrize(
    ("classes", "several"),
    [
        (["a", "b", "a;b"], ["a;b"]),
        (["a; b", "b; c"], ["a; b", "b; c"]),
        (["a,b", "b"], ["a,b"]),
        (["Korea, North", "Korea, South"], []),
        (["and/or", "a-b", "a;b"], []),
    ],
)
def test_several_labels_in_one_are_noticed(tmp_path, caplog, classes, several):
    assert combined(classes) == several
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f't,"{classes[n % len(classes)]}"\n' for n in range(60)))
    Table(path="a.csv", text="text", label="label").setup()
    assert ("seem to be several labels in one" in caplog.text) == bool(several)


def test_a_missing_value_and_a_class_of_that_name_are_told_apart(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t,{['None', 'NA', 'x'][n % 3]}\n" for n in range(30)))
    assert rows.facts(Settings("a.csv", "text", "label")).classes == ["NA", "None", "x"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["0.5", "1.0", "1.5"], ["0.5", "1.0", "1.5"]),  # half stars are classes
        (["b", "10", "a"], ["10", "a", "b"]),
    ],
)
def test_classes_are_in_order(tmp_path, labels, classes):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t,{labels[n % 3]}\n" for n in range(30)))
    assert rows.facts(Settings("a.csv", "text", "label")).classes == classes


def test_whole_floats_of_parquet_are_the_same_class_as_whole_numbers(tmp_path):
    write(tmp_path / "a.parquet", [{"text": "t", "label": float(number % 3)} for number in range(12)])
    assert rows.facts(Settings("a.parquet", "text", "label")).classes == ["0", "1", "2"]


def test_facts_are_remembered_until_the_file_changes(tmp_path, monkeypatch):
    write(tmp_path / "a.csv", ROWS)
    settings = Settings("a.csv", "text", "label")
    first = rows.facts(settings)
    with monkeypatch.context() as patched:
        patched.setattr(rows, "_read_facts", None)
        assert rows.facts(settings) == first
    write(tmp_path / "a.csv", [*ROWS, ROWS[0]])
    assert rows.facts(settings).rows == 13


def test_other_encodings_and_delimiters(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        csv_of([{"text": "café", "label": "a"}, {"text": "x", "label": "b"}], ";").encode("cp1252")
    )
    settings = Settings("a.csv", "text", "label", encoding="cp1252", delimiter=";")
    assert [row.text for row in rows.rows(settings)] == ["café", "x"]


# Facts in a configuration.


def composed(**data):
    register_resolvers()
    inferred = {
        name: f"${{infer:{name}}}" for name in ("target", "num_classes", "num_targets", "in_features", "vocab_size")
    }
    return OmegaConf.create(
        {
            "data": {"path": "???", "label": "???", "text": None, "features": None, "encoding": "utf-8"}
            | inferred
            | data,
            "task": {"num_outputs": "${data.num_classes}"},
            "model": {"num_outputs": "${task.num_outputs}"},
        }
    )


def test_infer_reads_the_table(tmp_path):
    write(tmp_path / "a.csv", ROWS)
    cfg = composed(path="a.csv", text="text", label="label")
    assert (cfg.data.num_classes, cfg.data.vocab_size, cfg.data.target) == (2, 10_000, "class")
    assert cfg.model.num_outputs == 2


def test_target_is_a_number_when_the_task_asks_for_targets(tmp_path):
    (tmp_path / "a.csv").write_text("x,price\n" + "".join(f"{n},{n * 1.5}\n" for n in range(20)))
    cfg = composed(path="a.csv", label="price")
    cfg.task.num_outputs = "${data.num_targets}"
    assert (cfg.data.target, cfg.data.in_features, cfg.model.num_outputs) == ("number", 1, 1)


def test_settle_keeps_the_facts_there_are(tmp_path):
    write(tmp_path / "a.csv", ROWS)
    cfg = composed(path="a.csv", text="text", label="label")
    OmegaConf.set_struct(cfg, True)
    removed = settle(cfg.data)
    assert set(removed) == {"in_features"} and "take a model for text" in removed["in_features"]
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert plain["data"]["num_classes"] == 2 and plain["data"]["vocab_size"] == 10_000
    assert "in_features" not in plain["data"]


def test_errors_come_through_omegaconf(tmp_path):
    write(tmp_path / "a.csv", ROWS)
    with pytest.raises(UserError, match=r'no column "labl".*Did you mean "label"\?'):
        settle(composed(path="a.csv", text="text", label="labl").data)
    with pytest.raises(UserError, match=r"data\.path is not set"):
        settle(composed().data)
    with pytest.raises(UserError, match=r"data\.text=\[text,label\]: it names one column"):
        settle(composed(path="a.csv", text=["text", "label"], label="label").data)
    cfg = composed(path="a.csv", label="label", features=["text"])
    with pytest.raises(UserError, match='"text 0, with a comma" is not a number'):
        settle(cfg.data)


def test_a_fact_the_user_gives_is_left_alone(tmp_path):
    write(tmp_path / "a.csv", ROWS)
    cfg = composed(path="a.csv", text="text", label="label", vocab_size=50)
    settle(cfg.data)
    assert cfg.data.vocab_size == 50


def test_no_heavy_library_is_imported():
    heavy = ["torch", "pandas", "pyarrow", "datasets", "numpy"]
    code = f"import sys, runner.files.rows; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
