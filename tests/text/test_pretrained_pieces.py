"""The tokeniser of a pretrained encoder: its order here, its text again, and what is refused."""

import pytest
from tiny_encoder import needs_transformers, write_encoder

from runner.errors import UserError
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.pretrained_pieces import InFolder
from runner.text.tokenizers import fingerprint

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
