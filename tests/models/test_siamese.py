"""Siamese and prototypical nets: their comparisons, step by step."""

import pytest
import torch

from runner.models.prototypical import Prototypical
from runner.models.siamese import Siamese

SIZES = {"latent_dim": 6, "num_filters": (2, 3)}


def examples():
    draw = torch.Generator().manual_seed(0)
    return torch.rand(4, 5, 1, 8, 8, generator=draw), torch.rand(4, 3, 2, 1, 8, 8, generator=draw)


@pytest.mark.parametrize("distance", ["difference", "euclidean"])
def test_siamese(distance):
    torch.manual_seed(0)
    net = Siamese(image_shape=(1, 8, 8), distance=distance, **SIZES).eval()
    torch.nn.init.normal_(net.output.weight)
    query, support = examples()
    found = net(query, support)
    assert found.shape == (4, 5, 3)
    here = net.encoder(query[2, 4:])[0]
    logits = []
    for other in support[2, 1]:
        apart = (here - net.encoder(other[None])[0]).abs()
        logits.append(net.output(apart if distance == "difference" else apart.square().mean().sqrt().view(1)))
    assert found[2, 4, 1].item() == pytest.approx((sum(logits) / 2).item(), abs=1e-4)


def test_prototypical():
    torch.manual_seed(0)
    net = Prototypical(image_shape=(1, 8, 8), **SIZES).eval()
    query, support = examples()
    prototype = net.encoder(support[2, 1]).mean(dim=0)
    expected = -((net.encoder(query[2, 4:])[0] - prototype) ** 2).sum()
    assert net(query, support)[2, 4, 1].item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("kind", [Siamese, Prototypical])
def test_texts_and_their_padding(kind):
    torch.manual_seed(0)
    net = kind(vocab_size=20, latent_dim=6, embed_dim=5).eval()
    query, support = torch.randint(1, 20, (2, 4, 7)), torch.randint(1, 20, (2, 3, 1, 7))
    longer = torch.nn.functional.pad(query, (0, 4)), torch.nn.functional.pad(support, (0, 4))
    torch.testing.assert_close(net(*longer), net(query, support))
    net.load_vectors(torch.ones(20, 5))
    assert net.encoder.embedding.weight.eq(1).all()


@pytest.mark.parametrize("kind", [Siamese, Prototypical])
def test_images_or_texts(kind):
    with pytest.raises(ValueError, match="one of image_shape"):
        kind()
    with pytest.raises(ValueError, match="reads images"):
        kind(image_shape=(1, 8, 8), **SIZES).load_vectors(torch.ones(3, 5))
