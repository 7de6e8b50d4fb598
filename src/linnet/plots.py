"""Pictures: numbers in, PNG bytes out.

    confusion matrix                 --confusion-->      what was taken for what
    log-probabilities, heard tokens  --posteriorgram-->  what the network believed, and when
    waveform                         --spectrogram-->    what it listened to
    both                             --listening-->      one above the other, on one time axis

All are drawn through matplotlib's objects (never pyplot, which holds state for the process) with
its default settings plus the few below, so that the same numbers give the same bytes whatever the
user's matplotlibrc says. The colours are those of Okabe and Ito ("Color universal design", 2008),
which people with any kind of colour vision tell apart.

Pictures that need torch stand elsewhere and share ``style``, ``draw_spectrogram`` and ``png``.
"""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Float32, Int

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
else:  # The checks at run time take them for objects: matplotlib is heavy and optional.
    Axes = Canvas = object

Theme = Literal["light", "dark"]

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#888888"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1")
INK = {"light": "#1f2328", "dark": "#e6e6e6"}
PAPER = {"light": "#ffffff", "dark": "#16191d"}
DOTS_PER_INCH, _MARGIN = 110, 0.09
# A token that never gets this far is not drawn; one that does is named at its peak.
_VISIBLE, _NAMED = 0.02, 0.15
_WINDOW_S, _HOP_S, _RANGE_DB = 0.025, 0.005, 70.0


@dataclasses.dataclass(frozen=True)
class Posteriors:
    """What a network said of a recording.

    Attributes:
        log_probs: natural log-probabilities, the blank first.
        tokens: the symbol of each token.
        edges_s: the start of each step, and the end of the last.
        heard: symbol, start and end in seconds of each token of the hypothesis.
    """

    log_probs: Float[np.ndarray, "steps tokens"]
    tokens: Sequence[str]
    edges_s: Float[np.ndarray, " edges"]
    heard: Sequence[tuple[str, float, float]]


def confusion(
    matrix: Int[np.ndarray, "classes classes"], classes: Sequence[str], *, theme: Theme = "light"
) -> bytes:
    """Draw a confusion matrix: a row for what was said, a column for what was decided.

    Cells hold counts; their colour is the share of the row, blue where right and orange where
    wrong; few mistakes are coloured more strongly than their share, so that each can be seen. On
    the right stands the share of each row that was right.
    """
    with style(theme):
        side = 0.37 * len(classes) + 0.6
        figure = _figure(side + 1.8, side + 1.0)
        axes = figure.add_subplot()
        totals = matrix.sum(axis=1)
        shares = matrix / np.maximum(totals, 1)[:, None]
        axes.imshow(_cell_colours(shares, theme), aspect="equal", interpolation="nearest")
        font = 9 if len(classes) <= 20 else 7
        _write_counts(axes, matrix, shares, font, theme)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if len(classes) > 6 else 0)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xticks(np.arange(len(classes) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(classes) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=GREY, alpha=0.25, linewidth=0.5)
        axes.tick_params(which="both", length=0, labelsize=font)
        axes.set_xlabel("decided")
        axes.set_ylabel("said")
        return png(figure)


def posteriorgram(posteriors: Posteriors, *, theme: Theme = "light") -> bytes:
    """Draw the posterior of each token over time, with the tokens of the hypothesis named."""
    with style(theme):
        figure = _strip(float(posteriors.edges_s[-1]), 2.3)
        _draw_posteriors(figure.add_subplot(), posteriors)
        return png(figure)


def spectrogram(
    waveform: Float32[np.ndarray, " samples"], sample_rate: int, *, theme: Theme = "light"
) -> bytes:
    """Draw the short-time power spectrum in decibels below its peak."""
    with style(theme):
        figure = _strip(len(waveform) / sample_rate, 2.3)
        axes = figure.add_subplot()
        draw_spectrogram(axes, waveform, sample_rate)
        axes.set_xlabel("seconds")
        return png(figure)


def listening(
    waveform: Float32[np.ndarray, " samples"],
    sample_rate: int,
    posteriors: Posteriors,
    *,
    theme: Theme = "light",
) -> bytes:
    """Draw the spectrogram of a recording with the posteriors of its tokens under it."""
    with style(theme):
        figure = _strip(len(waveform) / sample_rate, 3.9)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.15, 1])
        draw_spectrogram(above, waveform, sample_rate)
        _draw_posteriors(below, posteriors)
        return png(figure)


def _write_counts(
    axes: Axes,
    matrix: Int[np.ndarray, "classes classes"],
    shares: Float[np.ndarray, "classes classes"],
    font: int,
    theme: Theme,
) -> None:
    """Write the count of each cell, none for 0, and the share of each row that was right."""
    for row, column in np.argwhere(matrix).tolist():
        dark = shares[row, column] > (0.55 if row == column else 0.4)
        axes.text(
            column,
            row,
            str(matrix[row, column]),
            ha="center",
            va="center",
            fontsize=font,
            color="white" if dark else INK[theme],
        )
    for row, total in enumerate(matrix.sum(axis=1).tolist()):
        right = f"{shares[row, row]:.1%}" if total else "-"
        axes.text(len(matrix) - 0.35, row, right, va="center", fontsize=font, color=GREY)


def _draw_posteriors(axes: Axes, posteriors: Posteriors) -> None:
    """Draw a stair a token; name what was heard on top and what else was believed at its peak."""
    probabilities = np.exp(posteriors.log_probs.astype(np.float64))
    edges_s = posteriors.edges_s
    heard = {symbol for symbol, _, _ in posteriors.heard}
    if len(probabilities):
        axes.stairs(probabilities[:, 0], edges_s, fill=True, color=GREY, alpha=0.18)
        visible = np.flatnonzero(probabilities[:, 1:].max(axis=0) >= _VISIBLE) + 1
        for token in visible.tolist():
            curve, colour = probabilities[:, token], LINES[token % len(LINES)]
            axes.stairs(curve, edges_s, color=colour, linewidth=1.6)
            axes.stairs(curve, edges_s, fill=True, color=colour, alpha=0.25)
            peak = int(curve.argmax())
            if posteriors.tokens[token] not in heard and curve[peak] >= _NAMED:
                axes.text(
                    *((edges_s[peak] + edges_s[peak + 1]) / 2, curve[peak] + 0.03),
                    shown(posteriors.tokens[token]),
                    color=colour,
                    ha="center",
                )
    for symbol, start_s, end_s in posteriors.heard:
        colour = LINES[list(posteriors.tokens).index(symbol) % len(LINES)]
        axes.text(
            *((start_s + end_s) / 2, 1.07, shown(symbol)),
            color=colour,
            ha="center",
            fontsize=11,
            fontweight="bold",
        )
    axes.set_ylim(0, 1.2)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(0, max(float(edges_s[-1]), 1e-3))
    axes.set_ylabel("probability")
    axes.set_xlabel("seconds")
    axes.spines[["top", "right"]].set_visible(False)


def draw_spectrogram(
    axes: Axes, waveform: Float32[np.ndarray, " samples"], sample_rate: int
) -> None:
    """Draw the short-time power spectrum on ``axes``, in decibels below its peak."""
    window, hop = round(_WINDOW_S * sample_rate), round(_HOP_S * sample_rate)
    padded = np.pad(waveform.astype(np.float64), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(waveform) + 1 : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) ** 2
    # The tiny addend keeps digital silence from having the logarithm of 0.
    decibels = 10 * np.log10(power / max(power.max(), 1e-12) + 1e-12)
    axes.imshow(
        decibels.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-_RANGE_DB,
        vmax=0,
        extent=(0, max(len(frames) * hop / sample_rate, 1e-3), 0, sample_rate / 2000),
    )
    axes.set_ylabel("kHz")


def _cell_colours(
    shares: Float[np.ndarray, "classes classes"], theme: Theme
) -> Float[np.ndarray, "classes classes 3"]:
    """Mix paper with blue on the diagonal and with orange elsewhere."""
    from matplotlib.colors import to_rgb

    right = np.eye(len(shares), dtype=bool)
    mistakes = np.where(shares > 0, 0.15 + 0.85 * np.sqrt(shares), 0)
    depth = np.where(right, shares, mistakes)[..., None]
    ink = np.where(right[..., None], to_rgb(BLUE), to_rgb(VERMILLION))
    return (1 - depth) * np.array(to_rgb(PAPER[theme])) + depth * ink


def shown(symbol: str) -> str:
    """Give a symbol that a reader can see; the dollar would start mathematics."""
    return symbol.replace("\u2581", "\u2423").replace("$", r"\$")


@contextlib.contextmanager
def style(theme: Theme) -> Iterator[None]:
    """Use matplotlib's own defaults and our few changes, then restore what was there."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        ink, paper = INK[theme], PAPER[theme]
        for name in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
            mpl.rcParams[name] = ink
        mpl.rcParams["axes.edgecolor"] = GREY
        mpl.rcParams["figure.facecolor"] = mpl.rcParams["axes.facecolor"] = paper
        mpl.rcParams["font.size"] = 9
        yield


def _figure(width: float, height: float) -> Canvas:
    """Give a figure whose margins follow its labels."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=_MARGIN)
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout)


def _strip(duration_s: float, height: float) -> Canvas:
    """Give a figure with a time axis: longer recordings get more room, up to a limit.

    Its margins are fixed: its labels are always the same, and measuring them takes long.
    """
    from matplotlib.figure import Figure

    width = float(np.clip(1.5 * duration_s + 4.5, 6.5, 16.0))
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    left, right, bottom, top = 0.6 / width, 1 - 0.15 / width, 0.48 / height, 1 - 0.12 / height
    figure.subplots_adjust(left=left, right=right, bottom=bottom, top=top, hspace=0.12)
    return figure


def png(figure: Canvas) -> bytes:
    """Render with a palette of 256 colours, a quarter of the bytes for the same look."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    quantised = Image.fromarray(pixels).quantize(
        256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    image = io.BytesIO()
    quantised.save(image, format="png", optimize=True)
    return image.getvalue()
