"""Keyword spotting judged as wake words are: misses against false alarms in an hour.

    occurrences, alarms --match--> Trials of one keyword: best score in each occurrence, delay,
                                   score of each false alarm, hours in which one could be raised
    Trials of each keyword --pool--> Trials of all, under one threshold
    Trials --curve--> misses and false alarms at every threshold    (DET curve)
           --at_threshold, at_rate--> Point: FRR, false alarms per hour, with intervals
           --term_weighted_value, best_term_weighted_value--> NIST's ATWV and MTWV

An alarm is true if its middle lies in an occurrence of its keyword, widened on both sides; the best
one takes the occurrence and any other there is neither true nor false. All others are false. The
negative audio of a keyword is therefore all audio outside its widened occurrences, whatever is said
there. Where a keyword is known to be said, but not at which moment (in a sentence), nothing is
counted and the time is no negative audio either. Pooled figures are those of the whole device: one
threshold for all keywords, and the false alarms of all of them counted on the same hours.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from linnet.errors import InputError
from linnet.metrics.intervals import Figure, proportion, quantile, rate

TOLERANCE_S = 0.5
# No event in 3/r hours makes a rate above r unlikely (5 %): with fewer hours r cannot be claimed.
EVENTS_TO_CLAIM = 3.0
_SECONDS_IN_HOUR = 3600.0
# NIST's weight of a false alarm: cost/value 0.1 times (1/prior - 1), prior 1e-4.
_BETA = 999.9


@dataclasses.dataclass(frozen=True)
class Occurrence:
    """A place where a keyword was said."""

    recording: str
    keyword: str
    start_s: float
    end_s: float


@dataclasses.dataclass(frozen=True)
class Alarm:
    """What a spotter reported: where, how sure, and when it knew."""

    recording: str
    keyword: str
    start_s: float
    end_s: float
    score: float
    decided_s: float

    @property
    def middle_s(self) -> float:
        """The time that decides whether it is true."""
        return (self.start_s + self.end_s) / 2


@dataclasses.dataclass(frozen=True)
class Trials:
    """What a threshold parts.

    Attributes:
        true_scores: the best score in each occurrence; 0, which no threshold accepts, where there
            was no alarm.
        delays_s: of that alarm, from the end of the occurrence; NaN where there was none.
        false_scores: of each false alarm.
        hours: of negative audio.
    """

    true_scores: Float64[np.ndarray, " occurrences"]
    delays_s: Float64[np.ndarray, " occurrences"]
    false_scores: Float64[np.ndarray, " alarms"]
    hours: float

    def misses(self, threshold: float) -> int:
        """Count the occurrences without an alarm of at least ``threshold``."""
        return int((self.true_scores < threshold).sum())

    def false_alarms(self, threshold: float) -> int:
        """Count the false alarms of at least ``threshold``."""
        return int((self.false_scores >= threshold).sum())


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


def match(
    keyword: str,
    occurrences: Iterable[Occurrence],
    alarms: Iterable[Alarm],
    durations_s: Mapping[str, float],
    *,
    unplaced: Iterable[Occurrence] = (),
    tolerance_s: float = TOLERANCE_S,
) -> Trials:
    """Compare the alarms of ``keyword`` with its occurrences; those of other keywords are skipped.

    The best alarms choose first, each the nearest occurrence that is still free, so that raising
    the threshold never changes what a better alarm was taken for.

    Args:
        keyword: whose.
        occurrences: where keywords were said, in any recording.
        alarms: what was reported, at the lowest threshold that is of interest.
        durations_s: of every recording that was listened to.
        unplaced: spans in which the keyword is said somewhere; they are left out.
        tolerance_s: how much both are widened on both sides.

    Raises:
        InputError: a recording without a duration.
    """
    said = [one for one in occurrences if one.keyword == keyword]
    left_out = [one for one in unplaced if one.keyword == keyword]
    raised = sorted(
        (one for one in alarms if one.keyword == keyword), key=lambda one: (-one.score, one.start_s)
    )
    heard = [one.recording for one in (*said, *left_out)] + [one.recording for one in raised]
    for recording in heard:
        if recording not in durations_s:
            raise InputError(
                f"{recording}: {keyword!r} is said or heard there, but the recording is not among "
                "those listened to; name its duration"
            )
    true_scores, delays_s = np.zeros(len(said)), np.full(len(said), np.nan)
    false_scores = []
    inside = _Inside(said, tolerance_s)
    beside = _Inside(left_out, tolerance_s)
    for alarm in raised:
        places = inside.of(alarm)
        if not places and not beside.of(alarm):
            false_scores.append(alarm.score)
        free = [number for number in places if not true_scores[number]]
        if free:
            taken = min(free, key=lambda number: _distance(alarm, said[number]))
            true_scores[taken] = alarm.score
            delays_s[taken] = alarm.decided_s - said[taken].end_s
    hours = _negative_s([*said, *left_out], durations_s, tolerance_s) / _SECONDS_IN_HOUR
    return Trials(true_scores, delays_s, np.array(false_scores, np.float64), hours)


def pool(trials: Sequence[Trials]) -> Trials:
    """Give the trials of all keywords under one threshold.

    The false alarms of all are counted on the same hours: the mean of what is negative audio for
    each (they differ by the keywords' own occurrences).

    Raises:
        InputError: there are none.
    """
    if not trials:
        raise InputError("there is no keyword to pool; name at least one")
    return Trials(
        np.concatenate([one.true_scores for one in trials]),
        np.concatenate([one.delays_s for one in trials]),
        np.concatenate([one.false_scores for one in trials]),
        sum(one.hours for one in trials) / len(trials),
    )


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
    allowed = int(EVENTS_TO_CLAIM) if bound else math.floor(per_hour * trials.hours + 1e-9)
    point = at_threshold(trials, lowest_threshold(trials, allowed))
    return dataclasses.replace(point, bound=bound)


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


class _Inside:
    """Finds the occurrences, widened, in which the middle of an alarm lies."""

    def __init__(self, occurrences: Sequence[Occurrence], tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self._places: dict[str, list[tuple[int, Occurrence]]] = {}
        for number, one in enumerate(occurrences):
            self._places.setdefault(one.recording, []).append((number, one))

    def of(self, alarm: Alarm) -> list[int]:
        """Give their numbers."""
        return [
            number
            for number, one in self._places.get(alarm.recording, [])
            if one.start_s - self._tolerance_s <= alarm.middle_s <= one.end_s + self._tolerance_s
        ]


def _distance(alarm: Alarm, occurrence: Occurrence) -> float:
    return abs(alarm.middle_s - (occurrence.start_s + occurrence.end_s) / 2)


def _negative_s(
    said: Sequence[Occurrence], durations_s: Mapping[str, float], tolerance_s: float
) -> float:
    """Give the seconds outside all widened occurrences, none counted twice."""
    inside_s, reached_s = 0.0, dict.fromkeys(durations_s, 0.0)
    for one in sorted(said, key=lambda one: one.start_s):
        start_s = max(one.start_s - tolerance_s, reached_s[one.recording])
        end_s = min(one.end_s + tolerance_s, durations_s[one.recording])
        inside_s += max(0.0, end_s - start_s)
        reached_s[one.recording] = max(end_s, reached_s[one.recording])
    return sum(durations_s.values()) - inside_s
