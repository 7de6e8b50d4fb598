"""Long recordings made of clips, with exact times: what a spotter hears all day, in a few hours.

    cuts of a split -> shuffled -> clip, pause, clip, pause, ... at a drawn level
                    -> over noise (the cuts without text) at a drawn signal-to-noise ratio
                    -> Recording: waveform, and for each clip what was said, from when to when

A stream knows every text that is said in it, so the same streams test any keyword: where a clip
says the keyword and nothing else its place is known; where it is one of several words of a sentence
it is known to be there but not where. All is drawn from one seed: the same clips give the same
bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float32
from lhotse.cut import Cut
from scipy import ndimage

from linnet import audio
from linnet.errors import ConfigError, CorpusError
from linnet.evaluation.spotting import Recording, Span

REVISION = 3  # of the bytes that the same clips and settings give
Waveform = Float32[np.ndarray, " _samples"]
# Where a clip's speech begins and ends: frames this far below its loudest, yet above its noise.
_FRAME_S, _RANGE_DB, _ABOVE_FLOOR_DB = 0.01, 30.0, 6.0
_SMOOTHED = 5  # frames: what is loud for less than half of them is a click
_FEWEST = 6  # frames: what is loud for less is no word, but noise in which the word cannot be told
_FADE_S = 0.05  # of a noise recording into itself, where it starts again
_HIGHEST = 0.99  # of full scale
_SILENT = 1e-10


class Streams:
    """Makes streams.

    Args:
        stream_s: a stream ends with the first clip that reaches this length.
        pause_s: shortest and longest time between two clips, in which only the noise goes on.
        level_dbfs: softest and loudest speech of a stream, in dB below full scale (mean square).
        snr_db: least and most decibels of the speech over the noise of its stream.
        seed: of the draws.
    """

    def __init__(
        self,
        *,
        stream_s: float,
        pause_s: Sequence[float],
        level_dbfs: Sequence[float],
        snr_db: Sequence[float],
        seed: int,
    ) -> None:
        if not stream_s > 0:
            raise ConfigError(f"stream_s must be more than 0 seconds, got {stream_s}")
        self.stream_s = stream_s
        self.pause_s = _range("pause_s", pause_s, least=0.0)
        self.level_dbfs = _range("level_dbfs", level_dbfs, most=0.0)
        self.snr_db = _range("snr_db", snr_db)
        self.seed = seed

    def build(self, cuts: Iterable[Cut], read: Callable[[Cut], Waveform]) -> Iterator[Recording]:
        """Make streams that hold each cut with a text once, over the cuts without a text.

        Args:
            cuts: of one split; those without a text are the noise.
            read: gives the waveform of a cut at Linnet's rate.

        Raises:
            CorpusError: nothing is said in any cut.
        """
        ordered = sorted(cuts, key=lambda cut: cut.id)
        spoken = [cut for cut in ordered if _text(cut)]
        noises = [cut for cut in ordered if not _text(cut)]
        if not spoken:
            raise CorpusError(
                f"none of {len(ordered)} clips has a text, so nothing can be spotted in them; name "
                "a split with words"
            )
        draw = np.random.default_rng(self.seed)
        waiting = [spoken[i] for i in draw.permutation(len(spoken))]
        number = 0
        while waiting:
            stream, used = self._stream(f"stream_{number:04d}", waiting, noises, read, draw)
            waiting = waiting[used:]
            number += 1
            yield stream

    def _stream(
        self,
        name: str,
        waiting: Sequence[Cut],
        noises: Sequence[Cut],
        read: Callable[[Cut], Waveform],
        draw: np.random.Generator,
    ) -> tuple[Recording, int]:
        """Make a stream of the first cuts of ``waiting``; say how many it took."""
        level_dbfs, snr_db = draw.uniform(*self.level_dbfs), draw.uniform(*self.snr_db)
        pieces, spans = [self._pause(draw)], list[Span]()
        samples, used = len(pieces[0]), 0
        for cut in waiting:
            waveform = read(cut)
            speaking = _speech(waveform)
            pieces.append(_levelled(waveform, speaking, level_dbfs))
            first, last = np.flatnonzero(speaking)[[0, -1]] if speaking.any() else (0, 0)
            spans.append(_span(cut, samples + int(first), samples + int(last) + 1))
            pieces.append(self._pause(draw))
            samples += len(waveform) + len(pieces[-1])
            used += 1
            if samples >= self.stream_s * audio.SAMPLE_RATE:
                break
        mixed = np.concatenate(pieces)
        if noises:
            noise = read(noises[int(draw.integers(len(noises)))])
            mixed = mixed + _levelled(_looped(noise, samples, draw), None, level_dbfs - snr_db)
        peak = float(np.abs(mixed).max())
        if peak > _HIGHEST:
            mixed = mixed * (_HIGHEST / peak)
        waveform = mixed.astype(np.float32)
        return Recording(name, waveform, audio.SAMPLE_RATE, tuple(spans)), used

    def _pause(self, draw: np.random.Generator) -> Waveform:
        return np.zeros(round(draw.uniform(*self.pause_s) * audio.SAMPLE_RATE), np.float32)


def _text(cut: Cut) -> str:
    return str(cut.supervisions[0].text or "") if cut.supervisions else ""


def _span(cut: Cut, first: int, end: int) -> Span:
    speaker = str(cut.supervisions[0].speaker or "")
    return Span(cut.id, speaker, _text(cut), first / audio.SAMPLE_RATE, end / audio.SAMPLE_RATE)


def _speech(waveform: Waveform) -> Bool[np.ndarray, " samples"]:
    """Tell which samples are speech by the energy of their frame; all where there is no saying.

    A clip of a word holds it somewhere within its second, and the figures need to know where. A
    click of the microphone or the lips, up to 20 ms long, may be louder than the word by more than
    the word is by its end, and is none of it.
    """
    frame = round(_FRAME_S * audio.SAMPLE_RATE)
    whole = len(waveform) // frame * frame
    if not whole:
        return np.ones(len(waveform), bool)
    power = np.square(waveform[:whole].astype(np.float64)).reshape(-1, frame).mean(axis=1)
    decibels = ndimage.median_filter(10 * np.log10(np.maximum(power, _SILENT)), _SMOOTHED)
    floor = np.quantile(decibels, 0.1)
    loud = decibels > max(decibels.max() - _RANGE_DB, floor + _ABOVE_FLOOR_DB)
    if loud.sum() < _FEWEST:
        return np.ones(len(waveform), bool)
    speaking = np.zeros(len(waveform), bool)
    speaking[:whole] = np.repeat(loud, frame)
    return speaking


def _levelled(
    waveform: Waveform, counted: Bool[np.ndarray, " samples"] | None, level_dbfs: float
) -> Waveform:
    """Bring the mean square of the samples that count to a level; digital silence stays."""
    power = float(np.square(waveform if counted is None else waveform[counted]).mean(dtype=float))
    if power < _SILENT:
        return waveform
    return waveform * np.float32(10 ** (level_dbfs / 20) / np.sqrt(power))


def _looped(noise: Waveform, samples: int, draw: np.random.Generator) -> Waveform:
    """Repeat a noise recording from a drawn place on, without a click where it starts again."""
    fade = min(round(_FADE_S * audio.SAMPLE_RATE), len(noise) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    loop = noise[: len(noise) - fade].copy()
    loop[:fade] = loop[:fade] * ramp + noise[len(noise) - fade :] * (1 - ramp)
    return np.resize(np.roll(loop, -int(draw.integers(len(loop)))), samples)


def _range(
    name: str, values: Sequence[float], *, least: float = -np.inf, most: float = np.inf
) -> tuple[float, float]:
    if len(values) != 2 or not least <= values[0] <= values[1] <= most:
        bounds = f" within {least:g} to {most:g}" if (least, most) != (-np.inf, np.inf) else ""
        raise ConfigError(f"streams.{name} must be [least, most]{bounds}, got {list(values)}")
    return float(values[0]), float(values[1])
