"""The report on keyword spotting on the terminal: the forms side by side, and each keyword."""

from typing import TYPE_CHECKING

from linnet.evaluation.spotting.report import SpottingReport
from linnet.evaluation.spotting.writing import shown, title

if TYPE_CHECKING:
    from rich.console import Group
else:  # The checks at run time take it for an object: rich is optional.
    Group = object


def table(report: SpottingReport) -> Group:
    """Give the warnings (in red), the figures of each form, and the keywords, for rich to print."""
    from rich.console import Group as Lines
    from rich.table import Table
    from rich.text import Text

    figures = Table("all keywords")
    for form in report.forms:
        figures.add_column(form.name, justify="right")
    for name in report.forms[0].figures:
        cells = [
            "\n".join(shown(name, form.figures[name])) if name in form.figures else ""
            for form in report.forms
        ]
        figures.add_row(title(name), *cells)
    costs = [form.cost for form in report.forms if form.cost]
    if costs:
        figures.add_row(
            "Seconds of work for a second", *(f"{c.real_time_factor:.4f}" for c in costs)
        )
        figures.add_row("File", *(f"{c.megabytes:.2f} MB" for c in costs))
    first = report.forms[0]
    names = [f"frr_at_{rate:g}" for rate in report.rates]
    each = Table("missed at", *(f"{rate:g} per hour" for rate in report.rates))
    for text, own in first.by_keyword.items():
        each.add_row(text, *(shown(name, own[name])[0] if name in own else "" for name in names))
    audio = report.audio
    return Lines(
        *(Text(warning, style="bold red") for warning in report.warnings),
        figures,
        each,
        Text(
            f"{audio.hours:.2f} hours in {audio.recordings} recordings, {audio.speech_hours:.2f} "
            f"of them speech: {audio.clips} clips of {audio.speakers} speakers"
        ),
        *(Text(note) for note in report.notes),
    )
