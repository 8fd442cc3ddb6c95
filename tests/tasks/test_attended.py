"""What a net looked at: its weights, and the texts they are drawn over."""

import numpy as np
import torch
from small_runs import result
from torch import nn

from runner.tasks.attended import attention_of, in_sentences

TINY = ["data=movie_reviews", "model.embed_dim=4", "model.hidden_dim=4", "trainer.max_epochs=1",
        "+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1"]  # fmt: skip
TOKENS = torch.tensor([[3, 4], [5, 0]])


class Weighs(nn.Module):
    """Has these weights."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def attention(self, tokens):
        return self.weights


def test_one_weighting_is_one_of_several():
    one, two = torch.rand(2, 2), torch.rand(2, 3, 2)
    assert torch.equal(attention_of(Weighs(one), TOKENS), one[:, None])
    assert torch.equal(attention_of(Weighs(two), TOKENS), two)
    assert attention_of(Weighs(None), TOKENS) is None and attention_of(nn.Identity(), TOKENS) is None
    layer = nn.ModuleDict({"attention": nn.Linear(2, 2)})
    layer.attention = layer["attention"]
    assert attention_of(layer, TOKENS) is None, "a layer of that name"


def test_words_come_in_sentences_without_padding():
    words, weights = ["a", "<pad>", "b", "c", "d"], np.arange(10.0).reshape(2, 5)
    sentences, parts = in_sentences(words, weights, 2)
    assert sentences == [["a"], ["b", "c"], ["d"]]
    assert [part.tolist() for part in parts] == [[[0], [5]], [[2, 3], [7, 8]], [[4], [9]]]
    assert in_sentences(words[2:], weights[:, 2:], None)[0] == [["b", "c", "d"]]


def test_nets_with_attention_are_drawn(cache, tmp_path):
    for model, figures in (
        (["model=han", "model.sentence_len=5"], 3),
        (["model=self_attentive", "model.hops=2"], 3),
        (["model=lstm", "model.pool=attention"], 3),
        (["model=lstm"], 0),
    ):
        folder = tmp_path / "_".join(model)
        result([*model, *TINY], folder)
        assert len(list((folder / "figures").glob("attention_*.png"))) == figures, model
