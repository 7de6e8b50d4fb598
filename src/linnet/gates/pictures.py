"""Pictures of gates: what a network forgot, read and carried while it listened.

    clip                  --listened-->   spectrogram, the tokens heard on top
    traces                --kept-->       where each layer carried its state and where it wrote anew
                          --openness-->   the mean of each gate, step by step
    trace, time scales    --units-->      each gate of each unit, sorted by how long it remembers
    time scales           --memories-->   a histogram a layer
    answers of units      --answering-->  which unit stands out at which token
    decay curves          --reaching-->   how far back an answer depends on its input

Those with a time axis have the same margins, so that they stand exactly under one another. Blue is
what is carried, orange what is overwritten, everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from linnet.gates.canvas import (
    GATES,
    beside,
    blend,
    drawn,
    finish_time,
    heat,
    legend,
    mark_tokens,
    rows,
    short,
    side,
    tint,
)
from linnet.gates.inspection import Clip
from linnet.gates.reach import GONE, Reach
from linnet.gates.replay import Trace
from linnet.gates.scales import openness as mean_of_gates
from linnet.plots import (
    BLUE,
    GREY,
    INK,
    LINES,
    PAPER,
    VERMILLION,
    Theme,
    draw_spectrogram,
    png,
    shown,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:  # The checks at run time take it for an object: matplotlib is heavy and optional.
    Axes = object

_BINS_A_DECADE = 6
_SMALL: Any = {"frameon": False, "fontsize": 7.5, "handlelength": 1.2}
# Marks on an axis of memories, in milliseconds.
_MARKS = (
    (1, "1 ms"),
    (10, "10 ms"),
    (100, "100 ms"),
    (1e3, "1 s"),
    (1e4, "10 s"),
    (1e5, "100 s"),
    (1e6, "1000 s"),
)


def listened(clip: Clip, symbols: Sequence[str], *, theme: Theme = "light") -> bytes:
    """Draw the spectrogram with what was heard on top."""
    with style(theme):
        figure, (axes,) = rows([2.0], names=0.25)
        draw_spectrogram(axes, clip.waveform, clip.sample_rate)
        mark_tokens(axes, clip, symbols, theme, named=True)
        finish_time(axes, clip)
        return png(figure)


def kept(clip: Clip, symbols: Sequence[str], *, theme: Theme = "light") -> bytes:
    """Draw a strip a layer and direction: the mean share of the old state that is carried."""
    traces = [trace for trace in clip.traces if trace.carry is not None]
    with style(theme):
        figure, (axes,) = rows([0.3 * len(traces) + 0.05], names=0.25)
        shares = [
            drawn(share).mean(axis=1) for trace in traces if (share := trace.carried) is not None
        ]
        heat(axes, np.array(shares)[::-1], clip, blend(VERMILLION, BLUE, theme))
        axes.set_yticks(np.arange(len(traces)) + 0.5, [short(t) for t in traces][::-1], fontsize=8)
        axes.tick_params(axis="y", length=0)
        for edge in range(1, len(traces)):
            axes.axhline(edge, color=PAPER[theme], linewidth=1.5)
        mark_tokens(axes, clip, symbols, theme, named=True)
        beside(axes, [("carried", BLUE), ("overwritten", VERMILLION)], theme)
        finish_time(axes, clip)
        return png(figure)


def openness(clip: Clip, symbols: Sequence[str], *, theme: Theme = "light") -> bytes:
    """Draw the mean of each gate over the units, a curve a layer and direction."""
    curves = [mean_of_gates(trace) for trace in clip.traces]
    names = list(curves[0])
    with style(theme):
        figure, many = rows([1.35] * len(names), names=0.25)
        edges_s = np.arange(clip.steps + 1) * clip.step_s
        for axes, name in zip(many, names, strict=True):
            for trace, gates in zip(clip.traces, curves, strict=True):
                colour = tint(LINES[trace.direction.layer % len(LINES)], theme)
                dashes = "--" if trace.direction.backward else "-"
                axes.stairs(
                    gates[name],
                    edges_s,
                    baseline=None,
                    color=colour,
                    linestyle=dashes,
                    linewidth=1.4,
                    label=short(trace),
                )
            axes.set_ylim(0, 1)
            axes.set_yticks([0, 0.5, 1])
            axes.set_ylabel(GATES[name][0])
            axes.spines[["top", "right"]].set_visible(False)
            mark_tokens(axes, clip, symbols, theme, named=axes is many[0])
            finish_time(axes, clip, last=axes is many[-1])
        many[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), **_SMALL)
        return png(figure)


def units(
    clip: Clip,
    trace: Trace,
    scales_s: Float64[np.ndarray, " hidden"] | None,
    symbols: Sequence[str],
    *,
    theme: Theme = "light",
) -> bytes:
    """Draw each gate of each unit over time, units sorted by time scale, the longest on top.

    A cell without gates has its states drawn, in the order of the units.
    """
    gates = _maps(trace)
    order = np.arange(trace.states.shape[1]) if scales_s is None else np.argsort(scales_s)
    with style(theme):
        figure, many = rows([1.75] * len(gates), names=0.25, space=0.32)
        for axes, (name, values) in zip(many, gates.items(), strict=True):
            scaled = (values + 1) / 2 if name == "state" else values
            low, high = GATES[name][3:]
            heat(axes, scaled[:, order].T, clip, blend(low, high, theme))
            axes.set_ylabel("units")
            mark_tokens(axes, clip, symbols, theme, named=False)
            legend(axes, name, theme)
            finish_time(axes, clip, last=axes is many[-1])
            if scales_s is not None:
                side(figure, axes, scales_s[order], theme, last=axes is many[-1])
        return png(figure)


def memories(
    traces: Sequence[Trace],
    scales_s: Sequence[Float64[np.ndarray, " hidden"] | None],
    step_s: float,
    longest_s: float,
    *,
    theme: Theme = "light",
) -> bytes:
    """Draw how many units remember how long, a histogram a layer.

    Args:
        traces: name the layers.
        scales_s: of their units.
        step_s: duration of a step.
        longest_s: of the clips: what remembers longer keeps all of them.
        theme: colour of the paper.
    """
    known = [(t, s) for t, s in zip(traces, scales_s, strict=True) if s is not None]
    layers = sorted({trace.direction.layer for trace, _ in known})
    low, high = step_s / 20, max(longest_s * 20, step_s * 2000)
    decades = np.log10(high / low)
    edges = 1000 * np.geomspace(low, high, round(_BINS_A_DECADE * decades) + 1)
    with style(theme):
        figure, many = rows([1.2] * len(layers), names=0.25, space=0.18)
        for axes, number in zip(many, layers, strict=True):
            own = [(t, s) for t, s in known if t.direction.layer == number]
            _stack_histogram(axes, own, edges, theme)
            axes.set_xscale("log")
            axes.set_xlim(edges[0], edges[-1])
            axes.set_ylabel(f"layer {number + 1}\nunits")
            axes.spines[["top", "right"]].set_visible(False)
            named = axes is many[0]
            _upright(axes, 1000 * step_s, "one step" if named else "", theme)
            _upright(axes, 1000 * longest_s, "the recording" if named else "", theme)
            marks = [(ms, said) for ms, said in _MARKS if edges[0] <= ms <= edges[-1]]
            axes.set_xticks([ms for ms, _ in marks], [said for _, said in marks])
            axes.tick_params(labelbottom=axes is many[-1])
        many[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), **_SMALL)
        many[-1].set_xlabel("memory of a unit (what lies beyond an end is counted there)")
        return png(figure)


def answering(
    traces: Sequence[Trace],
    answers: Sequence[Mapping[int, Float64[np.ndarray, " hidden"]]],
    tokens: Sequence[int],
    symbols: Sequence[str],
    *,
    each: int,
    theme: Theme = "light",
) -> bytes:
    """Draw the units of the last layer that stand out most at each token.

    Args:
        traces: name the layers.
        answers: how far each unit stands out, by token.
        tokens: those to draw, in their order.
        symbols: of all tokens.
        each: units drawn for a token.
        theme: colour of the paper.
    """
    top = max(trace.direction.layer for trace in traces)
    last = [i for i, trace in enumerate(traces) if trace.direction.layer == top]
    names = [(traces[i], unit) for i in last for unit in range(traces[i].states.shape[1])]
    table = np.stack([np.concatenate([answers[i][token] for i in last]) for token in tokens])
    chosen: list[int] = []
    for row in np.abs(table):
        chosen += [u for u in np.argsort(-row).tolist() if u not in chosen][:each]
    with style(theme):
        figure, (axes,) = rows([0.3 * len(tokens) + 0.1], names=0.05, below=0.75)
        cut = np.abs(table[:, chosen]).max()
        axes.imshow(
            (table[:, chosen] / cut + 1) / 2,
            aspect="auto",
            cmap=blend(VERMILLION, BLUE, theme),
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        axes.set_yticks(range(len(tokens)), [shown(symbols[token]) for token in tokens])
        axes.set_xticks(
            range(len(chosen)),
            [_unit(*names[unit]) for unit in chosen],
            rotation=90,
            fontsize=7 if len(chosen) < 50 else 5,
        )
        axes.tick_params(length=0)
        axes.set_xlabel(f"units of layer {top + 1}: the strongest {each} of each token")
        beside(axes, [(f"+{cut:.1f} deviations", BLUE), (f"-{cut:.1f}", VERMILLION)], theme)
        return png(figure)


def reaching(reaches: Mapping[str, Reach], step_s: float, *, theme: Theme = "light") -> bytes:
    """Draw decay curves: the gradient of an answer over the distance of what came in."""
    with style(theme):
        figure, (axes,) = rows([2.6], names=0.1)
        for i, (name, reach) in enumerate(reaches.items()):
            colour = INK[theme] if i == 0 else tint(LINES[(i - 1) % len(LINES)], theme)
            lags, curve = reach.line()
            axes.plot(
                lags * step_s,
                curve,
                color=colour,
                linewidth=2.2 if i == 0 else 1.4,
                label=name,
                zorder=3 if i == 0 else 2,
            )
        axes.axhline(GONE, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_yscale("log")
        axes.set_ylim(1e-6, 2)
        axes.set_ylabel("gradient, largest = 1")
        axes.set_xlabel("seconds from the answer to the input (left of 0: earlier input)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), **_SMALL)
        return png(figure)


def _maps(trace: Trace) -> dict[str, Float64[np.ndarray, "steps hidden"]]:
    """Give what is drawn of a trace: first the gate that carries, then the others."""
    if trace.carried is None:
        return {"state": drawn(trace.states)}
    values = {k: drawn(v) for k, v in trace.gates.items() if k not in ("candidate", "cell")}
    if "forget" in values and "input" not in values:  # The minimal gated unit has one gate.
        return {"carried": drawn(trace.carried)}
    return values


def _stack_histogram(
    axes: Axes,
    own: Sequence[tuple[Trace, Float64[np.ndarray, " hidden"]]],
    edges: Float64[np.ndarray, " edges"],
    theme: Theme,
) -> None:
    base = np.zeros(len(edges) - 1)
    for trace, scales_s in own:
        inside = np.clip(1000 * scales_s, edges[0] * 1.0001, edges[-1] * 0.9999)
        counts, _ = np.histogram(inside, edges)
        colour = tint(VERMILLION if trace.direction.backward else BLUE, theme)
        label = "backward" if trace.direction.backward else "forward"
        axes.stairs(
            base + counts, edges, baseline=base, fill=True, color=colour, alpha=0.75, label=label
        )
        base = base + counts


def _upright(axes: Axes, at: float, words: str, theme: Theme) -> None:
    axes.axvline(at, color=INK[theme], linewidth=0.9, linestyle=":")
    axes.annotate(
        words,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )


def _unit(trace: Trace, unit: int) -> str:
    return f"{unit}{'←' if trace.direction.backward else '→'}"
