"""The DET curve: misses against false alarms per hour, both on logarithmic scales.

A. Martin et al. 1997, "The DET curve in assessment of detection task performance", draws normal
deviates; wake words are read off at so many false alarms an hour, over decades, so here both axes
are logarithmic. What is nought is drawn at the border, at half of the least that could be counted.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from linnet import plots
from linnet.metrics.matching import Trials
from linnet.metrics.spotting import curve
from linnet.plots import Theme

_DASHES = ("-", "--", "-.", ":")
_MANY = 8  # from so many curves on the legend stands beside the picture in small letters


def draw(
    curves: Mapping[str, Trials],
    marks: Mapping[str, float],
    *,
    rates: Sequence[float] = (),
    theme: Theme = "light",
) -> bytes:
    """Draw a curve for each of ``curves``, with a dot at the threshold that ``marks`` has for it.

    Args:
        curves: by name; those without an occurrence are left out.
        marks: the chosen thresholds.
        rates: false alarms per hour, shown as thin lines.
        theme: of the page.
    """
    from matplotlib.figure import Figure

    shown = {name: one for name, one in curves.items() if len(one.true_scores)}
    with plots.style(theme):
        figure = Figure(figsize=(6.6, 4.2), dpi=plots.DOTS_PER_INCH, layout="constrained")
        axes = figure.add_subplot()
        for number, (name, trials) in enumerate(shown.items()):
            colour = plots.LINES[number % len(plots.LINES)]
            # Forms of one model nearly cover each other: dashes let the lower ones be seen.
            line = _DASHES[number] if len(shown) <= len(_DASHES) else "-"
            axes.plot(*_points(trials), line, color=colour, linewidth=1.8, label=name)
            if name in marks:
                place = _place(trials, trials.false_alarms(marks[name]), trials.misses(marks[name]))
                axes.plot(*place, "o", color=colour, markersize=8, markeredgecolor="white")
        for rate in rates:
            axes.axvline(rate, color=plots.GREY, linewidth=0.6, linestyle=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("false alarms per hour")
        axes.set_ylabel("missed, %")
        axes.set_ylim(top=110)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(which="major", color=plots.GREY, alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if len(shown) > 1:
            font = 9 if len(shown) < _MANY else 7
            figure.legend(loc="outside right upper", frameon=False, fontsize=font)
        return plots.png(figure)


def _points(trials: Trials) -> tuple[list[float], list[float]]:
    """Give the corners of the curve, from all that fires to nothing."""
    found = curve(trials)
    corners = [
        _place(trials, int(raised), int(missed))
        for raised, missed in zip(found.false_alarms, found.misses, strict=True)
    ]
    x, y = zip(*corners, strict=True)
    return list(x), list(y)


def _place(trials: Trials, false_alarms: int, misses: int) -> tuple[float, float]:
    """Give a point in false alarms per hour and percent, nought at half of one."""
    return (
        max(false_alarms, 0.5) / trials.hours,
        100 * max(misses, 0.5) / np.maximum(len(trials.true_scores), 1),
    )
