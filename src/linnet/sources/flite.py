"""Speak a text with the program flite, whose voices were learnt from recordings of people.

    text, voice, rate, pitch -> flite -> 16-bit samples, cut to the speech

espeak-ng computes a voice from rules; these four were built from people who read English: two
Americans (kal16, rms), an American woman (slt) and a Scot (awb). ``rms`` keeps its own pitch. The
same call gives the same samples. Like ``espeak`` this module runs in worker processes and imports
neither lhotse nor torch.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Int16

from linnet.errors import CorpusError, LinnetError

# Each voice's own pitch and its spread in Hz, as measured in a sentence that it reads.
_PITCH_HZ = {"awb": (129, 12), "kal16": (89, 7), "rms": (101, 12), "slt": (175, 10)}
_RATE = 175  # words a minute, unstretched
_OCTAVE = 50  # steps of pitch
_SPEECH = 0.01  # of the loudest sample


def speak(
    text: str, *, voice: str, rate: int, pitch: int, pitch_range: int
) -> tuple[Int16[np.ndarray, " samples"], int]:
    """Give samples and their rate in Hz; see :func:`linnet.espeak.speak`."""
    own_pitch, own_spread = _PITCH_HZ[voice]
    settings = {
        "duration_stretch": _RATE / rate,
        "int_f0_target_mean": own_pitch * 2 ** ((pitch - 50) / _OCTAVE),
        "int_f0_target_stddev": own_spread * pitch_range / 50,
    }
    given = [part for name, value in settings.items() for part in ("--setf", f"{name}={value:.3f}")]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "spoken.wav"
        done = subprocess.run(  # noqa: S603 - a program of the user's own
            [_program(), "-voice", voice, *given, "-t", text, "-o", str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not target.is_file():
            raise LinnetError(f"flite could not say {text!r}: {done.stderr.strip()}")
        samples, sample_rate = soundfile.read(target, dtype="int16")
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SPEECH * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0], sample_rate


def check(voices: Sequence[str], accents: Sequence[str]) -> None:
    """Look for the program and its voices.

    Raises:
        CorpusError: flite is not installed, or has no such voice; its voices have one accent each.
    """
    _program()
    for voice in voices:
        if voice not in _PITCH_HZ:
            raise CorpusError(f"flite has no voice {voice!r}; it has {', '.join(_PITCH_HZ)}")
    if accents:
        raise CorpusError(
            f"flite's voices have their own accents, got {list(accents)}; expected []"
        )


def _program() -> str:
    found = shutil.which("flite")
    if found is None:
        raise CorpusError(
            "flite is not installed; install it (apt install flite, brew install flite), or leave "
            "its voices out: data.corpora.flite_keywords=null data.corpora.flite_confusers=null "
            "data.corpora.flite_others=null"
        )
    return found
