"""Questions made from a text: what is hidden, what can be chosen, and that the document alone tells the answer."""

import random

import pytest

from runner.datamodules.cloze import (
    BLANK,
    ChildrensBooks,
    Cloze,
    frequent_nouns,
    hidden,
    last_sentences,
    names_of,
    words_of,
)
from runner.datamodules.corpus import Document
from runner.errors import UserError

NAMES = ["Anna", "Boris", "Clara", "David", "Elena", "Frank"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def stories(tmp_path):
    """Forty documents in which six people meet."""
    draw, lines = random.Random(0), []
    for _ in range(40):
        met = [f"Then {draw.choice(NAMES)} met {draw.choice(NAMES)} and they saw {name}." for name in NAMES * 2]
        lines.append(" ".join(met))
    file = tmp_path / "stories.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


def made(path, **settings):
    data = Cloze(path=path, **{"hide": "name", "candidates": 4, "sentences": 6} | settings)
    data.setup()
    return data


def test_the_document_alone_tells_the_answer(stories) -> None:
    data = made(stories)
    rows = [row for split in ("train", "val", "test") for row in data.raw(split)]
    assert len(rows) > 40
    for row in rows:
        assert row["question"].count(BLANK) == 1
        assert row["answer"] not in row["question"].lower()
        assert row["answer"] in words_of(row["document"])
        assert len(set(row["candidates"])) == 4 and row["answer"] in row["candidates"]
        assert set(row["candidates"]) <= words_of(row["document"])
        assert BLANK not in row["document"]


def test_a_batch_says_where_the_answer_stands(stories) -> None:
    data = made(stories)
    batch = next(iter(data.val_dataloader()))
    vocabulary = data.inputs.vocabulary
    for number, row in enumerate(data.raw("val")[: len(batch.target)]):
        tokens = data.inputs.document.tokens([row])[0]
        place = batch.target[number].item()
        assert tokens[place] == row["answer"] and row["answer"] not in tokens[:place]
        named = batch.named[number].tolist()
        assert [tokens[at] for at in range(len(tokens)) if named[at] == place] == [row["answer"]] * tokens.count(
            tokens[place]
        )
        assert {tokens[at] for at in named if at >= 0} == set(row["candidates"])
        assert batch.document[number].tolist()[: len(tokens)] == vocabulary.encode(tokens)
        assert vocabulary.numbers[BLANK.lower()] in batch.question[number].tolist()


def test_a_document_belongs_to_one_split(tmp_path) -> None:
    lines = []
    for number in range(30):
        friend = f"Friend{chr(97 + number % 26)}{chr(97 + number // 26)}"
        lines.append(" ".join(f"Now {friend} met {name} again." for name in [*NAMES, *NAMES, *NAMES]))
    file = tmp_path / "stories.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    data = made(str(file), per_passage=5)
    friends = [
        {word for row in data.raw(split) for word in words_of(row["document"]) if word.startswith("friend")}
        for split in ("train", "val", "test")
    ]
    assert all(friends)
    assert not friends[0] & friends[1] and not friends[0] & friends[2] and not friends[1] & friends[2]


def test_the_same_settings_make_the_same_questions(stories, tmp_path, monkeypatch) -> None:
    first = made(stories).raw("train")
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "other"))
    assert made(stories).raw("train") == first
    assert made(stories, split_seed=1).raw("train") != first


def test_the_number_of_questions_is_limited(stories) -> None:
    assert sum(made(stories, max_questions=60).sizes.values()) == 60


def test_a_word_is_hidden_once_or_not_at_all() -> None:
    draw = random.Random(0)
    assert hidden("Anna saw a cat.", {"cat"}, draw) == (f"Anna saw a {BLANK}.", "cat")
    assert hidden("A cat saw a cat.", {"cat"}, draw) is None
    assert hidden("The cat loves catnip.", {"cat"}, draw) is None
    assert hidden("Nothing here.", {"cat"}, draw) is None


def test_names_are_written_with_a_capital_inside_a_sentence() -> None:
    sentences = ["Then Anna met the Doctor.", "The doctor knew Boris and NASA."]
    assert names_of(sentences) == {"anna", "boris"}


def test_nouns_follow_an_article_and_end_their_phrase() -> None:
    documents = [Document(["The old house was cold.", "I saw a house and the old dog.", "It barked."])] * 9
    assert frequent_nouns(documents) == set()  # in too few documents
    documents += [Document(["It was hot."])] * 300 + [Document(["The house, a dog."])] * 2
    assert frequent_nouns(documents) == {"house", "dog"}


def test_a_document_ends_right_before_its_question() -> None:
    assert last_sentences(["one two", "three four", "five"], 3) == ["three four", "five"]
    assert last_sentences(["one two"], 1) == []


def test_a_text_without_questions_is_explained(tmp_path) -> None:
    file = tmp_path / "short.txt"
    file.write_text("nothing\n" * 20)
    with pytest.raises(UserError, match="No question could be made"):
        made(str(file))


def test_pieces_of_words_are_refused(stories) -> None:
    with pytest.raises(UserError, match=r"data\.tokenizer=bpe makes pieces of words"):
        made(stories, tokenizer="bpe")


# The format of the Children's Book Test.


def block(name: str, answer: str = "Anna") -> str:
    lines = [f"{number} {name} met Anna and Boris ." for number in range(1, 21)]
    return "\n".join([*lines, f"21 Where was {BLANK} ?\t{answer}\t\tAnna|Boris|{name}"]) + "\n\n"


def test_files_of_the_childrens_book_test_are_read(tmp_path) -> None:
    for name, count in [
        ("cbtest_NE_train.txt", 3),
        ("cbtest_NE_valid_2000ex.txt", 2),
        ("cbtest_NE_test_2500ex.txt", 1),
    ]:
        (tmp_path / name).write_text("".join(block("Clara") for _ in range(count)))
    data = ChildrensBooks(path=str(tmp_path), files="*_NE_*", tokenizer="space")
    data.setup()
    assert data.sizes == {"train": 3, "val": 2, "test": 1}
    (row,) = data.raw("test")
    assert row["candidates"] == ["Anna", "Boris", "Clara"] and row["answer"] == "Anna"
    assert (
        row["document"].startswith("Clara met Anna and Boris . Clara met") and row["question"] == f"Where was {BLANK} ?"
    )
    (batch,) = data.test_dataloader()
    assert batch.named[0, :6].tolist() == [0, -1, 2, -1, 4, -1] and batch.target.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no number\n", "line 1: expected a number and a sentence"),
        (block("Clara", answer="Nobody"), "line 21: expected sentences before it"),
        (f"21 Where was {BLANK} ?\tAnna\t\tAnna|Boris\n", "line 1: expected sentences before it"),
    ],
)
def test_a_line_of_another_format_is_named(tmp_path, text, said) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        ChildrensBooks(path=str(file)).setup()


def test_a_candidate_of_several_tokens_is_named(tmp_path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(block("man-of-war") * 10)
    with pytest.raises(UserError, match=r"'man-of-war' is 3 tokens with .* type data\.tokenizer=space"):
        ChildrensBooks(path=str(file), tokenizer="word").setup()


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        ChildrensBooks(path=str(tmp_path / "none.txt")).setup()
