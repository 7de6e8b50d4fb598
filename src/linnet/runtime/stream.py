"""Streams: a causal model hears samples as they come and answers a few steps late.

    samples -> log-mel (numpy) -> whole chunks -> stream graph, states carried -> log-probabilities

What comes out, put together, is what the whole recording would give, whatever the sizes of the
pieces. The features are computed here, so a model is opened only if its fingerprint fits.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float32, Shaped

from linnet.errors import InputError, ModelError
from linnet.filters import LOG_FLOOR
from linnet.runtime import fingerprint
from linnet.runtime.checking import checked
from linnet.runtime.log_mel import LogMel

_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def streams(description: Mapping[str, Any]) -> bool:
    """Tell from the content of ``model.json`` whether a model streams."""
    return "stream" in description


@dataclass(frozen=True)
class Steps:
    """How a stream graph counts.

    Args:
        frames: that make one step.
        chunk_frames: the graph takes multiples of these.
        delay: steps by which its answers come late.
        filling: a frame that stands for what follows the end.
    """

    frames: int
    chunk_frames: int
    delay: int
    filling: Float32[np.ndarray, " mels"]

    @staticmethod
    def of(description: Mapping[str, Any], name: str) -> "Steps":
        """Read them from the content of ``model.json``.

        Raises:
            ModelError: they are not there: the model does not stream.
        """
        if not streams(description):
            raise ModelError(
                f"{name}: this model needs the whole recording and cannot stream; train one with "
                "model=gru_stream or model=lcbigru"
            )
        try:
            stream = description["stream"]
            return Steps(
                int(description["subsampling"]["frames"]),
                int(stream["chunk_frames"]),
                int(stream["delay_steps"]),
                np.array(stream["filling"], np.float32),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{name}: its description lacks or spoils something ({error!r}); export it again"
            ) from error


class GraphStream:
    """A stream graph and the states it carries: log-mel in, log-probabilities out.

    Args:
        session: of a stream graph.
        steps: how it counts.
        batch: streams side by side.
    """

    _waiting: Float32[np.ndarray, "batch frames mels"]
    _given: int
    _done: int

    def __init__(
        self, session: onnxruntime.InferenceSession, steps: Steps, *, batch: int = 1
    ) -> None:
        self._session = session
        self._steps = steps
        self._batch = batch
        self._tokens = session.get_outputs()[0].shape[-1]
        self._begin()

    def push(
        self, log_mel: Float32[np.ndarray, "batch frames mels"]
    ) -> Float32[np.ndarray, "batch steps tokens"]:
        """Take some frames, any number of them; give the steps that they make possible."""
        self._given += log_mel.shape[1]
        self._waiting = np.concatenate([self._waiting, log_mel], axis=1)
        return self._answered()

    def flush(self) -> Float32[np.ndarray, "batch steps tokens"]:
        """End the stream; give the steps still due, none if it was empty. Another may follow."""
        steps = self._steps
        if self._given:
            short = max(0, steps.frames - self._given)
            self._waiting = self._filled(np.array(LOG_FLOOR), short)
            self._given += short
        rest = self._given % steps.frames
        self._waiting = self._waiting[:, : self._waiting.shape[1] - rest]
        due = (self._given // steps.frames - self._done) * steps.frames
        needed = -(-due // steps.chunk_frames) * steps.chunk_frames if self._given else 0
        self._waiting = self._filled(steps.filling, needed - self._waiting.shape[1])
        last = self._answered()
        self._begin()
        return last

    def _begin(self) -> None:
        """Stand at the beginning of a stream."""
        inputs = self._session.get_inputs()
        mels = inputs[0].shape[-1]
        self._waiting = np.zeros((self._batch, 0, mels), np.float32)
        self._given = 0  # frames
        self._done = -self._steps.delay  # steps answered; first those before the start
        self._states = {
            state.name: np.zeros(
                [size if isinstance(size, int) else self._batch for size in state.shape],
                _TYPES[state.type],
            )
            for state in inputs[1:]
        }

    def _filled(
        self, filling: Shaped[np.ndarray, "..."], frames: int
    ) -> Float32[np.ndarray, "batch longer mels"]:
        """Give the waiting frames and some more, all alike."""
        missing = np.zeros((self._batch, max(0, frames), self._waiting.shape[2]), np.float32)
        missing += filling
        return np.concatenate([self._waiting, missing], axis=1)

    def _answered(self) -> Float32[np.ndarray, "batch steps tokens"]:
        """Run the whole chunks that wait; leave out what precedes or follows the recording."""
        steps = self._steps
        frames = self._waiting.shape[1] // steps.chunk_frames * steps.chunk_frames
        if not frames:
            return np.zeros((self._batch, 0, self._tokens), np.float32)
        ready, self._waiting = self._waiting[:, :frames], self._waiting[:, frames:]
        log_probs, *states = self._session.run(None, {"x": ready, **self._states})
        self._states = dict(zip(self._states, states, strict=True))
        first, last = max(0, -self._done), self._given // steps.frames - self._done
        self._done += frames // steps.frames
        return log_probs[:, first : max(first, last)]


class Stream:
    """A recording that is heard as it comes. One thread at a time; each stream has its own state.

    Args:
        session: of a stream graph, which any number of streams may share.
        description: the content of ``model.json``.
        name: what errors call the model.

    Raises:
        ModelError: the model does not stream, or was trained on other features.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, description: Mapping[str, Any], name: str
    ) -> None:
        self._steps = Steps.of(description, name)
        fingerprint.check(description, name)
        self._log_mel = LogMel(description["front_end"])
        self._graph = GraphStream(session, self._steps)
        self._busy = threading.Lock()

    @property
    def delay(self) -> int:
        """The most samples that may come after a sample before the steps that hold it are given."""
        front_end, steps = self._log_mel, self._steps
        frames = steps.chunk_frames + steps.delay * steps.frames
        beyond = front_end.window_samples - front_end.lead_samples - front_end.shift_samples
        return frames * front_end.shift_samples + beyond

    def push(self, waveform: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "steps tokens"]:
        """Take some samples; give the log-probabilities of the steps that they make possible.

        Args:
            waveform: samples in +-1 at the model's rate, one axis, float32; any number of them.

        Raises:
            InputError: it is none of these, or holds NaN or infinity (the stream stays as it was),
                or another thread is using the stream.
        """
        samples = checked(waveform)
        with self._alone():
            return self._graph.push(self._log_mel.push(samples)[None])[0]

    def flush(self) -> Float32[np.ndarray, "steps tokens"]:
        """End the recording; give the remaining steps. A new recording may follow.

        Raises:
            InputError: another thread is using the stream.
        """
        with self._alone():
            last = self._graph.push(self._log_mel.flush()[None])
            return np.concatenate([last, self._graph.flush()], axis=1)[0]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a second thread: what comes in would be mixed up."""
        if not self._busy.acquire(blocking=False):
            raise InputError(
                "two threads use one stream at the same time; open a stream for each, they share "
                "the model"
            )
        try:
            yield
        finally:
            self._busy.release()
