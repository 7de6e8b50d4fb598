"""How the cost of recognition grows with a recording: a curve that should be a line.

recordings of 1 s to an hour -> seconds that Linnet's runtime takes, one thread -> a picture
                                 `- beside what a line through 10 s gives -> comparisons
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import clips
from benchmarks.comparing import Comparison
from linnet import runtime

_LINE_S = 10
_LEAST_CALLS = 3
_ENOUGH_S = 1.0


def draw(graph: Path, lengths_s: Sequence[int], picture: Path) -> dict[int, float]:
    """Measure each length, draw the curve, and give the seconds that each took.

    The quickest of a few calls counts: what else runs on the machine can only slow one down.
    """
    from matplotlib.figure import Figure

    model = runtime.load(graph, threads=1)
    took: dict[int, float] = {}
    for length_s in lengths_s:
        waveform = clips.tone(length_s, float(length_s))
        calls: list[float] = []
        while (len(calls) < _LEAST_CALLS and sum(calls) < _ENOUGH_S) or not calls:
            started = time.perf_counter()
            model.log_probs(waveform)
            calls.append(time.perf_counter() - started)
        took[length_s] = min(calls)
        factor = took[length_s] / length_s
        print(
            f"infer: {length_s} s take {took[length_s]:.4f} s, {factor:.5f} of the time",
            file=sys.stderr,
        )
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(list(took), list(took.values()), marker="o", label="model.onnx, one thread")
    steady = min(seconds / length for length, seconds in took.items())
    line = [steady * length for length in took]
    axes.loglog(list(took), line, linestyle=":", label=f"{steady:.4f} of the time")
    axes.set(xlabel="recording, s", ylabel="recognition, s")
    axes.legend()
    axes.grid(visible=True, which="both", alpha=0.3)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)
    return took


def on_a_line(took: Mapping[int, float]) -> list[Comparison]:
    """Compare each length with its share of what 10 s take: 1 is on the line, more is cheaper.

    Args:
        took: seconds, by the length of the recording.
    """
    known = min(took, key=lambda length_s: abs(length_s - _LINE_S))
    return [
        Comparison(
            benchmark="infer",
            task=f"{length_s:,} s: cost",
            ours="linnet.runtime",
            peer=f"in proportion to {known} s",
            unit="s",
            more_is_better=False,
            our_values=(seconds,),
            peer_values=(took[known] / known * length_s,),
            agreement={},
        )
        for length_s, seconds in took.items()
    ]
