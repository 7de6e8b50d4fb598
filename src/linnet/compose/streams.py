"""A stream: its pieces, and the pauses between and within them."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from lhotse.cut import Cut

# Speech lies between these shares of a clip's energy; what rustles before and after does not count.
_SPEECH = (0.02, 0.98)
# Where a reader halts: what is said between two pauses lasts this long at least.
_FRAME_S = 0.01
_APART_S = 0.2


@dataclass(frozen=True)
class Piece:
    """A clip in a stream.

    Attributes:
        cut: the clip.
        text: what it says.
        pause_s: how long nobody speaks before it.
        gain_db: by how much it is louder than its recording.
        halts_s: how long the pauses are that are made in it.
    """

    cut: Cut
    text: str
    pause_s: float
    gain_db: float
    halts_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Stream:
    """Clips one behind the other.

    Attributes:
        id: its place in the epoch.
        pieces: the clips, in order.
        after_s: how long nobody speaks at the end.
        floor_dbfs: level of a faint hiss over all, in dB below full scale.
        seed: of the hiss.
    """

    id: str
    pieces: tuple[Piece, ...]
    after_s: float
    floor_dbfs: float
    seed: int

    @property
    def duration_s(self) -> float:
        """The longest that it can be: a pause for which there is no place makes it shorter."""
        return self.after_s + sum(
            piece.pause_s + piece.cut.duration + sum(piece.halts_s) for piece in self.pieces
        )

    @property
    def text(self) -> str:
        """What is said in it."""
        return " ".join(piece.text for piece in self.pieces if piece.text)

    def made(
        self, load: Callable[[Cut], Float32[np.ndarray, " _samples"]], sample_rate: int
    ) -> tuple[Float32[np.ndarray, " samples"], list[tuple[int, int]]]:
        """Give its samples, and from which to which each piece with a text speaks.

        Args:
            load: gives the samples of a cut.
            sample_rate: of these samples, in Hz.
        """
        parts: list[Float32[np.ndarray, " _samples"]] = []
        spans = []
        position = 0
        for piece in self.pieces:
            parts.append(_silence(piece.pause_s, sample_rate))
            position += len(parts[-1])
            heard = _halting(load(piece.cut), piece.halts_s, sample_rate)
            if piece.text:
                first, end = _between(heard, _SPEECH)
                spans.append((position + first, position + end))
            parts.append(heard * np.float32(10 ** (piece.gain_db / 20)))
            position += len(heard)
        parts.append(_silence(self.after_s, sample_rate))
        joined = np.concatenate(parts)
        hiss = np.random.default_rng(self.seed).standard_normal(len(joined), np.float32)
        return joined + hiss * np.float32(10 ** (self.floor_dbfs / 20)), spans


def _silence(duration_s: float, sample_rate: int) -> Float32[np.ndarray, " samples"]:
    return np.zeros(round(duration_s * sample_rate), np.float32)


def _halting(
    waveform: Float32[np.ndarray, " _samples"], halts_s: Sequence[float], sample_rate: int
) -> Float32[np.ndarray, " _halting"]:
    """Make pauses where the speech is softest; those for which there is no place are left out."""
    if not halts_s:
        return waveform
    frame = round(_FRAME_S * sample_rate)
    apart = round(_APART_S / _FRAME_S)
    frames = waveform[: len(waveform) // frame * frame].reshape(-1, frame)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    power = np.convolve(power, np.full(3, 1 / 3), mode="same")
    begin, end = (sample // frame for sample in _between(waveform, _SPEECH))
    power[: begin + apart] = np.inf
    power[max(0, end - apart) :] = np.inf
    places: list[int] = []
    while len(places) < len(halts_s) and np.isfinite(power).any():
        softest = int(power.argmin())
        power[max(0, softest - apart) : softest + apart] = np.inf
        places.append(softest * frame + frame // 2)
    first, *others = np.split(waveform, sorted(places))
    silences = (_silence(halt_s, sample_rate) for halt_s in halts_s)
    return np.concatenate([first, *itertools.chain(*zip(silences, others, strict=False))])


def _between(
    waveform: Float32[np.ndarray, " _samples"], shares: tuple[float, float]
) -> tuple[int, int]:
    """Give the samples from which to which two shares of the energy come."""
    energy = np.cumsum(np.square(waveform, dtype=np.float64))
    begin, last = np.searchsorted(energy, np.multiply(shares, energy[-1]))
    return int(begin), min(int(last) + 1, len(waveform))
