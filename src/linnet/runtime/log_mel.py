"""The front-end of a stream, without torch: samples come in, frames of log-mel go out.

    samples -> mirrored at the start -> frames as they fill -> power spectrum -> log-mel

The same numbers as the front-end gives for the whole recording, whatever the sizes of the pieces:
a frame is computed when its last sample is there, and those that reach beyond the end of the
recording wait for ``flush``, which continues it by its mirror image.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Shaped
from numpy.lib.stride_tricks import sliding_window_view

from linnet.filters import LOG_FLOOR, fft_samples, mel_matrix, povey_window

# Frames computed at once, so that a long piece needs little memory.
_BLOCK_FRAMES = 1000


class LogMel:
    """Kaldi's log-mel filter bank, frame by frame.

    Args:
        settings: of the front-end, as in ``model.json``.
    """

    _waiting: Float32[np.ndarray, " samples"]
    _started: bool
    _samples: int
    _frames: int

    def __init__(self, settings: Mapping[str, Any]) -> None:
        rate, mels = settings["sample_rate"], settings["mels"]
        self.window_samples = round(settings["window_ms"] * rate / 1000)
        self.shift_samples = round(settings["shift_ms"] * rate / 1000)
        self.lead_samples = (self.window_samples - self.shift_samples) // 2
        self._least_samples = max(self.window_samples, settings["stack"] * self.shift_samples)
        self._fft_samples = fft_samples(self.window_samples)
        self._preemphasis = settings["preemphasis"]
        self._window = povey_window(self.window_samples)[1:]
        bins = self._fft_samples // 2 + 1
        self._mel = mel_matrix(mels, bins, rate, settings["low_hz"], settings["high_hz"]).T
        self._begin()

    def push(self, waveform: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames mels"]:
        """Take some samples, any number of them; give the frames that they complete."""
        self._samples += len(waveform)
        self._waiting = np.concatenate([self._waiting, waveform])
        if not self._started and self._samples >= self._least_samples:
            self._waiting = np.concatenate(
                [self._waiting[: self.lead_samples][::-1], self._waiting]
            )
            self._started = True
        return self._complete()

    def flush(self) -> Float32[np.ndarray, "frames mels"]:
        """End the recording; give its remaining frames, none if it was empty. Another may follow.

        A recording shorter than a window or a step is first filled up with zeros.
        """
        if not self._samples:
            return self._complete()
        missing = max(0, self._least_samples - self._samples)
        filled = self.push(np.zeros(missing, np.float32))
        total = (self._samples + self.shift_samples // 2) // self.shift_samples
        reach = (total - self._frames - 1) * self.shift_samples + self.window_samples
        self._waiting = np.concatenate([self._waiting, self._waiting[::-1]])[:reach]
        last = self._complete()
        self._begin()
        return np.concatenate([filled, last])

    def _begin(self) -> None:
        """Stand at the beginning of a recording."""
        self._waiting = np.zeros(0, np.float32)  # from the start of the next frame on
        self._started = False  # whether the mirror image stands before it
        self._samples = 0
        self._frames = 0

    def _complete(self) -> Float32[np.ndarray, "frames mels"]:
        """Give the frames whose samples are all there."""
        if not self._started or len(self._waiting) < self.window_samples:
            return np.zeros((0, self._mel.shape[1]), np.float32)
        frames = sliding_window_view(self._waiting, self.window_samples)[:: self.shift_samples]
        starts = range(0, len(frames), _BLOCK_FRAMES)
        banks = [self._banks(frames[start : start + _BLOCK_FRAMES]) for start in starts]
        self._frames += len(frames)
        self._waiting = self._waiting[len(frames) * self.shift_samples :]
        return np.concatenate(banks)

    def _banks(
        self, frames: Shaped[np.ndarray, "frames samples"]
    ) -> Float32[np.ndarray, "frames mels"]:
        """Give the log-mel of some frames, computed in float64."""
        wide: Float64[np.ndarray, "frames samples"] = frames.astype(np.float64)
        wide -= wide.mean(1, keepdims=True)
        # The window is 0 at a frame's first sample, so that nothing before it matters.
        differences = wide[:, 1:] - self._preemphasis * wide[:, :-1]
        spectrum = np.fft.rfft(differences * self._window, self._fft_samples)
        banks = (spectrum.real**2 + spectrum.imag**2) @ self._mel
        return np.log(np.maximum(banks, math.exp(LOG_FLOOR))).astype(np.float32)
