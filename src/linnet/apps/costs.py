"""Accuracy against what it costs, drawn.

runs      -> accuracy with its interval over weights, and over time -> the best for each cost
published -> the same over weights, hollow and grey: other splits, for orientation alone
"""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.apps.compared import THEMES
from linnet.apps.labelling import Label, place
from linnet.apps.published import MODELS, TWELVE, UNSTATED, WORDS
from linnet.gates.canvas import rows, tint
from linnet.plots import BLUE, GREY, INK, Theme, png, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
else:  # The checks at run time take them for objects: matplotlib is heavy and optional.
    Axes = Canvas = object

# Names to write beside points, and lines that they should not cross.
Drawn = tuple[list[Label], list[list[tuple[float, float]]]]

# Why published figures are no comparison; said under the picture and under the table.
NOTE = (
    "Published figures are quoted, not measured here: trained on the full Speech Commands, a "
    "larger training set than these runs had, and tested on another split, each on the one named. "
    "For orientation, not a comparison."
)
_READING = (
    "A label like 3x128/3: layers x hidden units / stacked frames. Line: the best for its cost. "
    "Bars: 95 % interval."
)
_WEIGHTS = (8_000.0, 10_000_000.0)  # ends of the axis, further where a run lies beyond
_MARKS = {TWELVE: "o", WORDS: "s", UNSTATED: "^"}
_WRAP, _LARGE, _SMALL = 150, 7.5, 6.5
_LEGEND: Any = {"frameon": False, "fontsize": _LARGE, "handlelength": 1.4}


@dataclass(frozen=True)
class Point:
    """What is drawn of some runs.

    Attributes:
        name: what sets them apart.
        weights: that training adjusts.
        milliseconds: for a second of audio; None where nobody could measure it.
        accuracy: share that was right.
        low: where its interval begins; None where there is none.
        high: where it ends.
    """

    name: str
    weights: int
    milliseconds: float | None
    accuracy: float
    low: float | None
    high: float | None


def write(points: Sequence[Point], measured_on: str, output: Path) -> None:
    """Write ``costs.png`` and ``costs_dark.png`` into a folder."""
    for theme, ending in THEMES.items():
        (output / f"costs{ending}.png").write_bytes(draw(points, measured_on, theme=theme))


def front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Give the places of those that nobody cheaper equals, the cheapest first."""
    best, places = float("-inf"), []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -accuracies[i])):
        if accuracies[i] > best:
            best = accuracies[i]
            places.append(i)
    return places


def draw(points: Sequence[Point], measured_on: str, *, theme: Theme = "light") -> bytes:
    """Draw accuracy over weights, with published models, and over time.

    Args:
        points: of the runs.
        measured_on: what their accuracy was measured on.
        theme: colour of the paper.
    """
    with style(theme):
        return png(figure(points, measured_on, theme))


def markdown() -> str:
    """Give the published figures as a table, and why they are no comparison."""
    lines = ["| published model | weights | right | on | source |", "|---|---:|---:|---|---|"]
    lines += [
        f"| {one.name} | {one.weights:,} | {one.accuracy:.1%} | {one.split} | {one.source} |"
        for one in MODELS
    ]
    return "\n" + "\n".join(lines) + f"\n\n{NOTE}\n"


def content() -> dict[str, object]:
    """Give the published figures for JSON."""
    return {"published": [asdict(one) for one in MODELS], "published_note": NOTE}


def figure(points: Sequence[Point], measured_on: str, theme: Theme) -> Canvas:
    """Give the figure: weights above, time below, what one must know under both."""
    made, (above, below) = rows([3.9, 2.6], names=0.5, space=0.6, below=1.1)
    runs = _shares(points)
    _prepare(above, runs + [one.accuracy for one in MODELS])
    _prepare(below, runs)
    weights = [float(point.weights) for point in points]
    above.set_xlim(min(_WEIGHTS[0], min(weights) / 1.3), max(_WEIGHTS[1], max(weights) * 1.3))
    above.set_xlabel("weights (grey, hollow: published, on other splits)")
    above.xaxis.set_major_formatter(_thousands)
    place(above, *_published(above, theme, _runs(above, points, weights, measured_on, theme)))
    timed = [point for point in points if point.milliseconds is not None]
    times = [point.milliseconds or 0.0 for point in timed]
    if times:
        below.set_xlim(min(times) / 1.3, max(times) * 1.3)
        below.xaxis.set_major_formatter(_plain)
        below.xaxis.set_minor_formatter(_plain)
        below.tick_params(axis="x", which="minor", labelsize=_SMALL)
        place(below, *_runs(below, timed, times, measured_on, theme))
    below.set_xlabel("milliseconds for a second of audio (onnxruntime, one thread)")
    above.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, **_LEGEND)
    said = "\n".join([*textwrap.wrap(NOTE, _WRAP), _READING])
    made.text(0.02, 0.012, said, fontsize=_LARGE, va="bottom", linespacing=1.4)
    return made


def _shares(points: Sequence[Point]) -> list[float]:
    """Give all accuracies and ends of intervals."""
    shares = [share for one in points for share in (one.accuracy, one.low, one.high)]
    return [share for share in shares if share is not None]


def _prepare(axes: Axes, shares: Sequence[float]) -> None:
    """Give the axes their looks, and room for names above and below the accuracies."""
    room = max(100 * (max(shares) - min(shares)) * 0.12, 0.5)
    axes.set_ylim(100 * min(shares) - room, min(100 * max(shares) + room, 100 + room / 2))
    axes.set_ylabel("right, in percent")
    axes.set_xscale("log")
    axes.grid(color=GREY, alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _runs(
    axes: Axes, points: Sequence[Point], costs: Sequence[float], measured_on: str, theme: Theme
) -> Drawn:
    """Draw the runs: a point and an interval each, a line through the best for their cost."""
    colour = tint(BLUE, theme)
    spots = [(cost, 100 * point.accuracy) for point, cost in zip(points, costs, strict=True)]
    best = [spots[i] for i in front(costs, [point.accuracy for point in points])]
    bars = [
        [(cost, 100 * point.low), (cost, 100 * point.high)]
        for point, cost in zip(points, costs, strict=True)
        if point.low is not None and point.high is not None
    ]
    for bar in bars:
        axes.plot(*zip(*bar, strict=True), color=colour, linewidth=2.5, alpha=0.25)
    axes.plot(*zip(*best, strict=True), color=colour, linewidth=1.4)
    said = f"Linnet: {measured_on}"
    axes.plot(*zip(*spots, strict=True), "o", color=colour, markersize=5, label=said)
    labels = [
        Label(point.name, spot, INK[theme], _LARGE)
        for point, spot in zip(points, spots, strict=True)
    ]
    return labels, [*bars, best]


def _published(axes: Axes, theme: Theme, drawn: Drawn) -> Drawn:
    """Draw the published models after the runs; give the labels and lines of both."""
    colour = tint(GREY, theme)
    labels, lines = drawn
    for split, marker in _MARKS.items():
        own = [one for one in MODELS if one.split == split]
        spots = [(float(one.weights), 100 * one.accuracy) for one in own]
        axes.plot(
            *zip(*spots, strict=True),
            marker,
            color=colour,
            markerfacecolor="none",
            markersize=5,
            label=f"published, not comparable: {split}",
        )
        labels = labels + [
            Label(one.name, spot, colour, _SMALL) for one, spot in zip(own, spots, strict=True)
        ]
    return labels, lines


def _thousands(value: float, _: object) -> str:
    """Write a number of weights."""
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k"


def _plain(value: float, _: object) -> str:
    """Write a time where there is room for it."""
    return f"{value:g}" if f"{value:e}"[0] in "1235" else ""
