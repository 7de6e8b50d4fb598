"""Streams in ``infer``: what it costs to hear a chunk, for a model that answers while one speaks.

    recording -> chunks of 40 to 320 ms -> Linnet's runtime             / take turns
                                        -> torch, eager, step by step   /
                                        -> sherpa-onnx, whole pieces    /

Each side is a process of its own (``hearing``) and hears the whole recording in a turn; of the
seconds that its chunks took come the median, the high percentiles, the worst, and the share of real
time. The peers run the same network: torch its weights, sherpa-onnx the same ``stream.onnx``. That
one gathers a piece before it answers (320 ms, where a network takes any number of steps), so that
most short chunks cost it nothing and some all: beside it the high percentiles and the share tell,
not the median. The two sides must hear the same, or there is no figure. A checkpoint that streams
is measured itself; otherwise a model is made, of random weights.
"""

from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Shaped

from benchmarks import clips, models
from benchmarks.comparing import Comparison, alternate
from benchmarks.hearing import FIGURES, SHARE
from benchmarks.models import Models
from benchmarks.options import Options
from benchmarks.sides import AGREEMENT, LogProbs, Side, largest
from linnet import audio, runtime
from linnet.decode import greedy
from linnet.errors import LinnetError
from linnet.export.hosts import hosts
from linnet.export.stream import host_frames
from linnet.module import Recogniser
from linnet.runtime import STREAM_GRAPH
from linnet.streaming import StreamingNetwork

_OURS = "linnet.runtime, stream"
_TORCH, _SHERPA = "torch eager, step by step", "sherpa-onnx, whole pieces"


def run(given: Recogniser, folder: Path, options: Options) -> list[Comparison]:
    """Compare what chunks cost, for each length of them, memory and files.

    Args:
        given: is measured if it streams.
        folder: for the files.
        options: sizes.

    Raises:
        LinnetError: a peer hears something else.
    """
    model = given if isinstance(given.network, StreamingNetwork) else models.streaming()
    made = models.prepare(model, folder)
    found = _compare(model, made, "torch", folder / "clip.wav", options)
    if STREAM_GRAPH in hosts(runtime.load(made.folder).description):
        found += _compare(model, made, "sherpa", folder / "clip.wav", options)
    return found + _files(made)


def _compare(
    model: Recogniser, made: Models, side: str, clip: Path, options: Options
) -> list[Comparison]:
    """Give the figures for each length of chunks, and memory, beside one peer."""
    waveform = clips.tones(options.streamed_s)
    soundfile.write(clip, waveform, audio.SAMPLE_RATE)
    file, name = (made.torch, _TORCH) if side == "torch" else (made.stream, _SHERPA)
    ours = Side("linnet", made.folder, clip, clip.with_suffix(".linnet.npy"), "hearing")
    try:
        peer = Side(side, file, clip, clip.with_suffix(".peer.npy"), "hearing")
    except BaseException:
        ours.stop()
        raise
    try:
        differs = differ(model, ours.answer(), peer.answer(), len(waveform))
        if not differs <= AGREEMENT:
            raise LinnetError(f"infer: {name} and Linnet differ by {differs:.2g} in a stream")
        agreement = {"largest_difference": differs, "delay_s": _delay_s(made)}
        found = [row for ms in options.chunks_ms for row in _rows(ours, peer, ms, options.passes)]
        memory = (ours.end(),), (peer.end(),)
    finally:
        ours.stop()
        peer.stop()
    return [
        _comparison(task, unit, values, name, agreement)
        for task, unit, values in [*found, ("peak memory", "MB", memory)]
    ]


def differ(
    model: Recogniser, ours: LogProbs, peer: Shaped[np.ndarray, "..."], samples: int
) -> float:
    """Give how far a peer's answer is from ours: 0 or 1 where it names tokens.

    Args:
        model: that both ran.
        ours: of the whole recording.
        peer: log-probabilities; or the ids of tokens, from whole pieces alone.
        samples: of the recording.
    """
    if peer.ndim > 1:
        return largest(ours, peer)
    network, front_end = model.network, model.front_end
    if not isinstance(network, StreamingNetwork):
        raise TypeError(f"{type(network).__name__} does not stream")
    piece = host_frames(front_end, network)
    # A host takes up a piece once a frame more has come.
    pieces = (front_end.frames(samples) - 1) // piece
    steps = pieces * piece // front_end.stack - network.lookahead
    return float(list(greedy(ours[: max(0, steps)]).ids) != peer.tolist())


def _rows(
    ours: Side, peer: Side, chunk_ms: int, passes: int
) -> list[tuple[str, str, tuple[tuple[float, ...], tuple[float, ...]]]]:
    """Give the figures for one length of chunks: what, unit, our values and the peer's."""
    turns = alternate(lambda: ours.hear(chunk_ms), lambda: peer.hear(chunk_ms), passes)
    ours_by_figure, peer_by_figure = (zip(*values, strict=True) for values in turns)
    return [
        (f"{chunk_ms} ms chunks: {figure}", "x" if figure == SHARE else "ms", (a, b))
        for figure, a, b in zip(FIGURES, ours_by_figure, peer_by_figure, strict=True)
    ]


def _delay_s(made: Models) -> float:
    """Give the most time that may pass before what was said is answered."""
    model = runtime.load(made.folder)
    return model.steps().delay / model.sample_rate


def _files(made: Models) -> list[Comparison]:
    """Compare the sizes of the files."""
    ours, int8, torch = (
        (path.stat().st_size / 2**20,) for path in (made.stream, made.int8(made.stream), made.torch)
    )
    return [
        _comparison("file", "MB", (ours, torch), _TORCH, {}),
        _comparison("file, int8", "MB", (int8, ours), "stream.onnx, float32 weights", {}),
    ]


def _comparison(
    task: str,
    unit: str,
    values: tuple[tuple[float, ...], tuple[float, ...]],
    peer: str,
    agreement: dict[str, float],
) -> Comparison:
    return Comparison("infer", f"stream, {task}", _OURS, peer, unit, False, *values, agreement)
