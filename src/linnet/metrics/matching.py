"""Alarms against the places where a keyword was said.

    occurrences, alarms --match--> Trials of one keyword: best score in each occurrence, delay,
                                   score of each false alarm, hours in which one could be raised
    Trials of each keyword --pool--> Trials of all, under one threshold

An alarm is true if its middle lies in an occurrence of its keyword, widened on both sides; the best
one takes the occurrence and any other there is neither true nor false. An alarm where another of
the keywords is said is a confusion, which is counted by itself: how often it happens depends on how
many commands a test holds and not on how long it lasts. All others are false. The negative audio of
a keyword is therefore all audio outside the widened occurrences of the keywords, other speech and
noise. Where a keyword is known to be said, but not at which moment (in a sentence), nothing is
counted and the time is no negative audio either. Pooled figures are those of the whole device: one
threshold for all keywords, and the false alarms of all of them counted on the same hours.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from linnet.errors import InputError

TOLERANCE_S = 0.5
_SECONDS_IN_HOUR = 3600.0


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
        confused_scores: of each alarm where another keyword was said.
    """

    true_scores: Float64[np.ndarray, " occurrences"]
    delays_s: Float64[np.ndarray, " occurrences"]
    false_scores: Float64[np.ndarray, " alarms"]
    hours: float
    confused_scores: Float64[np.ndarray, " confusions"] = dataclasses.field(
        default_factory=lambda: np.empty(0)
    )

    def misses(self, threshold: float) -> int:
        """Count the occurrences without an alarm of at least ``threshold``."""
        return int((self.true_scores < threshold).sum())

    def false_alarms(self, threshold: float) -> int:
        """Count the false alarms of at least ``threshold``."""
        return int((self.false_scores >= threshold).sum())

    def confusions(self, threshold: float) -> int:
        """Count the alarms of at least ``threshold`` where another keyword was said."""
        return int((self.confused_scores >= threshold).sum())


def match(
    keyword: str,
    occurrences: Iterable[Occurrence],
    alarms: Iterable[Alarm],
    durations_s: Mapping[str, float],
    *,
    unplaced: Iterable[Occurrence] = (),
    others: Iterable[Occurrence] = (),
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
        others: where other keywords were said; without them, an alarm there is false.
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
    inside = _Inside(said, tolerance_s)
    for alarm in raised:
        places = inside.of(alarm)
        free = [number for number in places if not true_scores[number]]
        if free:
            taken = min(free, key=lambda number: _distance(alarm, said[number]))
            true_scores[taken] = alarm.score
            delays_s[taken] = alarm.decided_s - said[taken].end_s
    rivals = [one for one in others if one.keyword != keyword]
    false = false_alarms(
        keyword, [*said, *left_out], raised, others=rivals, tolerance_s=tolerance_s
    )
    wrong = false_alarms(keyword, [*said, *left_out], raised, tolerance_s=tolerance_s)
    outside = set(false)
    return Trials(
        true_scores,
        delays_s,
        np.array([one.score for one in false], np.float64),
        _negative_s([*said, *left_out, *rivals], durations_s, tolerance_s) / _SECONDS_IN_HOUR,
        np.array([one.score for one in wrong if one not in outside], np.float64),
    )


def false_alarms(
    keyword: str,
    occurrences: Iterable[Occurrence],
    alarms: Iterable[Alarm],
    *,
    others: Iterable[Occurrence] = (),
    tolerance_s: float = TOLERANCE_S,
) -> list[Alarm]:
    """Give the alarms of ``keyword`` in none of its occurrences, nor of ``others``, all widened."""
    said = [one for one in occurrences if one.keyword == keyword]
    inside = _Inside([*said, *others], tolerance_s)
    return [one for one in alarms if one.keyword == keyword and not inside.of(one)]


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
        np.concatenate([one.confused_scores for one in trials]),
    )


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
