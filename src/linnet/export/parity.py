"""The gate: a graph is let through only if it computes what its checkpoint computes.

    clips, hard shapes -> checkpoint in float64 -+-> largest error, greedy tokens -> parity.json
                       -> each graph            -+

The checkpoint is computed in float64, because in float32 it is itself uncertain by more than the
limit: pre-emphasis and quiet bands leave few of the digits. How far its own float32 arithmetic is
from that is measured as well and stands in ``parity.json``.

A graph with int8 weights is held to the same limit against the checkpoint with the same weights
rounded alike: a mistake in it shows as it would in any graph. What the rounding itself does to the
answers stands in ``reading``.

How each graph is tried stands in ``checks``, what counts as equal in ``finding``.
"""

import sys
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime
import torch

from linnet.export import checks, int8, shapes
from linnet.export.finding import LIMIT, Finding
from linnet.export.reference import Reference
from linnet.export.shapes import Waveform
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import FEATURES_GRAPH, STREAM_GRAPH, WAVEFORM_GRAPH, session

LONGEST_S = 600.0
_CHECKS = {
    WAVEFORM_GRAPH: checks.waveforms,
    FEATURES_GRAPH: checks.log_mels,
    STREAM_GRAPH: checks.streams,
}
# Rounding weights does not depend on a clip's length: what long clips show, the float graph showed.
_INT8_LONGEST_S = 20.0


def to_standard_error(line: str) -> None:
    """Report progress."""
    sys.stderr.write(f"{line}\n")


def check(
    front_end: FrontEnd,
    network: Network,
    graphs: Mapping[str, onnx.ModelProto],
    clips: Mapping[str, Waveform],
    *,
    longest_s: float = LONGEST_S,
    say: Callable[[str], None] = to_standard_error,
) -> dict[str, object]:
    """Hold every graph against the checkpoint and give the content of ``parity.json``.

    Args:
        front_end: of the checkpoint.
        network: of the checkpoint.
        graphs: by file name: of any cut, with weights in float32 or int8.
        clips: real recordings at the front-end's rate, by name; without any, glides in noise take
            their place, which try the graph less than speech does.
        longest_s: length of the longest artificial clip.
        say: takes a line of progress.

    Raises:
        ParityError: a graph does not compute what the checkpoint computes.
    """
    exact = Reference(front_end, network)
    real = {name: clip for name, clip in clips.items() if len(clip)}
    sound = real or shapes.glides(front_end.sample_rate)
    tape = list(sound.values())
    long = shapes.hard(front_end, tape, longest_s)
    brief = shapes.hard(front_end, tape, min(longest_s, _INT8_LONGEST_S))
    files: dict[str, object] = {}
    for file, graph in graphs.items():
        say(f"parity: {file}: {len(real)} recordings and {len(long)} hard shapes")
        finding = Finding(file, frozenset(real))
        against, hard = exact, long
        if int8.is_int8(file):
            against = Reference(front_end, int8.rounded_network(network))
            hard = brief
            finding.against = "the checkpoint in float64, its weights rounded to int8"
        content = graph.SerializeToString(deterministic=True)
        tried = _CHECKS[int8.float_name(file)]
        tried(against, session(content, file), finding, sound, hard)
        say(
            f"parity: {file}: the largest error is {finding.largest:.2g}, on {finding.where} "
            f"(limit {LIMIT:g})"
        )
        for clip, one in finding.beyond_float32.items():
            say(
                f"parity: {file}: on {clip} the checkpoint itself is off by "
                f"{one['checkpoint_in_float32']:.2g} in float32"
            )
        size = {"bytes": len(content), "nodes": len(graph.graph.node)}
        files[file] = {**size, **finding.record()}
    rounded = exact.in_float32()
    own = [np.abs(rounded.from_waveform(c) - exact.from_waveform(c)).max() for c in sound.values()]
    return {
        "limit": LIMIT,
        "recordings": list(real),
        "hard_shapes": list(long),
        "batches": list(checks.BATCHES),
        "checkpoint_in_float32": {"largest_difference": float(max(own))},
        "files": files,
        "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    }
