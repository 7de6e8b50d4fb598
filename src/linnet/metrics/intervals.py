"""How far a number can be trusted.

    successes of trials  --proportion-->  Figure (Wilson's interval)
    events in hours      --rate-->        Figure (exact Poisson interval)
    mean of a count      --counts-->      least and most events by chance
    sorted values        --quantile-->    Figure (interval of the ranks)

A number without an interval says nothing about the next recording, so each is a :class:`Figure`: a
value, the ends of its 95 % interval, and what it was counted on.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float64, Int64

from linnet.errors import InputError

# The 97.5th percentile of the normal distribution, for intervals of 95 %.
_NORMAL_QUANTILE = 1.959963984540054
_TAIL = 0.025  # what lies beyond either end of such an interval
_HALVINGS = 200  # more than a float64 has digits


@dataclasses.dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval and the number of things it was counted on."""

    value: float
    low: float
    high: float
    count: int


def proportion(successes: int, trials: int) -> Figure:
    """Give a share with Wilson's interval (1927, "Probable inference", without correction).

    Raises:
        InputError: there were no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"a share needs 0 to n of n > 0 trials, got {successes} of {trials}")
    share = successes / trials
    spread = _NORMAL_QUANTILE**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return Figure(share, low, high, trials)


def rate(events: int, exposure: float) -> Figure:
    """Give events per unit of exposure with the exact interval of a Poisson count.

    The ends are the rates at which as many events or more, or as many or fewer, have a chance of
    2.5 % (Garwood 1936, "Fiducial limits for the Poisson distribution").

    Raises:
        InputError: there was no exposure, or fewer than no events.
    """
    if events < 0 or not exposure > 0:
        raise InputError(f"a rate needs events in some hours, got {events} in {exposure}")
    low = _mean_where(events - 1, 1 - _TAIL) if events else 0.0
    high = _mean_where(events, _TAIL)
    return Figure(events / exposure, low / exposure, high / exposure, events)


def counts(mean: float) -> tuple[int, int]:
    """Give the least and the most events that a Poisson count of a mean above 0 comes to.

    Fewer than the least have a chance below 2.5 %, and more than the most one of at most 2.5 %.
    """
    events = np.arange(math.ceil(mean + 10 * math.sqrt(mean) + 10))
    below = np.exp(events * math.log(mean) - mean - _log_factorials(events)).cumsum()
    least, most = np.searchsorted(below, [_TAIL, 1 - _TAIL])
    return int(least), int(most)


def quantile(values: Float64[np.ndarray, " values"], share: float) -> Figure:
    """Give the value below which a share of the values lies, with the interval of its rank.

    The number of values below a quantile is binomial, whatever their distribution (Conover 1999,
    "Practical nonparametric statistics", section 3.2); its spread is taken as normal.

    Raises:
        InputError: there are no values.
    """
    count = len(values)
    if not count:
        raise InputError("a quantile needs at least one value, got none")
    spread = _NORMAL_QUANTILE * math.sqrt(count * share * (1 - share))
    ordered = np.sort(values)
    value = float(np.quantile(ordered, share))
    low = float(ordered[max(math.floor(count * share - spread) - 1, 0)])
    high = float(ordered[min(math.ceil(count * share + spread), count - 1)])
    return Figure(value, min(low, value), max(high, value), count)


def _mean_where(events: int, chance: float) -> float:
    """Give the mean of the Poisson distribution that stays at ``events`` or below by ``chance``."""
    possible = np.arange(events + 1)
    log_factorials = _log_factorials(possible)
    low, high = 0.0, events + 10 * math.sqrt(events + 1) + 10
    for _ in range(_HALVINGS):
        mean = (low + high) / 2
        if mean in (low, high):
            break
        below = float(np.exp(possible * math.log(mean) - mean - log_factorials).sum())
        low, high = (mean, high) if below > chance else (low, mean)
    return (low + high) / 2


def _log_factorials(counts: Int64[np.ndarray, " counts"]) -> Float64[np.ndarray, " counts"]:
    """Give the logarithms of the factorials of 0, 1, 2, ..."""
    return np.concatenate([[0.0], np.log(counts[1:]).cumsum()])
