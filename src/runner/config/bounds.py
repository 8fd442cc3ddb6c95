"""The range of a number, as the docstring of its argument states it: "share that is dropped, in [0, 1)".

A clause "at least 1", "above 0" or "in [0, 1)" in the `Args:` of a constructor is checked before anything is imported,
for every number of a list too. Constructors of others do not write such clauses; RANGES does it for them.
"""

import math
import re
from fnmatch import fnmatchcase

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
CLAUSE = re.compile(
    rf"(?:^|[,;] )(?:at least (?P<least>{NUMBER})|above (?P<above>{NUMBER})"
    rf"|in (?P<left>[\[(])(?P<low>{NUMBER}), (?P<high>{NUMBER})(?P<right>[\])]))(?=[.,;]|$)"
)
LONGEST = 2**63  # a whole number that no tensor can hold begins here

MOST_RUNS = 10_000  # of a sweep

COUNT, SHARE = "at least 1", "in [0, 1)"
RANGES = {  # constructor (or "" for keys that no constructor takes) -> argument -> range
    "": {
        "seed": f"in [0, {2**32 - 1}]",
        "sweep.trials": f"in [1, {MOST_RUNS}]",
        "sweep.jobs": COUNT,
    },
    "pytorch_lightning.Trainer": {
        **dict.fromkeys(("max_epochs", "max_steps", "log_every_n_steps", "check_val_every_n_epoch"), COUNT),
        **dict.fromkeys(("accumulate_grad_batches", "num_nodes"), COUNT),
        **dict.fromkeys(("min_epochs", "min_steps", "reload_dataloaders_every_n_epochs"), "at least 0"),
        **dict.fromkeys(("limit_val_batches", "limit_test_batches", "overfit_batches"), "at least 0"),
        **dict.fromkeys(("limit_train_batches", "val_check_interval"), "above 0"),
        "gradient_clip_val": "at least 0",
    },
    "torch.optim.*": {
        "lr": "at least 0",
        **dict.fromkeys(("momentum", "betas", "rho"), SHARE),
        **dict.fromkeys(("alpha", "weight_decay", "eps", "lr_decay", "initial_accumulator_value"), "at least 0"),
    },
}


def stated(target: str, name: str, meaning: str = "") -> str | None:
    """Return the range of an argument, such as "at least 1"; None = any number.

    Args:
        target: the constructor; "" for a key that no constructor takes.
        name: of the argument, or the key.
        meaning: what the docstring of the constructor says about it.
    """
    known = (ranges[name] for pattern, ranges in RANGES.items() if fnmatchcase(target, pattern) and name in ranges)
    clause = CLAUSE.search(meaning)
    return next(known, clause[0].lstrip(",; ") if clause else None)


def outside(value: object, allowed: str | None) -> str | None:
    """Return what is expected instead of a number, or a list with one, that is out of range; None if all are in."""
    if isinstance(value, list):
        expected = next((text for each in value if (text := outside(each, allowed))), None)
        return expected and expected.replace("a number", "only numbers")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and not -LONGEST <= value < LONGEST:
        return "a number of at most 64 bits"
    if math.isnan(value) or not within(value, allowed):
        return f"a number {allowed.replace('at least', 'of at least')}" if allowed else "a number"
    return None


def within(number: float, allowed: str | None) -> bool:
    """Return whether a number is in a range."""
    if allowed is None:
        return True
    clause = CLAUSE.fullmatch(allowed)
    assert clause is not None, f"{allowed!r} is not a range"
    if clause["least"]:
        return float(clause["least"]) <= number < math.inf
    if clause["above"]:
        return float(clause["above"]) < number < math.inf
    low, high = float(clause["low"]), float(clause["high"])
    above = number >= low if clause["left"] == "[" else number > low
    return above and (number <= high if clause["right"] == "]" else number < high)
