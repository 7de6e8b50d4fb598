"""What a worker process does for the synthetic corpus: speak utterances and write them.

    Utterance -> espeak-ng | flite -> silence before and after -> a faint hiss -> 16-bit WAV

Apart from ``synthetic``, so that a worker starts without lhotse and torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Int16

from linnet import espeak
from linnet.sources import flite

SYNTHESISERS = {"espeak": espeak, "flite": flite}
_FULL_SCALE = 32768
_RATE_STEP = 100  # Hz: what is a multiple of it is quickly resampled to another


@dataclass(frozen=True)
class Utterance:
    """How one clip is spoken; see :func:`linnet.espeak.speak`.

    ``before_s`` and ``after_s`` of silence surround the speech; a hiss of ``noise_dbfs`` decibels
    against full scale, drawn from ``seed``, lies over all. A vocal tract of ``size`` times the
    voice's own divides all frequencies by that; the speech is as fast as before.
    """

    file: str
    synthesiser: str
    text: str
    voice: str
    rate: int
    pitch: int
    pitch_range: int
    before_s: float
    after_s: float
    noise_dbfs: float
    seed: int
    size: float


def render(utterance: Utterance) -> tuple[Int16[np.ndarray, " samples"], int]:
    """Give the samples of an utterance and their rate in Hz."""
    spoken, sample_rate = SYNTHESISERS[utterance.synthesiser].speak(
        utterance.text,
        voice=utterance.voice,
        rate=round(utterance.rate * utterance.size),
        pitch=utterance.pitch,
        pitch_range=utterance.pitch_range,
    )
    if utterance.size != 1:  # the same samples, played faster or slower
        sample_rate = round(sample_rate / utterance.size / _RATE_STEP) * _RATE_STEP
    silences = (round(utterance.before_s * sample_rate), round(utterance.after_s * sample_rate))
    padded = np.pad(spoken.astype(np.float64), silences)
    level = _FULL_SCALE * 10 ** (utterance.noise_dbfs / 20)
    hiss = level * np.random.default_rng(utterance.seed).standard_normal(len(padded))
    return np.clip(np.rint(padded + hiss), -_FULL_SCALE, _FULL_SCALE - 1).astype(
        np.int16
    ), sample_rate


def write(utterances: Sequence[Utterance], target: Path) -> None:
    """Write each utterance to its file in the folder ``target``."""
    for utterance in utterances:
        samples, sample_rate = render(utterance)
        soundfile.write(target / utterance.file, samples, sample_rate, subtype="PCM_16")
