"""Judging keyword spotting: recordings with known texts and a model in, a report out.

Recording -> listening.listen    emission of each step, once, as a device computes them -> Heard
"""

from linnet.evaluation.spotting.listening import (
    Heard,
    Recording,
    Span,
    alarms,
    listen,
    occurrences,
)

__all__ = ["Heard", "Recording", "Span", "alarms", "listen", "occurrences"]
