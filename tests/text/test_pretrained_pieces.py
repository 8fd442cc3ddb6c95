"""The tokeniser of a pretrained encoder: its order here, its text again, and what is refused."""

import json

import pytest
from tiny_encoder import needs_transformers, write_encoder

from runner.datamodules.parts.codecs import TextInputs
from runner.errors import UserError
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.pretrained_pieces import InFolder
from runner.text.tokenizers import fingerprint
from runner.text.vocabulary import END, SPECIALS, START, Vocabulary

pytestmark = needs_transformers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"), marks_first=True)


def test_padding_unknown_and_marks_come_first(folder):
    pieces = InFolder(str(folder)).learn([], 20, 1)
    assert pieces.tokens[:7] == ["<pad>", "<unk>", "<start>", "<end>", "[unused0]", "[MASK]", "a"]
    assert len(pieces.tokens) == 20


def test_a_text_is_cut_as_the_encoder_knows_it_and_read_without_the_folder(folder, tmp_path):
    learned = InFolder(str(folder)).learn([], 20, 1).state()
    pipeline = Pipeline.from_state(Pipeline(TokenSettings(str(tmp_path / "gone")), learned=learned).state())
    assert pipeline("The uns, fineness qq") == ["the", "un", "##s", ",", "fine", "##ness", "[UNK]"]
    assert pipeline("A film [SEP]") == ["a", "film", "[SEP]"], "typed by hand it is no mark: our vocabulary has none"


def test_a_declared_vocabulary_has_to_hold_all_tokens(folder):
    with pytest.raises(UserError, match=r"has 20 tokens: type data\.vocab_size=20"):
        InFolder(str(folder)).learn([], 19, 1)


def test_a_folder_without_a_tokeniser_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.tokenizer: .* has no config\.json"):
        InFolder(str(tmp_path)).learn([], 20, 1)


def test_another_tokeniser_in_the_folder_is_another_preparation(folder, tmp_path):
    other = write_encoder(tmp_path / "other")
    assert fingerprint(str(folder)) != fingerprint(str(other)) and fingerprint("word") == "word"


def test_pieces_of_a_run_keep_their_numbers(tmp_path):
    learned = TokenSettings("wordpiece").learned_from(["a fine film, a dull plot"] * 3, 30, 1)
    marks = [*SPECIALS, START, END]
    vocabulary = Vocabulary([*marks, *reversed(learned.tokens[2:])], marks)
    inputs = TextInputs("text", Pipeline(TokenSettings("wordpiece"), learned=learned.state()), vocabulary)
    (tmp_path / "model").mkdir()
    state = {"state": {"inputs": inputs.stored()}}
    (tmp_path / "model" / "preprocessing.json").write_text(json.dumps(state))
    for folder in (tmp_path, tmp_path / "model"):
        found = InFolder(str(folder)).learn([], 40, 1)
        assert found.tokens == vocabulary.tokens and found.specials == tuple(marks)
        assert "<end>" not in found("a film <end>")
        assert found("a dull film") == inputs.pipeline("a dull film")
    with pytest.raises(UserError, match=r"type data\.vocab_size="):
        InFolder(str(tmp_path)).learn([], 10, 1)


def test_words_of_a_run_are_no_pieces(tmp_path):
    inputs = TextInputs("text", Pipeline(TokenSettings("word")), Vocabulary([*SPECIALS, "a"]))
    (tmp_path / "preprocessing.json").write_text(json.dumps({"state": {"inputs": inputs.stored()}}))
    with pytest.raises(UserError, match=r"Train it with data\.tokenizer=wordpiece"):
        InFolder(str(tmp_path)).learn([], 10, 1)
