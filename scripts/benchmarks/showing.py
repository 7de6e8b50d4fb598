"""The comparisons as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.comparing import Comparison, Quartiles
from linnet.files import write_text


def table(comparisons: Sequence[Comparison]) -> Table:
    """Give the table: medians, quartiles in brackets, a ratio above 1 where ours is ahead."""
    shown = Table(title="Medians; the ratio with its quartiles, above 1 where Linnet is ahead")
    for heading in ("task", "Linnet", "peer"):
        shown.add_column(heading, overflow="fold")
    for heading in ("Linnet", "peer", "unit"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("ratio", justify="right", no_wrap=True, style="bold")
    for comparison in comparisons:
        ratio = comparison.ratio
        colour = "green" if ratio.median > 1 else "red"
        shown.add_row(
            f"{comparison.benchmark}: {comparison.task}",
            comparison.ours,
            comparison.peer,
            _figure(Quartiles.of(comparison.our_values).median),
            _figure(Quartiles.of(comparison.peer_values).median),
            comparison.unit,
            f"[{colour}]{ratio.median:.2f}[/] \\[{ratio.low:.2f}, {ratio.high:.2f}]",
        )
    return shown


def show(comparisons: Sequence[Comparison], facts: dict[str, Any]) -> None:
    """Print the table and where it was measured on standard output."""
    console = Console()
    # A file or a pipe has no width; a table cut to 80 columns is of no use there.
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table(comparisons))
    load = facts["load_average"]
    console.print(
        f"{facts['processor']}, {facts['cores']} cores; load average {load['before']} before, "
        f"{load['after']} after; commit {str(facts['commit'])[:12]}",
        highlight=False,
    )


def write(path: Path, comparisons: Sequence[Comparison], facts: dict[str, Any]) -> None:
    """Write everything as JSON; a write that fails leaves what stood there."""
    content = {**facts, "comparisons": [comparison.record() for comparison in comparisons]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _figure(value: float) -> str:
    """Give three digits that count, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
