"""Jobs that are stopped early because they are hopeless."""

from types import SimpleNamespace

import pytest

from runner.training.interrupt import Pruned
from runner.training.pruning import Prune


def test_the_callback_reports_and_ends_the_run():
    told = []

    class Trial:
        def is_hopeless(self, step, value):
            told.append((step, value))
            return len(told) == 2

    callback = Prune(Trial(), "val/loss")
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn="fit"),
        callback_metrics={"val/loss": 0.5},
        is_global_zero=True,
        strategy=SimpleNamespace(broadcast=lambda value: value),
    )
    callback.on_validation_end(trainer, None)
    callback.load_state_dict(callback.state_dict())
    with pytest.raises(Pruned, match=r"after validation 2 with val/loss 0\.5"):
        callback.on_validation_end(trainer, None)
    trainer.state.fn = "validate"
    callback.on_validation_end(trainer, None)
    assert told == [(0, 0.5), (1, 0.5)]
