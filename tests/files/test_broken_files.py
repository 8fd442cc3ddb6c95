"""Broken data files: each gives one message that names the place and what to do about it."""

import gzip
import json
import os

import pytest

from runner.datamodules.characters import Characters
from runner.datamodules.table import Table
from runner.errors import UserError
from runner.files import rows

GOOD = "text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(20))
NUMBERS = "x,y,label\n" + "".join(f"{n},{n * 2},{'ab'[n % 2]}\n" for n in range(20))
AMOUNTS = "x,y\n" + "".join(f"{n},{n * 2.5}\n" for n in range(20))
ZIPPED = gzip.compress(GOOD.encode())


def with_line(table, number, line):
    """Replace a line by another one; the header is line 1."""
    lines = table.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


def jsonl(rows):
    return "\n".join(json.dumps(row) for row in rows) + "\n"


TEXT = {"text": "text", "label": "label"}
COLUMNS = {"label": "label"}
AMOUNT = {"label": "y", "target": "number"}

# name -> (files: name -> content, settings besides the path, what the message has to contain)
BROKEN = {
    "missing file": (
        {"reviews.csv": GOOD},
        TEXT | {"path": "reviws.csv"},
        ["reviws.csv does not exist", 'Did you mean "reviews.csv"?'],
    ),
    "missing folder": ({}, TEXT | {"path": "nowhere/a.csv"}, ["nowhere/a.csv does not exist", "no folder nowhere"]),
    "empty file": ({"a.csv": ""}, TEXT, ["a.csv is empty (0 bytes)"]),
    "blank file": ({"a.csv": "\n\n"}, TEXT, ["a.csv is empty", "first line should name the columns"]),
    "header only": ({"a.csv": "text,label\n"}, TEXT, ["a.csv has only a header (text, label) and no rows"]),
    "missing column": (
        {"a.csv": GOOD},
        TEXT | {"label": "lable"},
        ['a.csv has no column "lable" (data.label)', "it has: text, label", 'Did you mean "label"?'],
    ),
    "missing text column": (
        {"a.csv": GOOD},
        TEXT | {"text": "review"},
        ['no column "review" (data.text)', "it has: text, label"],
    ),
    "other delimiter": (
        {"a.csv": GOOD.replace(",", ";")},
        TEXT,
        ["separated by a semicolon", "data.delimiter=';'"],
    ),
    "duplicate column": (
        {"a.csv": "text,label,text\na,b,c\n"},
        TEXT,
        ['a.csv, line 1: the column "text" occurs twice', "columns 1 and 3"],
    ),
    "wrong encoding": (
        {"a.csv": with_line(GOOD, 5, "café,a").encode("latin-1")},
        TEXT,
        ["a.csv, line 5", "byte 0xe9 after 'caf'", "data.encoding=latin-1"],
    ),
    "utf-16": ({"a.csv": GOOD.encode("utf-16")}, TEXT, ["a.csv, line 1", "data.encoding=utf-16"]),
    "unknown encoding": ({"a.csv": GOOD}, TEXT | {"encoding": "latin1x"}, ['data.encoding="latin1x"', "latin-1"]),
    "too many cells": (
        {"a.csv": with_line(GOOD, 7, "well, well,a")},
        TEXT,
        ["a.csv, line 7: 3 cells where the header has 2", "a comma needs quotation marks"],
    ),
    "too few cells": (
        {"a.csv": with_line(GOOD, 4, "only text")},
        TEXT,
        ["a.csv, line 4: 1 cells where the header has 2"],
    ),
    "quotation mark never closed": (
        {"a.csv": with_line(GOOD, 9, '"never closed,a')},
        TEXT,
        ["a.csv, line 9: a quotation mark is misplaced or never closed", "data.quoted=false"],
    ),
    "empty text": (
        {"a.csv": with_line(GOOD, 6, "  ,a")},
        TEXT,
        ['a.csv, line 6, column "text"', "the text is empty (length zero)"],
    ),
    "empty label": (
        {"a.csv": with_line(GOOD, 6, "text,")},
        TEXT,
        ['a.csv, line 6, column "label"', "the label is empty"],
    ),
    "nan label in parquet": (
        {"a.parquet": [{"text": "t", "label": 1.0}] * 10 + [{"text": "t", "label": float("nan")}]},
        TEXT,
        ['a.parquet, row 11, column "label"', "the label is empty"],
    ),
    "empty number": (
        {"a.csv": with_line(NUMBERS, 8, "1,,a")},
        COLUMNS,
        ['a.csv, line 8, column "y"', "the number is empty", "data.features=[...]"],
    ),
    "nan": ({"a.csv": with_line(NUMBERS, 8, "NaN,1,a")}, COLUMNS, ['a.csv, line 8, column "x"', 'missing ("NaN")']),
    "infinite": (
        {"a.csv": with_line(NUMBERS, 8, "1,inf,a")},
        COLUMNS,
        ['line 8, column "y"', "inf is not a finite number"],
    ),
    "word among numbers": (
        {"a.csv": with_line(NUMBERS, 3, "1,about two,a")},
        COLUMNS,
        ['a.csv, line 3, column "y"', '"about two" is not a number'],
    ),
    "decimal comma": (
        {"a.csv": with_line(NUMBERS, 3, '"1,5",2,a')},
        COLUMNS,
        ['line 3, column "x"', '"1,5" has a decimal comma', "(1.5)"],
    ),
    "no number column": ({"a.csv": GOOD}, COLUMNS, ["no number columns besides the label", "data.text=COLUMN"]),
    "one class": (
        {"a.csv": GOOD.replace(",b\n", ",a\n")},
        TEXT,
        ['column "label"', 'all 20 rows have the same label "a"'],
    ),
    "class only in test": (
        {"train.csv": GOOD, "test.csv": with_line(GOOD, 4, "text,c")},
        TEXT | {"path": "."},
        ["test.csv, line 4", 'the class "c" is only in the test file', "never in training"],
    ),
    "too few rows": ({"a.csv": "text,label\nx,a\ny,b\nz,a\nw,b\n"}, TEXT, ["only 4 rows", "at least 10 are needed"]),
    "real values as classes": (
        {"a.csv": "x,price\n" + "".join(f"{n},{n * 1.37:.2f}\n" for n in range(1, 21))},
        {"label": "price"},
        ['column "price"', "20 different labels in 20 rows", "task=regression"],
    ),
    "texts as classes": (
        {"a.csv": "text,label\n" + "".join(f"t,answer {n}\n" for n in range(40))},
        TEXT,
        ["40 different labels in 40 rows", "data.label"],
    ),
    "words as targets": (
        {"a.csv": NUMBERS},
        COLUMNS | {"target": "number"},
        ['a.csv, line 2, column "label"', '"a" is not a number', "task=classification"],
    ),
    "label is the text": (
        {"a.csv": GOOD},
        {"text": "label", "label": "label"},
        ['both "label"', "Columns: text, label"],
    ),
    "label among the features": (
        {"a.csv": NUMBERS},
        COLUMNS | {"features": ["x", "label"]},
        ['data.features holds the label "label"'],
    ),
    "two texts and features": (
        {"a.csv": "a,b,y,label\ng,h,1,k\n"},
        {"text": "a", "text_pair": "b", "label": "label", "features": ["y"]},
        ["data.text_pair goes with data.text alone"],
    ),
    "one column read twice": (
        {"a.csv": "a,y,label\ng,1,k\n"},
        {"text": "a", "label": "label", "categories": ["a"]},
        ['data.text and data.categories are both "a": a column is read in one way'],
    ),
    "several columns of classes": ({"a.csv": NUMBERS}, {"label": ["label", "y"]}, ["type task=regression"]),
    "several labels of a task with one": (
        {"a.csv": "a,label\ng,k;l\n"},
        {"text": "a", "label": "label", "label_separator": ";"},
        ["type task=multi_label"],
    ),
    "a text as a category": (
        {"a.csv": "x,c,label\n" + "".join(f"{n},w{n},{n % 2}\n" for n in range(30))},
        {"label": "label", "categories": ["c"]},
        ['column "c": 30 words in 30 rows'],
    ),
    "classes that are not in the order": (
        {"a.csv": "x,label\n1,low\n2,high\n"},
        {"label": "label", "class_order": ["low", "middle"]},
        ["data.class_order=low, middle has to name all classes: high, low"],
    ),
    "invalid json line": (
        {"a.jsonl": jsonl([{"text": "t", "label": "a"}] * 3) + '{"text": "t", "label": }\n'},
        TEXT,
        ["a.jsonl, line 4: not valid JSON", "character 24"],
    ),
    "json line without object": (
        {"a.jsonl": jsonl([{"text": "t", "label": "a"}, ["t", "a"]])},
        TEXT,
        ["a.jsonl, line 2: a list where an object is expected"],
    ),
    "key missing in a json line": (
        {"a.jsonl": jsonl([{"text": "t", "label": "a"}, {"text": "t"}])},
        TEXT,
        ['a.jsonl, line 2, column "label"', "the label is empty"],
    ),
    "list in a json cell": (
        {"a.jsonl": jsonl([{"text": ["t"], "label": "a"}])},
        TEXT,
        ['line 1, column "text": a list where a text is expected'],
    ),
    "json without list": ({"a.json": '{"text": "t"}'}, TEXT, ["a.json should hold a list of objects", ".jsonl"]),
    "broken json": (
        {"a.json": '[{"text": "t", "label": "a"},\n {"text" "t"}]'},
        TEXT,
        ["a.json, row 2: not valid JSON", "line 2"],
    ),
    "unclosed json": ({"a.json": '[{"text": "t", "label": "a"}'}, TEXT, ["a.json, row 1: not valid JSON"]),
    "broken parquet": ({"a.parquet": b"PAR1 nonsense"}, TEXT, ["a.parquet is not a readable Parquet file"]),
    "broken gzip": ({"a.csv.gz": b"\x1f\x8bnonsense"}, TEXT, ["a.csv.gz is not a complete gzip file"]),
    "spreadsheet": ({"a.xlsx": b"PK"}, TEXT, ["a.xlsx is a spreadsheet", "Save it as CSV"]),
    "unknown ending": ({"a.cvs": GOOD}, TEXT, ['the ending ".cvs" is not known', 'Did you mean ".csv"?']),
    "text file without labels": (
        {"a.txt": "one\ntwo\n"},
        TEXT,
        ['a.txt has no column "label"', "plain text file has no labels"],
    ),
    "folder without train": (
        {"data.csv": GOOD, "more.csv": GOOD},
        TEXT | {"path": "."},
        ["no train file", "data.csv, more.csv"],
    ),
    "two train files": (
        {"train.csv": GOOD, "train.tsv": GOOD},
        TEXT | {"path": "."},
        ["two train files, train.csv and train.tsv"],
    ),
    "wrong number of classes": (
        {"a.csv": GOOD},
        TEXT | {"num_classes": 5},
        ["data.num_classes=5 is declared", "Set data.num_classes=2"],
    ),
    "wrong number of features": (
        {"a.csv": NUMBERS},
        COLUMNS | {"in_features": 3},
        ["data.in_features=3", "Set data.in_features=2"],
    ),
    "folder for a file": (
        {"train.csv/keep.txt": GOOD, "test.csv": GOOD},
        TEXT | {"path": "."},
        ["train.csv is a folder, where a file is expected"],
    ),
    "null label": (
        {"a.csv": with_line(GOOD, 6, "text,NULL")},
        TEXT,
        ['a.csv, line 6, column "label"', 'the label is missing ("NULL")'],
    ),
    "target beyond 32 bits": (
        {"a.csv": with_line(AMOUNTS, 6, "1,1e39")},
        AMOUNT,
        ['a.csv, line 6, column "y"', "1e39 is too large: a number is at most 3.4e+38"],
    ),
    "feature beyond 32 bits": (
        {"a.csv": with_line(AMOUNTS, 6, "-1e300,1")},
        AMOUNT,
        ['a.csv, line 6, column "x"', "-1e300 is too large"],
    ),
    "target with an underscore": (
        {"a.csv": with_line(AMOUNTS, 6, "1,1_000")},
        AMOUNT,
        ['a.csv, line 6, column "y"', '"1_000" is not a number'],
    ),
    "feature with an underscore": (
        {"a.csv": with_line(AMOUNTS, 6, "1_000,1")},
        AMOUNT,
        ['a.csv, line 6, column "x"', '"1_000" is not a number'],
    ),
    "two lists of json": (
        {"a.json": json.dumps([{"text": "t", "label": "a"}] * 20) + '\n[{"text": "u", "label": "b"}]'},
        TEXT,
        ["a.json, line 2: more follows after the end of the list"],
    ),
    "deep json": (
        {"a.json": '[{"text": ' + "[" * 100_000 + "]" * 100_000 + "}]"},
        TEXT,
        ["a.json cannot be read: its lists or objects are nested too deeply"],
    ),
    "deep json line": (
        {"a.jsonl": '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}"},
        TEXT,
        ["a.jsonl cannot be read"],
    ),
    "json number of many digits": (
        {"a.json": '[{"text": ' + "9" * 5000 + "}]"},
        TEXT,
        ["a.json is not readable as json: Exceeds the limit"],
    ),
    "whole number beyond all limits": (
        {"a.json": json.dumps([{"x": 10**400 if n == 3 else n, "label": "ab"[n % 2]} for n in range(20)])},
        COLUMNS,
        ['a.json, row 4, column "x"', "is not a finite number"],
    ),
    "bytes for texts": (
        {"a.parquet": [{"text": b"abc", "label": "ab"[n % 2]} for n in range(20)]},
        TEXT,
        ['a.parquet, row 1, column "text": bytes where a text is expected'],
    ),
    "gzip cut off": ({"a.csv.gz": ZIPPED[:60]}, TEXT, ["a.csv.gz is not a complete gzip file: Compressed file ended"]),
    "gzip with other bytes": (
        {"a.csv.gz": ZIPPED[:30] + bytes(20) + ZIPPED[50:]},
        TEXT,
        ["a.csv.gz is not a complete gzip file: Error -3"],
    ),
    "gzip with another sum": (
        {"a.csv.gz": ZIPPED[:-8] + bytes(4) + ZIPPED[-4:]},
        TEXT,
        ["a.csv.gz is not a complete gzip file: CRC check failed"],
    ),
    "parquet with other bytes": (
        {"a.parquet": [{"text": f"some text {n}", "label": "ab"[n % 2]} for n in range(2000)]},
        TEXT | {"damage": range(100, 3000, 3)},
        ["a.parquet is not a readable Parquet file: "],
    ),
    "training rows for the test": (
        {"train.csv": GOOD, "val.csv": GOOD.replace("text 1", "text x"), "test.csv": GOOD},
        TEXT | {"path": "."},
        ["test.csv and train.csv are the same", "Give test rows of its own"],
    ),
    "long delimiter": ({"a.csv": GOOD}, TEXT | {"delimiter": "::"}, ['data.delimiter="::"', "one character"]),
}


def write(path, content):
    if isinstance(content, list):
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(content), path)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_table(tmp_path, name):
    files, settings, fragments = BROKEN[name]
    for file, content in files.items():
        write(tmp_path / file, content)
        content = bytearray((tmp_path / file).read_bytes())
        for place in settings.get("damage", ()):
            content[place] ^= 0xFF
        (tmp_path / file).write_bytes(content)
    settings = {key: value for key, value in settings.items() if key != "damage"}
    with pytest.raises(UserError) as caught:
        Table(**({"path": next(iter(files), None)} | settings)).setup()
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_what_is_not_a_file_is_called_by_its_name(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "lost.csv").symlink_to("elsewhere.csv")
    for path, fragment in {
        "pipe.csv": "pipe.csv is a pipe, where a file is expected",
        "/dev/null": "/dev/null is a device, where a file is expected",
        "loop.csv": "loop.csv is a link to loop.csv, where no file can be reached",
        "lost.csv": "lost.csv is a link to elsewhere.csv, where no file can be reached",
    }.items():
        with pytest.raises(UserError, match=fragment):
            Table(path=path, **TEXT).setup()


def test_a_row_outside_of_the_numbers_of_a_net_is_refused(tmp_path):
    write(tmp_path / "b.csv", NUMBERS.replace("3,6,b", "3,6.001,b"))
    data = Table(path="b.csv", **COLUMNS)
    data.setup()
    for cell in (1e308, float("nan"), float("-inf")):
        with pytest.raises(UserError, match=r'Row 2, column "y": .* cannot be read: a number is finite'):
            data.encode([{"x": 1, "y": 2}, {"x": 1, "y": cell}])


def test_the_good_tables_are_good(tmp_path):
    write(tmp_path / "a.csv", GOOD)
    Table(path="a.csv", **TEXT).setup()
    write(tmp_path / "b.csv", NUMBERS)
    Table(path="b.csv", **COLUMNS).setup()


@pytest.mark.parametrize(
    ("content", "settings", "fragments"),
    [
        (None, {}, ["a.txt does not exist"]),
        (b"", {}, ["a.txt is empty"]),
        (b"short", {}, ["too few for one window", "data.context_len=64"]),
        (b"line\ncaf\xe9\n" * 100, {}, ["a.txt, line 2", "data.encoding=latin-1"]),
    ],
)
def test_broken_character_file(tmp_path, content, settings, fragments):
    if content is not None:
        write(tmp_path / "a.txt", content)
    with pytest.raises(UserError) as caught:
        Characters(path="a.txt", **settings).setup()
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_raw_rows_that_cannot_be_encoded(tmp_path):
    write(tmp_path / "a.csv", NUMBERS)
    data = Table(path="a.csv", **COLUMNS)
    data.setup()
    with pytest.raises(UserError, match=r'Row 1 has no column "y"; it has: x, Y'):
        data.encode([{"x": 1, "Y": 2}])
    with pytest.raises(UserError, match="Row 2, column \"y\": 'two' is not a number"):
        data.encode([{"x": 1, "y": 2}, {"x": 1, "y": "two"}])


def test_errors_of_a_table_are_found_before_the_run():
    """`facts` finds what `setup` would find in the rows: it is what the configuration check calls."""
    with pytest.raises(UserError, match="does not exist"):
        rows.facts(rows.Settings("absent.csv", "text", "label"))
