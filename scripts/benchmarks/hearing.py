"""One side of a stream in ``infer``, in a process of its own: hears a recording chunk by chunk.

    python -m benchmarks.hearing linnet MODEL CLIP ANSWER     MODEL: a model folder
    python -m benchmarks.hearing torch  MODEL CLIP ANSWER     MODEL: weights and their settings
    python -m benchmarks.hearing sherpa MODEL CLIP ANSWER     MODEL: a stream graph

    chunk -> push, timed -> ... -> latencies of all chunks -> median, percentiles, worst, share

It writes to ANSWER what it heard in the recording, says so in a line, and then for each line with
milliseconds it hears the recording anew in chunks of that length and gives the figures in the order
of ``FIGURES``. When its input ends it gives its peak memory in MB. Linnet and torch share the
log-mel, for torch has no front-end that streams; sherpa-onnx has its own, and answers only when a
piece of the length that the graph's metadata names is there.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32, Shaped

from benchmarks.answering import peak_memory, token_ids
from linnet import audio

SHARE = "share of real time"
FIGURES = ("median", "95th percentile", "99th percentile", "worst", SHARE)
_PERCENTILES = (50, 95, 99, 100)
_FIRST_CHUNK_MS = 160
Waveform = Float32[np.ndarray, " samples"]


class Listener(Protocol):
    """Hears one recording after another."""

    def begin(self) -> None:
        """Stand at the beginning of a recording."""
        ...

    def push(self, chunk: Waveform) -> None:
        """Hear a chunk, and answer what can be answered."""
        ...

    def finish(self) -> Shaped[np.ndarray, "..."]:
        """Give all answers: log-probabilities, or the ids of tokens."""
        ...


class Linnet:
    """Linnet's runtime: onnxruntime, one thread."""

    def __init__(self, path: Path) -> None:
        from linnet import runtime

        self._model = runtime.load(path, threads=1)
        self.begin()

    def begin(self) -> None:
        """Open a stream."""
        self._stream = self._model.steps()
        self._said: list[Float32[np.ndarray, "steps tokens"]] = []

    def push(self, chunk: Waveform) -> None:
        """Hear a chunk."""
        self._said.append(self._stream.push(chunk))

    def finish(self) -> Float32[np.ndarray, "steps tokens"]:
        """Give the log-probabilities."""
        return np.concatenate([*self._said, self._stream.flush()])


class TorchEager:
    """The modules that were trained, step by step, one thread."""

    def __init__(self, path: Path) -> None:
        import torch

        from linnet.frontend import FrontEnd
        from linnet.streaming import network

        torch.set_num_threads(1)
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        self._front_end = FrontEnd(**content["front_end"])
        self._network = network(content["network"])
        self._front_end.load_state_dict(content["front_end_weights"])
        self._network.load_state_dict(content["network_weights"])
        self._front_end.eval()
        self._network.eval()
        self.begin()

    def begin(self) -> None:
        """Open a stream."""
        from linnet.runtime.log_mel import LogMel
        from linnet.streaming import Stream

        self._log_mel = LogMel(self._front_end.settings)
        self._stream = Stream(self._network)
        self._waiting = self._log_mel.push(np.zeros(0, np.float32))
        self._said: list[Float32[np.ndarray, "steps tokens"]] = []

    def push(self, chunk: Waveform) -> None:
        """Hear a chunk."""
        self._hear(self._log_mel.push(chunk))

    def finish(self) -> Float32[np.ndarray, "steps tokens"]:
        """Give the log-probabilities."""
        self._hear(self._log_mel.flush())
        return np.concatenate([*self._said, self._stream.flush()[0].numpy()])

    def _hear(self, log_mel: Float32[np.ndarray, "frames mels"]) -> None:
        """Take some frames; answer the whole steps."""
        import torch

        frames = np.concatenate([self._waiting, log_mel])
        count = len(frames) // self._front_end.stack * self._front_end.stack
        ready, self._waiting = frames[:count], frames[count:]
        if not count:
            return
        with torch.inference_mode():
            batch = torch.from_numpy(ready)[None]
            features, _ = self._front_end.from_log_mel(batch, torch.tensor([count]))
            self._said.append(self._stream.push(features)[0].numpy())


class Sherpa:
    """sherpa-onnx's recogniser of streams, one thread; the tokens lie beside the graph."""

    def __init__(self, path: Path) -> None:
        import sherpa_onnx

        tokens = path.with_name("tokens.txt")
        self._ids = token_ids(tokens)
        self._recogniser = sherpa_onnx.OnlineRecognizer.from_zipformer2_ctc(
            model=str(path), tokens=str(tokens), num_threads=1
        )
        self.begin()

    def begin(self) -> None:
        """Open a stream."""
        self._stream = self._recogniser.create_stream()

    def push(self, chunk: Waveform) -> None:
        """Hear a chunk."""
        self._stream.accept_waveform(audio.SAMPLE_RATE, chunk)
        self._decode()

    def finish(self) -> Shaped[np.ndarray, "..."]:
        """Give the ids of the tokens, of the whole pieces: the end of a recording is left out."""
        self._stream.input_finished()
        self._decode()
        found = json.loads(self._recogniser.get_result_as_json_string(self._stream))
        return np.array([self._ids[token] for token in found["tokens"]], np.int64)

    def _decode(self) -> None:
        while self._recogniser.is_ready(self._stream):
            self._recogniser.decode_stream(self._stream)


SIDES = {"linnet": Linnet, "torch": TorchEager, "sherpa": Sherpa}


def heard(listener: Listener, waveform: Waveform) -> Shaped[np.ndarray, "..."]:
    """Give what it hears in a recording."""
    size = _FIRST_CHUNK_MS * audio.SAMPLE_RATE // 1000
    listener.begin()
    for start in range(0, len(waveform), size):
        listener.push(waveform[start : start + size])
    return listener.finish()


def latencies(listener: Listener, waveform: Waveform, chunk_ms: int) -> list[float]:
    """Hear a recording; give the seconds that each whole chunk took."""
    size = chunk_ms * audio.SAMPLE_RATE // 1000
    took = []
    listener.begin()
    for start in range(0, len(waveform) - size + 1, size):
        chunk = waveform[start : start + size]
        started = time.perf_counter()
        listener.push(chunk)
        took.append(time.perf_counter() - started)
    return took


def figures(took: Sequence[float], chunk_ms: int) -> list[float]:
    """Give ``FIGURES`` of the seconds that chunks took: milliseconds, and the share."""
    percentiles = [float(1000 * value) for value in np.percentile(took, _PERCENTILES)]
    return [*percentiles, sum(took) / (len(took) * chunk_ms / 1000)]


def main(side: str, model: str, clip: str, answer: str) -> None:
    """Hear as the module's first lines say."""
    listener: Listener = SIDES[side](Path(model))
    waveform = audio.read(clip)
    np.save(answer, heard(listener, waveform))
    print("ready", flush=True)
    for line in sys.stdin:
        chunk_ms = int(line)
        print(json.dumps(figures(latencies(listener, waveform, chunk_ms), chunk_ms)), flush=True)
    print(peak_memory(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
