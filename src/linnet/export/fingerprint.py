"""The feature fingerprint: a few cepstra of a waveform that any runtime can make by itself.

    integers -> noise -> level (if the front-end does so) -> log-mel -> cepstra -> a few of them

A runtime that computes features on its own compares and refuses to start if they are not these.
"""

import copy

import numpy as np
import torch

from linnet.frontend import FrontEnd
from linnet.runtime.fingerprint import FIRST_STATE, RULE, SAMPLES, fixed_waveform

_SHOWN = 13
_DIGITS = 4
# Twice what separates well-known implementations of the same definition.
_TOLERANCE = 0.01


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
        "waveform": {"rule": RULE, "first_state": FIRST_STATE, "samples": SAMPLES},
        "levelled": front_end.normalise_waveform,
        "frames": frames,
        "cepstra": np.round(cepstra[frames, :_SHOWN], _DIGITS).tolist(),
        "tolerance": _TOLERANCE,
    }
