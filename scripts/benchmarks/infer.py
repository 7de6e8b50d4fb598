"""Recognition: the exported graph on onnxruntime against others who run it, one thread each.

    checkpoint -> model.onnx, model.int8.onnx -> a process of Linnet's runtime  / take turns
                                              -> sherpa-onnx, OpenVINO, node    /
               -> weights                     -> torch, eager                  /

Each side is a process of its own (``sides``, ``answering``), so that start-up and memory are its
own. Two live at the same time and are asked in turn: five calls a turn, of which the median counts.
Start-up is from starting the interpreter to the first answer. Memory is the most that a process
held. Unless a checkpoint is given, the weights are random (``models``). The two sides must agree,
or there is no figure. How the cost grows with the length of a recording is drawn as a curve
(``lengths``), and what a chunk of a stream costs is measured beside it (``streaming``).
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile

from benchmarks import clips, lengths, models, streaming
from benchmarks.comparing import Comparison, alternate
from benchmarks.models import Models
from benchmarks.options import Options
from benchmarks.sides import PEERS, Peer, Side, present
from linnet import audio, runtime
from linnet.errors import LinnetError
from linnet.export.hosts import hosts

_OURS = "linnet.runtime"
_PICTURE = Path("bench/infer.png")


def run(options: Options) -> list[Comparison]:
    """Compare latency, start-up and memory for each length, streams, and the files; the curve."""
    given = models.recogniser(options.model)
    with TemporaryDirectory(prefix="linnet-bench-") as name:
        folder = Path(name)
        made = models.prepare(given, folder / "whole")
        found = []
        for seconds in options.compared_s:
            clip = folder / f"{seconds}.wav"
            soundfile.write(clip, clips.tone(seconds, float(seconds)), audio.SAMPLE_RATE)
            for peer in _peers(made, options):
                found += _compare(made, peer, clip, seconds, options)
        found += _files(made)
        found += streaming.run(given, folder / "stream", options)
        if options.lengths_s:
            took = lengths.draw(made.linnet, options.lengths_s, _PICTURE)
            found += lengths.on_a_line(took)
    return found


def _peers(made: Models, options: Options) -> Iterator[Peer]:
    """Give those that can run the model; name those that cannot."""
    read = hosts(runtime.load(made.folder).description)
    for peer in PEERS:
        if peer.int8 and not options.int8_peers:
            continue
        if not present(peer):
            print(f"infer: without {peer.name}: no node, or no scripts/vendor-web", file=sys.stderr)
        elif peer.side == "sherpa" and runtime.WAVEFORM_GRAPH not in read:
            print(f"infer: without {peer.name}: it levels what this model hears", file=sys.stderr)
        else:
            yield peer


def _files(made: Models) -> list[Comparison]:
    """Compare the sizes of the files."""
    paths = made.linnet, made.int8(made.linnet), made.torch
    ours, int8, torch = ((path.stat().st_size / 2**20,) for path in paths)
    named = "model.onnx, float32 weights"
    return [
        _comparison("file", "MB", ours, torch, {}, PEERS[0].name),
        _comparison("file, int8", "MB", int8, ours, {}, named),
    ]


def _compare(
    made: Models, peer: Peer, clip: Path, seconds: int, options: Options
) -> list[Comparison]:
    """Give latency, start-up and memory for one length beside one peer."""
    starts, memory, latency = [], [], []
    difference = 0.0
    graph = made.int8(made.linnet) if peer.int8 else made.linnet
    theirs = made.torch if peer.side == "torch" else graph
    for _ in range(options.starts):
        ours = Side("linnet", graph, clip, clip.with_suffix(".linnet.npy"))
        try:
            other = Side(peer.side, theirs, clip, clip.with_suffix(".peer.npy"))
        except BaseException:
            ours.stop()
            raise
        try:
            starts.append((ours.start_s, other.start_s))
            latency += zip(*alternate(ours.ask, other.ask, options.turns), strict=True)
            difference = max(difference, peer.differs(ours.answer(), other.answer()))
            memory.append((ours.end(), other.end()))
        finally:
            ours.stop()
            other.stop()
    if difference > peer.limit:
        raise LinnetError(
            f"infer: {peer.name} and Linnet differ by {difference:.2g} on {seconds} s"
        )
    real_time = [tuple(one / seconds for one in pair) for pair in latency]
    milliseconds = [tuple(1000 * one for one in pair) for pair in latency]
    rows = (
        ("latency", "ms", milliseconds),
        ("real-time factor", "x", real_time),
        ("start to answer", "s", starts),
        ("peak memory", "MB", memory),
    )
    agreement = {"largest_difference": difference}
    return [
        _comparison(f"{seconds} s: {what}", unit, *zip(*pairs, strict=True), agreement, peer.name)
        for what, unit, pairs in rows
    ]


def _comparison(
    task: str,
    unit: str,
    ours: tuple[float, ...],
    theirs: tuple[float, ...],
    agreement: dict[str, float],
    peer: str,
) -> Comparison:
    return Comparison("infer", task, _OURS, peer, unit, False, ours, theirs, agreement)
