"""Step by step equals all at once; the gradient of hard attention equals the exact one on average."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from runner.models.attention_seq2seq import IGNORE, AttentionSeq2Seq

SRC = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0]])
TGT = torch.tensor([[2, 4, 5], [2, 6, 0]])
SETTINGS = [
    {"order": order, "window": window, "input_feeding": feeding, "cell": cell, "hand_over": cell == "gru"}
    for (order, feeding), window, cell in itertools.product(
        [("bahdanau", False), ("luong", False), ("luong", True)], ["global", "local-m", "local-p"], ["gru", "lstm"]
    )
]


def net(**settings) -> AttentionSeq2Seq:
    return AttentionSeq2Seq(9, 8, embed_dim=5, hidden_dim=6, **settings).eval()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(str(value) for value in s.values()))
@pytest.mark.parametrize("hard", [False, True])
def test_steps_say_what_the_whole_target_says(settings, hard) -> None:
    model = net(**settings, hard=hard)
    whole = model(SRC, TGT)
    state = model.start(SRC)
    for place in range(TGT.size(1)):
        logits, state = model.step(TGT[:, place], state)
        assert torch.allclose(logits, whole[:, place], atol=1e-5)
    assert torch.allclose(model.step_attention(state).sum(dim=1), torch.ones(2)) or settings["window"] == "local-p"


def test_hard_attention_looks_at_one_real_place() -> None:
    model = net(hard=True).train()
    state = model.start(SRC)
    for _ in range(30):
        _, state = model.step(TGT[:, 0], state)
        weights = model.step_attention(state)
        assert weights.sum(dim=1).tolist() == [1, 1]
        assert weights.max(dim=1).values.tolist() == [1, 1]
        assert not weights[1, 2:].any()


def exact_gradient(model: AttentionSeq2Seq, tgt_out: torch.Tensor) -> torch.Tensor:
    """Of minus the expected log-likelihood of a token, over all places that may be drawn for two target tokens."""
    src, tgt_in = SRC[:1, :2], TGT[:1, :2]
    total = torch.zeros(())
    for places in itertools.product(range(2), repeat=2):
        drawn = iter(places)

        def multinomial(weights, number, drawn=drawn):
            return torch.stack([torch.tensor([next(drawn)]) for _ in weights])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "multinomial", multinomial)
            logits, chance = model.run(src, tgt_in)
        said = logits.log_softmax(dim=2).gather(2, tgt_out.unsqueeze(2)).sum()
        total = total - chance.sum().exp() * said / 2
    (gradient,) = torch.autograd.grad(total, model.attention.score.weight.weight)
    return gradient


@pytest.mark.parametrize("feeding", [False, True])
def test_the_gradient_of_hard_attention_is_right_on_average(feeding) -> None:
    torch.manual_seed(3)
    model = net(hard=True, input_feeding=feeding).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)  # places that differ in what they are worth
    model.baseline.fill_(-1.0)
    tgt_out = torch.tensor([[4, 5]])
    wanted = exact_gradient(model, tgt_out)
    draws = 3000
    target = tgt_out.expand(draws, -1)
    loss = model.losses((SRC[:1, :2].expand(draws, -1), TGT[:1, :2].expand(draws, -1)), target)["loss"]
    (found,) = torch.autograd.grad(loss, model.attention.score.weight.weight)
    assert (found - wanted).norm() < 0.15 * wanted.norm()
    assert model.baseline.item() != -1.0


def test_only_training_draws() -> None:
    model = net(hard=True)
    assert model.losses((SRC, TGT), TGT) == {}
    assert net().train().losses((SRC, TGT), TGT) == {}
    target = torch.tensor([[4, 5, 3], [5, IGNORE, IGNORE]])
    assert torch.isfinite(model.train().losses((SRC, TGT), target)["loss"])


def test_two_directions_share_the_units() -> None:
    with pytest.raises(ValueError, match="hidden_dim must be even"):
        AttentionSeq2Seq(9, 8, hidden_dim=5)


def test_who_writes_backwards_looks_backwards() -> None:
    """The alignment of reversed rows is the anti-diagonal, whatever their length."""
    model = AttentionSeq2Seq(10, 10, embed_dim=16, hidden_dim=48)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=350)
    for number in range(350):
        src = torch.randint(4, 10, (64, 2 + number % 6))
        backwards = src.flip(1)
        loss = F.cross_entropy(model(src, F.pad(backwards[:, :-1], (1, 0), value=2)).transpose(1, 2), backwards)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    for length in (3, 5, 7):
        src = torch.randint(4, 10, (50, length))
        state, token, looks, said = model.start(src), torch.full((50,), 2), [], []
        for _ in range(length):
            logits, state = model.step(token, state)
            token = logits.argmax(dim=1)
            looks.append(model.step_attention(state))
            said.append(token)
        assert (torch.stack(said, dim=1) == src.flip(1)).float().mean() > 0.95
        weights = torch.stack(looks, dim=1)  # (B, T, S)
        assert weights.flip(2).diagonal(dim1=1, dim2=2).mean() > 0.75
        assert (weights.flip(2).argmax(dim=2) == torch.arange(length)).float().mean() > 0.85
