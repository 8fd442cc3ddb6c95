"""The recurrent net: padding, attention, export, texts and signals, and what it refuses."""

import pytest
import torch
from values import LENGTHS, ROWS, STEPS, UNITS, real

from runner.contracts import nets as contracts
from runner.contracts.tiny import compose_tiny, tiny
from runner.inference import export
from runner.inference.export import ROWS as ROWS_EXPORTED
from runner.models.layers.cells import CELLS
from runner.models.recurrent import RecurrentNet
from runner.models.twin_lstm import TwinLSTM


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


def test_the_shell_gives_its_attention() -> None:
    net = RecurrentNet(2, vocab_size=9, hidden_dim=4, pool="attention").eval()
    weights = net.attention(torch.tensor([[3, 4, 5], [6, 0, 0]]))
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert weights[1].tolist() == [1, 0, 0]
    assert RecurrentNet(2, vocab_size=9, hidden_dim=4).attention(torch.tensor([[3]])) is None


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


@pytest.mark.parametrize("name", ["gru", "coupled_lstm"])
def test_contracts_on_signals(name, subtests) -> None:
    cfg = compose_tiny([f"model={name}", "data=har"])
    assert cfg.model.vocab_size is None and cfg.model.num_channels == 9
    for contract, check in contracts.contracts(cfg).items():
        with subtests.test(contract):
            check()


def test_contracts_of_forecasting(subtests) -> None:
    cfg = compose_tiny(["experiment=ch08_stock", "data.num_targets=3"])
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
        ({"vocab_size": 5, "dropout": 1.0}, "dropout must be in"),
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
    assert torch.equal(twin.learned.weight, matrix) and twin.drawn.weight.shape == (9, 4)
    with pytest.raises(ValueError, match="embed_dim=6"):
        RecurrentNet(2, vocab_size=9, embed_dim=5).load_vectors(matrix)
    with pytest.raises(ValueError, match="cannot use word vectors"):
        RecurrentNet(2, num_channels=3).load_vectors(matrix)
