"""Aspect and opinion terms: the XML of SemEval-2014 with a file of opinion terms, and the made-up sentences."""

import pytest

from runner.datamodules.aspect_terms import NEW, PATTERNS, SENTENCES, AspectTerms
from runner.datamodules.parts.tags import spans_of
from runner.errors import UserError

SENTENCE = """  <sentence id="{id}">
    <text>But the staff was so horrible to us, and the Wine list (of 30) too short.</text>
    <aspectTerms>
      <aspectTerm term="staff" polarity="negative" from="8" to="13"/>
      <aspectTerm term="Wine list" polarity="negative" from="45" to="54"/>
    </aspectTerms>
  </sentence>
  <sentence id="{id}b">
    <text>We went there.</text>
  </sentence>
"""
OPINIONS = "so horrible -1, too short -1\nNIL\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def reviews(tmp_path):
    """Twenty sentences in the format, and their opinion terms."""
    xml, opinions = tmp_path / "train.xml", tmp_path / "opinions.txt"
    sentences = "".join(SENTENCE.format(id=number) for number in range(10))
    xml.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<sentences>\n{sentences}</sentences>\n', encoding="utf-8")
    opinions.write_text(OPINIONS * 10, encoding="utf-8")
    return xml, opinions


def terms(row: dict) -> list[tuple[str, str]]:
    words = row["text"].split()
    return [(span.kind, " ".join(words[span.start : span.end])) for span in spans_of(row["tags"].split())]


def test_terms_become_tags(reviews) -> None:
    xml, opinions = reviews
    data = AspectTerms(path=str(xml), opinions=str(opinions), num_tags=5)
    data.setup()
    assert data.targets.names == ["O", "B-aspect", "I-aspect", "B-opinion", "I-opinion"]
    rows = [row for split in data.sizes for row in data.raw(split)]
    assert len(rows) == 20
    assert {len(terms(row)) for row in rows} == {0, 4}
    found = next(terms(row) for row in rows if terms(row))
    assert found == [("aspect", "staff"), ("opinion", "so horrible"), ("aspect", "wine list"), ("opinion", "too short")]


def test_a_test_file_is_the_test_split(reviews) -> None:
    xml, opinions = map(str, reviews)
    data = AspectTerms(path=xml, opinions=opinions, test_path=xml, test_opinions=opinions, num_tags=5)
    data.setup()
    assert data.sizes["test"] == 20 and data.sizes["train"] + data.sizes["val"] == 20


def test_without_opinion_terms_there_are_three_tags(reviews) -> None:
    xml, _ = reviews
    data = AspectTerms(path=str(xml), num_tags=3)
    data.setup()
    assert "without opinion terms" in data.source
    with pytest.raises(UserError, match=r"Set data\.num_tags=3"):
        AspectTerms(path=str(xml), num_tags=5).setup()


def test_what_does_not_fit_together_is_named(reviews, tmp_path) -> None:
    xml, opinions = reviews
    opinions.write_text("NIL\n")
    with pytest.raises(UserError, match=r"opinions\.txt has 1 lines, but .*train\.xml has 20 sentences"):
        AspectTerms(path=str(xml), opinions=str(opinions), num_tags=5).setup()
    xml.write_text("<sentences><sentence><text>Hm</text><aspectTerm from='9' to='12'/></sentence></sentences>")
    with pytest.raises(UserError, match="sentence 1: no word stands from 9 to 12"):
        AspectTerms(path=str(xml), num_tags=3).setup()
    xml.write_text("no XML")
    with pytest.raises(UserError, match="is not XML"):
        AspectTerms(path=str(xml), num_tags=3).setup()
    with pytest.raises(UserError, match="does not exist"):
        AspectTerms(path=str(tmp_path / "none.xml"), num_tags=3).setup()


def test_made_up_sentences_say_that_they_are() -> None:
    data = AspectTerms(num_tags=5, min_count=2)
    data.setup()
    assert data.source.startswith("made up here: 2000 sentences") and len(PATTERNS) > 10
    assert sum(data.sizes.values()) == SENTENCES
    known = set(data.inputs.vocabulary.tokens)
    rows = data.raw("test")
    found = [text for row in rows for _, text in terms(row)]
    new = [text for text in found if set(text.split()) - known]
    assert abs(len(new) / len(found) - NEW) < 0.1  # only what stands around them tells what they are
    assert AspectTerms(num_tags=5, split_seed=1).find_sentences().digest != data.digest
