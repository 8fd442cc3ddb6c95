"""BERT: a Transformer that reads one text or two as a whole, pre-trained on hidden words, then given a new head.

Sources: Jacob Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, NAACL
2019, arXiv:1810.04805; the layer between the last block and the words, and the initial weights, as in the authors'
program. Departure: dropout of token vectors and of what each layer adds, not of attention weights.

Shape letters: B batch, T tokens, P hidden places, V vocabulary, E width, K outputs.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.blocks import Block, Shape, Sight, through
from runner.models.layers.hub_layouts import Layout, bert_layout
from runner.models.layers.pooling import real_steps
from runner.models.layers.positions import Learned
from runner.models.ranges import check_choice, check_share, check_size

BEGIN = 0.02  # standard deviation of the initial weights
SEGMENTS = 2  # texts in a row
HEADS = ("text", "tags", "spans", "masked")
HeadName = Literal["text", "tags", "spans", "masked"]


class Trunk(nn.Module):
    """What all heads share: the vector of each token, of its place and of its text, then the blocks.

    Args:
        vocab_size: distinct tokens V, padding (0) included.
        places: places with a vector; those beyond share that of the last one.
        shape: of the blocks.
        num_layers: blocks.
        checkpointing: whether blocks are computed again in the backward pass.
    """

    def __init__(self, vocab_size: int, places: int, shape: Shape, num_layers: int, checkpointing: bool):
        super().__init__()
        self.dropout, self.checkpointing = shape.dropout, checkpointing
        self.embedding = nn.Embedding(vocab_size, shape.embed_dim)
        self.positions = Learned(places, shape.embed_dim)
        self.segments = nn.Embedding(SEGMENTS, shape.embed_dim)
        self.norm = shape.new_norm()
        self.blocks = nn.ModuleList(Block(shape) for _ in range(num_layers))

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """Tokens and which text each belongs to, both int64 (B, T), to what is known of each token, (B, T, E)."""
        _, mask = real_steps(tokens)  # (B, T)
        place = torch.arange(tokens.size(1), device=tokens.device)  # (T,)
        x = self.embedding(tokens) + self.positions(place) + self.segments(segments)  # (B, T, E)
        x = F.dropout(self.norm(x), self.dropout, self.training)
        sight = Sight(mask[:, None, None])  # (B, 1, 1, T): all tokens look at all real ones
        for block in self.blocks:
            x, _ = through(block, self.checkpointing, x, sight)  # (B, T, E)
        return x


class MaskedWords(nn.Module):
    """Which word is hidden: a layer, then the product with the vector of every word.

    Args:
        embedding: the vectors of the words (V, E), which this head shares with the trunk.
        shape: of the blocks.
    """

    def __init__(self, embedding: nn.Embedding, shape: Shape):
        super().__init__()
        self.inner = nn.Linear(shape.embed_dim, shape.embed_dim)
        self.norm = shape.new_norm()
        self.output = nn.Linear(shape.embed_dim, embedding.num_embeddings)
        self.output.weight = embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        """What is known of tokens (..., E) to logits of the words (..., V)."""
        return self.output(self.norm(F.gelu(self.inner(x))))


class BERT(nn.Module):
    """Answers about a text, about two, or about each token.

    The head follows from the objective: "text" answers from the first token, (B, K), for classes or values of one text
    or of a pair; "tags" and "spans" answer for each token, (B, T, K), a span has K = 2 (where it begins, where it
    ends); "masked" is pre-training: logits of the words (B, T, V), or (B, P, V) at chosen places alone, and whether the
    second text is from elsewhere, (B, 2). Weights outside the head have the same names in all of them, so that
    `init_from=` takes them.

    Args:
        vocab_size: distinct tokens V, padding (0) included.
        num_outputs: numbers K that the head returns; V for "masked".
        head: text, tags, spans or masked.
        max_len: tokens of a row at most, marks included; at most `places`.
        places: places with a vector; the same for pre-training and for what follows.
        embed_dim: width E, a multiple of num_heads.
        num_heads: heads of attention.
        num_layers: blocks.
        hidden_dim: width of the feed-forward layer in a block; None = 4 E.
        dropout: share of the token vectors, of what each layer adds and of what the head reads, dropped in training, in
            [0, 1).
        checkpointing: whether blocks are computed again in the backward pass, which saves memory and costs time.

    Raises:
        ValueError: a size below 1, rows longer than the places, heads that do not divide, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        head: HeadName = "text",
        max_len: int = 128,
        places: int = 128,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 2,
        hidden_dim: int | None = None,
        dropout: float = 0.1,
        checkpointing: bool = False,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, max_len=max_len, num_layers=num_layers)
        check_choice(HEADS, head=head)
        check_share(dropout=dropout)
        if max_len > places:
            raise ValueError(f"max_len={max_len} is more than places={places}: type model.places={max_len}")
        shape = Shape(embed_dim, num_heads, hidden_dim or 4 * embed_dim, dropout, "gelu")
        self.head, self.dropout = head, dropout
        self.encoder = Trunk(vocab_size, places, shape, num_layers, checkpointing)
        if head in ("text", "masked"):
            self.pooler = nn.Linear(embed_dim, embed_dim)
        if head == "masked":
            self.words = MaskedWords(self.encoder.embedding, shape)
            self.elsewhere = nn.Linear(embed_dim, 2)
        else:
            self.output = nn.Linear(embed_dim, num_outputs)
        self.begin()

    def begin(self) -> None:
        """Draw the weights."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=BEGIN)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay is for matrices, not for norms and constants."""
        return [{"params": [each for each in self.parameters() if each.ndim < 2], "weight_decay": 0.0}]

    def forward(self, tokens: Tensor, segments: Tensor | None = None, places: Tensor | None = None) -> Any:
        """Answer for rows of tokens.

        Args:
            tokens: int64 (B, T), padding 0 at the end.
            segments: which text a token belongs to, 0 or 1, int64 (B, T); None = there is one text.
            places: of hidden words, int64 (B, P); None = all. Only "masked" reads it.

        Returns:
            (B, K), (B, T, K), or logits of words and of "from elsewhere".
        """
        x = self.encoder(tokens, torch.zeros_like(tokens) if segments is None else segments)  # (B, T, E)
        if self.head == "text":
            return self.output(F.dropout(self.pooled(x), self.dropout, self.training))  # (B, K)
        if self.head != "masked":
            return self.output(F.dropout(x, self.dropout, self.training))  # (B, T, K)
        hidden = x if places is None else x.gather(1, places.unsqueeze(2).expand(-1, -1, x.size(2)))  # (B, P, E)
        return self.words(hidden), self.elsewhere(self.pooled(x))  # (B, P, V), (B, 2)

    def pooled(self, x: Tensor) -> Tensor:
        """What is known of tokens (B, T, E) to what the first one says of the whole row, (B, E)."""
        return self.pooler(x[:, 0]).tanh()

    def hub_layout(self) -> Layout:
        """This net in the words of the package transformers."""
        return bert_layout(self)
