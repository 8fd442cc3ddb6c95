"""Texts and descriptions, compared as sentence-transformers and the zero-shot pipeline of transformers compare them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_encoder import needs_transformers, write_encoder

from runner.errors import UserError
from runner.models.zero_shot import ZeroShot
from runner.tasks.prompting import Prompting, in_words

pytestmark = needs_transformers
TEXTS = ["a fine film", "the plot . really dull , dull film", "un"]
LABELS = ["film", "the plot", "dull"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def inference(tmp_path_factory):
    """A model of inference with random weights: entailment is its class 2."""
    import transformers

    folder = write_encoder(tmp_path_factory.mktemp("inference"))
    config = transformers.AutoConfig.from_pretrained(folder)
    config.id2label = {0: "contradiction", 1: "neutral", 2: "entailment"}
    config.label2id = {name: number for number, name in config.id2label.items()}
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_embeddings_are_the_mean_over_the_tokens(encoder):
    import transformers

    net = ZeroShot(str(encoder), scale=3.0, batch_size=2)
    net.name_classes(LABELS)
    model, tokenizer = (kind.from_pretrained(encoder) for kind in (transformers.AutoModel, transformers.AutoTokenizer))

    def embedded(text):
        with torch.inference_mode():
            return model.eval()(**tokenizer(text, return_tensors="pt", truncation=False)).last_hidden_state[0].mean(0)

    for text, row in zip(TEXTS, net.predict_proba(TEXTS), strict=True):
        cosines = torch.stack([torch.cosine_similarity(embedded(text), embedded(label), dim=0) for label in LABELS])
        assert row == pytest.approx((3 * cosines).softmax(0).numpy(), abs=1e-5)


def test_entailment_is_that_of_the_pipeline_of_transformers(inference):
    import transformers

    net = ZeroShot(str(inference), method="entailment", template="the {} .", batch_size=2)
    net.name_classes(LABELS)
    found = net.predict_proba(TEXTS)
    for text, row in zip(TEXTS, found, strict=True):
        pipe = transformers.pipeline("zero-shot-classification", model=str(inference), device="cpu")
        there = pipe(text, LABELS, hypothesis_template="the {} .")
        assert dict(zip(there["labels"], there["scores"], strict=True)) == pytest.approx(
            dict(zip(LABELS, row.tolist(), strict=True)), abs=1e-5
        )


def test_what_cannot_be_used(encoder):
    with pytest.raises(ValueError, match="is no model for AutoModelForSequenceClassification"):
        ZeroShot(str(encoder), method="entailment")
    with pytest.raises(ValueError, match="template needs"):
        ZeroShot(str(encoder), template="about")


def data(names=("comp.sys.mac_hardware", "sci.space")):
    return SimpleNamespace(class_names=list(names), unit="", plain_features=lambda rows: [row["text"] for row in rows])


def test_classes_are_described_by_their_names_or_as_the_user_says(encoder):
    task = Prompting(ZeroShot(str(encoder)), 2)
    task.connect(data())
    assert task.net.sentences == ["comp sys mac hardware", "sci space"]
    task = Prompting(ZeroShot(str(encoder)), 2, descriptions=["film", "plot"])
    task.connect(data())
    assert task.net.sentences == ["film", "plot"]
    (answer,) = task.answer([{"text": "film"}], data())
    assert answer["label"] == "comp.sys.mac_hardware" and list(answer) == list(task.answer_columns(data()))
    with pytest.raises(UserError, match="1 entries for 2 classes"):
        Prompting(ZeroShot(str(encoder)), 2, descriptions=["film"])


def test_labels_of_the_users_own(encoder):
    task = Prompting(ZeroShot(str(encoder)), 2, labels="film, plot,dull")
    task.connect(data())
    (answer,) = task.answer([{"text": "dull"}], data())
    assert answer["label"] == "dull" and np.isclose(sum(list(answer.values())[1:]), 1)
    with pytest.raises(UserError, match="leave labels= out"):
        task.judged(["a"], [0])
    with pytest.raises(UserError, match="two or more"):
        Prompting(ZeroShot(str(encoder)), 2, labels="film")


def test_names_as_words():
    assert in_words("talk.politics.mid-east") == "talk politics mid east"
