"""A pretrained encoder equals that of transformers on the same texts; what is trained, and at which rate."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from small_runs import KillAt, outcome, resumed, settings, stopped
from tiny_encoder import needs_transformers, write_encoder

from runner.contracts import nets as contracts
from runner.contracts.tiny import compose_tiny
from runner.datamodules.parts.codecs import TextInputs
from runner.inference.predictor import Predictor
from runner.models.pretrained import Pretrained
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.pretrained_pieces import InFolder
from runner.text.vocabulary import Vocabulary
from runner.training.train import train

pytestmark = needs_transformers
needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="the package peft is not installed")
TEXTS = ["A fine film.", "The unfineness of the plot, really dull", "zzz", ""]


@pytest.fixture(scope="module", params=[False, True], ids=["padding first", "marks first"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"), request.param)


def made(folder: Path, **settings) -> Pretrained:
    torch.manual_seed(0)
    return Pretrained(str(folder), vocab_size=20, max_len=40, num_outputs=3, **settings)


def inputs_of(folder: Path, max_len: int = 40) -> TextInputs:
    pieces = InFolder(str(folder)).learn([], 20, 1)
    pipeline = Pipeline(TokenSettings(str(folder)), max_len, learned=pieces.state())
    return TextInputs("text", pipeline, Vocabulary(pieces.tokens, pieces.specials))


def test_it_equals_the_model_of_transformers(folder):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    net = made(folder).eval()
    (tokens,) = inputs_of(folder).encode([{"text": text} for text in TEXTS])
    for text, row in zip(TEXTS[:-1], tokens, strict=False):
        there = tokenizer(text, return_tensors="pt", truncation=False)
        with torch.inference_mode():
            mean = reference(**there).last_hidden_state.mean(dim=1)
            torch.testing.assert_close(net(row[None]), net.output(mean), rtol=1e-5, atol=1e-5)
        here = net.ids[row[: there["input_ids"].size(1)]]
        assert here.tolist() == there["input_ids"][0].tolist(), "the encoder is given the numbers it was trained with"


@pytest.mark.parametrize("head", ["tags", "spans"])
def test_each_token_has_its_scores_for_tags_and_spans(folder, head):
    net = made(folder, head=head).eval()
    (tokens,) = inputs_of(folder).encode([{"text": text} for text in TEXTS])
    segments = (torch.arange(tokens.size(1)) > 3).long() * (tokens != 0)
    with torch.inference_mode():
        scores = net(tokens, segments)
        for row, found in enumerate(scores):
            length = int((tokens[row] != 0).sum())
            numbers, which = net.ids[tokens[row, :length]], segments[row, :length]
            states = net.encoder(input_ids=numbers[None], token_type_ids=which[None]).last_hidden_state[0]
            torch.testing.assert_close(found[:length], net.output(states), rtol=1e-5, atol=1e-5)
    assert scores.shape == (4, tokens.size(1), 3)


def test_marks_stay_when_a_text_is_cut(folder):
    (tokens,) = inputs_of(folder, max_len=5).encode([{"text": TEXTS[1]}])
    assert tokens.shape == (1, 5) and tokens[0, [0, -1]].tolist() == [2, 3]


def test_the_first_token_may_be_the_text(folder):
    net = made(folder, pooling="first").eval()
    (tokens,) = inputs_of(folder).encode([{"text": TEXTS[0]}])
    with torch.inference_mode():
        states = net.encoder(input_ids=net.ids[tokens]).last_hidden_state
        torch.testing.assert_close(net(tokens), net.output(states[:, 0]))


def test_only_the_first_layers_are_used(folder):
    both, one = made(folder), made(folder, num_layers=1)
    assert len(both.encoder.encoder.layer) == 2 and len(one.encoder.encoder.layer) == 1
    torch.testing.assert_close(one.encoder.encoder.layer[0].state_dict(), both.encoder.encoder.layer[0].state_dict())


def test_lower_layers_learn_at_smaller_rates(folder):
    net = made(folder, layer_decay=0.5)
    rate = {id(weight): group["lr_factor"] for group in net.parameter_groups() for weight in group["params"]}
    rates = {name: rate.get(id(weight), 1.0) for name, weight in net.named_parameters()}
    assert rates["output.weight"] == 1.0 and rates["encoder.embeddings.LayerNorm.weight"] == 0.125
    assert rates["encoder.encoder.layer.1.output.dense.bias"] == 0.5
    assert rates["encoder.encoder.layer.0.output.dense.bias"] == 0.25


@needs_peft
def test_lora_changes_nothing_at_first_and_trains_little(folder):
    plain, net = made(folder).eval(), made(folder, lora_rank=1).eval()
    net.output.load_state_dict(plain.output.state_dict())
    (tokens,) = inputs_of(folder).encode([{"text": text} for text in TEXTS])
    torch.testing.assert_close(net(tokens), plain(tokens))
    trained = {name for name, weight in net.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or name.startswith("output.") for name in trained)
    assert sum("lora_A" in name for name in trained) == 12, "six linear layers in each of two layers"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 21}, "vocab_size=21 is more than the 20 tokens"),
        ({"max_len": 41}, "max_len=41 is more than the 40 positions"),
        ({"num_layers": 3}, "num_layers=3: .* has 2"),
        ({"layer_decay": 0.0}, "layer_decay and lora_alpha must be above 0"),
        ({"tokenizer": "word"}, "leave data.tokenizer=word out"),
        ({"path": "nowhere"}, "nowhere has no config.json"),
    ],
)
def test_what_does_not_fit_is_refused(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        Pretrained(**{"path": str(folder), "vocab_size": 20, "max_len": 40, "num_outputs": 3, **settings})


def test_only_safetensors_are_read_and_all_weights_have_to_be_there(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks weights .*: encoder\.layer\.1\.output\.dense\.bias"):
        made(copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ValueError, match="no weights in safetensors"):
        made(copy)


@pytest.mark.parametrize("data", ["rte", "conll2003", "squad"])
def test_contracts_with_pairs_tags_and_spans(data, subtests: pytest.Subtests):
    """Those of single texts are tested with all models."""
    for name, check in contracts.contracts(compose_tiny(["model=pretrained", f"data={data}"])).items():
        if name in ("answers", "gradients", "no_mixing", "padding", "save_load"):
            with subtests.test(name):
                check()


# A run.

DATA = ["data.vocab_size=20", "data.max_len=12", "data.batch_size=4", "callbacks.checkpoint.every_n_steps=2"]
LORA = ["model.lora_rank=1", "optim.lr=0.01"]


@pytest.mark.parametrize("typed", [[], pytest.param(LORA, marks=needs_peft)], ids=["all weights", "LoRA"])
def test_a_killed_fine_tuning_ends_with_the_same_weights_and_needs_no_folder(typed, tmp_path, no_figures):
    there = write_encoder(tmp_path / "encoder", marks_first=True)
    cfg = settings("pretrained", f"model.path={there}", *DATA, *typed)
    train(cfg, tmp_path / "whole")
    assert stopped(cfg, tmp_path / "killed", KillAt("on_train_batch_start", 8))
    resumed(cfg, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")

    model = tmp_path / "whole" / "model"
    (before,) = Predictor(model, device="cpu")([{"text": TEXTS[0]}])
    shutil.rmtree(there)
    moved = shutil.move(model, tmp_path / "moved")
    assert not list(Path(moved, "files").rglob("*.safetensors")), "the weights are stored once"
    (after,) = Predictor(moved, device="cpu")([{"text": TEXTS[0]}])
    assert after == before
