"""What language models share that read a text window by window and carry a state from one to the next.

Shape letters: B batch, T time (tokens), V vocabulary, F features of a token that its next one is predicted from.
"""

from torch import Tensor, nn

from runner.models.layers.pooling import real_steps

State = tuple[Tensor, ...]  # what has been read, each tensor with the batch first


class CarryingLM(nn.Module):
    """Logits of the next token at every place of a text. A subclass has `read`, `initial` and a module `output`."""

    output: nn.Module  # features (..., F) to logits (..., V)

    def __init__(self) -> None:
        super().__init__()

    def initial(self, rows: int) -> State:
        """The state before the first token of each of B rows."""
        raise NotImplementedError(f"{type(self).__name__} has to define initial(rows)")

    def read(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read more of each text: int64 (B, T) and the state, None = the texts begin here; to features (B, T, F) and
        the state after the last token."""
        raise NotImplementedError(f"{type(self).__name__} has to define read(tokens, state)")

    def losses_of(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Named losses of features (B, T, F) and the tokens that follow (B, T), where "loss" is not simply the
        cross-entropy of the logits."""
        return {}

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T), to logits of the token after each, (B, T, V)."""
        return self.output(self.read(tokens)[0])

    def start(self, tokens: Tensor) -> State:
        """The state before the last token of each prompt, int64 (B, T) with padding 0 at the end: `step` reads that."""
        before = (real_steps(tokens)[0] - 1).clamp(min=0)  # (B,): tokens that the state has seen
        state = self.initial(len(tokens))
        for length in before[before > 0].unique().tolist():
            rows = (before == length).nonzero().squeeze(1)
            _, read = self.read(tokens[rows, :length])
            state = tuple(part.index_copy(0, rows, new) for part, new in zip(state, read, strict=True))
        return state

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more token: int64 (B,) and the state to logits of the next token, (B, V), and the state after it."""
        features, state = self.read(token[:, None], state)
        return self.output(features[:, 0]), state
