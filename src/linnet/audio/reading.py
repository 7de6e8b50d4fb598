"""Files and streams of recordings, read whole, in part or block by block."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from linnet.audio.promises import MPEG_FRAME, check_mp3_length, check_ogg_end, check_promise
from linnet.errors import AudioError

SAMPLE_RATE = 16000
Source = str | os.PathLike[str] | BinaryIO | io.BufferedIOBase
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".au", ".caf", ".w64", ".rf64"),
)
KINDS = "WAV, FLAC, Ogg Vorbis, Opus or MP3"

_BLOCK = 1 << 18  # frames decoded at once
# Read on either side of a part, so that the resampling filter sees its surroundings.
_MARGIN_S = 0.1
_SLACK_S = 0.1  # by how much a part may reach over the end: labels are rounded
_LOUDEST = 16.0  # a float file over this is in units of another scale, not a little too loud
_NOT_AUDIO = 1  # libsndfile: no format recognised


@dataclass(frozen=True)
class Header:
    """What a recording holds: ``samples`` per channel at ``sample_rate`` Hz."""

    samples: int
    sample_rate: int
    channels: int

    @property
    def duration_s(self) -> float:
        """The duration in seconds."""
        return self.samples / self.sample_rate


def read(
    source: Source,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    sample_rate: int = SAMPLE_RATE,
) -> Float32[np.ndarray, " samples"]:
    """Give a recording, or a part of one, as mono values in [-1, 1].

    A part equals the same part of the whole file, resampling included.

    Args:
        source: a file, or a stream of its bytes such as ``sys.stdin.buffer``.
        start_s: where the part begins, in seconds.
        duration_s: how long it is; to the end of the file if None.
        sample_rate: the rate to resample to, in Hz.

    Raises:
        AudioError: the file is missing, empty, cut off, no audio, holds NaN or no samples at all.
    """
    name = _name(source)
    with _open(source) as file:
        rate, total = file.samplerate, file.frames
        begin, end = _part(name, total, rate, start_s, duration_s)
        first = _aligned(begin - round(_MARGIN_S * rate), rate, sample_rate) if begin > 0 else 0
        last = total if end == total else min(total, end + round(_MARGIN_S * rate))
        blocks = list(_decode(file, name, first, last))
    waveform = resample(np.concatenate(blocks), rate, sample_rate)
    offset = resampled(first, rate, sample_rate)
    kept = slice(
        resampled(begin, rate, sample_rate) - offset, resampled(end, rate, sample_rate) - offset
    )
    waveform = waveform[kept]
    if not waveform.size:
        raise AudioError(f"{name}: {end - begin} samples at {rate} Hz are too short to be a sound")
    return np.clip(waveform, -1.0, 1.0)


def blocks(
    source: Source, *, sample_rate: int = SAMPLE_RATE
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Give a recording block by block, in constant memory: together exactly what ``read`` gives.

    Raises:
        AudioError: as for :func:`read`; a fault in the middle of the file after the blocks before.
    """
    name = _name(source)
    with _open(source) as file:
        rate, total = file.samplerate, file.frames
        stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        some = False
        for block in _decode(file, name, 0, total):
            samples = block if rate == sample_rate else stream.resample_chunk(block)
            some = some or len(samples) > 0
            yield np.clip(samples, -1.0, 1.0)
        if rate != sample_rate:
            samples = stream.resample_chunk(np.zeros(0, np.float32), last=True)
            some = some or len(samples) > 0
            yield np.clip(samples, -1.0, 1.0)
    if not some:
        raise AudioError(f"{name}: {total} samples at {rate} Hz are too short to be a sound")


def resample(
    waveform: Float32[np.ndarray, " samples"], sample_rate: int, to: int = SAMPLE_RATE
) -> Float32[np.ndarray, " resampled"]:
    """Give ``waveform`` at ``to`` Hz (soxr, high quality); the values themselves at equal rates."""
    if sample_rate == to:
        return waveform
    return np.asarray(soxr.resample(waveform, sample_rate, to, quality="HQ"), dtype=np.float32)


def resampled(samples: int, sample_rate: int, to: int = SAMPLE_RATE) -> int:
    """Give how many samples at ``to`` Hz come of ``samples`` at ``sample_rate`` Hz."""
    return (2 * samples * to + sample_rate) // (2 * sample_rate)


def header(source: Source) -> Header:
    """Give what the header of a recording promises, without decoding it.

    Raises:
        AudioError: as for :func:`read`, as far as a header can tell.
    """
    with _open(source) as file:
        return Header(file.frames, file.samplerate, file.channels)


def check(source: Source) -> Header:
    """Decode a whole recording and give what it holds, in constant memory.

    Raises:
        AudioError: as for :func:`read`.
    """
    with _open(source) as file:
        for _ in _decode(file, _name(source), 0, file.frames):
            pass
        return Header(file.frames, file.samplerate, file.channels)


def find(paths: Sequence[Path]) -> list[Path]:
    """Give the files among ``paths`` and, sorted, the recordings in and below the folders.

    Raises:
        AudioError: a path does not exist, or a folder holds no recording.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise AudioError(f"{path}: there is no such file or folder; check the path")
            found.append(path)
            continue
        inside = [p for p in sorted(path.rglob("*")) if is_recording(p)]
        if not inside:
            raise AudioError(f"{path}: the folder holds no recording ({KINDS})")
        found.extend(inside)
    return found


def is_recording(path: Path) -> bool:
    """Tell whether ``path`` is named like a recording and is not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _name(source: Source) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "the stream"))


@contextmanager
def _open(source: Source) -> Iterator[soundfile.SoundFile]:
    """Open a recording whose header keeps what it promises."""
    name = _name(source)
    with _seekable(source, name) as stream:
        if not stream.seek(0, io.SEEK_END):
            raise AudioError(f"{name}: the file is empty (0 bytes)")
        check_ogg_end(stream, name)
        stream.seek(0)
        # libsndfile reads a file itself far faster than through Python; a pipe it cannot.
        given = stream if isinstance(stream, io.BytesIO) else os.fsencode(name)
        try:
            file = soundfile.SoundFile(given)
        except soundfile.LibsndfileError as error:
            if error.code == _NOT_AUDIO:
                raise AudioError(f"{name}: this is no audio file; expected {KINDS}") from error
            raise AudioError(f"{name}: the file is damaged or cut off") from error
        except TypeError as error:  # the name of a file without a header, such as speech.raw
            raise AudioError(f"{name}: the file has no header; expected {KINDS}") from error
        with file:
            check_promise(file, name)
            if file.format == "MP3":
                position = stream.tell()  # the decoder may be reading from this very stream
                stream.seek(0)
                check_mp3_length(file, stream.read(), name)
                stream.seek(position)
            yield file


def _seekable(source: Source, name: str) -> io.BufferedIOBase:
    """Give a file as it is and a pipe as the bytes in it, because a decoder must seek."""
    try:
        if not isinstance(source, str | os.PathLike):
            return io.BytesIO(source.read())
        path = Path(source)
        if not path.exists():
            raise AudioError(f"{name}: there is no such file; check the path")
        if path.is_dir():
            raise AudioError(f"{name}: this is a folder; give the recordings in it")
        stream = path.open("rb")
        if path.is_file():
            return stream
        with stream:
            return io.BytesIO(stream.read())
    except OSError as error:
        raise AudioError(f"{name}: the file cannot be read: {error.strerror}") from error


def _part(
    name: str, total: int, rate: int, start_s: float, duration_s: float | None
) -> tuple[int, int]:
    """Give the first sample of a part and the one past its last, at the file's own rate."""
    begin = round(start_s * rate)
    end = total if duration_s is None else round((start_s + duration_s) * rate)
    if begin < 0 or begin >= min(end, total) or end - total > _SLACK_S * rate:
        raise AudioError(
            f"{name}: there is no part from {start_s:.3f} s to {end / rate:.3f} s; "
            f"the recording is {total / rate:.3f} s long"
        )
    return begin, min(end, total)


def _aligned(sample: int, rate: int, to: int) -> int:
    """Give the last sample up to ``sample`` that falls on a sample at the rate ``to`` too."""
    period = rate // math.gcd(rate, to)
    return max(0, sample // period * period)


def _decode(
    file: soundfile.SoundFile, name: str, first: int, last: int
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Decode the samples from ``first`` to ``last``, a block at a time, as the channels' mean."""
    # Compressed streams do not always seek to the very sample: decode up to it instead.
    exact = file.subtype.startswith(("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW"))
    position = file.seek(first) if exact and first else 0
    while position < last:
        try:
            block = file.read(min(_BLOCK, last - position), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{name}: the file is damaged or cut off") from error
        if not len(block):
            if file.format == "MP3" and last - position < MPEG_FRAME:
                return
            raise AudioError(
                f"{name}: the file is cut off: its header promises {file.frames} samples, "
                f"there are {position}"
            )
        _check_values(block, name)
        block = block[max(0, first - position) :] if position < first else block
        position = file.tell()
        if len(block):
            yield block.mean(axis=1, dtype=np.float32)


def _check_values(block: Float32[np.ndarray, "samples channels"], name: str) -> None:
    """Refuse what is no sound: NaN, infinity, values of another scale."""
    loudest = max(block.max(), -block.min())
    if not np.isfinite(loudest):
        raise AudioError(f"{name}: the file holds NaN or infinity")
    if loudest > _LOUDEST:
        raise AudioError(
            f"{name}: the file holds values up to {loudest:.6g}, expected -1 to 1; "
            "divide by full scale (32768 for 16 bits) when writing float files"
        )
