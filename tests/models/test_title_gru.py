"""The net that writes titles: shared tables, words of the source that are looked at."""

import pytest
import torch

from runner.models.title_gru import TitleGRU

SRC, TGT = torch.tensor([[4, 5, 6, 7], [8, 4, 0, 0]]), torch.tensor([[2, 5, 6], [2, 8, 4]])


def net(**settings) -> TitleGRU:
    torch.manual_seed(0)
    return TitleGRU(12, 12, embed_dim=6, hidden_dim=8, **settings).eval()


def test_shared_tables_are_one_parameter() -> None:
    shared, apart = net(shared=True), net()
    assert shared.embedding is shared.encoder.embedding and apart.embedding is not apart.encoder.embedding
    sizes = [sum(parameter.numel() for parameter in each.parameters()) for each in (apart, shared)]
    assert sizes[0] - sizes[1] == 12 * 6
    with pytest.raises(ValueError, match="12 and 13"):
        TitleGRU(12, 13, shared=True)


def test_the_words_looked_at_are_added() -> None:
    """The logits with and without them differ by the products of the mean vector looked at with all target vectors."""
    with_words, without = net(lexical=True), net(lexical=False)
    _, state = with_words.step(TGT[:, 0], with_words.start(SRC))
    looked = torch.einsum("bs,bse->be", with_words.step_attention(state), with_words.encoder.embedding(SRC))
    apart = with_words(SRC, TGT)[:, 0] - without(SRC, TGT)[:, 0]
    assert torch.allclose(apart, looked @ with_words.embedding.weight.T, atol=1e-5)


def test_the_first_step_reads_the_mean_of_the_source() -> None:
    each = net()
    keys, _, mask = each.encoder(SRC)
    assert torch.allclose(each.start(SRC).context[1, 0], keys[1, :2].mean(dim=0), atol=1e-6)
    assert mask.sum(dim=1).tolist() == [4, 2]
