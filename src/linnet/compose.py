"""Training examples made of several clips: words among other speech, silence and noise.

    cuts -> shuffled -> strung together with pauses, some cut off, some halting -> batches of like
                        length

A network that hears one clip at a time learns that a clip begins with a word and ends with it. In
a stream it must find the words itself. A bidirectional one may still tell all of them at the end of
the stream, since it knows where that is; so a stream also says where each clip speaks.
It also learns that a word between two pauses is one to be spotted: such words were recorded one by
one, and other speech in sentences. Who reads with difficulty pauses before each word and is then
mistaken for it, so some sentences get pauses.

What an epoch holds is planned at once from the seed and the epoch's number, without a sample being
read, so that a resumed run and several reading processes give what one uninterrupted process gives.

lhotse can join cuts (``CutSet.mix``, ``append``, ``pad``), but its joined cuts read every file
again and want one sample rate; here the pieces come from waveforms that are kept in memory.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from lhotse import CutSet
from lhotse.cut import Cut
from torch.utils.data import Sampler

from linnet.errors import ConfigError

_WHOLE = (0.0, 1.0)
# Speech lies between these shares of a clip's energy; what rustles before and after does not count.
_SPEECH = (0.02, 0.98)
# Where a reader halts: what is said between two pauses lasts this long at least.
_FRAME_S = 0.01
_APART_S = 0.2


@dataclass(frozen=True)
class Piece:
    """A clip in a stream, or a part of one.

    Attributes:
        cut: the clip.
        text: what it says; nothing if it is cut off.
        pause_s: how long nobody speaks before it.
        gain_db: by how much it is louder than its recording.
        part: from which share of its energy to which it is heard.
        halts_s: how long the pauses are that are made in it.
    """

    cut: Cut
    text: str
    pause_s: float
    gain_db: float
    part: tuple[float, float] = _WHOLE
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
        """The longest that it can be: what is cut off makes it shorter."""
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
            heard = _halting(_part(load(piece.cut), piece.part), piece.halts_s, sample_rate)
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


def _part(
    waveform: Float32[np.ndarray, " _samples"], part: tuple[float, float]
) -> Float32[np.ndarray, " _part"]:
    """Give what lies between two shares of the energy, from the first sample or to the last."""
    if part == _WHOLE:
        return waveform
    begin, end = _between(waveform, part)
    return waveform[begin if part[0] > 0 else 0 : end if part[1] < 1 else len(waveform)]


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


class Composition:
    """How clips become streams.

    Args:
        alone: share of the streams that are one clip as it was recorded, as an application hears
            it that cuts speech out before it asks.
        rising: epochs over which the share of real streams rises, from none in the first: where
            words begin is learnt faster from single clips.
        length_s: shortest and longest stream that is aimed at; a clip longer than that is alone.
        pause_s: shortest and longest pause before a clip and at the end; long ones are rare, their
            mean lies a quarter of the way.
        gain_db: by how much clips are made louder or softer, against each other.
        cut_off: share of single words of which, beside the whole word, a first or last part is
            heard somewhere else in the epoch, with nothing for its text.
        kept: smallest and largest share of its energy that such a part holds.
        halting: share of the clips of several words that are read haltingly, with pauses where they
            are softest, up to one between every two words.
        halt_s: shortest and longest of these pauses.
        floor_dbfs: softest and loudest level of the hiss over a stream, in dB below full scale.
        margin_s: how far outside the speech of a clip its tokens may be told; None lets them be
            told anywhere in the stream.
    """

    def __init__(
        self,
        *,
        alone: float,
        rising: int,
        length_s: Sequence[float],
        pause_s: Sequence[float],
        gain_db: Sequence[float],
        cut_off: float,
        kept: Sequence[float],
        halting: float,
        halt_s: Sequence[float],
        floor_dbfs: Sequence[float],
        margin_s: float | None,
    ) -> None:
        ranges = {
            "length_s": length_s,
            "pause_s": pause_s,
            "gain_db": gain_db,
            "kept": kept,
            "halt_s": halt_s,
            "floor_dbfs": floor_dbfs,
        }
        for name, values in ranges.items():
            if len(values) != 2 or values[0] > values[1]:
                raise ConfigError(f"compose.{name} must be [least, most], got {list(values)}")
        if not all(0 <= share <= 1 for share in (alone, cut_off, halting)):
            raise ConfigError(
                f"compose: alone={alone}, cut_off={cut_off} and halting={halting} must be shares"
            )
        if min(rising, pause_s[0], halt_s[0]) < 0 or not 0 < kept[0] <= kept[1] < 1:
            raise ConfigError(
                f"compose: rising={rising}, pause_s={list(pause_s)} and halt_s={list(halt_s)} must "
                f"be 0 or more, kept={list(kept)} between 0 and 1"
            )
        if length_s[0] <= 0:
            raise ConfigError(f"compose: length_s={list(length_s)} must be more than 0")
        self.alone, self.rising, self.cut_off = alone, rising, cut_off
        self.length_s, self.pause_s, self.gain_db = length_s, pause_s, gain_db
        self.kept, self.floor_dbfs = kept, floor_dbfs
        self.halting, self.halt_s = halting, halt_s
        self.margin_s = margin_s

    def streams(self, cuts: CutSet, *, seed: int, epoch: int) -> list[Stream]:
        """Give the streams of an epoch; every clip is in one of them once as a whole."""
        draw = np.random.default_rng([seed, epoch])
        alone = max(self.alone, 1 - epoch / self.rising) if self.rising else self.alone
        every = list(cuts)
        words = [cut for cut in every if len(_text(cut).split()) == 1]
        parts = [cut for cut in words if draw.random() < self.cut_off]
        pool = [(cut, True) for cut in every] + [(cut, False) for cut in parts]
        queue = [pool[i] for i in draw.permutation(len(pool))]
        streams: list[Stream] = []
        while queue:
            if draw.random() < alone:
                chosen, pauses = [queue.pop()], False
            else:
                chosen, pauses = self._chosen(queue, draw), True
            pieces = tuple(self._piece(cut, whole, pauses, draw) for cut, whole in chosen)
            streams.append(
                Stream(
                    id=f"stream_{epoch}_{len(streams)}",
                    pieces=pieces,
                    after_s=self._pause_s(draw) if pauses else 0.0,
                    floor_dbfs=_drawn(draw, self.floor_dbfs),
                    seed=int(draw.integers(2**31)),
                )
            )
        return streams

    def _pause_s(self, draw: np.random.Generator) -> float:
        shortest, longest = self.pause_s
        return float(shortest + (longest - shortest) * draw.random() ** 3)

    def _chosen(
        self, queue: list[tuple[Cut, bool]], draw: np.random.Generator
    ) -> list[tuple[Cut, bool]]:
        """Take clips from the end of the queue until a drawn length is reached."""
        aim_s = _drawn(draw, self.length_s)
        chosen = [queue.pop()]
        total_s = chosen[0][0].duration
        while queue and total_s + queue[-1][0].duration <= aim_s:
            chosen.append(queue.pop())
            total_s += chosen[-1][0].duration
        return chosen

    def _piece(self, cut: Cut, whole: bool, pauses: bool, draw: np.random.Generator) -> Piece:
        pause_s = self._pause_s(draw) if pauses else 0.0
        gain_db = _drawn(draw, self.gain_db)
        if whole:
            halts_s = self._halts_s(cut, draw) if pauses else ()
            return Piece(cut, _text(cut), pause_s, gain_db, halts_s=halts_s)
        share = _drawn(draw, self.kept)
        part = (0.0, share) if draw.random() < 0.5 else (1 - share, 1.0)
        return Piece(cut, "", pause_s, gain_db, part)

    def _halts_s(self, cut: Cut, draw: np.random.Generator) -> tuple[float, ...]:
        words = len(_text(cut).split())
        if words < 2 or draw.random() >= self.halting:
            return ()
        return tuple(_drawn(draw, self.halt_s) for _ in range(draw.integers(1, words)))


class StreamSampler(Sampler[list[Stream]]):
    """The batches of streams of one epoch, each of streams of like length.

    Args:
        cuts: what to string together.
        composition: how.
        batch_s: most seconds of audio in a batch, padding included.
        batch_cuts: most streams in a batch.
        seed: with the epoch's number it decides everything.
    """

    def __init__(
        self,
        cuts: CutSet,
        composition: Composition,
        *,
        batch_s: float,
        batch_cuts: int,
        seed: int,
    ) -> None:
        self._cuts = cuts
        self._composition = composition
        self._limits = (batch_s, batch_cuts)
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Decide the batches of ``epoch``; Lightning calls this when the epoch starts."""
        streams = self._composition.streams(self._cuts, seed=self._seed, epoch=epoch)
        streams.sort(key=lambda stream: stream.duration_s)
        batch_s, batch_cuts = self._limits
        batches: list[list[Stream]] = [[]]
        for stream in streams:
            batch = batches[-1]
            if batch and (
                len(batch) == batch_cuts or (len(batch) + 1) * stream.duration_s > batch_s
            ):
                batches.append(batch := [])
            batch.append(stream)
        order = np.random.default_rng([self._seed, epoch, 1]).permutation(len(batches))
        self._batches = [batches[i] for i in order]

    def __iter__(self) -> Iterator[list[Stream]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


def _drawn(draw: np.random.Generator, bounds: Sequence[float]) -> float:
    low, high = bounds
    return float(draw.uniform(low, high))


def _text(cut: Cut) -> str:
    return str(cut.supervisions[0].text or "")
