"""Words, then sentences: the same as a plain loop, whatever the padding."""

import pytest
import torch
import torch.nn.functional as F
from values import CLOSE

from runner.inference.export import ENDINGS, ROWS, export_net
from runner.models.han import HAN

SIZE = 4
DOCUMENTS = [[[3, 4, 5, 6], [7, 8], [9]], [[2]], [[5, 5, 5], [6, 7, 8, 9]]]  # words of sentences


@pytest.fixture
def net() -> HAN:
    return HAN(12, 3, SIZE, embed_dim=5, hidden_dim=4, attention_dim=6).eval()


def laid_out(documents: list[list[list[int]]], places: int) -> torch.Tensor:
    rows = [[word for words in document for word in words + [0] * (SIZE - len(words))] for document in documents]
    return torch.tensor([row + [0] * (places - len(row)) for row in rows])


def looked_at(level, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One row (T, E) to its vector (D,) and its weights (T,), by the equations of the paper."""
    states, _ = level.recurrent(steps[None])
    first, _, query = level.attending
    scores = torch.stack([query.weight[0] @ torch.tanh(first(state)) for state in states[0]])
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * state for weight, state in zip(weights, states[0], strict=True)), weights


def test_a_document_is_read_as_by_a_plain_loop(net) -> None:
    tokens = laid_out(DOCUMENTS, 12)
    scores, weights = net(tokens), net.attention(tokens)
    for row, document in enumerate(DOCUMENTS):
        read = [looked_at(net.words, net.embedding(torch.tensor(words))) for words in document]
        vector, of_sentences = looked_at(net.sentences, torch.stack([sentence for sentence, _ in read]))
        torch.testing.assert_close(scores[row], net.output(vector), **CLOSE)
        wanted = torch.cat([share * of_words for share, (_, of_words) in zip(of_sentences, read, strict=True)])
        torch.testing.assert_close(weights[row][tokens[row] != 0], wanted, **CLOSE)


def test_padding_of_words_and_of_sentences_changes_nothing(net) -> None:
    tokens = laid_out(DOCUMENTS, 12)
    together = net(tokens)
    for more in (1, SIZE, 3 * SIZE + 2):
        torch.testing.assert_close(net(F.pad(tokens, (0, more))), together, **CLOSE)
    for row, document in enumerate(DOCUMENTS):
        alone = laid_out([document], 0)[:, : SIZE * (len(document) - 1) + len(document[-1])]
        torch.testing.assert_close(net(alone)[0], together[row], **CLOSE)
    wider = HAN(12, 3, SIZE + 3, embed_dim=5, hidden_dim=4, attention_dim=6).eval()
    wider.load_state_dict(net.state_dict())
    spread = F.pad(tokens.unflatten(1, (-1, SIZE)), (0, 3)).flatten(1)
    torch.testing.assert_close(wider(spread), together, **CLOSE)


def test_where_a_sentence_ends_matters(net) -> None:
    one, two = laid_out([[[3, 4, 5]], [[3, 4], [5]]], 8)
    assert not torch.allclose(net(one[None]), net(two[None]), atol=1e-4)


def test_attention_is_on_real_words_alone(net) -> None:
    tokens = laid_out(DOCUMENTS, 14)[:, :13]
    weights = net.attention(tokens)
    assert weights.shape == tokens.shape
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3), **CLOSE)
    assert not weights[tokens == 0].any() and (weights[tokens != 0] > 0).all()


@pytest.mark.parametrize("form", ["onnx", "torch_export"])
def test_an_exported_net_takes_any_number_of_documents_of_one_length(form, net, tmp_path) -> None:
    batches = [(torch.randint(1, 12, (rows, places)),) for rows, places in zip(ROWS, (1, 3, 7, 10), strict=True)]
    apart, shapes = export_net(net, batches, form, tmp_path / f"net{ENDINGS[form]}")
    assert apart < 1e-5 and shapes == [[(rows, 10)] for rows in ROWS]
