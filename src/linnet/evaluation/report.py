"""What a report holds: figures, counts, confusion, the worst mistakes, and where they come from."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from linnet.metrics import Counts, Figure
from linnet.plots import Posteriors


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of audio, and seconds spent on features, network and search."""

    audio_s: float
    compute_s: float

    def plus(self, audio_s: float, compute_s: float) -> "Timing":
        """Add an utterance."""
        return Timing(self.audio_s + audio_s, self.compute_s + compute_s)

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for a second of audio; none without audio."""
        return self.compute_s / self.audio_s if self.audio_s else None

    def rounded(self) -> dict[str, float | None]:
        """Give all three, rounded to what a clock can say."""
        factor = self.real_time_factor
        return {
            "audio_s": round(self.audio_s, 3),
            "compute_s": round(self.compute_s, 3),
            "real_time_factor": None if factor is None else round(factor, 5),
        }


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often a class (row) was taken for another (column)."""

    classes: tuple[str, ...]
    matrix: Int[np.ndarray, "classes classes"]

    def pairs(self, most: int) -> list[tuple[str, str, int]]:
        """Give the most frequent mistakes: said, decided, how often."""
        wrong = [
            (self.classes[row], self.classes[column], int(self.matrix[row, column]))
            for row, column in np.argwhere(self.matrix).tolist()
            if row != column
        ]
        return sorted(wrong, key=lambda pair: -pair[2])[:most]


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One of the worst utterances, with what is needed to look at it and to listen to it."""

    id: str
    speaker: str
    reference: str
    hypothesis: str
    confidence: float
    word_errors: int
    expected: str
    decided: str
    score: float
    waveform: Float32[np.ndarray, " samples"]
    sample_rate: int
    posteriors: Posteriors


@dataclasses.dataclass(frozen=True)
class Report:
    """What was found about a recogniser.

    Attributes:
        figures: by name, each with its interval.
        counts: of "words" and "characters": hits, substitutions, deletions, insertions.
        confusion: "closed_set", and "with_rejection" where that was judged.
        worst: the worst mistakes, the worst first.
        warnings: what makes the figures untrue; shown in red.
        notes: what was not judged, and why.
    """

    figures: Mapping[str, Figure]
    counts: Mapping[str, Counts]
    utterances: int
    speakers: int
    beam: int
    commands: tuple[str, ...]
    threshold: float | None
    confusion: Mapping[str, Confusion]
    worst: tuple[Mistake, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    timing: Timing
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    record: Mapping[str, Any]
