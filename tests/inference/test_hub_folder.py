"""Our BERT and GPT in the Hugging Face layout: AutoModel reads them and says the same."""

import pytest
import torch

from runner.datamodules.conll import ColumnFiles
from runner.datamodules.corpus import Corpus
from runner.errors import UserError
from runner.inference import hub_folder
from runner.models.bert import BERT
from runner.models.gpt import GPT
from runner.models.pretrained import Pretrained
from runner.models.textcnn import TextCNN

transformers = pytest.importorskip("transformers", reason='pip install "runner[pretrained]"')
V = 60
SENTENCES = ["The plot was thin.", "Nobody laughed at it!", "I liked the music.", "The end is a surprise."]
LLAMA = {"positions": "rotary", "norm": "rms", "activation": "swiglu", "bias": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("text")
    (made / "text.txt").write_text("".join(f"{' '.join(SENTENCES[i % 3 :])} Number {i}.\n" for i in range(40)))
    return made


def corpus(folder, view: str) -> Corpus:
    data = Corpus(
        path=str(folder / "text.txt"), view=view, tokenizer="wordpiece", vocab_size=V, max_len=24, context_len=16
    )
    data.setup()
    return data


def batches(length: int = 16) -> list[tuple[torch.Tensor, ...]]:
    draw = torch.Generator().manual_seed(0)
    return [(torch.randint(2, V, (rows, size), generator=draw),) for rows, size in ((1, 1), (3, length))]


@pytest.mark.parametrize("settings", [{}, {"tied": False, "activation": "relu"}, LLAMA, LLAMA | {"num_kv_heads": 2}])
def test_a_gpt(settings, folder, tmp_path) -> None:
    net = GPT(V, 16, 16, 4, 2, **settings).eval()
    inputs = batches()
    apart, _ = hub_folder.write_folder(net, corpus(folder, "windows"), inputs, tmp_path)
    read = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        torch.testing.assert_close(read(*inputs[-1]).logits, net(*inputs[-1]), rtol=0, atol=1e-5)
    assert apart < 1e-5


def test_a_bert_and_its_tokens(folder, tmp_path) -> None:
    data = corpus(folder, "masked")
    net = BERT(V, V, "masked", 24, 24, 16, 4).eval()
    hub_folder.write_folder(net, data, batches(), tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "The plot was <mask>."
    (tokens,) = data.encode([{"text": text}])
    given = tokenizer(text, return_tensors="pt")
    assert given["input_ids"].tolist() == tokens.tolist()
    pair = tokenizer("The plot", "was thin")
    assert pair["token_type_ids"] == sorted(pair["token_type_ids"]) and sum(pair["token_type_ids"]) > 1
    states = transformers.AutoModel.from_pretrained(tmp_path).eval()
    words = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        segments = torch.zeros_like(tokens)
        torch.testing.assert_close(states(**given).last_hidden_state, net.encoder(tokens, segments), rtol=0, atol=1e-5)
        torch.testing.assert_close(words(**given).logits, net(tokens)[0], rtol=0, atol=1e-5)


def test_what_is_written_is_a_pretrained_encoder_here(folder, tmp_path) -> None:
    data = corpus(folder, "masked")
    net = BERT(V, V, "masked", 24, 24, 16, 4).eval()
    hub_folder.write_folder(net, data, batches(), tmp_path)
    ours = Pretrained(str(tmp_path), V, 24, 2, dropout=0.0).eval()
    (tokens,) = data.encode([{"text": "The music"}])
    states = net.encoder(tokens, torch.zeros_like(tokens))
    torch.testing.assert_close(ours(tokens), ours.output(states.mean(dim=1)), rtol=0, atol=1e-5)


def test_a_tagger_names_its_tags(tmp_path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("Anna B-PER\nlives O\nin O\nRome B-LOC\n\n" * 20)
    data = ColumnFiles(path=str(file), num_tags=5, tokenizer="wordpiece", vocab_size=V, max_len=24)
    data.setup()
    hub_folder.write_folder(BERT(V, 5, "tags", 24, 24, 16, 4).eval(), data, batches(), tmp_path / "made")
    config = transformers.AutoConfig.from_pretrained(tmp_path / "made")
    assert config.architectures == ["BertForTokenClassification"] and config.id2label[1] == "B-LOC"


def test_what_they_do_not_have_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no such mixture"):
        hub_folder.layout_of(GPT(V, 16, 16, 4, 1, positions="rotary"))
    with pytest.raises(UserError, match=r"such as bert and gpt, not TextCNN.*format=safetensors"):
        hub_folder.layout_of(TextCNN(V, 2))


def test_a_net_that_answers_otherwise_is_reported(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hub_folder, "ours", lambda net, *inputs: [net(*inputs) + 1])
    with pytest.raises(UserError, match=r"answers differently \(.*do not use it"):
        hub_folder.write_folder(GPT(V, 16, 16, 4, 1).eval(), corpus(folder, "windows"), batches(), tmp_path)


def test_a_text_that_is_not_cut_into_pieces_leaves_its_words(folder, tmp_path) -> None:
    data = Corpus(path=str(folder / "text.txt"), vocab_size=V)
    data.setup()
    _, said = hub_folder.write_folder(GPT(V, 16, 16, 4, 1).eval(), data, batches(), tmp_path)
    assert "vocabulary.json" in said and "<end>" in (tmp_path / "vocabulary.json").read_text()
