"""Calibration: from "at most half a false alarm an hour" to a threshold, with the evidence.

    Heard of negative audio, keyword -> alarms -> false ones, best first
        -> the lowest threshold that lets through as many as the target allows -> model.json

What holds the keyword itself is no negative audio: it is named and left out. The evidence says how
many hours were heard and what the threshold let through, with the interval of the true rate; where
the hours are too few to claim the target, it says how many would do (no false alarm in 3 / target
hours has a chance of 5 % if the true rate is the target).
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linnet.errors import InputError, LinnetError
from linnet.evaluation.spotting.listening import Heard, alarms, occurrences
from linnet.files import write_text
from linnet.keywords import Keyword
from linnet.metrics import Figure, rate
from linnet.metrics.matching import Trials, match
from linnet.metrics.spotting import hours_needed
from linnet.runtime import DESCRIPTION
from linnet.text import says

_DECIMALS = 4
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A threshold and what speaks for it.

    Attributes:
        keyword: with the threshold.
        target: false alarms per hour that were asked for.
        hours: of negative audio.
        false_alarms: per hour at the threshold, with the exact interval, counted on the alarms.
        containing: clips of the audio that hold the keyword and were left out.
        reached: whether the threshold lets through no more than the target.
    """

    keyword: Keyword
    target: float
    hours: float
    false_alarms: Figure
    containing: tuple[str, ...]
    reached: bool

    @property
    def claimable(self) -> bool:
        """Whether the hours can bear the target."""
        return self.hours >= hours_needed(self.target)

    def evidence(self, negatives: str) -> dict[str, Any]:
        """Give it in plain values, as it stands in ``model.json``."""
        return {
            "target_per_hour": self.target,
            "hours": round(self.hours, 4),
            "false_alarms": self.false_alarms.count,
            "per_hour": {
                name: round(getattr(self.false_alarms, name), _DECIMALS)
                for name in ("value", "low", "high")
            },
            "claimable": self.claimable,
            "negatives": negatives,
        }

    def warnings(self) -> list[str]:
        """Say what a reader must know before trusting the threshold."""
        text, said = self.keyword.text, []
        if self.containing:
            names = ", ".join(self.containing[:_SHOWN])
            more = ", ..." if len(self.containing) > _SHOWN else ""
            said.append(
                f"{text!r}: {len(self.containing)} clips of the negative audio hold it and were "
                f"left out ({names}{more})"
            )
        if not self.reached:
            said.append(
                f"{text!r}: no threshold reaches {self.target:g} false alarms per hour; "
                f"{self.false_alarms.count} false alarms have the highest score of all, so the "
                "model hears the word there: train it with more other speech, or choose another "
                "word ('linnet confusable' helps)"
            )
        if not self.claimable:
            said.append(
                f"{text!r}: {self.hours:.2f} hours are too few to claim {self.target:g} false "
                f"alarms per hour, which takes {hours_needed(self.target):.3g} hours; what was "
                f"heard proves at most {self.false_alarms.high:.2g} per hour"
            )
        return said


def calibrate(
    heard: Sequence[Heard], keywords: Sequence[Keyword], *, target: float, lowest: float
) -> list[Calibration]:
    """Find the threshold of each keyword.

    Args:
        heard: the negative audio.
        keywords: their own thresholds do not matter.
        target: false alarms per hour of each keyword.
        lowest: no threshold is set lower, however quiet the negatives are.

    Raises:
        InputError: there is no audio, or the target or ``lowest`` is none.
    """
    hours_needed(target)
    if not 0 < lowest <= 1:
        raise InputError(f"the lowest threshold must be above 0 and at most 1, got {lowest}")
    if not heard:
        raise InputError("there is no negative audio to calibrate on; name some with negatives=")
    durations_s = {one.id: one.duration_s for one in heard}
    raised = alarms(heard, keywords)
    every = [one for keyword in keywords for one in occurrences(heard, keyword.text)[0]]
    found = []
    for keyword in keywords:
        placed, somewhere = occurrences(heard, keyword.text)
        trials = match(keyword.text, placed, raised, durations_s, unplaced=somewhere, others=every)
        if not trials.hours > 0:
            raise InputError(
                f"all of the negative audio holds {keyword.text!r}; name audio without it"
            )
        threshold = _threshold(trials, math.floor(target * trials.hours + 1e-9), lowest)
        false_alarms = rate(trials.false_alarms(threshold), trials.hours)
        found.append(
            Calibration(
                keyword=dataclasses.replace(keyword, threshold=threshold),
                target=target,
                hours=trials.hours,
                false_alarms=false_alarms,
                containing=_containing(heard, keyword.text),
                reached=false_alarms.count <= target * trials.hours + 1e-9,
            )
        )
    return found


def write(folder: Path, calibrations: Sequence[Calibration], negatives: str) -> None:
    """Put thresholds and evidence into a folder's ``model.json``, whole or not at all.

    Keywords that are already there and are not calibrated now stay. The graphs keep the description
    that they were exported with: ``model.json`` is the one place that holds thresholds.

    Raises:
        LinnetError: the file cannot be written.
    """
    path = folder / DESCRIPTION
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        described["keywords"] = {
            **described.get("keywords", {}),
            **{
                one.keyword.text: {
                    "threshold": one.keyword.threshold,
                    "evidence": one.evidence(negatives),
                }
                for one in calibrations
            },
        }
        content = json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_text(path, content)
    except OSError as error:
        raise LinnetError(
            f"{path}: the thresholds cannot be written: {error.strerror}; the file is as it was"
        ) from error


def _threshold(trials: Trials, allowed: int, lowest: float) -> float:
    """Give the lowest threshold, in few decimals, that lets through at most ``allowed``."""
    ranked = np.sort(trials.false_scores)[::-1]
    bar = float(ranked[allowed]) if len(ranked) > allowed else 0.0
    scale = 10**_DECIMALS
    above = (math.floor(bar * scale) + 1) / scale
    return min(max(above, lowest), 1.0)


def _containing(heard: Sequence[Heard], text: str) -> tuple[str, ...]:
    return tuple(span.id for one in heard for span in one.spans if says(span.text, text))
