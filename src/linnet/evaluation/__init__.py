"""Judging: a recogniser and utterances in, a report out.

    Utterance (waveform, text, speaker)
        -> hearing.hear        posteriors once an utterance -> text, confidence, best command
        -> judging.evaluate    figures with intervals, confusion, the worst -> Report
        -> writing.write       report.json, and report.html with its pictures inside (page.py)
           terminal.table      the same figures for the terminal

A recogniser is anything with ``log_probs``, ``tokenizer``, ``sample_rate`` and ``seconds``: a
checkpoint and an exported file are judged by the same lines. How a clip is taken for a command, for
another word or for silence stands in ``commands.py``.
"""

from linnet.evaluation.commands import SILENCE, UNKNOWN
from linnet.evaluation.hearing import Recogniser, Utterance
from linnet.evaluation.judging import evaluate, fit_rejection_threshold
from linnet.evaluation.report import Report
from linnet.evaluation.terminal import progress, table
from linnet.evaluation.writing import write

__all__ = [
    "SILENCE",
    "UNKNOWN",
    "Recogniser",
    "Report",
    "Utterance",
    "evaluate",
    "fit_rejection_threshold",
    "progress",
    "table",
    "write",
]
