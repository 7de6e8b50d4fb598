"""Keyword spotting judged as wake words are: misses against false alarms in an hour.

    Trials --curve--> misses and false alarms at every threshold    (DET curve)
           --at_threshold, at_rate--> Point: FRR, false alarms per hour, with intervals
           --term_weighted_value, best_term_weighted_value--> NIST's ATWV and MTWV
           --delay--> how long after a keyword's end its alarm was raised

Which alarm is true stands in ``matching``.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from jaxtyping import Float64, Int64

from linnet.errors import InputError
from linnet.metrics.intervals import Figure, counts, proportion, quantile, rate
from linnet.metrics.matching import Trials

# No event in 3/r hours makes a rate above r unlikely (5 %): with fewer hours r cannot be claimed.
EVENTS_TO_CLAIM = 3.0
# NIST's weight of a false alarm: cost/value 0.1 times (1/prior - 1), prior 1e-4.
_BETA = 999.9
_DRAWS = 300


@dataclasses.dataclass(frozen=True)
class Curve:
    """Misses and false alarms at every threshold that makes a difference, ascending.

    The last threshold is infinite: nothing fires.
    """

    thresholds: Float64[np.ndarray, " points"]
    misses: Int64[np.ndarray, " points"]
    false_alarms: Int64[np.ndarray, " points"]
    occurrences: int
    hours: float


@dataclasses.dataclass(frozen=True)
class Point:
    """One threshold.

    Attributes:
        frr: misses of all occurrences, Wilson's interval; None without occurrences.
        false_alarms: per hour, exact Poisson interval, counted on the alarms.
        bound: the hours are too few for the rate that was asked for: this is the lowest that they
            bear, and the FRR at the rate asked for is at least this one.
    """

    threshold: float
    frr: Figure | None
    false_alarms: Figure
    bound: bool = False


@dataclasses.dataclass(frozen=True)
class Chance:
    """What a rate of false alarms may come to (95 %) in the hours that were listened to.

    Attributes:
        least: false alarms.
        most: false alarms.
        fewest: misses, at the threshold that the most false alarms set.
        highest: misses, at the threshold that the least set.
    """

    least: int
    most: int
    fewest: int
    highest: int


def curve(trials: Trials) -> Curve:
    """Count misses and false alarms at every threshold that makes a difference."""
    scores = np.concatenate([trials.true_scores[trials.true_scores > 0], trials.false_scores])
    thresholds = np.append(np.unique(scores), np.inf)
    misses = np.searchsorted(np.sort(trials.true_scores), thresholds, side="left")
    quieter = np.searchsorted(np.sort(trials.false_scores), thresholds, side="left")
    return Curve(
        thresholds,
        misses.astype(np.int64),
        (len(trials.false_scores) - quieter).astype(np.int64),
        len(trials.true_scores),
        trials.hours,
    )


def at_threshold(trials: Trials, threshold: float) -> Point:
    """Give misses and false alarms per hour at a threshold."""
    spoken = len(trials.true_scores)
    frr = proportion(trials.misses(threshold), spoken) if spoken else None
    return Point(threshold, frr, rate(trials.false_alarms(threshold), trials.hours))


def at_rate(trials: Trials, per_hour: float) -> Point:
    """Give the lowest threshold with at most ``per_hour`` false alarms an hour, and its point.

    Where the hours are too few for that rate (see ``hours_needed``), the point is that of the
    lowest rate they bear, and marked as a bound.

    Raises:
        InputError: ``per_hour`` is not above 0.
    """
    bound = trials.hours < hours_needed(per_hour)
    allowed = int(EVENTS_TO_CLAIM) if bound else events(per_hour, trials.hours)
    point = at_threshold(trials, lowest_threshold(trials, allowed))
    return dataclasses.replace(point, bound=bound)


def events(per_hour: float, hours: float) -> int:
    """Give the most events in so many hours that are not above a rate."""
    return math.floor(per_hour * hours + 1e-9)


def misses_by_chance(trials: Trials, per_hour: float) -> Chance:
    """Give how far the misses at a rate hang on the false alarms that happened to be heard.

    Audio whose false alarms above a threshold are ``per_hour`` holds a Poisson count of them. The
    threshold with that rate lies therefore (95 %) between those which the fewest and the most of
    such counts set here.

    Raises:
        InputError: ``per_hour`` is not above 0.
    """
    hours_needed(per_hour)  # refuses what is no rate
    least, most = counts(per_hour * trials.hours)
    misses = [trials.misses(lowest_threshold(trials, allowed)) for allowed in (least, most)]
    return Chance(least, most, misses[1], misses[0])


def misses_each(trials: Iterable[Trials], per_hour: float) -> int:
    """Count the misses of all keywords, each at the threshold that ``at_rate`` gives it alone.

    Raises:
        InputError: ``per_hour`` is not above 0.
    """
    return sum(one.misses(at_rate(one, per_hour).threshold) for one in trials)


def hours_needed(per_hour: float) -> float:
    """Give the hours of negative audio from which a rate of false alarms can be claimed.

    Raises:
        InputError: ``per_hour`` is not above 0.
    """
    if not 0 < per_hour < math.inf:
        raise InputError(f"false alarms per hour must be above 0, got {per_hour}; give 0.5, say")
    return EVENTS_TO_CLAIM / per_hour


def lowest_threshold(trials: Trials, allowed: int) -> float:
    """Give the lowest threshold with at most ``allowed`` false alarms, as scores go.

    It is the lowest score of an occurrence or of an allowed false alarm above all others: what
    lies lower raises one more. Infinity where not even that is.
    """
    ranked = np.sort(trials.false_scores)[::-1]
    bar = ranked[allowed] if len(ranked) > allowed else 0.0
    scores = np.concatenate([trials.true_scores, trials.false_scores])
    above = scores[scores > bar]
    return float(above.min()) if len(above) else math.inf


def term_weighted_value(
    trials: Mapping[str, Trials], thresholds: Mapping[str, float], audio_s: float
) -> float:
    """Give NIST's term-weighted value, each keyword at its threshold (ATWV if they are those used).

    1 - mean over the keywords that occur of P(miss) + 999.9 P(false alarm), where a chance for a
    false alarm is a second of audio in which the keyword is not (NIST 2006, "The spoken term
    detection evaluation plan", section 3). 1 is perfect, 0 is silence; there is no lowest value.

    Raises:
        InputError: no keyword occurs.
    """
    losses = []
    for keyword, one in trials.items():
        spoken = len(one.true_scores)
        if spoken:
            missed = one.misses(thresholds[keyword]) / spoken
            false = one.false_alarms(thresholds[keyword]) / (audio_s - spoken)
            losses.append(missed + _BETA * false)
    if not losses:
        raise InputError("the term-weighted value needs a keyword that occurs, and none does")
    return 1 - sum(losses) / len(losses)


def best_term_weighted_value(trials: Mapping[str, Trials], audio_s: float) -> tuple[float, float]:
    """Give the highest term-weighted value under one threshold for all (MTWV), and where it is.

    Raises:
        InputError: no keyword occurs.
    """
    said = {keyword: curve(one) for keyword, one in trials.items() if len(one.true_scores)}
    if not said:
        raise InputError("the term-weighted value needs a keyword that occurs, and none does")
    thresholds = np.unique(np.concatenate([one.thresholds for one in said.values()]))
    losses = np.zeros(len(thresholds))
    for one in said.values():
        # Between two of its own thresholds a keyword's counts are those at the upper one.
        place = np.searchsorted(one.thresholds, thresholds, side="left")
        false = one.false_alarms[place] / (audio_s - one.occurrences)
        losses += one.misses[place] / one.occurrences + _BETA * false
    best = int(losses.argmin())
    return float(1 - losses[best] / len(said)), float(thresholds[best])


def delay(trials: Trials, threshold: float, share: float) -> Figure | None:
    """Give the delay that ``share`` of the true alarms do not exceed; None if there is none."""
    delays_s = trials.delays_s[trials.true_scores >= threshold]
    return quantile(delays_s, share) if len(delays_s) else None


def bootstrap(
    trials: Mapping[str, Trials], value: Callable[[Mapping[str, Trials]], float], *, seed: int = 0
) -> Figure:
    """Give a figure of all keywords with a bootstrap interval.

    The occurrences of each keyword are drawn again with replacement, and each false alarm comes
    as often as a Poisson count of mean 1 says, as their number is itself a draw.
    """
    random = np.random.default_rng(seed)
    values = [
        value({name: _drawn(one, random) for name, one in trials.items()}) for _ in range(_DRAWS)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    exact = value(trials)
    count = sum(len(one.true_scores) for one in trials.values())
    return Figure(exact, min(float(low), exact), max(float(high), exact), count)


def _drawn(trials: Trials, random: np.random.Generator) -> Trials:
    spoken = len(trials.true_scores)
    chosen = random.integers(spoken, size=spoken) if spoken else np.zeros(0, np.int64)
    times = random.poisson(1.0, len(trials.false_scores))
    return dataclasses.replace(
        trials,
        true_scores=trials.true_scores[chosen],
        delays_s=trials.delays_s[chosen],
        false_scores=np.repeat(trials.false_scores, times),
    )
