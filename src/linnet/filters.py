"""The numbers of the front-end: window, filters and cosines, as plain arrays.

Training puts them into a module, export into graphs, and a runtime that computes features by itself
takes them as they are; so they stand below all of these, without torch.
"""

import math

import numpy as np
from jaxtyping import Float64

# Kaldi's floor: the smallest difference of two float32 near 1.
LOG_FLOOR = float(np.log(np.finfo(np.float32).eps))


def fft_samples(window_samples: int) -> int:
    """Give the length of the Fourier transform of a window: the next power of two."""
    return int(2 ** math.ceil(math.log2(window_samples)))


def povey_window(samples: int) -> Float64[np.ndarray, " samples"]:
    """Give Kaldi's Povey window: a Hann window to the power 0.85, zero at its first sample."""
    phase = 2 * np.pi * np.arange(samples) / (samples - 1)
    return (0.5 - 0.5 * np.cos(phase)) ** 0.85


def mel_matrix(
    mels: int, bins: int, sample_rate: int, low_hz: float, high_hz: float
) -> Float64[np.ndarray, "mels bins"]:
    """Give Kaldi's mel filters: triangles with corners equally spaced on the mel scale.

    Args:
        mels: filters.
        bins: bins of the one-sided spectrum, from 0 Hz to half the sample rate.
        sample_rate: in Hz.
        low_hz: where the first triangle starts.
        high_hz: where the last triangle ends.
    """

    def mel(hz: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        return 1127.0 * np.log1p(hz / 700.0)

    first, last = mel(np.array([low_hz, high_hz]))
    corners = np.linspace(first, last, mels + 2)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    points = mel(np.linspace(0.0, sample_rate / 2, bins))[None]
    rising, falling = (points - left) / (centre - left), (right - points) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def dct_matrix(cepstra: int, mels: int) -> Float64[np.ndarray, "cepstra mels"]:
    """Give the orthonormal DCT-II (scipy's ``dct(norm="ortho")``), its first ``cepstra`` rows."""
    k, n = np.arange(cepstra)[:, None], np.arange(mels)[None]
    matrix = np.sqrt(2.0 / mels) * np.cos(np.pi / mels * (n + 0.5) * k)
    matrix[0] /= math.sqrt(2.0)
    return matrix
