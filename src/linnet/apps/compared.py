"""Pictures of comparisons.

runs: accuracy with its interval, and how far the gradient reaches before and after training;
memory: the error of each cell at each length, and the gradient at the longest of them
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnet.gates.canvas import rows, tint
from linnet.gates.reach import GONE, Reach
from linnet.plots import GREY, LINES, Theme, png, style

# The ending of a picture's file for each colour of paper.
THEMES: dict[Theme, str] = {"light": "", "dark": "_dark"}
_LEGEND: Any = {"frameon": False, "fontsize": 7.5, "handlelength": 1.4}


def runs(
    bars: Sequence[tuple[str, float, float | None, float | None]],
    curves: Mapping[str, tuple[Reach, Reach]],
    step_s: float,
    *,
    theme: Theme = "light",
) -> bytes:
    """Draw accuracies with intervals, and decay curves (dashed before training).

    Args:
        bars: name, accuracy, low and high end of each group.
        curves: its reach before and after training.
        step_s: duration of a step.
        theme: colour of the paper.
    """
    with style(theme):
        figure, (above, below) = rows([0.34 * len(bars) + 0.2, 2.5], names=0.1, space=0.75)
        for place, (name, value, low, high) in enumerate(bars):
            colour = _colour(place, theme)
            if low is not None and high is not None:
                above.plot(
                    [100 * low, 100 * high],
                    [place, place],
                    color=colour,
                    linewidth=5,
                    alpha=0.4,
                    solid_capstyle="butt",
                )
            above.plot(100 * value, place, "o", color=colour)
            above.annotate(
                f"{name}: {100 * value:.1f} %",
                (1.0, place),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                annotation_clip=False,
            )
            before, after = curves[name]
            for curve, dashes in ((before, "--"), (after, "-")):
                lags, values = curve.line()
                below.plot(
                    lags * step_s,
                    values,
                    dashes,
                    color=colour,
                    linewidth=1.4,
                    label=name if dashes == "-" else None,
                )
        above.set_yticks([])
        above.set_ylim(len(bars) - 0.5, -0.5)
        above.set_xlabel("right, in percent, with its 95 % interval over the seeds")
        above.grid(axis="x", color=GREY, alpha=0.25)
        _finish(below, "seconds from the answer to the input (dashed: before training)")
        return png(figure)


def memory(
    results: Sequence[Mapping[str, Any]], guessing: float, solved: float, *, theme: Theme = "light"
) -> bytes:
    """Draw the error over the length, and the gradient over the distance at the longest length.

    Args:
        results: of the trials.
        guessing: error of who always says the mean.
        solved: error from which on the task counts as solved.
        theme: colour of the paper.
    """
    cells = list(dict.fromkeys(str(one["cell"]) for one in results))
    lengths = sorted({int(one["length"]) for one in results})
    with style(theme):
        figure, (above, below) = rows([2.4, 2.4], names=0.1, space=0.75)
        for place, cell in enumerate(cells):
            colour = _colour(place, theme)
            own = [one for one in results if one["cell"] == cell]
            middle = [
                (length, float(np.median([o["error"] for o in own if o["length"] == length])))
                for length in lengths
                if any(o["length"] == length for o in own)
            ]
            above.plot(*zip(*middle, strict=True), color=colour, linewidth=1.6, label=cell)
            above.plot(
                [o["length"] for o in own],
                [o["error"] for o in own],
                "o",
                color=colour,
                markersize=4,
            )
            longest = [o for o in own if o["length"] == lengths[-1]][:1]
            for one in longest:
                for key, dashes in (("reach_untrained", "--"), ("reach_trained", "-")):
                    below.plot(
                        one[key],
                        dashes,
                        color=colour,
                        linewidth=1.4,
                        label=cell if dashes == "-" else None,
                    )
        for level, words in ((guessing, "guessing"), (solved, "solved")):
            above.axhline(level, color=GREY, linewidth=0.9, linestyle=":")
            above.annotate(
                words,
                (1.0, level),
                xycoords=("axes fraction", "data"),
                xytext=(4, -3),
                textcoords="offset points",
                fontsize=7.5,
            )
        above.set_xscale("log")
        above.set_yscale("log")
        above.set_xticks(lengths, [str(length) for length in lengths])
        above.minorticks_off()
        above.set_xlabel("length of the sequence")
        above.set_ylabel("mean squared error")
        above.spines[["top", "right"]].set_visible(False)
        _finish(below, f"steps back, at length {lengths[-1]} (dashed: before training)")
        below.set_ylim(1e-12, 3)
        return png(figure)


def _finish(axes: Any, words: str) -> None:  # noqa: ANN401 - matplotlib is optional
    axes.axhline(GONE, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(1e-6, 2)
    axes.set_ylabel("gradient, largest = 1")
    axes.set_xlabel(words)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), **_LEGEND)


def _colour(place: int, theme: Theme) -> str:
    return tint(LINES[place % len(LINES)], theme)
