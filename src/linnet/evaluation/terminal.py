"""The report on the terminal: a bar while it is being made, a table when it is."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from linnet.evaluation.page import TITLES, percent
from linnet.evaluation.report import Report

if TYPE_CHECKING:
    from rich.console import Group
else:  # The checks at run time take it for an object: rich is optional.
    Group = object


Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int | None, doing: str = "judging") -> Iterator[Item]:
    """Hand items on and show on standard error how many of ``total`` have gone by."""
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn(doing),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(items, total=total)


def table(report: Report) -> Group:
    """Give the warnings (in red), the figures, and what they were counted on, for rich to print."""
    from rich.console import Group as Lines
    from rich.table import Table
    from rich.text import Text

    figures = Table()
    figures.add_column("figure")
    for heading in ("value", "95 % interval", "counted on"):
        figures.add_column(heading, justify="right")
    for name, figure in report.figures.items():
        figures.add_row(
            TITLES[name][0],
            f"{percent(figure.value)} %",
            f"{percent(figure.low)} to {percent(figure.high)} %",
            str(figure.count),
        )
    words, took = report.counts["words"], report.timing.rounded()
    return Lines(
        *(Text(warning, style="bold red") for warning in report.warnings),
        figures,
        Text(
            f"words: {words.substitutions} substituted, {words.deletions} deleted, "
            f"{words.insertions} inserted of {words.reference}\n"
            f"{report.utterances} utterances, {report.speakers} speakers, {took['audio_s']} s of "
            f"audio in {took['compute_s']} s (real-time factor {took['real_time_factor']})"
        ),
        *(Text(note) for note in report.notes),
    )
