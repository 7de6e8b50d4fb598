"""The feature fingerprint: a few cepstra of a waveform that any runtime can make by itself.

    integers -> noise -> level (if the front-end does so) -> log-mel -> cepstra -> a few of them

A runtime that computes features on its own compares and refuses to start if they are not these.
"""

import copy

import numpy as np
import torch
from jaxtyping import Float32

from linnet.frontend import FrontEnd

RULE = "state = (1103515245 * state + 12345) mod 2**31; sample = (state >> 15) / 32768 - 1"
_SAMPLES = 4000
_STATE = 1
_SHOWN = 13
_DIGITS = 4
# Twice what separates well-known implementations of the same definition.
_TOLERANCE = 0.01


def fixed_waveform() -> Float32[np.ndarray, " samples"]:
    """Give the waveform of ``RULE``: noise that integers of 31 bits make, exact in float32."""
    state, samples = _STATE, []
    for _ in range(_SAMPLES):
        state = (1103515245 * state + 12345) % 2**31
        samples.append((state >> 15) / 32768 - 1)
    return np.array(samples, dtype=np.float32)


def fingerprint(front_end: FrontEnd) -> dict[str, object]:
    """Give the fingerprint of a front-end: cepstra before normalisation, at three frames."""
    exact = copy.deepcopy(front_end).to("cpu", torch.float64).eval()
    waveform = torch.from_numpy(fixed_waveform()).double()[None]
    samples = torch.tensor([waveform.shape[1]])
    with torch.no_grad():
        log_mel = exact.log_mel(exact.level(waveform, samples), samples)[0]
        cepstra = (log_mel @ exact.dct).numpy()
    frames = [0, len(cepstra) // 2, len(cepstra) - 1]
    return {
        "waveform": {"rule": RULE, "first_state": _STATE, "samples": _SAMPLES},
        "levelled": front_end.normalise_waveform,
        "frames": frames,
        "cepstra": np.round(cepstra[frames, :_SHOWN], _DIGITS).tolist(),
        "tolerance": _TOLERANCE,
    }
