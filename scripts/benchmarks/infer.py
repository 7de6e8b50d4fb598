"""Recognition: the exported graph on onnxruntime against others who run it, one thread each.

    checkpoint -> model.onnx, model.int8.onnx -> a process of Linnet's runtime  / take turns
                                              -> sherpa-onnx, OpenVINO, node    /
               -> weights                     -> torch, eager                  /

Each side is a process of its own (``sides``, ``answering``), so that start-up and memory are its
own. Two live at the same time and are asked in turn: five calls a turn, of which the median counts.
Start-up is from starting the interpreter to the first answer. Memory is the most that a process
held. Unless a checkpoint is given, the model has the size that ``linnet train`` takes when nothing
is said, and random weights. The two sides must agree, or there is no figure. How the cost grows
with the length of a recording is drawn as a curve (``lengths``).
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import soundfile
import torch
from hydra.utils import get_class

from benchmarks import clips, lengths
from benchmarks.comparing import Comparison, alternate
from benchmarks.options import Options
from benchmarks.sides import PEERS, Peer, Side, present
from linnet import audio
from linnet.apps import config
from linnet.errors import LinnetError, ModelError
from linnet.export import export
from linnet.export.int8 import int8_name
from linnet.frontend import FrontEnd
from linnet.module import Recogniser, load
from linnet.runtime import WAVEFORM_GRAPH
from linnet.text import Characters

_OURS = "linnet.runtime"
_PICTURE = Path("bench/infer.png")


@dataclass(frozen=True)
class Models:
    """The same model as each side loads it."""

    linnet: Path
    int8: Path
    torch: Path


def run(options: Options) -> list[Comparison]:
    """Compare latency, start-up and memory for each length, and the files; draw the curve."""
    with TemporaryDirectory(prefix="linnet-bench-") as folder:
        models = prepare(recogniser(options.model), Path(folder))
        found = []
        for seconds in options.compared_s:
            clip = Path(folder) / f"{seconds}.wav"
            soundfile.write(clip, clips.tone(seconds, float(seconds)), audio.SAMPLE_RATE)
            for peer in filter(present, PEERS):
                if options.int8_peers or not peer.int8:
                    found += _compare(models, peer, clip, seconds, options)
        sizes = {path: (path.stat().st_size / 2**20,) for path in vars(models).values()}
        ours = sizes[models.linnet]
        found.append(_comparison("file", "MB", ours, sizes[models.torch], {}, PEERS[0].name))
        named = "model.onnx, float32 weights"
        found.append(_comparison("file, int8", "MB", sizes[models.int8], ours, {}, named))
        if options.lengths_s:
            lengths.draw(models.linnet, options.lengths_s, _PICTURE)
    return found


def recogniser(path: Path | None) -> Recogniser:
    """Give the recogniser of a checkpoint or a run folder; of random weights if None.

    Raises:
        ModelError: there is no checkpoint.
    """
    if path is not None:
        if path.is_dir() and not (path / "checkpoints").is_dir():
            raise ModelError(
                f"{path}: no run folder of linnet train; give one, or a .ckpt: both sides need it"
            )
        return load(path / "checkpoints" / "best.ckpt" if path.is_dir() else path)[0]
    settings = config.compose("train", [])
    tokens = Characters(settings.tokenizer.alphabet)
    front_end = FrontEnd(**_arguments(settings.frontend))
    arguments = _arguments(settings.model)
    del arguments["stack"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = get_class(settings.model["_target_"])
        network = made(features=front_end.features, tokens=len(tokens.tokens), **arguments).eval()
    return Recogniser(front_end, network.plain(), tokens).eval()


def _arguments(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - a group of settings
    return {str(key): value for key, value in settings.items() if key != "_target_"}


def prepare(model: Recogniser, folder: Path) -> Models:
    """Write ``model`` as each side loads it."""
    exported = folder / "model"
    heard = [clips.tone(number, 1.0) for number in range(2)]
    export(
        model.front_end,
        model.network,
        model.tokenizer,
        {},
        exported,
        heard,
        longest_s=1.0,
        say=lambda _: None,
    )
    weights = folder / "weights.pt"
    content = {
        "front_end": model.front_end.settings,
        "network": model.network.settings,
        "front_end_weights": model.front_end.state_dict(),
        "network_weights": model.network.state_dict(),
    }
    torch.save(content, weights)
    return Models(
        linnet=exported / WAVEFORM_GRAPH, int8=exported / int8_name(WAVEFORM_GRAPH), torch=weights
    )


def _compare(
    models: Models, peer: Peer, clip: Path, seconds: int, options: Options
) -> list[Comparison]:
    """Give latency, start-up and memory for one length beside one peer."""
    starts, memory, latency = [], [], []
    difference = 0.0
    graph = models.int8 if peer.int8 else models.linnet
    theirs = models.torch if peer.side == "torch" else graph
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
