"""Checks: what is no waveform, and what is no sample rate, is refused by name."""

import numpy as np
from jaxtyping import Float32, Shaped

from linnet.errors import InputError

_LOWEST_RATE, _HIGHEST_RATE = 1000, 768000


def checked(waveform: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, " samples"]:
    """Give the waveform if it is one."""
    if waveform.ndim != 1:
        raise InputError(
            f"the waveform has the shape {waveform.shape}; expected one axis of samples: take the "
            "mean of the channels, or one clip at a time"
        )
    if waveform.dtype != np.float32:
        raise InputError(
            f"the waveform is {waveform.dtype}; expected float32 in +-1 (divide 16-bit integers by "
            "32768)"
        )
    if not np.isfinite(waveform).all():
        raise InputError("the waveform holds NaN or infinity; repair it first")
    return waveform


def check_rate(sample_rate: int) -> None:
    """Refuse what is no sample rate."""
    if not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
        raise InputError(
            f"sample_rate={sample_rate} Hz is no rate of a recording; expected "
            f"{_LOWEST_RATE} to {_HIGHEST_RATE}"
        )
