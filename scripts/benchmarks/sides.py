"""The sides of ``infer``: each a process of its own that loads a model and answers when asked.

    Peer (name, which file) -> command -> process <-> "5" / median seconds of 5 calls
                                          of a stream "40" / figures of chunks of 40 ms

The peers run the very files that Linnet runs, but for torch, which runs the weights that they were
written from. The one in node is there if node and the page's runtime (``scripts/vendor-web``) are.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from linnet.decode import greedy
from linnet.errors import LinnetError

_CALLS = 5
_HERE = Path(__file__).parent
_WEB = _HERE.parents[1] / "web" / "vendor"
LogProbs = Float32[np.ndarray, "steps tokens"]


@dataclass(frozen=True)
class Peer:
    """Somebody else who runs the model.

    Attributes:
        name: in the table.
        side: its name in ``answering``; ``node`` stands for ``answering.mjs``.
        int8: runs the file with int8 weights; Linnet then does so too.
        differs: how far its answer is from Linnet's.
        limit: largest difference that counts as the same answer.
    """

    name: str
    side: str
    int8: bool
    differs: Callable[[LogProbs, Shaped[np.ndarray, "..."]], float]
    limit: float


def largest(ours: LogProbs, peer: Shaped[np.ndarray, "..."]) -> float:
    """Give the largest difference of two answers."""
    return float(np.abs(ours - peer).max())


def _tokens(ours: LogProbs, peer: Shaped[np.ndarray, "..."]) -> float:
    """Give 0 if the tokens are the same, else 1: all that a recogniser tells."""
    return float(list(greedy(ours).ids) != peer.tolist())


# Differences of log-probabilities; the parity gate of an export is far stricter.
AGREEMENT = 1e-2
PEERS = (
    Peer("torch eager", "torch", int8=False, differs=largest, limit=AGREEMENT),
    Peer("sherpa-onnx", "sherpa", int8=False, differs=_tokens, limit=0.0),
    Peer("OpenVINO, float32", "openvino", int8=False, differs=largest, limit=AGREEMENT),
    Peer("onnxruntime-web in node", "node", int8=False, differs=largest, limit=AGREEMENT),
    Peer("sherpa-onnx, int8 weights", "sherpa", int8=True, differs=_tokens, limit=0.0),
    Peer("OpenVINO, int8 weights", "openvino", int8=True, differs=largest, limit=AGREEMENT),
    Peer("onnxruntime-web in node, int8", "node", int8=True, differs=largest, limit=AGREEMENT),
)


def present(peer: Peer) -> bool:
    """Tell whether this machine has what the peer runs on."""
    return peer.side != "node" or bool(shutil.which("node") and any(_WEB.glob("ort*.mjs")))


class Side:
    """A process that answers.

    Args:
        side: its name in ``answering`` or ``hearing``.
        model: what it loads.
        clip: what it recognises.
        answer: where it leaves its first answer.
        program: ``answering``, or ``hearing`` for streams.
    """

    def __init__(
        self, side: str, model: Path, clip: Path, answer: Path, program: str = "answering"
    ) -> None:
        self._answer = answer
        arguments = [str(model), str(clip), str(answer)]
        command = [sys.executable, "-m", f"benchmarks.{program}", side, *arguments]
        if side == "node":
            command = ["node", str(_HERE / "answering.mjs"), str(_WEB), *arguments]
        # One thread before anything is imported, and no search for a user's own packages.
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(_HERE.parent),
        }
        started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._line()
        self.start_s = time.perf_counter() - started

    def ask(self) -> float:
        """Give the median seconds of a few calls of ``answering``."""
        return float(self._told(_CALLS))

    def hear(self, chunk_ms: int) -> list[float]:
        """Give the figures of ``hearing`` for chunks of that length."""
        return [float(figure) for figure in json.loads(self._told(chunk_ms))]

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

    def _told(self, number: int) -> str:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise LinnetError(f"a side of infer ended with status {self._process.wait()}")
        return line
