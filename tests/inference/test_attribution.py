"""Which words mattered: credits that add up and follow what a net looks at."""

import pytest
import torch
from torch import nn

from runner.errors import UserError
from runner.inference.attribution import explain_answers
from runner.models.fasttext import FastText, NgramEmbedding
from runner.models.textcnn import TextCNN
from runner.models.textcnn1d import TextCNN1d

TOKENS = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 2, 0, 0], [9, 0, 0, 0, 0]])


class Counts(nn.Module):
    """Scores are sums of the words' own numbers, so that the right credit is known."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 2, padding_idx=0)

    def forward(self, tokens):
        return self.embedding(tokens).sum(dim=1)


class Bag(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.bag = nn.EmbeddingBag(10, 2, mode=mode, padding_idx=0)

    def forward(self, tokens):
        return self.bag(tokens)


class Attends(Counts):
    def attention(self, tokens):
        return torch.softmax(tokens.float(), dim=1)


class AttendsTwice(Attends):
    def attention(self, tokens):
        weights = super().attention(tokens)
        return torch.stack([weights, torch.zeros_like(weights)], dim=1)


class AttendsNot(Counts):
    def attention(self, tokens):
        return None


class Recurrent(Counts):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(2, 3, batch_first=True)

    def forward(self, tokens):
        return self.cell(self.embedding(tokens))[0].mean(dim=1)


def total_change(net, tokens):
    """The largest score of each text minus that of a text whose word vectors are zero."""
    with torch.no_grad():
        scores = net(tokens)
        hooks = [
            module.register_forward_hook(lambda module, inputs, output: output * 0)
            for module in net.modules()
            if isinstance(module, nn.Embedding | nn.EmbeddingBag)
        ]
        zero = net(tokens)
        for hook in hooks:
            hook.remove()
    column = scores.argmax(dim=1, keepdim=True)
    return (scores - zero).gather(1, column).squeeze(1)


def test_a_sum_of_numbers_is_divided_into_its_numbers():
    torch.manual_seed(0)
    net = Counts().eval()
    found = explain_answers(net, TOKENS)
    assert found.method == "integrated gradients"
    for row in range(3):
        expected = net.embedding.weight[TOKENS[row], found.column[row]]
        assert torch.allclose(found.weights[row], expected, atol=1e-6)
    assert found.weights[TOKENS == 0].abs().sum() == 0


@pytest.mark.parametrize(
    "net",
    [
        lambda: TextCNN(10, 2, embed_dim=4, num_filters=3),
        lambda: TextCNN(10, 2, embed_dim=4, num_filters=3, mode="multichannel"),
        lambda: TextCNN1d(10, 2, embed_dim=4, num_filters=5, hidden_dim=6),
        lambda: FastText(10, 2, embed_dim=4, num_buckets=30, max_ngram=3),
        lambda: Recurrent(),
        lambda: Bag("mean"),
        lambda: Bag("sum"),
    ],
    ids=["textcnn", "multichannel", "textcnn1d", "fasttext", "recurrent", "bag mean", "bag sum"],
)
def test_the_credits_of_the_words_add_up_to_the_whole(net):
    torch.manual_seed(1)
    net = net().eval()
    change = total_change(net, TOKENS)
    found = explain_answers(net, TOKENS, steps=300)
    assert torch.allclose(found.weights.sum(dim=1), change, atol=2e-3 + 0.01 * float(change.abs().max()))
    assert found.weights.shape == TOKENS.shape and found.weights[TOKENS == 0].abs().sum() == 0


def test_the_words_of_a_pair_share_its_credit():
    net = FastText(10, 1, embed_dim=1, num_buckets=30).eval()
    with torch.no_grad():
        net.embedding.weight.zero_()
        net.ngrams[0].weight.fill_(6.0)
        net.ngrams[0].weight[0] = 0
        net.output.weight.fill_(1.0)
    weights = explain_answers(net, torch.tensor([[2, 3, 4]])).weights  # two pairs, five vectors in the mean
    assert weights[0].tolist() == pytest.approx([0.6, 1.2, 0.6], abs=1e-5)


def test_ngrams_are_numbered_by_their_words_and_end_before_the_padding():
    table = NgramEmbedding(50, 2, span=2)
    found = table.buckets(torch.tensor([[2, 3, 2, 3, 0], [3, 2, 0, 0, 0]]))
    assert found[0, 1] == found[0, 3] != found[0, 2] and found[1, 1] == found[0, 2]
    assert found[:, 0].tolist() == [0, 0] and found[0, 4] == 0 and found[1, 2] == 0
    assert found.max() <= 50


def test_a_net_that_weighs_its_words_is_asked():
    found = explain_answers(Attends().eval(), TOKENS)
    assert found.method == "attention weights"
    assert torch.allclose(found.weights, torch.softmax(TOKENS.float(), dim=1))
    several = explain_answers(AttendsTwice().eval(), TOKENS)
    assert torch.allclose(several.weights, found.weights * 0.5) and several.method == "attention weights"
    assert explain_answers(AttendsNot().eval(), TOKENS).method == "integrated gradients"


def test_what_cannot_be_explained():
    with pytest.raises(UserError, match="none"):
        explain_answers(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).eval(), torch.rand(2, 3))
    with pytest.raises(UserError, match="whole texts"):
        explain_answers(nn.Embedding(10, 3).eval(), TOKENS)
