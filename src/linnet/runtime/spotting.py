"""Spotting: a stream of samples in, keywords with their times out, as they are said.

    samples at any rate -> resample -> StepStream -> log-probabilities -> Detector -> Spotted
                                                  `- the last seconds ---> NearMiss, with what was
                                                                           heard in its place

A recording is spotted by the same lines as a stream, so its detections are those of the stream,
exactly, whatever the sizes of the chunks.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import soxr
from jaxtyping import Float, Float32, Shaped

from linnet.decode import greedy
from linnet.errors import ConfigError, InputError
from linnet.keywords import Detection, Detector, Keyword
from linnet.runtime.checking import check_rate, checked
from linnet.runtime.windows import StepStream
from linnet.text import Tokenizer


@dataclass(frozen=True)
class Window:
    """How a model that hears whole recordings listens to a stream, in seconds.

    Attributes:
        left_s: context before what is read; from a quiet start, features settle in it.
        read_s: what is read of a window, and by which it slides on.
        right_s: context after what is read. With ``read_s`` it makes the delay.
    """

    left_s: float = 1.5
    read_s: float = 0.5
    right_s: float = 0.75


@dataclass(frozen=True)
class Rules:
    """What makes a detection, in seconds.

    Attributes:
        refractory_s: the shortest time between two detections of one keyword, and by how long one
            waits for a better one.
        mark: the lowest score of a near miss.
        longest_s: how long a keyword may take.
    """

    refractory_s: float = 0.2
    mark: float = 0.1
    longest_s: float = 2.5


@dataclass(frozen=True)
class Spotted:
    """A keyword that was said: from when to when, in seconds, and its score in (0, 1]."""

    keyword: str
    start: float
    end: float
    score: float


@dataclass(frozen=True)
class NearMiss(Spotted):
    """A keyword that nearly fired, and the text that the model heard there instead."""

    heard: str


@dataclass(frozen=True)
class Hearing:
    """What a stream of steps means: the model's, given to a spotter.

    Attributes:
        steps: at the beginning of a stream, and nobody else's.
        tokenizer: names the tokens.
        sample_rate: that the steps are made from, in Hz.
        step_samples: length of a step at that rate.
    """

    steps: StepStream
    tokenizer: Tokenizer
    sample_rate: int
    step_samples: int

    def seconds(self, step: int) -> float:
        """Give the time at which ``step`` starts."""
        return step * self.step_samples / self.sample_rate

    def count(self, seconds: float) -> int:
        """Give how many steps cover ``seconds``."""
        return math.ceil(seconds * self.sample_rate / self.step_samples)


class Spotter:
    """Spots keywords in a stream; for one thread at a time.

    Args:
        hearing: where the steps come from.
        keywords: what to listen for.
        sample_rate: of the samples that will be pushed, in Hz.
        rules: what makes a detection.

    Attributes:
        near_misses: those that became known in the last ``push`` or ``flush``.

    Raises:
        InputError: the rate is none, or the rules are out of their ranges.
    """

    near_misses: tuple[NearMiss, ...]

    def __init__(
        self, hearing: Hearing, keywords: Sequence[Keyword], sample_rate: int, rules: Rules
    ) -> None:
        check_rate(sample_rate)
        if not (rules.refractory_s >= 0 and rules.longest_s > 0):
            raise ConfigError(
                f"refractory_s={rules.refractory_s:g} must be at least 0, and "
                f"longest_s={rules.longest_s:g} more than 0"
            )
        self.near_misses = ()
        self._hearing = hearing
        self._sample_rate = sample_rate
        self._resampler: soxr.ResampleStream | None = None
        self._detector = Detector(
            keywords,
            refractory=hearing.count(rules.refractory_s),
            mark=rules.mark,
            longest=hearing.count(rules.longest_s),
        )
        self._refractory = hearing.count(rules.refractory_s)
        # A near miss begins at most so long ago when it becomes known.
        self._kept = hearing.count(rules.longest_s) + 2 * self._refractory
        self._past = np.zeros((0, len(hearing.tokenizer.tokens)), np.float32)
        self._turn = threading.Lock()
        self.delay_s = hearing.steps.delay / hearing.sample_rate + rules.refractory_s

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """What is listened for."""
        return self._detector.keywords

    @property
    def steps(self) -> int:
        """How many steps of the stream were heard."""
        return self._detector.steps

    @property
    def scores(self) -> dict[str, float]:
        """The best score of each keyword in the last ``push``, for a display."""
        texts = (made.text for made in self.keywords)
        return dict(zip(texts, self._detector.best.tolist(), strict=True))

    def push(self, waveform: Shaped[np.ndarray, "..."]) -> tuple[Spotted, ...]:
        """Take some samples in +-1, any number of them; give the detections that they make known.

        Raises:
            InputError: they are not one axis of finite float32 values, or another thread is at
                work on this spotter.
        """
        samples = checked(waveform)
        with self._alone():
            log_probs = self._hearing.steps.push(self._resampled(samples, last=False))
            found = self._detector.push(log_probs)
            return self._told(log_probs, found, self._detector.near_misses)

    def flush(self) -> tuple[Spotted, ...]:
        """End the stream; give the remaining detections. A new stream may follow.

        Raises:
            InputError: another thread is at work on this spotter.
        """
        with self._alone():
            rest = self._resampled(np.zeros(0, np.float32), last=True)
            steps = self._hearing.steps
            log_probs = np.concatenate([steps.push(rest), steps.flush()])
            found, missed = self._detector.push(log_probs), self._detector.near_misses
            found += self._detector.flush()
            told = self._told(log_probs, found, missed + self._detector.near_misses)
            self._past = self._past[:0]
            return told

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a second thread, which would mix two pieces of sound."""
        if not self._turn.acquire(blocking=False):
            raise InputError(
                "two threads use one spotter at the same time; let one of them feed it, or make a "
                "spotter for each stream (they may share the model)"
            )
        try:
            yield
        finally:
            self._turn.release()

    def _resampled(
        self, samples: Float32[np.ndarray, " samples"], *, last: bool
    ) -> Float32[np.ndarray, " resampled"]:
        """Give what a piece of the stream adds at the model's rate."""
        if self._sample_rate == self._hearing.sample_rate:
            return samples
        if self._resampler is None:
            self._resampler = soxr.ResampleStream(
                self._sample_rate, self._hearing.sample_rate, 1, dtype="float32", quality="HQ"
            )
        piece = self._resampler.resample_chunk(samples, last=last)
        if last:
            self._resampler = None
        return np.asarray(piece, np.float32)

    def _told(
        self,
        log_probs: Float[np.ndarray, "steps tokens"],
        found: Sequence[Detection],
        missed: Sequence[Detection],
    ) -> tuple[Spotted, ...]:
        """Give detections in seconds, and keep the near misses of the same steps."""
        past = np.concatenate([self._past, log_probs])
        begin = self._detector.steps - len(past)
        self.near_misses = tuple(self._near_miss(one, past, begin) for one in missed)
        # Not a view, which would hold on to all of a long piece.
        self._past = past[max(0, len(past) - self._kept) :].copy()
        return tuple(Spotted(one.keyword, *self._times(one), one.score) for one in found)

    def _near_miss(
        self, missed: Detection, past: Float[np.ndarray, "steps tokens"], begin: int
    ) -> NearMiss:
        """Add what the best path reads there and a refractory time around it."""
        first = max(missed.start - self._refractory - begin, 0)
        text = greedy(past[first : missed.end + self._refractory - begin]).ids
        heard = self._hearing.tokenizer.decode(text)
        return NearMiss(missed.keyword, *self._times(missed), missed.score, heard)

    def _times(self, found: Detection) -> tuple[float, float]:
        return self._hearing.seconds(found.start), self._hearing.seconds(found.end)
