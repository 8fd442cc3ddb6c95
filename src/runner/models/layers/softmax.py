"""Output layers of language models: a softmax over all words, over drawn ones, or by classes of frequency.

Sources: sampled, Jean et al., On Using Very Large Target Vocabulary for Neural Machine Translation, ACL 2015, and
Jozefowicz et al., Exploring the Limits of Language Modeling, 2016, arXiv:1602.02410; adaptive, Grave et al., Efficient
softmax approximation for GPUs, ICML 2017, arXiv:1609.04309 (torch's own). The last two count on a vocabulary in the
order of frequency.

Shape letters: N places in texts, F features, V vocabulary, S drawn words.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.ranges import check_size

IGNORE = -100  # a target that does not count


class Softmax(nn.Linear):
    """Logits of all V words.

    Args:
        features: numbers F that a word is predicted from.
        vocab_size: words V.
    """

    def __init__(self, features: int, vocab_size: int):
        super().__init__(features, vocab_size)

    def loss(self, features: Tensor, target: Tensor) -> Tensor | None:
        """Mean cross-entropy of features (..., F) and targets (...); None = simply that of the logits."""
        return None


class SampledSoftmax(Softmax):
    """In training a softmax over the right word and S words that are drawn for the whole batch.

    Words are drawn with replacement, and a word of rank r with probability log((r + 2) / (r + 1)) / log(V + 1), which
    is about how often words occur; the logits are corrected by the logarithm of how often a word is expected among the
    drawn ones. The more words are drawn, the nearer is the loss to that of the full softmax.

    Args:
        features: numbers F that a word is predicted from.
        vocab_size: words V.
        samples: words S.
    """

    def __init__(self, features: int, vocab_size: int, samples: int):
        super().__init__(features, vocab_size)
        check_size(samples=samples)
        self.samples = samples

    def loss(self, features: Tensor, target: Tensor) -> Tensor | None:
        if not self.training:
            return None
        features, target = features.flatten(0, -2), target.flatten()
        right = target.clamp(min=0)  # (N,)
        wrong = self.drawn()  # (S,)
        scores = (features * self.weight[right]).sum(dim=1) + self.bias[right]  # (N,)
        others = F.linear(features, self.weight[wrong], self.bias[wrong]) - self.expected(wrong)  # (N, S)
        losses = torch.logaddexp(scores - self.expected(right), others.logsumexp(dim=1)) - scores  # (N,)
        counts = target != IGNORE
        return (losses * counts).sum() / counts.sum()

    def drawn(self) -> Tensor:
        """Words (S,), int64."""
        uniform = torch.rand(self.samples, device=self.weight.device)
        words = (uniform * math.log(self.out_features + 1)).exp().long() - 1
        return words.clamp(0, self.out_features - 1)

    def expected(self, words: Tensor) -> Tensor:
        """Logarithm of how often each word is expected among the drawn ones."""
        rank = words.float()
        return (self.samples * torch.log((rank + 2) / (rank + 1)) / math.log(self.out_features + 1)).log()


class AdaptiveSoftmax(nn.AdaptiveLogSoftmaxWithLoss):
    """Frequent words one by one, rare ones in classes that are looked into only where they are needed.

    Args:
        features: numbers F that a word is predicted from.
        vocab_size: words V.
        cutoffs: ranks at which the classes begin.
        shrink: each class is predicted from that many times fewer features than the one before.
    """

    def __init__(self, features: int, vocab_size: int, cutoffs: list[int], shrink: float = 4.0):
        if not cutoffs or cutoffs != sorted(set(cutoffs)) or cutoffs[0] < 1 or cutoffs[-1] >= vocab_size:
            raise ValueError(f"cutoffs have to rise and to be below vocab_size={vocab_size}, received {cutoffs}")
        if features < shrink ** len(cutoffs):
            raise ValueError(
                f"{len(cutoffs)} classes need at least {shrink ** len(cutoffs):.0f} features, received {features}: set "
                "hidden_dim"
            )
        super().__init__(features, vocab_size, cutoffs, div_value=shrink)

    def forward(self, features: Tensor) -> Tensor:  # type: ignore[override]
        """Log-probabilities (..., V) of features (..., F)."""
        return self.log_prob(features.flatten(0, -2)).unflatten(0, features.shape[:-1])

    def loss(self, features: Tensor, target: Tensor) -> Tensor | None:
        """Mean cross-entropy of features (..., F) and targets (...)."""
        counts = target != IGNORE
        return super().forward(features[counts], target[counts]).loss
