"""The report on keyword spotting as two files: ``report.json`` and ``report.html``.

    SpottingReport -> report.json   figures (value, low, high, count, bound) of each form
                   -> report.html   the same for people: tables, DET curves, false alarms

The figures of the first form stand at the top of the JSON, where a report has its figures; those of
a keyword are named ``keyword/figure``.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.evaluation import page, writing
from linnet.evaluation.page import Picture
from linnet.evaluation.spotting import det
from linnet.evaluation.spotting.report import POOLED, FalseAlarm, Form, SpottingReport, Value
from linnet.metrics.matching import Trials

_TEMPLATE = "spotting.html.j2"
TITLES = {
    "frr": "Missed at the chosen thresholds",
    "false_alarms_per_hour": "False alarms per hour at the chosen thresholds",
    "atwv": "Term-weighted value at the chosen thresholds (ATWV)",
    "mtwv": "Best term-weighted value under one threshold (MTWV)",
    "delay_median_s": "Delay after the end of the keyword, median",
    "delay_p95_s": "Delay after the end of the keyword, 95 % are sooner",
}
# The same over the columns of keywords, where there is less room.
_SHORT_TITLES = {
    "frr": "missed",
    "false_alarms_per_hour": "false alarms/h",
    "delay_median_s": "delay, median",
    "delay_p95_s": "delay, 95 %",
}
_SHARES = ("frr", "confused")  # names that begin so are shares, shown in percent


def title(name: str) -> str:
    """Give the words for a figure."""
    if name.startswith("frr_at_"):
        return f"Missed at {name.removeprefix('frr_at_')} false alarms per hour"
    if name.startswith("frr_each_at_"):
        return f"Missed at {name.removeprefix('frr_each_at_')} false alarms per hour and keyword"
    if name.startswith("confused_at_"):
        return f"Heard as another keyword, at {name.removeprefix('confused_at_')} per hour"
    return TITLES[name]


def _short_title(name: str) -> str:
    if name.startswith("frr_at_"):
        return f"missed at {name.removeprefix('frr_at_')}/h"
    return _SHORT_TITLES[name]


def shown(name: str, value: Value) -> tuple[str, str]:
    """Give a figure and its interval as text; a bound says that it is one."""
    if name.startswith(_SHARES):
        texts = [f"{100 * one:.1f} %" for one in (value.value, value.low, value.high)]
    else:
        unit = " s" if name.endswith("_s") else ""
        texts = [f"{one:.2f}{unit}" for one in (value.value, value.low, value.high)]
    if value.bound:
        return f"at least {texts[0]}", "too few hours"
    return texts[0], f"{texts[1]} to {texts[2]}"


def write(report: SpottingReport, folder: Path) -> None:
    """Write both files into a folder, which is made if need be.

    Raises:
        LinnetError: they cannot be written; an earlier report is then still there, whole.
    """
    html = page.template(_TEMPLATE).render(**_content(report))
    writing.put({writing.HTML: html, writing.JSON: writing.text(_document(report))}, folder)


def _content(report: SpottingReport) -> dict[str, Any]:
    """Give what the page shows."""
    first = report.forms[0]
    return {
        "report": report,
        "forms": [form.name for form in report.forms],
        "rows": [
            (title(name), [_cell(form.figures, name) for form in report.forms])
            for name in first.figures
        ],
        "columns": [_short_title(name) for name in _by_keyword(first)],
        "keywords": [
            (
                each.text,
                f"{each.threshold:.4f}" if report.calibrated else "none",
                [_cell(first.by_keyword[each.text], name) for name in _by_keyword(first)],
            )
            for each in report.keywords
        ],
        "costs": [(form.name, form.cost) for form in report.forms if form.cost],
        "pooled": _picture(
            {form.name: form.trials[POOLED] for form in report.forms},
            {},
            report,
            f"DET curves of {len(report.forms)} forms, all keywords",
        ),
        "each": _picture(
            {text: one for text, one in first.trials.items() if text != POOLED},
            {one.text: one.threshold for one in report.keywords} if report.calibrated else {},
            report,
            f"DET curves of {len(report.keywords)} keywords",
        ),
        "worst": first.worst,
        "tables": {
            name: page.flat(values)
            for name, values in {
                "Model": report.model,
                "Data": report.data,
                "Record": report.record,
            }.items()
            if values
        },
    }


def _by_keyword(form: Form) -> list[str]:
    """Give the names of the figures that keywords have, in the order of those of all."""
    names = {name for figures in form.by_keyword.values() for name in figures}
    return [name for name in form.figures if name in names]


def _cell(figures: Mapping[str, Value], name: str) -> tuple[str, str]:
    return shown(name, figures[name]) if name in figures else ("", "")


def _picture(
    curves: Mapping[str, Trials], marks: Mapping[str, float], report: SpottingReport, words: str
) -> Picture:
    light, dark = (
        det.draw(curves, marks, rates=report.rates, theme=theme) for theme in ("light", "dark")
    )
    return Picture(page.uri(light, "image/png"), page.uri(dark, "image/png"), words)


def _document(report: SpottingReport) -> dict[str, Any]:
    """Give the content of the JSON in plain values."""
    return {
        "task": "spotting",
        "figures": _figures(report.forms[0]),
        "forms": {
            form.name: {
                "figures": _figures(form),
                "cost": dataclasses.asdict(form.cost) if form.cost else None,
                "worst": [
                    dataclasses.asdict(one.alarm) | {"said": one.said, "decided_s": _known(one)}
                    for one in form.worst
                ],
            }
            for form in report.forms
        },
        "keywords": {
            one.text: {"threshold": one.threshold if report.calibrated else None}
            for one in report.keywords
        },
        "audio": dataclasses.asdict(report.audio),
        "warnings": report.warnings,
        "notes": report.notes,
        "model": report.model,
        "data": report.data,
        "record": report.record,
    }


def _figures(form: Form) -> dict[str, dict[str, Any]]:
    """Give all figures of a form, those of a keyword under its name."""
    named = dict(form.figures)
    for text, figures in form.by_keyword.items():
        named |= {f"{text}/{name}": value for name, value in figures.items()}
    return {name: dataclasses.asdict(value) for name, value in named.items()}


def _known(one: FalseAlarm) -> float | None:
    """Give when an alarm was raised; JSON has no word for "nobody knows"."""
    return None if math.isnan(one.alarm.decided_s) else one.alarm.decided_s
