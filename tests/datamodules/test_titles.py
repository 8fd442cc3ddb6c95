"""Abstracts and titles: MEDLINE's XML, the user's tables, one vocabulary, the first sentence."""

import gzip
import io
import json

import pytest

from runner.datamodules.parts.pairs import TextPair
from runner.datamodules.titles import Titles, first_sentence, medline_articles
from runner.errors import UserError
from runner.tasks.sequence_to_sequence import SequenceToSequence


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


def article(title: str, abstract: str, language: str = "eng") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><Article><ArticleTitle>{title}</ArticleTitle><Abstract>{abstract}</Abstract>"
        f"<Language>{language}</Language></Article></MedlineCitation></PubmedArticle>"
    )


def test_english_articles_with_both_parts_are_read() -> None:
    parts = '<AbstractText Label="AIM">To see\n  <i>this</i>.</AbstractText><AbstractText>It was seen.</AbstractText>'
    articles = [
        article("A <sup>1</sup>H study.", parts),
        article("Ohne.", "<AbstractText>Auf Deutsch.</AbstractText>", "ger"),
        article("[Translated].", "<AbstractText>Of another language.</AbstractText>"),
        article("No abstract.", ""),
    ]
    xml = f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>".encode()
    with gzip.open(io.BytesIO(gzip.compress(xml))) as opened:
        assert list(medline_articles(opened)) == [TextPair("To see this. It was seen.", "A 1H study.")]


def test_the_first_sentence() -> None:
    assert first_sentence("In 2 of 3 cases (c. 5 mg) it was so. Then 3.4 g were given.") == (
        "In 2 of 3 cases (c. 5 mg) it was so."
    )
    assert first_sentence("One sentence") == "One sentence"


ROWS = [{"Title": f"Study {number}\nof cells", "Abstract": f"Cells {number}. They live."} for number in range(40)]


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
def test_a_table_of_the_user_is_read(ending: str, tmp_path) -> None:
    lines = [json.dumps(row) for row in ROWS]
    if ending == "csv":
        lines = ["TITLE,Abstract", *(f'"{row["Title"]}","{row["Abstract"]}"' for row in ROWS)]
    file = tmp_path / f"titles.{ending}"
    file.write_text("\n".join(lines), encoding="utf-8")
    data = Titles(path=str(file), src_vocab_size=60, tgt_vocab_size=60)
    data.setup()
    assert {"source": "Cells 7. They live.", "target": "Study 7 of cells"} in data.raw("train") + data.raw("val")
    sides = data.inputs.parts
    assert sides["source"].vocabulary.tokens == sides["target"].vocabulary.tokens
    assert {"they", "study"} <= set(sides["source"].vocabulary.tokens)
    assert data.plain_answer("Cells 7. They live.") == "Cells 7."


def test_scores_of_the_first_sentence_stand_next_to_those_of_the_net(tmp_path) -> None:
    file = tmp_path / "titles.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    data = Titles(path=str(file))
    data.setup()
    task = SequenceToSequence(None, max_len=5)
    task.connect(data)
    task.compare([{"source": "Cells 7. They live."}], ["study 7"], ["Study 7 of cells"], data)
    assert task.plain.compute()["rouge_l"] == pytest.approx(2 * 1 / (2 + 4))
    assert task.texts.compute()["rouge_l"] == pytest.approx(2 * 2 / (2 + 4))


def test_mistakes_are_named(tmp_path) -> None:
    file = tmp_path / "titles.jsonl"
    file.write_text('{"title": "A title", "abstrct": "A text"}\n')
    with pytest.raises(UserError, match=r'line 1 has no column "abstract".*Did you mean "abstrct"'):
        Titles(path=str(file)).setup()
    with pytest.raises(UserError, match=r"titles\.json does not exist"):
        Titles(path=str(tmp_path / "titles.json")).setup()
    with pytest.raises(UserError, match=r"shared_vocab=true needs both sides to be alike.* are 50, 60"):
        Titles(src_vocab_size=50, tgt_vocab_size=60)
