"""Recurrent layers against torch's own and against NumPy, with padding, merges and poolings."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from runner.contracts import nets as contracts
from runner.contracts.tiny import compose_tiny, tiny
from runner.inference import export
from runner.inference.export import ROWS as ROWS_EXPORTED
from runner.models.layers.cells import CELLS, step_by_step
from runner.models.layers.pooling import Pooling, real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.recurrent import RecurrentNet
from runner.models.twin_lstm import TwinLSTM

STEPS, ROWS, INPUTS, UNITS = 7, 4, 3, 5
LENGTHS = torch.tensor([7, 1, 4, 6])
CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def random_inputs(kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(ROWS, STEPS, INPUTS, dtype=kind)


def real(lengths: torch.Tensor) -> torch.Tensor:
    return (torch.arange(STEPS) < lengths[:, None]).unsqueeze(2)  # (B, T, 1)


# rnn, lstm and gru are torch's.


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, False), (1, True), (2, True)])
@pytest.mark.parametrize(("cell", "torchs"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_equals_torch_with_copied_weights(cell, torchs, layers, both, padded) -> None:
    ours = Recurrent(INPUTS, UNITS, cell, num_layers=layers, bidirectional=both)
    theirs = torchs(INPUTS, UNITS, num_layers=layers, bidirectional=both, batch_first=True)
    pairs = []  # (ours, theirs)
    for layer in range(layers):
        for modules, ending in ((ours.forwards, ""), (ours.backwards, "_reverse"))[: 1 + both]:
            for name, weight in modules[layer].kernel.named_parameters():
                pairs.append((weight, getattr(theirs, f"{name[:-1]}{layer}{ending}")))
    with torch.no_grad():
        for mine, other in pairs:
            mine.uniform_(-0.5, 0.5)  # biases too
            other.copy_(mine)
    inputs = random_inputs().requires_grad_()
    twin = inputs.detach().clone().requires_grad_()
    outputs, last = ours(inputs, LENGTHS if padded else None)
    if padded:
        packed = pack_padded_sequence(twin, LENGTHS, batch_first=True, enforce_sorted=False)
        wanted, state = theirs(packed)
        wanted, _ = pad_packed_sequence(wanted, batch_first=True)
        outputs = outputs * real(LENGTHS)
    else:
        wanted, state = theirs(twin)
    state = state[0] if isinstance(state, tuple) else state  # (layers * directions, B, H)
    torch.testing.assert_close(outputs, wanted, **CLOSE)
    torch.testing.assert_close(last, torch.cat(list(state[-1 - both :]), dim=1), **CLOSE)
    weight = torch.randn_like(wanted) / 10
    (outputs * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(inputs.grad, twin.grad, **CLOSE)
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other.grad, **CLOSE)


# The other cells, step by step in NumPy.


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def peephole_step(x, h, c, w):
    """Chapter 9, section 5: i and f see the old c, o the new one, each through a matrix."""
    i, f, g, o = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 4)
    see_i, see_f, see_o = np.split(w["weight_ch"], 3)
    new = sigmoid(f + see_f @ c) * c + sigmoid(i + see_i @ c) * np.tanh(g)
    return sigmoid(o + see_o @ new) * np.tanh(new), new


def coupled_step(x, h, c, w):
    f, g, o = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 3)
    new = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
    return sigmoid(o) * np.tanh(new), new


def minimal_step(x, h, c, w):
    return w["weight_ih"] @ x + w["weight_hh"] @ h, c


REFERENCES = {"peephole": peephole_step, "coupled": coupled_step, "minimal": minimal_step}


@pytest.mark.parametrize("cell", REFERENCES)
def test_equals_numpy_step_by_step(cell) -> None:
    layer = CELLS[cell](INPUTS, UNITS).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-1, 1)
    weights = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    inputs = random_inputs(torch.float64).transpose(0, 1)  # (T, B, I)
    for found in (layer(inputs), step_by_step(layer, inputs, None)):  # the fast way and the plain one
        for row in range(ROWS):
            h = c = np.zeros(UNITS)
            for step in range(STEPS):
                h, c = REFERENCES[cell](inputs[step, row].numpy(), h, c, weights)
                np.testing.assert_allclose(found[step, row].detach().numpy(), h, atol=1e-12)


@pytest.mark.parametrize("cell", REFERENCES)
def test_gradients_written_by_hand(cell) -> None:
    layer = CELLS[cell](INPUTS, UNITS).double()
    inputs = random_inputs(torch.float64).transpose(0, 1).contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (inputs, *layer.parameters()))


@pytest.mark.parametrize("cell", CELLS)
def test_plain_steps_equal_the_fast_way(cell) -> None:
    layer, inputs = CELLS[cell](INPUTS, UNITS), random_inputs().transpose(0, 1)
    torch.testing.assert_close(layer(inputs), step_by_step(layer, inputs, torch.ones(ROWS, UNITS)), **CLOSE)
    with torch.inference_mode():
        torch.testing.assert_close(layer(inputs), step_by_step(layer, inputs, None), **CLOSE)


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_after_another_equals_forward(cell) -> None:
    layer = Recurrent(INPUTS, UNITS, cell, num_layers=2, dropout=0.5).eval()
    inputs, outputs = random_inputs(), []
    state = layer.start(inputs)
    for now in inputs.unbind(1):
        output, state = layer.step(now, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, dim=1), layer(inputs)[0], **CLOSE)
    assert [len(part) for part in state] == [layer.forwards[0].states] * 2
    assert all(value.shape == (ROWS, UNITS) for part in state for value in part)


# Padding, directions, merges, poolings.


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_nothing(cell, both, pool) -> None:
    net = RecurrentNet(
        2, vocab_size=20, embed_dim=6, hidden_dim=UNITS, cell=cell, num_layers=2, bidirectional=both, pool=pool
    ).eval()
    tokens = torch.randint(1, 20, (ROWS, STEPS)) * real(LENGTHS).squeeze(2)
    together = net(torch.cat([tokens, torch.zeros(ROWS, 5, dtype=torch.int64)], dim=1))
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(net(tokens[row : row + 1, :length])[0], together[row], rtol=0, atol=1e-5)
    assert together.std(dim=0).min() > 1e-4, "all texts get one answer"
    assert net(torch.zeros(2, 3, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "mean"])
def test_merges(merge) -> None:
    layer = Recurrent(INPUTS, UNITS, "peephole", bidirectional=True, merge=merge)
    inputs = random_inputs()
    outputs, last = layer(inputs, LENGTHS)
    ahead = layer.forwards[0](inputs.transpose(0, 1)).transpose(0, 1)  # (B, T, H)
    for row, length in enumerate(LENGTHS):
        turned = layer.backwards[0](inputs[row, :length].flip(0).unsqueeze(1)).squeeze(1).flip(0)  # (T, H)
        one, other = ahead[row, :length], turned
        joined = {"concat": torch.cat([one, other], 1), "sum": one + other, "mul": one * other}
        wanted = joined.get(merge, (one + other) / 2)
        torch.testing.assert_close(outputs[row, :length], wanted, **CLOSE)
        ends = {"concat": torch.cat([one[-1], other[0]]), "sum": one[-1] + other[0], "mul": one[-1] * other[0]}
        torch.testing.assert_close(last[row], ends.get(merge, (one[-1] + other[0]) / 2), **CLOSE)


def test_poolings() -> None:
    outputs, last = torch.randn(ROWS, STEPS, UNITS), torch.randn(ROWS, UNITS)
    mask = real(LENGTHS).squeeze(2)
    rows = [outputs[row, :length] for row, length in enumerate(LENGTHS)]
    assert Pooling("last", UNITS)(outputs, last, mask) is last
    mean = torch.stack([row.mean(0) for row in rows])
    torch.testing.assert_close(Pooling("mean", UNITS)(outputs, last, mask), mean, **CLOSE)
    largest = torch.stack([row.amax(0) for row in rows])
    torch.testing.assert_close(Pooling("max", UNITS)(outputs, last, mask), largest, **CLOSE)
    attention = Pooling("attention", UNITS, attention_dim=3)
    weights = attention.weights(outputs, mask)
    torch.testing.assert_close(weights.sum(1), torch.ones(ROWS), **CLOSE)
    assert not weights[~mask].any() and (weights[mask] > 0).all()
    dense, _, query = attention.score
    scores = torch.stack([torch.tanh(dense(step)) @ query.weight[0] for step in rows[2]])
    wanted = scores.softmax(0) @ rows[2]
    torch.testing.assert_close(attention(outputs, last, mask)[2], wanted, **CLOSE)


def test_lengths_of_tokens() -> None:
    lengths, mask = real_steps(torch.tensor([[3, 0, 4, 0], [5, 6, 7, 8], [0, 0, 0, 0]]))
    assert lengths.tolist() == [3, 4, 1]
    assert mask.tolist() == [[True] * 3 + [False], [True] * 4, [True] + [False] * 3]


def test_the_shell_gives_its_attention() -> None:
    net = RecurrentNet(2, vocab_size=9, hidden_dim=4, pool="attention").eval()
    weights = net.attention(torch.tensor([[3, 4, 5], [6, 0, 0]]))
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert weights[1].tolist() == [1, 0, 0]
    assert RecurrentNet(2, vocab_size=9, hidden_dim=4).attention(torch.tensor([[3]])) is None


# Dropout.


@pytest.mark.parametrize("cell", CELLS)
def test_variational_dropout_leaves_out_the_same_units_at_every_step(cell) -> None:
    layer = Recurrent(INPUTS, 50, cell, num_layers=2, dropout=0.5, variational=True).train()
    seen = []
    layer.forwards[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    layer(random_inputs() + 1)
    steps, keep = seen[0]  # (T, B, H), (B, H)
    dropped = steps == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped)) and 0.3 < dropped.float().mean() < 0.7
    assert set(keep.unique().tolist()) == {0.0, 2.0}
    layer.eval()
    inputs = random_inputs()
    assert torch.equal(layer(inputs)[0], layer(inputs)[0])


def test_a_mask_on_the_state_reaches_every_cell() -> None:
    inputs, keep = random_inputs().transpose(0, 1), torch.zeros(ROWS, UNITS)
    for name, kind in CELLS.items():
        layer = kind(INPUTS, UNITS)
        assert torch.equal(layer(inputs)[:1], layer(inputs, keep)[:1]) or torch.allclose(
            layer(inputs)[:1], layer(inputs, keep)[:1], atol=1e-6
        ), name
        assert not torch.allclose(layer(inputs)[1:], layer(inputs, keep)[1:], atol=1e-3), name


# Export.


@pytest.mark.parametrize("cell", ["lstm", "coupled"])
def test_onnx(cell, tmp_path) -> None:
    """torch's own layers stay whole and take rows of any length; a cell of this package is unrolled to one length."""
    net = RecurrentNet(
        2, vocab_size=20, embed_dim=4, hidden_dim=3, cell=cell, bidirectional=cell == "lstm", pool="attention"
    ).eval()
    batches = [
        (torch.randint(1, 20, (rows, length)),) for rows, length in zip(ROWS_EXPORTED, (1, 2, 3, 4), strict=True)
    ]
    apart, shapes = export.export_net(net, batches, "onnx", tmp_path / "net.onnx")
    assert apart < 1e-5 and [shape[0][0] for shape in shapes] == list(ROWS_EXPORTED)
    assert {shape[0][1] for shape in shapes} == ({4} if cell == "coupled" else {1, 2, 3, 4})


# Texts and signals; what is refused.


@pytest.mark.parametrize("name", ["gru", "coupled_lstm"])
def test_contracts_on_signals(name, subtests) -> None:
    cfg = compose_tiny([f"model={name}", "data=har", "model.hidden_dim=8"])
    assert cfg.model.vocab_size is None and cfg.model.num_channels == 9
    for contract, check in contracts.contracts(cfg).items():
        with subtests.test(contract):
            check()


def test_contracts_of_forecasting(subtests) -> None:
    cfg = compose_tiny(["experiment=ch08_stock", "model.hidden_dim=8", "data.num_targets=3"])
    task, batch = tiny(cfg)
    assert task.net(batch[0]).shape == (len(batch[0]), 3)
    for contract, check in contracts.contracts(cfg).items():
        with subtests.test(contract):
            check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "one of vocab_size .* and num_channels"),
        ({"vocab_size": 5, "num_channels": 2}, "one of vocab_size .* and num_channels"),
        ({"vocab_size": 5, "cell": "lst"}, "cell must be one of rnn, lstm"),
        ({"vocab_size": 5, "merge": "ave"}, "merge must be one of"),
        ({"vocab_size": 5, "pool": "first"}, "pool must be one of"),
        ({"vocab_size": 5, "dropout": 1.0}, "dropout must lie in"),
        ({"vocab_size": 5, "num_layers": 0}, "num_layers must be at least 1"),
    ],
)
def test_what_is_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentNet(2, **settings)


def test_word_vectors() -> None:
    matrix = torch.randn(9, 6)
    net = RecurrentNet(2, vocab_size=9, embed_dim=6)
    net.load_vectors(matrix)
    assert torch.equal(net.embedding.weight, matrix)
    twin = TwinLSTM(9, 2, embed_dim=4, vector_dim=6, hidden_dim=5)
    twin.load_vectors(matrix)
    assert torch.equal(twin.learnt.weight, matrix) and twin.drawn.weight.shape == (9, 4)
    with pytest.raises(ValueError, match="embed_dim=6"):
        RecurrentNet(2, vocab_size=9, embed_dim=5).load_vectors(matrix)
    with pytest.raises(ValueError, match="no place for word vectors"):
        RecurrentNet(2, num_channels=3).load_vectors(matrix)
