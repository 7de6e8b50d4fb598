"""Recognition: the exported graph on onnxruntime against the modules in torch, one thread each.

    checkpoint -> model.onnx -> a process of Linnet's runtime \
               -> weights    -> a process of torch, eager     / take turns

Each side is a process of its own (``answering``), so that start-up and memory are its own. Both
live at the same time and are asked in turn: five calls a turn, of which the median counts.
Start-up is from starting the interpreter to the first answer. Memory is the most that a process
held. Unless a checkpoint is given, the model has the size that ``linnet train`` takes when nothing
is said, and random weights. The two sides must agree, or there is no figure.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import torch

from benchmarks import clips
from benchmarks.comparing import Comparison, alternate
from benchmarks.options import Options
from linnet import audio
from linnet.apps import config
from linnet.errors import LinnetError, ModelError
from linnet.export import export
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.module import Recogniser, load
from linnet.runtime import WAVEFORM_GRAPH
from linnet.text import Characters

_OURS, _PEER = "model.onnx, linnet.runtime", "torch eager"
_SECONDS = (1, 10)
_CALLS = 5
# Differences of log-probabilities; the parity gate of an export is far stricter.
_AGREEMENT = 1e-2


@dataclass(frozen=True)
class Models:
    """The same model as each side loads it."""

    linnet: Path
    torch: Path


class Side:
    """A process that answers.

    Args:
        side: its name in ``answering``.
        model: what it loads.
        clip: what it recognises.
        answer: where it leaves its first answer.
    """

    def __init__(self, side: str, model: Path, clip: Path, answer: Path) -> None:
        self._answer = answer
        arguments = [side, str(model), str(clip), str(answer)]
        # One thread before anything is imported, and no search for a user's own packages.
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.answering", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._line()
        self.start_s = time.perf_counter() - started

    def ask(self) -> float:
        """Give the median seconds of a few calls."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{_CALLS}\n")
        self._process.stdin.flush()
        return float(self._line())

    def end(self) -> float:
        """End the process and give its peak memory in MB."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        peak = float(self._line())
        self._process.wait()
        return peak

    def answer(self) -> np.ndarray:
        """Give its first answer."""
        return np.load(self._answer)

    def stop(self) -> None:
        """End the process in whatever state it is."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise LinnetError(f"a side of infer ended with status {self._process.wait()}")
        return line


def run(options: Options) -> list[Comparison]:
    """Compare latency, start-up and memory for each length, and the files."""
    with TemporaryDirectory(prefix="linnet-bench-") as folder:
        models = prepare(recogniser(options.model), Path(folder))
        found = []
        for seconds in _SECONDS:
            clip = Path(folder) / f"{seconds}.wav"
            soundfile.write(clip, clips.tone(seconds, float(seconds)), audio.SAMPLE_RATE)
            found += _compare(models, clip, seconds, options)
        sizes = [(path.stat().st_size / 2**20,) for path in (models.linnet, models.torch)]
        found.append(_comparison("file", "MB", sizes[0], sizes[1], {}))
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
        network = Network(features=front_end.features, tokens=len(tokens.tokens), **arguments)
    return Recogniser(front_end, network, tokens).eval()


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
    return Models(linnet=exported / WAVEFORM_GRAPH, torch=weights)


def _compare(models: Models, clip: Path, seconds: int, options: Options) -> list[Comparison]:
    """Give latency, start-up and memory for one length."""
    starts, memory, latency = [], [], []
    difference = 0.0
    for _ in range(options.starts):
        ours = Side("linnet", models.linnet, clip, clip.with_suffix(".linnet.npy"))
        try:
            peer = Side("torch", models.torch, clip, clip.with_suffix(".torch.npy"))
        except BaseException:
            ours.stop()
            raise
        try:
            starts.append((ours.start_s, peer.start_s))
            latency += zip(*alternate(ours.ask, peer.ask, options.turns), strict=True)
            difference = max(difference, float(np.abs(ours.answer() - peer.answer()).max()))
            memory.append((ours.end(), peer.end()))
        finally:
            ours.stop()
            peer.stop()
    if difference > _AGREEMENT:
        raise LinnetError(f"infer: the two sides differ by {difference:.2g} on {seconds} s")
    real_time = [tuple(one / seconds for one in pair) for pair in latency]
    milliseconds = [tuple(1000 * one for one in pair) for pair in latency]
    agreement = {"largest_difference": difference}
    return [
        _comparison(f"{seconds} s: latency", "ms", *zip(*milliseconds, strict=True), agreement),
        _comparison(
            f"{seconds} s: real-time factor", "x", *zip(*real_time, strict=True), agreement
        ),
        _comparison(f"{seconds} s: start to answer", "s", *zip(*starts, strict=True), agreement),
        _comparison(f"{seconds} s: peak memory", "MB", *zip(*memory, strict=True), agreement),
    ]


def _comparison(
    task: str,
    unit: str,
    ours: tuple[float, ...],
    peer: tuple[float, ...],
    agreement: dict[str, float],
) -> Comparison:
    return Comparison("infer", task, _OURS, _PEER, unit, False, ours, peer, agreement)
