"""What varies in a sweep: each key with the values it may take, written in Hydra's own override grammar.

model=textcnn,lstm                    model=choice(textcnn,lstm)
seed=range(1,6)                       'model.num_layers=int(interval(1,4))'
'optim.lr=tag(log,interval(1e-4,1e-2))'
"""

import itertools
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from runner.errors import UserError
from runner.sweep.statistics import REPEATS

MOST_VALUES = 4  # of a key that a title names one by one
OWN_KEYS = ("sweep", "resume_sweep")  # of the sweep as a whole; jobs do not need them


@dataclass(frozen=True)
class Dimension:
    """One key and the values it may take.

    Args:
        key: what comes before `=`, including `+` or `@package`.
        values: the values one by one, as typed; empty for an interval.
        low: smallest value of an interval.
        high: largest value of an interval.
        whole: whether the values are whole numbers: of an interval, or of a range that Optuna may take steps in.
        log: whether values are drawn on a logarithmic scale: equal factors are equally likely.
        step: distance of the values of a range; None for choices and intervals.
    """

    key: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    step: float | None = None

    def first(self) -> str:
        """One of the values, always the same."""
        return self.values[0] if self.values else str(self.low)

    def draw(self, source: random.Random) -> str:
        """Return a value at random."""
        if self.values:
            return source.choice(self.values)
        low, high = (self.low, self.high + 1) if self.whole else (self.low, self.high)
        drawn = math.exp(source.uniform(math.log(low), math.log(high))) if self.log else source.uniform(low, high)
        return str(min(int(drawn), int(self.high)) if self.whole else drawn)


@dataclass(frozen=True)
class Space:
    """A command, split into what all jobs share and what varies.

    Args:
        fixed: overrides of every job.
        dimensions: what varies.
    """

    fixed: tuple[str, ...]
    dimensions: tuple[Dimension, ...]

    @property
    def keys(self) -> list[str]:
        """The keys that vary."""
        return [dimension.key for dimension in self.dimensions]

    def job(self, values: Iterable[str]) -> list[str]:
        """Return the overrides of the job with these values, one for each dimension."""
        return [*self.fixed, *(f"{key}={value}" for key, value in zip(self.keys, values, strict=True))]

    def first(self) -> list[str]:
        """Return the overrides of one job, always the same."""
        return self.job(dimension.first() for dimension in self.dimensions)

    def grid(self) -> list[list[str]]:
        """Return the overrides of every combination; the last key varies fastest, as in Hydra."""
        for dimension in self.dimensions:
            if not dimension.values:
                raise UserError(
                    f"{dimension.key}: a grid needs single values, and an interval has none. "
                    "Write sweep=random or sweep=optuna, or choice(...)"
                )
        return [self.job(values) for values in itertools.product(*(dimension.values for dimension in self.dimensions))]

    def title(self, model: str) -> str:
        """Return what varies in a few words, "textcnn, lstm x 3 seeds"; `model` is the one that does not vary."""
        ways = {dimension.key.lstrip("+"): dimension.values for dimension in self.dimensions}
        parts = [", ".join(ways.pop("model", (model,)))]
        for key, values in ways.items():
            if key in REPEATS and values:
                parts.append(f"{len(values)} {key.rsplit('.', 1)[-1]}s")
            elif len(values) > MOST_VALUES:
                parts.append(f"{len(values)} values of {key}")
            else:
                parts.append(f"{key}={','.join(values)}" if values else key)
        return " x ".join(parts)

    def draw(self, seed: int, number: int) -> list[str]:
        """Return the overrides of the random job `number`; they depend only on the space and both numbers."""
        source = random.Random(f"{seed}/{number}")
        return self.job(dimension.draw(source) for dimension in self.dimensions)


def read_space(arguments: list[str], space: Mapping[str, str], parser: OverridesParser) -> Space:
    """Return the space of a sweep.

    Args:
        arguments: the overrides typed; they win over `space`.
        space: {key: sweep}, such as {"optim.lr": "interval(0.001,0.1)"}.
        parser: Hydra's parser of overrides.
    """
    typed = [one for one in parser.parse_overrides(arguments) if one.key_or_group.split(".")[0] not in OWN_KEYS]
    known = {override.key_or_group for override in typed}
    listed = parser.parse_overrides([f"{key}={sweep}" for key, sweep in space.items() if key.lstrip("+") not in known])
    varying = {one.get_key_element(): one for one in [*typed, *listed] if one.is_sweep_override()}
    fixed = [str(one.input_line) for one in [*typed, *listed] if not one.is_sweep_override()]
    return Space(tuple(fixed), tuple(dimension(one) for one in varying.values()))


def dimension(override: Override) -> Dimension:
    """Return the dimension of an override that sweeps.

    Raises:
        UserError: the interval is empty, or cannot be logarithmic.
    """
    key, sweep = override.get_key_element(), override.value()
    log = "log" in getattr(sweep, "tags", ())
    if isinstance(sweep, IntervalSweep):
        low, high = sweep.start, sweep.end
        if low is None or high is None or not low < high or (log and low <= 0):
            above = " and above 0, since it is logarithmic" if log else ""
            raise UserError(f"{override.input_line}: the ends of an interval must be ascending{above}")
        return Dimension(key, low=low, high=high, whole=isinstance(low, int) and isinstance(high, int), log=log)
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{override.input_line}: this sweep holds no value")
    if not isinstance(sweep, RangeSweep):
        return Dimension(key, values)
    numbers = [float(value) for value in values]
    whole = all(isinstance(part, int) for part in (sweep.start, sweep.stop, sweep.step))
    return Dimension(key, values, min(numbers), max(numbers), whole, log, abs(float(sweep.step)))
