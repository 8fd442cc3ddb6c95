"""Jobs in parallel on one machine."""

import pytest

from runner.errors import UserError
from runner.sweep import workers


def test_each_worker_has_its_share_of_the_machine(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert workers.slots("auto") == 2 and workers.slots(3) == 3
    seen = [workers.worker_environment(slot, 3) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["4", "6", "4"]
    assert all(int(one["OMP_NUM_THREADS"]) >= 1 for one in seen)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert workers.slots("auto") == 1 and workers.gpus() == []
    with pytest.raises(UserError, match=r"sweep\.jobs=0"):
        workers.slots(0)
