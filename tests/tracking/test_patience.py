"""What a writer does while a database or a server does not answer."""

import pytest

from runner.tracking import patience as module
from runner.tracking.patience import SECONDS, GaveUp, Patience, short_reason

BUSY = OSError("(sqlite3.OperationalError) database is locked\n[SQL: ...]")
FULL = OSError("[Errno 28] No space left on device")


class Clock:
    """Time that passes only while somebody sleeps."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def patience():
    told = []
    patience = Patience(told.append)
    patience.told = told
    return patience


class Fails:
    """A call that raises the given errors, one after another, and then returns 7."""

    def __init__(self, *errors: Exception):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


@pytest.mark.parametrize("error", [BUSY, FULL])
def test_while_a_training_runs_it_waits_for_hours_and_says_so_once(clock, patience, error):
    assert patience(Fails(*[error] * 10_000)) == 7
    assert clock.now > 1000 + 5 * 3600
    assert len(patience.told) == 1 and "the rest waits" in patience.told[0]
    patience(Fails(*[error] * 10))
    assert len(patience.told) == 2, "it had answered in between"


def test_a_short_wait_is_not_worth_a_word(clock, patience):
    assert patience(Fails(BUSY, BUSY)) == 7
    assert patience.told == []


def test_what_does_not_pass_is_an_error_at_once(clock, patience):
    call = Fails(ValueError("no such run"))
    with pytest.raises(ValueError, match="no such run"):
        patience(call)
    assert call.calls == 1


def test_somebody_waits_once_for_all_calls(clock, patience):
    patience.hurry()
    with pytest.raises(GaveUp, match="database is locked"):
        patience(Fails(*[BUSY] * 1000))
    assert SECONDS <= clock.now - 1000 < SECONDS + 3
    gave_up, call = clock.now, Fails()
    with pytest.raises(GaveUp):
        patience(call)
    assert clock.now == gave_up and call.calls == 0
    patience.relax()
    assert patience(call) == 7


def test_the_time_counts_from_when_somebody_waits(clock, patience):
    def silent():
        if clock.now > 5000 and not patience.hurried:
            patience.hurry()
        raise BUSY

    with pytest.raises(GaveUp):
        patience(silent)
    assert 5000 + SECONDS <= clock.now < 5000 + SECONDS + 5


def test_nobody_waits_for_a_full_disk_and_the_next_call_is_tried(clock, patience):
    patience.hurry()
    with pytest.raises(GaveUp, match="No space left"):
        patience(Fails(FULL, FULL))
    assert clock.now == 1000
    assert patience(Fails()) == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("API request to http://h/api failed with exception HTTPConnectionPool(host='h'): Max retries exceeded with "
         "url: /api (Caused by ResponseError('too many 500 error responses'))", "the server answers with error 500"),
        ("API request to endpoint /api failed with error code 503 != 200", "the server answers with error 503"),
        ("API request to http://h/api failed with exception HTTPConnectionPool(host='h', port=1): Max retries exceeded "
         "(Caused by NewConnectionError('[Errno 111] Connection refused'))", "the server does not answer"),
        ("(sqlite3.OperationalError) database or disk is full", "(sqlite3.OperationalError) database or disk is full"),
    ],
)  # fmt: skip
def test_the_reason_is_short(text, told):
    assert short_reason(OSError(text)) == told
