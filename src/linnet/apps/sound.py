"""Where sound comes from: a microphone, or a file that stands in for one.

microphone -> a callback puts pieces into a queue -> pieces of sound, as they are recorded
file       -> blocks -> pieces of the same length, at once or in real time
"""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float32

from linnet import audio
from linnet.errors import ConfigError, MissingExtraError

PIECE_S = 0.1
_WAIT_S = 5.0  # a microphone that is silent for so long is gone

Pieces = Iterator[Float32[np.ndarray, " samples"]]


@dataclass(frozen=True)
class Sound:
    """A stream of sound: pieces of ``sample_rate`` Hz, mono, float32."""

    name: str
    sample_rate: int
    pieces: Pieces


def from_file(path: str, sample_rate: int, *, realtime: bool) -> Sound:
    """Give a file in pieces as a microphone would, at ``sample_rate``.

    Raises:
        AudioError: when its pieces are asked for and it cannot be read.
    """

    def pieces() -> Pieces:
        samples = round(PIECE_S * sample_rate)
        begin, given = time.monotonic(), 0
        for block in audio.blocks(path, sample_rate=sample_rate):
            for first in range(0, len(block), samples):
                piece = block[first : first + samples]
                given += len(piece)
                if realtime:
                    time.sleep(max(0.0, begin + given / sample_rate - time.monotonic()))
                yield piece

    return Sound(path, sample_rate, pieces())


@contextmanager
def from_microphone(sample_rate: int) -> Iterator[Sound]:
    """Open the default microphone, at ``sample_rate`` if it can, else at its own rate.

    Raises:
        MissingExtraError: sounddevice is not installed.
        ConfigError: there is no PortAudio library, no microphone, or it cannot be opened.
    """
    sounddevice = _sounddevice()
    pieces: queue.Queue[Float32[np.ndarray, " samples"]] = queue.Queue()

    def heard(recorded: Float32[np.ndarray, "samples channels"], *_: object) -> None:
        pieces.put(recorded[:, 0].copy())  # the buffer is used again

    try:
        device = sounddevice.query_devices(kind="input")
        rate = _rate(sounddevice, sample_rate, device)
        stream = sounddevice.InputStream(
            samplerate=rate,
            blocksize=round(PIECE_S * rate),
            channels=1,
            dtype="float32",
            callback=heard,
        )
        with stream:
            yield Sound(str(device["name"]), rate, _until_gone(pieces, str(device["name"])))
    except (sounddevice.PortAudioError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"there is no microphone to listen to ({_first_line(error)}); plug one in, or give a "
            "recording with --from FILE"
        ) from error


def _until_gone(pieces: "queue.Queue[Any]", name: str) -> Pieces:
    while True:
        try:
            yield pieces.get(timeout=_WAIT_S)
        except queue.Empty:
            raise ConfigError(
                f"the microphone {name!r} has given nothing for {_WAIT_S:g} seconds; is it still "
                "plugged in?"
            ) from None


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MissingExtraError("sounddevice", "mic") from error
    except OSError as error:  # the package is there, the library that it calls is not
        raise ConfigError(
            f"the microphone needs the PortAudio library ({_first_line(error)}); install it (on "
            "Debian: apt install libportaudio2), or give a recording with --from FILE"
        ) from error
    module: ModuleType = sounddevice
    return module


def _rate(sounddevice: ModuleType, wanted: int, device: dict[str, Any]) -> int:
    """Give the wanted rate if the microphone has it, else its own."""
    try:
        sounddevice.check_input_settings(samplerate=wanted, channels=1, dtype="float32")
    except sounddevice.PortAudioError:
        return round(device["default_samplerate"])
    return wanted


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
