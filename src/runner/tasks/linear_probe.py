"""How much codes of texts say about classes that they were made without: a linear classifier of codes, and for
comparison one of the codes of an autoencoder of bags of words.

Shape letters: N texts, B batch, T tokens, V vocabulary, Z numbers of a code.
"""

import numpy as np
import torch
from torch import Tensor, nn

from runner.text.vocabulary import PAD

ROWS, RATE = 64, 0.003  # texts of an optimizer step of the autoencoder of bags, and its learning rate


def probe_accuracy(codes: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> float:
    """The accuracy on "test" of a logistic regression that is fitted to the standardised codes (N, Z) of "train"."""
    from sklearn.linear_model import LogisticRegression  # late: few runs need it
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return float(probe.fit(codes["train"], labels["train"]).score(codes["test"], labels["test"]))


def bags(tokens: Tensor, vocab_size: int) -> Tensor:
    """How often each word stands in texts, int64 (B, T): (B, V); padding does not count."""
    counts = torch.zeros(len(tokens), vocab_size, device=tokens.device)
    counts.scatter_add_(1, tokens, torch.ones_like(tokens, dtype=counts.dtype))
    counts[:, PAD] = 0
    return counts


class BagAutoencoder(nn.Module):
    """tanh of one layer is the code of a bag of words, and one layer says of it how likely each word is.

    Args:
        vocab_size: tokens V of the vocabulary, padding included.
        latent_dim: numbers Z of a code.
    """

    def __init__(self, vocab_size: int, latent_dim: int):
        super().__init__()
        self.vocab_size = vocab_size
        self.encoder, self.decoder = nn.Linear(vocab_size, latent_dim), nn.Linear(latent_dim, vocab_size)

    def codes(self, counts: Tensor) -> Tensor:
        """Bags of words (B, V) to codes (B, Z): which words there are, not how often."""
        return self.encoder((counts > 0).float()).tanh()

    def loss(self, counts: Tensor) -> Tensor:
        """The negative log-likelihood of the words of a bag (B, V), in nats, a mean over the bags."""
        return -(counts * self.decoder(self.codes(counts)).log_softmax(dim=1)).sum(dim=1).mean()


def codes_of_bags(
    texts: dict[str, list[Tensor]], vocab_size: int, latent_dim: int, epochs: int, device: torch.device
) -> dict[str, np.ndarray]:
    """The codes of an autoencoder of bags of words, by split, (N, Z); it learns from "train", always alike.

    Args:
        texts: batches of token numbers (B, T) of each split.
        vocab_size: tokens V of the vocabulary, padding included.
        latent_dim: numbers Z of a code.
        epochs: how often it sees the training split.
        device: where it learns.
    """
    counted = {split: [bags(some, vocab_size).to_sparse() for some in batches] for split, batches in texts.items()}
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(0)
        net = BagAutoencoder(vocab_size, latent_dim).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
        train = torch.cat(counted["train"]).coalesce()
        for _ in range(epochs):
            for rows in torch.randperm(train.size(0)).split(ROWS):
                loss = net.loss(train.index_select(0, rows).to_dense().to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.inference_mode():
        made = {s: [net.codes(some.to_dense().to(device)).cpu() for some in parts] for s, parts in counted.items()}
    return {split: torch.cat(parts).numpy() for split, parts in made.items()}
