"""Training clips in a folder a word: made here, or links to real ones.

root/train/<word>/<speaker>_<number>.wav      as many as the benchmark trains on
root/train/_background_noise_/hiss.wav        for augmentation
root/valid/<word>/...                         one a word
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from linnet import audio
from linnet.errors import CorpusError
from linnet.sources.folders import NOISE

WORDS = ("bed", "cat", "down", "eight", "five", "go", "happy", "left", "one", "right", "up", "zero")


def tone(number: int, seconds: float) -> Float32[np.ndarray, " samples"]:
    """Give a tone that noise modulates; each number sounds different, and the same in every run."""
    random = np.random.default_rng(number)
    time = np.arange(round(seconds * audio.SAMPLE_RATE)) / audio.SAMPLE_RATE
    pitch = random.uniform(100, 3000)
    envelope = 0.2 * np.abs(np.sin(np.pi * random.uniform(1, 6) * time))
    waveform = envelope * (np.sin(2 * np.pi * pitch * time) + random.standard_normal(len(time)))
    return np.clip(waveform, -1, 1).astype(np.float32)


def tones(seconds: int) -> Float32[np.ndarray, " samples"]:
    """Give another tone each second."""
    return np.concatenate([tone(number, 1.0) for number in range(seconds)])


def make(root: Path, count: int) -> None:
    """Write ``count`` clips of one second to train on, and a few to validate."""
    for split, clips in (("train", count), ("valid", len(WORDS))):
        for number, word in zip(range(clips), itertools.cycle(WORDS), strict=False):
            folder = root / split / word
            folder.mkdir(parents=True, exist_ok=True)
            waveform = tone(number + count * (split == "valid"), 1.0)
            soundfile.write(folder / f"{split}{number % 8}_{number}.wav", waveform, 16000)
    (root / "train" / NOISE).mkdir()
    hiss = 0.1 * np.random.default_rng(0).standard_normal(20 * audio.SAMPLE_RATE)
    soundfile.write(root / "train" / NOISE / "hiss.wav", hiss, audio.SAMPLE_RATE)


def link(recordings: Path, root: Path, count: int) -> None:
    """Link ``count`` recordings of ``recordings``, a folder a word, evenly drawn, and its noise.

    Raises:
        CorpusError: it has too few recordings.
    """
    present = sorted(_recordings(recordings))
    needed = count + len(WORDS)
    if len(present) < needed:
        raise CorpusError(
            f"{recordings} holds {len(present)} recordings in folders a word; {needed} are needed"
        )
    drawn = [present[i * len(present) // needed] for i in range(needed)]
    valid = set(drawn[:: needed // len(WORDS)][: len(WORDS)])
    for path in drawn:
        folder = root / ("valid" if path in valid else "train") / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path.resolve())
    if (recordings / NOISE).is_dir():
        (root / "train" / NOISE).symlink_to((recordings / NOISE).resolve())


def _recordings(root: Path) -> Iterator[Path]:
    for path in root.glob("*/*"):
        if audio.is_recording(path) and not path.parent.name.startswith("_"):
            yield path
