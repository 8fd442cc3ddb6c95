"""Textual entailment in the XML files of NLTK."""

import zipfile

import pytest
import torch

from runner.datamodules.rte import RTE
from runner.errors import UserError

FIRST = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE entailment-corpus SYSTEM "rte.dtd">
<entailment-corpus challenge="1">{}</entailment-corpus>"""
PAIR = '<pair id="{0}" {1} task="IE"><t>A bank &amp; {2}\n</t> <h>Bank {2}.</h></pair>'


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


def written(folder, tested="rte3_test"):
    marks = ['value="TRUE"', 'value="FALSE"', 'entailment="YES"', 'entailment="NO"']
    folder.mkdir()
    for name, rows in (("rte1_dev", range(40)), (tested, range(40, 44))):
        pairs = [PAIR.format(number, marks[number % 4], f"number{number}") for number in rows]
        (folder / f"{name}.xml").write_text(FIRST.format("".join(pairs)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_pairs_and_their_classes(packed, tmp_path):
    place = written(tmp_path / "rte")
    if packed:
        with zipfile.ZipFile(tmp_path / "rte.zip", "w") as archive:
            for file in place.iterdir():
                archive.write(file, f"rte/{file.name}")
        place = tmp_path / "rte.zip"
    data = RTE(path=str(place))
    data.setup()
    assert data.sizes == {"train": 36, "val": 4, "test": 4} and data.class_names == ["entailment", "not_entailment"]
    assert data.raw("test", 1) == [{"premise": "A bank & number40", "hypothesis": "Bank number40."}]
    assert data.targets_of("test").tolist() == [0, 1, 0, 1]
    tokens, segments, target = data.test.gather(torch.arange(4), torch.Generator())
    assert tokens.shape == segments.shape == (4, 8) and target.tolist() == [0, 1, 0, 1]


def test_it_is_found_where_nltk_keeps_it(tmp_path, monkeypatch):
    (tmp_path / "corpora").mkdir()
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    with pytest.raises(UserError, match=r"python -m nltk\.downloader rte"):
        RTE().setup()
    written(tmp_path / "corpora" / "rte")
    data = RTE()
    data.setup()
    assert len(data.test) == 4


def test_what_is_no_such_corpus(tmp_path):
    with pytest.raises(UserError, match=r"rte1_dev, rte2_dev: rte3_test\.xml"):
        RTE(path=str(written(tmp_path / "no_test", "rte2_dev"))).setup()
    broken = written(tmp_path / "broken")
    (broken / "rte2_dev.xml").write_text("<pair", encoding="utf-8")
    with pytest.raises(UserError, match=r"rte2_dev\.xml is not XML"):
        RTE(path=str(broken)).setup()
    (broken / "rte2_dev.xml").write_text('<c><pair id="7" value="MAYBE"><t>a</t><h>b</h></pair></c>', encoding="utf-8")
    with pytest.raises(UserError, match=r"rte2_dev\.xml, pair 7: expected"):
        RTE(path=str(broken)).setup()
