"""Listening: what a model says of long recordings, computed once, for any keyword afterwards.

    Recording (waveform, spans) -> StepStream, a block of samples at a time -> Heard: posteriors of
                                                each step, and when the step was known
    Heard, keywords             -> the runtime's own detector at a low mark -> alarms

The stream of steps is the runtime's: a network that needs a whole recording slides its window here
as it does on a device, so what is judged is what will run, delay included. Half precision is
enough for the logarithms of posteriors, since what decides is near 0, where it is finest.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float16, Float32

from linnet.keywords import Detection, Detector, Keyword
from linnet.metrics.matching import Alarm, Occurrence
from linnet.runtime import Rules
from linnet.runtime.windows import StepStream
from linnet.text import says

BLOCK_S = 0.1  # a device hands its samples on in blocks; a delay is known to this
# Peaks below are of no interest to any threshold; where keywords are rare (``rarity``) sure ones
# that are hardly ever mistaken bear thresholds of a hundredth and less.
LOWEST_SCORE = 1e-6
_LOWEST_NATS = -1e4  # what half precision can hold, and as good as never


@dataclasses.dataclass(frozen=True)
class Span:
    """A piece of a recording whose text is known.

    Attributes:
        id: names the clip that it came from.
        speaker: "" if unknown.
        text: all that is said in it, normalised.
        start_s: where its speech begins in the recording.
        end_s: where its speech ends.
    """

    id: str
    speaker: str
    text: str
    start_s: float
    end_s: float


@dataclasses.dataclass(frozen=True)
class Recording:
    """A long recording and what is said in it; outside the spans nothing is said.

    Attributes:
        id: names it.
        waveform: at the model's rate.
        sample_rate: in Hz.
        spans: in order.
    """

    id: str
    waveform: Float32[np.ndarray, " samples"]
    sample_rate: int
    spans: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        """Its length."""
        return len(self.waveform) / self.sample_rate


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a model said of a recording.

    Attributes:
        id: the recording's.
        duration_s: the recording's.
        spans: the recording's.
        step_s: length of a step.
        log_probs: of each token.
        known_s: when each step was known, in seconds of the recording; NaN if it was computed from
            the whole recording.
    """

    id: str
    duration_s: float
    spans: tuple[Span, ...]
    step_s: float
    log_probs: Float16[np.ndarray, "steps tokens"]
    known_s: Float32[np.ndarray, " steps"]


def listen(steps: StepStream, recording: Recording, step_s: float) -> Heard:
    """Feed a recording to a model as a device does, and keep what it says.

    Args:
        steps: the model's, at the beginning of a stream.
        recording: at the model's rate.
        step_s: length of a step.
    """
    block = round(BLOCK_S * recording.sample_rate)
    pieces, known_s = [], []
    for first in range(0, len(recording.waveform), block):
        samples = recording.waveform[first : first + block]
        pieces.append(_kept(steps.push(samples)))
        now_s = (first + len(samples)) / recording.sample_rate
        known_s.append(np.full(len(pieces[-1]), now_s, np.float32))
    pieces.append(_kept(steps.flush()))
    known_s.append(np.full(len(pieces[-1]), recording.duration_s, np.float32))
    return Heard(
        recording.id,
        recording.duration_s,
        recording.spans,
        step_s,
        np.concatenate(pieces),
        np.concatenate(known_s),
    )


def listen_at_once(
    log_probs: Callable[[Float32[np.ndarray, " samples"]], Float[np.ndarray, "steps tokens"]],
    recording: Recording,
    step_s: float,
) -> Heard:
    """Let a causal model hear a whole recording in one piece, which tells nothing about delay."""
    kept = _kept(log_probs(recording.waveform))
    return Heard(
        recording.id,
        recording.duration_s,
        recording.spans,
        step_s,
        kept,
        np.full(len(kept), np.nan, np.float32),
    )


def alarms(heard: Iterable[Heard], keywords: Sequence[Keyword]) -> list[Alarm]:
    """Give every peak of the keywords' scores, whatever their thresholds, as alarms.

    A peak is one at any threshold (see ``keywords.detecting``), so those that would be raised at a
    threshold are those given here that reach it.
    """
    raised: list[Alarm] = []
    for one in heard:
        rules = Rules()
        detector = Detector(
            [dataclasses.replace(each, threshold=LOWEST_SCORE) for each in keywords],
            refractory=_steps(rules.refractory_s, one.step_s),
            mark=LOWEST_SCORE,
            longest=_steps(rules.longest_s, one.step_s),
        )
        found = detector.push(one.log_probs.astype(np.float32)) + detector.flush()
        raised += [_alarm(one, each) for each in found]
    return raised


def occurrences(
    heard: Iterable[Heard], keyword: str, sounds: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[Occurrence], list[Occurrence]]:
    """Give where ``keyword`` is said: places that are known, and spans that hold it somewhere.

    Args:
        heard: recordings with what is said in them.
        keyword: normalised text.
        sounds: how the keyword and the texts sound, where that tells them apart and not their
            letters. A span that holds what sounds like the keyword then holds it somewhere.
    """
    placed, somewhere = [], []
    sound = sounds.get(keyword, keyword)
    for one in heard:
        for span in one.spans:
            where = Occurrence(one.id, keyword, span.start_s, span.end_s)
            if span.text == keyword:
                placed.append(where)
            elif says(sounds.get(span.text, span.text), sound):
                somewhere.append(where)
    return placed, somewhere


def _steps(seconds: float, step_s: float) -> int:
    """Give how many steps cover ``seconds``; 0.3 of 0.03 are 10, whatever their binary digits."""
    return math.ceil(round(seconds / step_s, 6))


def _alarm(heard: Heard, found: Detection) -> Alarm:
    return Alarm(
        recording=heard.id,
        keyword=found.keyword,
        start_s=found.start * heard.step_s,
        end_s=found.end * heard.step_s,
        score=found.score,
        decided_s=float(heard.known_s[found.decided]),
    )


def _kept(log_probs: Float[np.ndarray, "steps tokens"]) -> Float16[np.ndarray, "steps tokens"]:
    """Give log-probabilities in half precision, which knows no impossible token."""
    return np.maximum(log_probs, _LOWEST_NATS).astype(np.float16)
