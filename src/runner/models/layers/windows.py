"""Windows of words as convolutions over time see them.

Shape letters: B batch, T time (words), N filters, w width of a window in words.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def at_least(tokens: Tensor, width: int) -> Tensor:
    """Pad sentences that have fewer than two windows: int64 (B, T) -> (B, max(T, width + 1)).

    One window would be enough, but torch.export treats a size that can be 1 as one that always is; and without a
    Python `if` the exported net takes short sentences as well as long ones. A window of padding changes nothing, see
    `max_over_time`.
    """
    return F.pad(tokens, (0, torch.sym_max(width + 1 - tokens.size(1), 0)))


def max_over_time(scores: Tensor, tokens: Tensor) -> Tensor:
    """Largest score of each filter over the windows of a sentence: (B, N, T-w+1), int64 tokens (B, T) -> (B,
    N).

    A window that reaches into the padding does not count, so that the amount of padding in a batch changes
    nothing. A sentence that is shorter than a window still has one: its words and the padding that
    fills it.
    """
    width = tokens.size(1) - scores.size(2) + 1
    padded = tokens[:, width - 1 :] == 0  # (B, T-w+1): does the window end in padding?
    padded[:, 0] = False
    return scores.masked_fill(padded.unsqueeze(1), float("-inf")).max(dim=2).values  # (B, N)
