"""What a report on keyword spotting holds: one model in several forms, on the same recordings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from linnet.keywords import Keyword
from linnet.metrics import Figure
from linnet.metrics.matching import Alarm, Trials

POOLED = "all keywords"


@dataclasses.dataclass(frozen=True)
class Value(Figure):
    """A figure that may be a bound: the true value is at least this, and nobody knows how much."""

    bound: bool = False


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a form of the model takes.

    Attributes:
        file: that holds it.
        megabytes: of the file.
        real_time_factor: seconds of work for a second of audio on one thread, keywords included.
        memory_mb: highest memory of a process that loads it and listens to some seconds.
    """

    file: str
    megabytes: float
    real_time_factor: float
    memory_mb: float | None


@dataclasses.dataclass(frozen=True)
class FalseAlarm:
    """A false alarm, and what was said there instead: "" for nothing."""

    alarm: Alarm
    said: str


@dataclasses.dataclass(frozen=True)
class Form:
    """The figures of a checkpoint or of one of its graphs.

    Attributes:
        name: such as ``checkpoint`` or ``int8 graph``.
        figures: of all keywords together, by name.
        by_keyword: the figures of each.
        trials: of each keyword, and of all under ``POOLED``.
        worst: the false alarms with the highest scores, best first.
        cost: None if it was not measured.
    """

    name: str
    figures: Mapping[str, Value]
    by_keyword: Mapping[str, Mapping[str, Value]]
    trials: Mapping[str, Trials]
    worst: tuple[FalseAlarm, ...]
    cost: Cost | None


@dataclasses.dataclass(frozen=True)
class Audio:
    """What was listened to.

    Attributes:
        hours: of all recordings.
        speech_hours: in which somebody speaks, as far as is known.
        recordings: how many.
        clips: of known text in them.
        speakers: of these.
    """

    hours: float
    speech_hours: float
    recordings: int
    clips: int
    speakers: int


@dataclasses.dataclass(frozen=True)
class SpottingReport:
    """What was found about a spotter.

    Attributes:
        forms: of one model, judged on the same recordings.
        keywords: with their thresholds.
        calibrated: whether the thresholds were chosen on other audio; else they say nothing.
        rates: the false alarms per hour at which misses were asked for.
        audio: the recordings.
        warnings: what makes the figures untrue; shown in red.
        notes: what was not judged, and why.
    """

    forms: tuple[Form, ...]
    keywords: tuple[Keyword, ...]
    calibrated: bool
    rates: tuple[float, ...]
    audio: Audio
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    record: Mapping[str, Any]
