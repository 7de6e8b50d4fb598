"""The feature fingerprint, checked by whoever computes features: ours must be the model's.

integers -> noise -> log-mel -> cepstra -> a few of them = those in model.json?
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32

from linnet.errors import ModelError
from linnet.filters import dct_matrix
from linnet.runtime.log_mel import LogMel

RULE = "state = (1103515245 * state + 12345) mod 2**31; sample = (state >> 15) / 32768 - 1"
SAMPLES = 4000
FIRST_STATE = 1


def fixed_waveform() -> Float32[np.ndarray, " samples"]:
    """Give the waveform of ``RULE``: noise that integers of 31 bits make, exact in float32."""
    state, samples = FIRST_STATE, []
    for _ in range(SAMPLES):
        state = (1103515245 * state + 12345) % 2**31
        samples.append((state >> 15) / 32768 - 1)
    return np.array(samples, dtype=np.float32)


def check(description: Mapping[str, Any], name: str) -> None:
    """See that the features computed here are those the model was trained on.

    Args:
        description: the content of ``model.json``.
        name: what errors call the model.

    Raises:
        ModelError: they are not, or the description does not say what they should be.
    """
    try:
        settings, stated = description["front_end"], description["fingerprint"]
        given, expected = stated["waveform"], np.array(stated["cepstra"], np.float64)
        frames, tolerance = [int(frame) for frame in stated["frames"]], float(stated["tolerance"])
        front_end = LogMel(settings)
        waveform = fixed_waveform()
        log_mel = np.concatenate([front_end.push(waveform), front_end.flush()])[frames]
        dct = dct_matrix(settings["cepstra"], settings["mels"])[: expected.shape[1]]
        difference = float(np.abs(log_mel @ dct.T - expected).max())
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: its feature fingerprint lacks or spoils something ({error!r}); "
            "export it again"
        ) from error
    known = (RULE, FIRST_STATE, SAMPLES)
    if (given.get("rule"), given.get("first_state"), given.get("samples")) != known:
        raise ModelError(
            f"{name}: its feature fingerprint is of a waveform that this Linnet does not know; "
            "export it again with this Linnet"
        )
    if not difference <= tolerance:
        raise ModelError(
            f"{name}: the features computed here differ from the model's by {difference:.3g} (at "
            f"most {tolerance:g} is allowed): model.json was changed, or is of another export; "
            "export it again"
        )
