"""Windows: a network that must hear a whole recording listens to a stream without end.

    samples -> | left context | steps that are read | right context | -> log-probabilities
                      `- slides on by as many steps as are read

A bidirectional network has no state to carry. So a window slides over the stream, and of each the
steps in the middle are read, which have context on both sides. The first window is read from its
beginning and the last to its end: a recording that fits into one window gives exactly what it
gives as a whole. Windows stand at fixed places of the stream, so nothing depends on the sizes of
the chunks it comes in.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from linnet.errors import ConfigError


@runtime_checkable
class StepStream(Protocol):
    """Whatever turns the samples of a stream into log-probabilities of steps, in order."""

    @property
    def delay(self) -> int:
        """The most samples that may come after a sample before the steps that hold it are given."""
        ...

    def push(self, waveform: Float32[np.ndarray, " samples"]) -> Float[np.ndarray, "steps tokens"]:
        """Take some samples at the model's rate; give the steps that they complete."""
        ...

    def flush(self) -> Float[np.ndarray, "steps tokens"]:
        """End the stream; give the remaining steps. A new stream may follow."""
        ...


class Windows:
    """Reads a stream through a sliding window.

    Args:
        log_probs: gives the log-probabilities of a waveform.
        tokens: how many each step has.
        step_samples: length of a step.
        left: samples of context before what is read, rounded up to steps, as are the next two.
        read: samples that are read of each window, and by which it slides on.
        right: samples of context after what is read.

    Raises:
        ConfigError: a length is negative, or nothing would be read.
    """

    def __init__(
        self,
        log_probs: Callable[[Float32[np.ndarray, " samples"]], Float[np.ndarray, "steps tokens"]],
        tokens: int,
        step_samples: int,
        *,
        left: int,
        read: int,
        right: int,
    ) -> None:
        if min(left, right) < 0 or read < 1:
            raise ConfigError(
                f"a window of {left} + {read} + {right} samples reads nothing; expected contexts "
                "of at least 0 and 1 sample or more between them"
            )
        self._log_probs = log_probs
        self._step_samples = step_samples
        self._left, self._read, self._right = (
            math.ceil(samples / step_samples) for samples in (left, read, right)
        )
        self._nothing = np.zeros((0, tokens), np.float32)
        self._waveform = np.zeros(self._window_samples, np.float32)
        self._begin()

    @property
    def delay(self) -> int:
        """The most samples that may come after a sample before the steps that hold it are given."""
        return (self._read + self._right) * self._step_samples

    def push(self, waveform: Float32[np.ndarray, " samples"]) -> Float[np.ndarray, "steps tokens"]:
        """Take some samples, any number of them; give the steps that they complete."""
        found = [self._nothing]
        taken = 0
        while taken < len(waveform):
            count = min(len(waveform) - taken, len(self._waveform) - self._samples)
            place = slice(self._samples, self._samples + count)
            self._waveform[place] = waveform[taken : taken + count]
            self._samples += count
            taken += count
            if self._samples == len(self._waveform):
                found.append(self._heard())
        return np.concatenate(found)

    def flush(self) -> Float[np.ndarray, "steps tokens"]:
        """End the stream; give the remaining steps. A new stream may follow."""
        last = self._nothing
        if self._samples > self._done * self._step_samples:
            last = self._log_probs(self._waveform[: self._samples])[self._done :]
        self._begin()
        return last

    @property
    def _window_samples(self) -> int:
        return (self._left + self._read + self._right) * self._step_samples

    def _begin(self) -> None:
        """Stand at the beginning of a stream."""
        self._samples = 0  # of the window, present
        self._done = 0  # steps of the window, read already

    def _heard(self) -> Float[np.ndarray, "steps tokens"]:
        """Read a full window and slide on."""
        until = self._left + self._read
        found = self._log_probs(self._waveform)[self._done : until]
        shift = self._read * self._step_samples
        self._samples -= shift
        self._waveform[: self._samples] = self._waveform[shift:].copy()
        self._done = self._left
        return found
