"""espeak-ng's shared library speaks a text, or tells how a word is pronounced.

    text, voice, rate, pitch -> libespeak-ng (ctypes) -> 16-bit samples
    words, accent            ->                       -> phonemes

The same call gives the same anywhere.

The synthesiser keeps state between utterances (phases, filters, a random generator), so the samples
would depend on what was said before. The library is therefore loaded afresh for each utterance,
which costs 3 ms. This module imports neither lhotse nor torch: it runs in worker processes.
"""

import ctypes
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16

from linnet.errors import CorpusError, LinnetError, MissingExtraError

# Names and values of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8 = 1
_IPA = 0x02
# Where it takes a word for one of another language, it names the language.
_LANGUAGE = re.compile(r"\([^)]*\)")
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def speak(
    text: str, *, voice: str, rate: int, pitch: int, pitch_range: int
) -> tuple[Int16[np.ndarray, " samples"], int]:
    """Give samples and their rate in Hz.

    Args:
        text: what to say.
        voice: a language and perhaps a variant, such as ``en-us+f2``.
        rate: words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        pitch_range: 0 (monotone) to 99; 50 is the voice's own.

    Raises:
        CorpusError: espeak-ng has no such voice.
        MissingExtraError: espeakng-loader is not installed.
    """
    heard: list[Int16[np.ndarray, " samples"]] = []

    def hear(wave: Any, samples: int, _events: Any) -> int:  # noqa: ANN401  (pointers)
        if wave and samples:
            heard.append(np.ctypeslib.as_array(wave, (samples,)).copy())
        return 0

    callback = _CALLBACK(hear)
    with _started() as (library, sample_rate):
        library.espeak_SetSynthCallback(callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the clock seeds breath and echo
        if library.espeak_SetVoiceByName(voice.encode()):
            raise CorpusError(f"espeak-ng has no voice {voice!r}; expected one such as en-us+f2")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            library.espeak_SetParameter(parameter, value, 0)
        spoken = text.encode()
        library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, _UTF8, None, None)
    return np.concatenate(heard) if heard else np.zeros(0, np.int16), sample_rate


def pronounce(words: Sequence[str], *, accent: str) -> list[str]:
    """Give how each word is said, in the International Phonetic Alphabet, with stress and length.

    Args:
        words: read one by one.
        accent: a language, such as ``en-us``.

    Raises:
        CorpusError: espeak-ng has no such accent.
        MissingExtraError: espeakng-loader is not installed.
    """
    with _started() as (library, _):
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        if library.espeak_SetVoiceByName(accent.encode()):
            raise CorpusError(f"espeak-ng has no accent {accent!r}; expected one such as en-us")
        return [_phonemes(library, word) for word in words]


def _phonemes(library: ctypes.CDLL, word: str) -> str:
    rest = ctypes.c_char_p(word.encode())
    clauses = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA).decode())
    return _LANGUAGE.sub("", " ".join(clauses))


def check(voices: Sequence[str], accents: Sequence[str]) -> None:
    """Look for the voices: variants such as ``f2``, each in accents such as ``en-us``.

    Raises:
        CorpusError: espeak-ng has no such variant or accent.
        MissingExtraError: espeakng-loader is not installed.
    """
    known = sorted(path.name for path in (Path(_paths()[1]) / "voices" / "!v").iterdir())
    for voice in voices:
        if voice not in known:
            near = get_close_matches(voice, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise CorpusError(f"espeak-ng has no voice variant {voice!r}; {hint}")
    for accent in accents:
        speak("a", voice=accent, rate=175, pitch=50, pitch_range=50)


@contextmanager
def _started() -> Iterator[tuple[ctypes.CDLL, int]]:
    """Give the library, loaded afresh and started, and the rate of its samples in Hz."""
    path, voices = _paths()
    library = ctypes.CDLL(path)
    try:
        sample_rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, voices.encode(), _DONT_EXIT))
        if sample_rate <= 0:
            raise LinnetError(f"espeak-ng cannot start with the voices in {voices}")
        yield library, sample_rate
        library.espeak_Terminate()
    finally:
        _unload(library)


def _unload(library: ctypes.CDLL) -> None:
    """Drop the library with all its state."""
    import _ctypes

    # ctypes has no public way to do this.
    _ctypes.dlclose(library._handle)


@cache
def _paths() -> tuple[str, str]:
    """Give where the library and its voices are."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingExtraError("espeakng_loader", "synth") from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
