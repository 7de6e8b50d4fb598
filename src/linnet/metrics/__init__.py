"""Figures that judge a recogniser, and how far to trust them.

texts       error rates of what was heard against what was said, confusion matrices
spotting    alarms against the places where a keyword was said: misses, false alarms, delay
intervals   the 95 % interval of a share, a rate and a quantile
"""

from linnet.metrics.intervals import Figure, counts, proportion, quantile, rate
from linnet.metrics.texts import (
    Counts,
    character_counts,
    confusion_matrix,
    error_rate,
    word_counts,
)

__all__ = [
    "Counts",
    "Figure",
    "character_counts",
    "confusion_matrix",
    "counts",
    "error_rate",
    "proportion",
    "quantile",
    "rate",
    "word_counts",
]
