"""Where documents and sentences end."""

from runner.text.sentences import LONGEST, at_marks, each_paragraph, pieces


def test_marks_end_sentences_but_not_before_a_small_letter():
    assert list(at_marks(['He said "no." Then he', "left... for good. Why?"])) == [
        'He said "no."', "Then he left... for good.", "Why?"]  # fmt: skip


def test_an_empty_line_or_very_many_characters_end_a_sentence_without_a_mark():
    assert list(filter(None, at_marks(["A heading", "", "Then a text."]))) == ["A heading", "Then a text."]
    long = "word " * LONGEST
    assert [len(sentence) for sentence in at_marks([long, "end."])] == [len(long.strip()), 4]


def test_paragraphs_are_lines_between_empty_ones():
    assert list(each_paragraph(["", "a", "b", " ", "c"])) == [["a", "b"], ["c"]]


def test_a_text_of_one_line_is_cut_at_spaces():
    text = " anarchism originated as a term" * 5000
    cut = list(pieces(text))
    assert "".join(cut) == text and len(cut) == 3 and all(piece.startswith(" ") for piece in cut)
    assert len(list(pieces("x" * 200_000))) == 1
