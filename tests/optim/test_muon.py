"""Matrices learn as torch's Muon says, everything else as its AdamW does; a schedule and a stop reach both."""

import copy

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from runner.errors import UserError
from runner.optim.build import optimizer_builder
from runner.optim.muon import MuonAdamW


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.hidden, self.norm = nn.Embedding(7, 4), nn.Linear(4, 6), nn.LayerNorm(6)

    def forward(self, tokens):
        return self.norm(self.hidden(self.embedding(tokens))).square().sum()

    def parameter_groups(self):
        return [{"params": [self.hidden.bias, *self.norm.parameters()], "weight_decay": 0.0}]


def steps(net: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    for number in range(3):
        net(torch.tensor([[1, 2, number]])).backward()
        for optimizer in optimizers:
            optimizer.step()
        net.zero_grad()


def test_each_parameter_learns_as_torch_says():
    ours, theirs = Small(), Small()
    node = OmegaConf.create({"_target_": "runner.optim.muon.MuonAdamW", "lr": 0.01, "weight_decay": 0.1})
    made = optimizer_builder(node)(ours)
    assert [(group["muon"], group["weight_decay"]) for group in made.param_groups] == [
        (False, 0.0),
        (True, 0.1),
        (False, 0.1),
    ]
    steps(ours, made)
    adam = [
        {"params": theirs.parameter_groups()[0]["params"], "weight_decay": 0.0},
        {"params": theirs.embedding.weight},
    ]
    steps(
        theirs,
        torch.optim.Muon([theirs.hidden.weight], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(adam, lr=0.01, weight_decay=0.1, fused=True),
    )
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other), name
    assert made.state[ours.hidden.weight].keys() == {"momentum_buffer"}
    assert {"exp_avg", "exp_avg_sq"} < made.state[ours.embedding.weight].keys()


def test_a_schedule_reaches_both_after_a_stop_too():
    net = Small()
    optimizer = MuonAdamW(net.parameters(), lr=0.01)
    steps(net, optimizer)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = copy.deepcopy(net.state_dict())
    steps(net, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_an_old_torch_is_told(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(UserError, match=r"optim=muon needs torch 2\.9"):
        MuonAdamW(Small().parameters())
