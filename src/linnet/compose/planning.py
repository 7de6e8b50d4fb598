"""Planning: which clips make which streams of an epoch, and which streams a batch."""

from collections.abc import Iterator, Sequence

import numpy as np
from lhotse import CutSet
from lhotse.cut import Cut
from torch.utils.data import Sampler

from linnet.compose.streams import Piece, Stream
from linnet.errors import ConfigError


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
        halting: float,
        halt_s: Sequence[float],
        floor_dbfs: Sequence[float],
        margin_s: float | None,
    ) -> None:
        ranges = {
            "length_s": length_s,
            "pause_s": pause_s,
            "gain_db": gain_db,
            "halt_s": halt_s,
            "floor_dbfs": floor_dbfs,
        }
        for name, values in ranges.items():
            if len(values) != 2 or values[0] > values[1]:
                raise ConfigError(f"compose.{name} must be [least, most], got {list(values)}")
        if not all(0 <= share <= 1 for share in (alone, halting)):
            raise ConfigError(f"compose: alone={alone} and halting={halting} must be shares")
        if min(rising, pause_s[0], halt_s[0]) < 0:
            raise ConfigError(
                f"compose: rising={rising}, pause_s={list(pause_s)} and halt_s={list(halt_s)} must "
                "be 0 or more"
            )
        if length_s[0] <= 0:
            raise ConfigError(f"compose: length_s={list(length_s)} must be more than 0")
        self.alone, self.rising = alone, rising
        self.length_s, self.pause_s, self.gain_db = length_s, pause_s, gain_db
        self.floor_dbfs = floor_dbfs
        self.halting, self.halt_s = halting, halt_s
        self.margin_s = margin_s

    def streams(self, cuts: CutSet, *, seed: int, epoch: int) -> list[Stream]:
        """Give the streams of an epoch; every clip is in one of them once."""
        draw = np.random.default_rng([seed, epoch])
        alone = max(self.alone, 1 - epoch / self.rising) if self.rising else self.alone
        pool = list(cuts)
        queue = [pool[i] for i in draw.permutation(len(pool))]
        streams: list[Stream] = []
        while queue:
            if draw.random() < alone:
                chosen, pauses = [queue.pop()], False
            else:
                chosen, pauses = self._chosen(queue, draw), True
            pieces = tuple(self._piece(cut, pauses, draw) for cut in chosen)
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

    def _chosen(self, queue: list[Cut], draw: np.random.Generator) -> list[Cut]:
        """Take clips from the end of the queue until a drawn length is reached."""
        aim_s = _drawn(draw, self.length_s)
        chosen = [queue.pop()]
        total_s = chosen[0].duration
        while queue and total_s + queue[-1].duration <= aim_s:
            chosen.append(queue.pop())
            total_s += chosen[-1].duration
        return chosen

    def _piece(self, cut: Cut, pauses: bool, draw: np.random.Generator) -> Piece:
        pause_s = self._pause_s(draw) if pauses else 0.0
        gain_db = _drawn(draw, self.gain_db)
        halts_s = self._halts_s(cut, draw) if pauses else ()
        return Piece(cut, _text(cut), pause_s, gain_db, halts_s)

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
