"""The two files that hold a report.

    Report -> report.json   figures (value, low, high, count), counts, confusion, the worst, record
           -> report.html   the same for people: one file, its pictures and sounds inside (page.py)

Both are written beside their place and then renamed, so a report is whole or is not there. The same
report gives the same bytes; what differs from run to run (the time it took) is under ``record``.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from linnet.errors import LinnetError
from linnet.evaluation import page
from linnet.evaluation.report import Mistake, Report

JSON, HTML = "report.json", "report.html"
# What JSON tells of a mistake: all but the recording.
_SHOWN = [
    field.name
    for field in dataclasses.fields(Mistake)
    if field.name not in {"waveform", "sample_rate", "posteriors"}
]


def write(report: Report, folder: Path) -> None:
    """Write ``report.json`` and ``report.html`` into a folder, which is made if need be.

    Raises:
        LinnetError: they cannot be written; an earlier report is then still there, whole.
    """
    put({HTML: page.render(report), JSON: _to_json(report)}, folder)


def put(contents: Mapping[str, str], folder: Path) -> None:
    """Write the files of a report, by name.

    Raises:
        LinnetError: they cannot be written; earlier ones are then still there, whole.
    """
    partials = {name: folder / f".{name}.partial" for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            partials[name].write_bytes(content.encode("utf-8", "backslashreplace"))
        for name, partial in partials.items():
            partial.replace(folder / name)
    except OSError as error:
        for partial in partials.values():
            _remove(partial)
        raise LinnetError(
            f"the report cannot be written to {folder}: {error.strerror}; free some space or name "
            f"another folder"
        ) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # The folder itself is the trouble, and that is being reported already.


def _to_json(report: Report) -> str:
    document = {
        "figures": {name: dataclasses.asdict(figure) for name, figure in report.figures.items()},
        "counts": {
            name: dataclasses.asdict(counts) | {"reference": counts.reference}
            for name, counts in report.counts.items()
        },
        "utterances": report.utterances,
        "speakers": report.speakers,
        "beam": report.beam,
        "commands": report.commands,
        "threshold": report.threshold,
        "confusion": {
            name: {"classes": confusion.classes, "matrix": confusion.matrix.tolist()}
            for name, confusion in report.confusion.items()
        },
        "worst": [{name: getattr(mistake, name) for name in _SHOWN} for mistake in report.worst],
        "warnings": report.warnings,
        "notes": report.notes,
        "model": report.model,
        "data": report.data,
        "record": {**report.record, "timing": report.timing.rounded()},
    }
    return text(document)


def text(document: Mapping[str, object]) -> str:
    """Give a report as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
