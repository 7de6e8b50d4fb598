"""Judging keyword spotting: recordings with known texts and a model in, a report out.

Recording -> listening.listen    posteriors of each step, once, as a device computes them -> Heard
    -> judging.evaluate          alarms -> misses at rates of false alarms -> SpottingReport
        -> writing.write         report.json, report.html with its DET curves (det.py)
           terminal.table        the same figures for the terminal
    -> calibration.calibrate     a threshold for each keyword, with the evidence -> model.json
    -> posteriors.save           kept beside the model for keywords to come
"""

from linnet.evaluation.spotting.cost import peak_memory_mb
from linnet.evaluation.spotting.judging import evaluate
from linnet.evaluation.spotting.listening import (
    Heard,
    Recording,
    Span,
    alarms,
    listen,
    listen_at_once,
    occurrences,
)
from linnet.evaluation.spotting.report import Cost, SpottingReport
from linnet.evaluation.spotting.terminal import table
from linnet.evaluation.spotting.writing import write

__all__ = [
    "Cost",
    "Heard",
    "Recording",
    "Span",
    "SpottingReport",
    "alarms",
    "evaluate",
    "listen",
    "listen_at_once",
    "occurrences",
    "peak_memory_mb",
    "table",
    "write",
]
