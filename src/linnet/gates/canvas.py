"""What pictures of gates share: rows that stand exactly under one another, colours, token marks.

heights -> rows of axes with one left and one right edge
values of gates, a unit a row -> heat map, what its colours mean, how long each unit remembers
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from linnet.gates.inspection import Clip
from linnet.gates.replay import Trace
from linnet.plots import BLUE, DOTS_PER_INCH, GREY, INK, LINES, PAPER, VERMILLION, Theme, shown
from linnet.text import SPACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Canvas
else:  # The checks at run time take them for objects: matplotlib is heavy and optional.
    Axes = Canvas = Colormap = object

# Of every picture, in inches.
_WIDTH, _LEFT, _RIGHT, _BOTTOM = 9.0, 0.8, 1.15, 0.45
_LETTER = 0.012  # share of the axis that a letter takes
_MANY = 8  # tokens; of more than these only the start is marked
# On dark paper the palette's darker colours are hard to read.
_LIGHTER = {BLUE: "#4DA6E0", VERMILLION: "#EE8844", GREY: "#9AA0A6", "#009E73": "#2BB78C"}
_PINK, _GREEN = "#CC79A7", "#009E73"
# What each gate is called, what its 0 and its 1 do, and their colours.
GATES = {
    "update": ("update gate z", "overwrite", "carry", VERMILLION, BLUE),
    "carried": ("1 - forget gate f", "overwrite", "carry", VERMILLION, BLUE),
    "reset": ("reset gate r", "forget the past", "read the past", _PINK, _GREEN),
    "forget": ("forget gate f", "overwrite", "carry", VERMILLION, BLUE),
    "input": ("input gate i", "shut", "write", GREY, _GREEN),
    "output": ("output gate o", "hide", "show", GREY, LINES[4]),
    "state": ("state h", "-1", "+1", VERMILLION, BLUE),
}


def rows(
    heights: Sequence[float], *, names: float, space: float = 0.22, below: float = _BOTTOM
) -> tuple[Canvas, list[Axes]]:
    """Give a figure of pictures under one another, whose axes begin and end at the same places.

    Args:
        heights: of the pictures, in inches.
        names: room on top for the names of tokens, in inches.
        space: between two pictures, in inches.
        below: room for the marks of the axis and its name, in inches.
    """
    from matplotlib.figure import Figure

    total = sum(heights) + space * (len(heights) - 1) + below + names + 0.1
    figure = Figure(figsize=(_WIDTH, total), dpi=DOTS_PER_INCH)
    axes, top = [], total - names - 0.1
    for height in heights:
        box = (_LEFT / _WIDTH, (top - height) / total)
        size = ((_WIDTH - _LEFT - _RIGHT) / _WIDTH, height / total)
        axes.append(figure.add_axes((*box, *size)))
        top -= height + space
    return figure, axes


def heat(
    axes: Axes, values: Float[np.ndarray, "rows steps"], clip: Clip, colours: Colormap
) -> None:
    """Draw values from 0 to 1 over the time of a clip, the first row at the bottom."""
    axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap=colours,
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0, clip.steps * clip.step_s, 0, len(values)),
    )


def side(
    figure: Canvas,
    axes: Axes,
    sorted_s: Float64[np.ndarray, " hidden"],
    theme: Theme,
    *,
    last: bool,
) -> None:
    """Draw beside a picture of units how long each of them remembers."""
    box = axes.get_position()
    left, width = box.x1 + 0.09 / _WIDTH, (_RIGHT - 0.24) / _WIDTH
    side = figure.add_axes((left, box.y0, width, box.height))
    shown_ms = np.clip(1000 * sorted_s, 1, 1e5)
    side.fill_betweenx(
        np.arange(len(sorted_s)) + 0.5, 1, shown_ms, color=tint(BLUE, theme), alpha=0.35
    )
    side.plot(shown_ms, np.arange(len(sorted_s)) + 0.5, color=tint(BLUE, theme), linewidth=1.2)
    side.set_xscale("log")
    side.set_xlim(1, 1e5)
    side.set_ylim(0, len(sorted_s))
    side.set_yticks([])
    side.set_xticks([1000, 1e5], ["1 s", "100 s"], fontsize=7)
    side.minorticks_off()
    side.spines[["top", "right", "left"]].set_visible(False)
    side.tick_params(labelbottom=last, color=GREY)
    side.set_facecolor(PAPER[theme])


def mark_tokens(
    axes: Axes, clip: Clip, symbols: Sequence[str], theme: Theme, *, named: bool
) -> None:
    """Mark where each token was heard, and name it on top."""
    duration_s = clip.steps * clip.step_s
    end_of_last_s = -1.0
    for token, start, end in clip.heard:
        begin_s, end_s = start * clip.step_s, max(end, start + 1) * clip.step_s
        for edge_s in (begin_s, end_s) if len(clip.heard) <= _MANY else (begin_s,):
            axes.axvline(edge_s, color=INK[theme], linewidth=0.7, alpha=0.6, linestyle=":")
        symbol = shown(symbols[token])
        half_s = duration_s * _LETTER * len(symbol) / 2
        # A name stays above its picture, and two never lie on each other.
        middle_s = float(np.clip((begin_s + end_s) / 2, half_s, max(half_s, duration_s - half_s)))
        if named and symbols[token] != SPACE and middle_s - half_s > end_of_last_s:
            axes.annotate(
                symbol,
                (middle_s, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=10.5,
                fontweight="bold",
                color=INK[theme],
                annotation_clip=False,
            )
            end_of_last_s = middle_s + half_s


def finish_time(axes: Axes, clip: Clip, *, last: bool = True) -> None:
    """End an axis where the clip ends; the last of several says what it counts."""
    axes.set_xlim(0, clip.steps * clip.step_s)
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel("seconds")


def legend(axes: Axes, name: str, theme: Theme) -> None:
    """Say above a picture of a gate what its colours mean."""
    title, zero, one, low, high = GATES[name]
    pieces = [(f"{title}:", INK[theme]), (f"1 {one}", high), (f"0 {zero}", low)]
    if name == "state":
        pieces = [(f"{title}:", INK[theme]), (one, high), (zero, low)]
    offset = 0.0
    for said, colour in pieces:
        axes.annotate(
            said,
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(offset, 3),
            textcoords="offset points",
            fontsize=8,
            color=tint(colour, theme),
            fontweight="normal" if colour == INK[theme] else "bold",
        )
        offset += 4.6 * len(said) + 8


def beside(axes: Axes, pieces: Sequence[tuple[str, str]], theme: Theme) -> None:
    """Write coloured words at the right of a picture, one under the other."""
    for i, (said, colour) in enumerate(pieces):
        axes.annotate(
            said,
            (1.0, 1.0),
            xycoords="axes fraction",
            xytext=(6, -10 - 13 * i),
            textcoords="offset points",
            fontsize=8,
            color=tint(colour, theme),
            fontweight="bold",
            annotation_clip=False,
        )


def blend(low: str, high: str, theme: Theme) -> Colormap:
    """Give colours from ``low`` over the colour of the paper to ``high``."""
    from matplotlib.colors import LinearSegmentedColormap

    middle = "#f4f4f2" if theme == "light" else "#24282e"
    return LinearSegmentedColormap.from_list(
        "linnet", [tint(low, theme), middle, tint(high, theme)], N=255
    )


def tint(colour: str, theme: Theme) -> str:
    """Give a colour as it is drawn on this paper."""
    return _LIGHTER.get(colour, colour) if theme == "dark" else colour


def short(trace: Trace) -> str:
    """Name a layer and direction in few letters."""
    return f"layer {trace.direction.layer + 1} {'←' if trace.direction.backward else '→'}"


def drawn(values: Float[Tensor, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Give numbers of a replay as numpy's."""
    return np.asarray(values.detach().double().numpy())
