"""The equations of Cho 2014, appendix A, in NumPy; step by step equals all at once."""

import numpy as np
import pytest
import torch

from runner.models.gru_maxout import GRUMaxout

SRC = torch.tensor([[2, 3, 4], [6, 7, 0]])
TGT = torch.tensor([[2, 4, 5], [2, 6, 1]])


@pytest.fixture
def net() -> GRUMaxout:
    return GRUMaxout(9, 8, embed_dim=3, hidden_dim=4, maxout_dim=5).eval()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(net: GRUMaxout, src: list[int], tgt: list[int]) -> np.ndarray:
    """Logits of one pair, token by token, gate by gate."""
    w = {name: value.detach().double().numpy() for name, value in net.named_parameters()}

    def parts(name: str, number: int) -> list[np.ndarray]:
        return np.split(w[f"{name}.weight"], number)

    (wz, wr, wh), (bz, br, bh) = parts("read_input", 3), np.split(w["read_input.bias"], 3)
    (uz, ur), u = parts("read_gates", 2), w["read_candidate.weight"]
    h = np.zeros(4)
    for token in src:
        x = w["src_embedding.weight"][token]
        z, r = sigmoid(wz @ x + uz @ h + bz), sigmoid(wr @ x + ur @ h + br)
        h = z * h + (1 - z) * np.tanh(wh @ x + u @ (r * h) + bh)
    c = np.tanh(w["summary.weight"] @ h + w["summary.bias"])
    h = np.tanh(w["begin.weight"] @ c + w["begin.bias"])
    (wz, wr, wh), (bz, br, bh) = parts("write_input", 3), np.split(w["write_input.bias"], 3)
    (uz, ur, u), (cz, cr, ch) = parts("write_state", 3), parts("write_summary", 3)
    said = []
    for token in tgt:
        y = w["tgt_embedding.weight"][token]
        z, r = sigmoid(wz @ y + uz @ h + cz @ c + bz), sigmoid(wr @ y + ur @ h + cr @ c + br)
        h = z * h + (1 - z) * np.tanh(wh @ y + r * (u @ h + ch @ c) + bh)
        s = w["maxout.weight"] @ np.concatenate([h, c, y]) + w["maxout.bias"]
        s = np.array([max(s[2 * i], s[2 * i + 1]) for i in range(5)])
        said.append(w["output.weight"] @ s + w["output.bias"])
    return np.array(said)


def test_the_equations_are_those_of_the_paper(net) -> None:
    found = net(SRC, TGT).detach().numpy()
    assert found[0] == pytest.approx(by_hand(net, [2, 3, 4], [2, 4, 5]), abs=1e-5)
    assert found[1] == pytest.approx(by_hand(net, [6, 7], [2, 6, 1]), abs=1e-5)


def test_steps_say_what_the_whole_target_says(net) -> None:
    whole, state = net(SRC, TGT), net.start(SRC)
    for place in range(3):
        logits, state = net.step(TGT[:, place], state)
        assert torch.allclose(logits, whole[:, place], atol=1e-6)
