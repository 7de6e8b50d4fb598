"""What a benchmark is told, and how large it is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Sizes of a run.

    Attributes:
        turns: measurements of each side.
        least_s: shortest time that one measurement of a call takes.
        steps: training steps of one measurement.
        starts: processes that each side of ``infer`` starts for each length.
        recordings: a folder a word to train on; None makes clips.
        model: a checkpoint or a run folder for ``infer``; None takes random weights.
    """

    turns: int
    least_s: float
    steps: int
    starts: int
    recordings: Path | None = None
    model: Path | None = None


FULL = Options(turns=21, least_s=0.05, steps=10, starts=5)
QUICK = Options(turns=3, least_s=0.0, steps=2, starts=1)
