"""A corpus spoken by a synthesiser: made once, no network, the same bytes every time.

    words x voices x accents x rate x pitch -> plan (drawn from a seed) -> WAV files -> clips

The voices (of espeak-ng, variants: vocal tracts, breath, age) are dealt out to the splits, so that
a test voice is never heard in training. Such speech carries a quickstart and tests; a model for
real voices needs real recordings.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from linnet.errors import ConfigError, CorpusError
from linnet.sources import base, speaking
from linnet.sources.base import SPLITS, Clip, Source
from linnet.sources.speaking import Utterance
from linnet.text import normalise

_RECIPE = 1  # raise it when the same settings give other sounds
_SETTINGS = "settings.json"
_UTTERANCES_A_TASK = 50


@dataclass(frozen=True)
class _Settings:
    """Everything the sounds depend on; stored beside them."""

    synthesiser: str
    words: tuple[str, ...]
    clips_per_word: tuple[tuple[str, int], ...]
    voices: tuple[str, ...]
    accents: tuple[str, ...]
    valid_share: float
    test_share: float
    rate: tuple[int, int]
    pitch: tuple[int, int]
    pitch_range: tuple[int, int]
    size: tuple[float, float]
    silence_s: tuple[float, float]
    noise_dbfs: tuple[float, float]
    seed: int
    recipe: int = _RECIPE


class Synthetic(Source):
    """Words spoken by a synthesiser.

    Args:
        synthesiser: ``espeak`` or ``flite``.
        root: the folder to make; it is made again when the settings have changed.
        words: the words, or short phrases.
        clips_per_word: clips of each word in ``train``, ``valid`` and ``test``.
        voices: espeak-ng's voice variants, or flite's voices.
        accents: espeak-ng's English accents, such as ``en-us``; flite has none to choose from.
        valid_share: the share of the voices for validation.
        test_share: the share of the voices for the test.
        rate: words a minute, slowest and fastest.
        pitch: lowest and highest, 0 to 99.
        pitch_range: flattest and liveliest, 0 to 99.
        size: shortest and longest vocal tract, as parts of the voice's own: all its frequencies
            rise in a shorter one.
        silence_s: shortest and longest silence before and after the word.
        noise_dbfs: softest and loudest level of a faint hiss, in dB below full scale.
        seed: of the draws.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        synthesiser: str,
        words: Sequence[str],
        clips_per_word: Mapping[str, int],
        voices: Sequence[str],
        accents: Sequence[str],
        valid_share: float,
        test_share: float,
        rate: Sequence[int],
        pitch: Sequence[int],
        pitch_range: Sequence[int],
        size: Sequence[float],
        silence_s: Sequence[float],
        noise_dbfs: Sequence[float],
        seed: int,
    ) -> None:
        if sorted(clips_per_word) != sorted(SPLITS):
            raise ConfigError(
                f"clips_per_word needs {', '.join(SPLITS)}, got {dict(clips_per_word)}"
            )
        if not words or any(not normalise(word) for word in words):
            raise ConfigError(
                f"words must be words, got {list(words)}; those of experiment=wakeword are given "
                "with keywords='[\"hey linnet\"]'"
            )
        if synthesiser not in speaking.SYNTHESISERS:
            raise ConfigError(
                f"synthesiser must be {' or '.join(speaking.SYNTHESISERS)}, got {synthesiser!r}"
            )
        if min(size) <= 0:
            raise ConfigError(f"size={list(size)} must be above 0; 1 is the voice's own")
        self.root = Path(root)
        self.settings = _Settings(
            synthesiser=synthesiser,
            words=tuple(words),
            clips_per_word=tuple((split, clips_per_word[split]) for split in SPLITS),
            voices=tuple(voices),
            accents=tuple(accents),
            valid_share=valid_share,
            test_share=test_share,
            rate=_range("rate", rate),
            pitch=_range("pitch", pitch),
            pitch_range=_range("pitch_range", pitch_range),
            size=_range("size", size),
            silence_s=_range("silence_s", silence_s),
            noise_dbfs=_range("noise_dbfs", noise_dbfs),
            seed=seed,
        )

    def clips(self) -> list[Clip]:
        """Give the clips, after making the corpus if it is not there."""
        plan = self.plan()
        if not self._is_made():
            self._make([utterance for _, utterance in plan])
        return [clip for clip, _ in plan]

    def plan(self) -> list[tuple[Clip, Utterance]]:
        """Draw what is to be said by whom and how; nothing is spoken yet."""
        settings = self.settings
        voices = self._voices_by_split()
        plan = []
        for split_number, (split, count) in enumerate(settings.clips_per_word):
            for word in settings.words:
                # A generator a word: another word in the list leaves this one's clips alone.
                draw = np.random.default_rng([settings.seed, split_number, *word.encode()])
                deck = _dealt(voices[split], count, draw)
                for number, voice in enumerate(deck):
                    name = f"{split}_{normalise(word).replace(' ', '_')}_{number:04d}"
                    utterance = self._draw(name, word, voice, draw)
                    path = self.root / utterance.file
                    plan.append((Clip(name, path, normalise(word), voice, split), utterance))
        return plan

    def _draw(self, name: str, word: str, voice: str, draw: np.random.Generator) -> Utterance:
        settings = self.settings
        if settings.accents:
            voice = f"{settings.accents[draw.integers(len(settings.accents))]}+{voice}"
        return Utterance(
            file=f"{name}.wav",
            synthesiser=settings.synthesiser,
            text=word,
            voice=voice,
            rate=int(draw.integers(*settings.rate, endpoint=True)),
            pitch=int(draw.integers(*settings.pitch, endpoint=True)),
            pitch_range=int(draw.integers(*settings.pitch_range, endpoint=True)),
            before_s=float(draw.uniform(*settings.silence_s)),
            after_s=float(draw.uniform(*settings.silence_s)),
            noise_dbfs=float(draw.uniform(*settings.noise_dbfs)),
            seed=int(draw.integers(2**31)),
            size=_drawn(settings.size, draw),
        )

    def _voices_by_split(self) -> dict[str, list[str]]:
        """Deal the voices out to the splits."""
        settings = self.settings
        clips = [Clip(voice, self.root, "", voice, "train") for voice in settings.voices]
        dealt = base.split_by_speaker(
            clips, valid_share=settings.valid_share, test_share=settings.test_share
        )
        voices = {split: [c.id for c in dealt if c.split == split] for split in SPLITS}
        for split, count in settings.clips_per_word:
            if count and not voices[split]:
                raise ConfigError(
                    f"clips_per_word.{split} is {count}, but its share of the voices is 0"
                )
        return voices

    def _stored(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self.settings)))

    def _is_made(self) -> bool:
        """Tell whether the folder holds the corpus with these settings."""
        if not self.root.exists():
            return False
        stored = self.root / _SETTINGS
        if not stored.is_file():
            raise CorpusError(
                f"{self.root.absolute()} exists and was not made by this source; "
                "remove it or set data.root to another folder"
            )
        return bool(json.loads(stored.read_text(encoding="utf-8")) == self._stored())

    def _make(self, utterances: Sequence[Utterance]) -> None:
        """Speak everything into a folder beside, then give it its name."""
        speaking.SYNTHESISERS[self.settings.synthesiser].check(
            self.settings.voices, self.settings.accents
        )
        beside = self.root.with_name(f"{self.root.name}.making-{os.getpid()}")
        try:
            beside.mkdir(parents=True)
        except OSError as error:
            raise CorpusError(
                f"{self.root}: the corpus cannot be made there ({error.strerror}); set data.root"
            ) from error
        try:
            _speak_all(utterances, beside)
            settings = json.dumps(self._stored(), indent=2) + "\n"
            (beside / _SETTINGS).write_text(settings, encoding="utf-8")
            if self.root.exists():
                shutil.rmtree(self.root)
            beside.rename(self.root)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _speak_all(utterances: Sequence[Utterance], target: Path) -> None:
    tasks = [
        utterances[i : i + _UTTERANCES_A_TASK]
        for i in range(0, len(utterances), _UTTERANCES_A_TASK)
    ]
    # The parent has threads (torch, rich), so its memory must not be forked.
    workers = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
    try:
        with base.progress("speaking", len(utterances)) as advance:
            sizes = {workers.submit(speaking.write, task, target): len(task) for task in tasks}
            for done in as_completed(sizes):
                done.result()
                advance(sizes[done])
    finally:
        # Interrupted, they end with what they are speaking, not with all that waits.
        workers.shutdown(cancel_futures=True)


def _dealt(voices: Sequence[str], count: int, draw: np.random.Generator) -> list[str]:
    """Give ``count`` voices, each as often as the others, in a drawn order."""
    rounds = -(-count // len(voices)) if voices else 0
    deck = [voice for _ in range(rounds) for voice in draw.permutation(list(voices))]
    return [str(voice) for voice in deck[:count]]


def _drawn(bounds: tuple[float, float], draw: np.random.Generator) -> float:
    """Give a value between two; equal ones take no draw."""
    least, most = bounds
    return float(draw.uniform(least, most)) if least < most else least


def _range(name: str, values: Sequence[Any]) -> tuple[Any, Any]:
    if len(values) != 2 or values[0] > values[1]:
        raise ConfigError(f"{name} must be [least, most], got {list(values)}")
    return values[0], values[1]
