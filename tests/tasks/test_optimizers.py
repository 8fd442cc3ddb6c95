"""Several optimizers on one problem: from the same weights, on the same batches, in one figure."""

import torch
from pytorch_lightning import Callback
from small_runs import settings

from runner.config.catalog import choices
from runner.config.compose import compose
from runner.training.train import train

NAMES = """sgd momentum nesterov adagrad rmsprop rmsprop_momentum rmsprop_nesterov adadelta adam amsgrad adamax nadam
adamw ftrl"""


class FirstNets(Callback):
    """Remembers the weights that the nets begin with."""

    def on_train_start(self, trainer, pl_module):
        self.states = [
            {name: value.clone() for name, value in net.state_dict().items()} for net in pl_module.nets.values()
        ]


def test_the_experiment_draws_all_of_them(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr("runner.training.train.save_figures", lambda folder, figures, *rest: drawn.update(figures))
    compared = set(compose(["experiment=optimizers"]).task.optimizers)
    assert compared == set(NAMES.split()) <= set(choices("optim"))
    first = FirstNets()
    metrics = train(settings("mlp", "experiment=optimizers", "data=iris", "model.dropout=0"), tmp_path, None, first)
    assert all(torch.equal(state[name], first.states[0][name]) for state in first.states for name in state)
    assert {f"test/loss_{name}" for name in compared} <= set(metrics)
    assert len({round(metrics[f"train/loss_{name}"], 9) for name in compared - {"amsgrad"}}) == len(compared) - 1
    panels = drawn["optimizers"].axes
    assert len(panels) == 2 and all(len(panel.get_lines()) == len(compared) for panel in panels)
