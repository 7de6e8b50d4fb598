"""What the parity gate tries a graph with beside recordings: awkward lengths, levels and batches.

Lengths around one window and one step, primes, nothing at all, ten minutes; silence; full-scale
clipping; batches whose padding holds junk.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from linnet.frontend import FrontEnd

# An underscore: the clips of a collection have lengths of their own.
Waveform = Float32[np.ndarray, " _samples"]
LogMel = Float32[np.ndarray, "_frames mels"]

_PRIMES = (1009, 7919, 15013)
_NOISE = 0.01
_OVERDRIVE = 20.0
_JUNK = 1e4


def hard(front_end: FrontEnd, clips: Sequence[Waveform], longest_s: float) -> dict[str, Waveform]:
    """Give waveforms of awkward lengths and levels, made of ``clips``, each with a name."""
    rate, window = front_end.sample_rate, front_end.window_samples
    tape = np.concatenate(clips)
    lengths = {0, 1, window - 1, window, window + 1, front_end.least_samples, *_PRIMES}
    shapes = {f"{n} samples": np.resize(tape, n) for n in sorted(lengths)}
    shapes["silence"] = np.zeros(rate, np.float32)
    loudest = max(float(np.abs(tape).max()), 1e-9)
    shapes["full-scale clipping"] = np.clip(
        np.resize(tape, rate) * (_OVERDRIVE / loudest), -1.0, 1.0
    )
    noise = np.random.default_rng(0).standard_normal(round(longest_s * rate), dtype=np.float32)
    shapes[f"{longest_s:g} s"] = np.resize(tape, len(noise)) + np.float32(_NOISE) * noise
    return {name: waveform.astype(np.float32) for name, waveform in shapes.items()}


def glides(sample_rate: int) -> dict[str, Waveform]:
    """Give gliding tones in noise, each of another length."""
    random = np.random.default_rng(1)
    made = {}
    for i, length_s in enumerate((0.31, 0.57, 1.03)):
        time = np.arange(round(length_s * sample_rate)) / sample_rate
        tone = 0.2 * np.sin(2 * np.pi * (200 + 300 * i) * time * (1 + time))
        noise = 0.05 * random.standard_normal(len(time)) * np.abs(np.sin(9 * time + i))
        made[f"glide {i}"] = (tone + noise).astype(np.float32)
    return made


def junk_padded(
    log_mels: Sequence[LogMel],
) -> tuple[Float32[np.ndarray, "batch frames mels"], Int64[np.ndarray, " batch"]]:
    """Join clips to a batch with junk, NaN among it, beyond each one's end."""
    lengths = np.array([len(log_mel) for log_mel in log_mels])
    shape = (len(log_mels), lengths.max() + 3, log_mels[0].shape[1])
    batch = np.random.default_rng(0).normal(0.0, _JUNK, shape).astype(np.float32)
    batch[:, -1] = np.nan
    for row, log_mel in zip(batch, log_mels, strict=True):
        row[: len(log_mel)] = log_mel
    return batch, lengths
