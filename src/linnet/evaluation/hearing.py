"""Hearing: the posteriors of each utterance, computed once, and all that is read from them.

Utterance -> log_probs -> text and confidence, best command and its score -> Heard
"""

import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from linnet import decode, metrics
from linnet.evaluation import commands as closed
from linnet.metrics import Counts
from linnet.text import Tokenizer, normalise


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A recording with its text ("" for silence or noise); the waveform at the model's rate."""

    id: str
    waveform: Float32[np.ndarray, " samples"]
    text: str
    speaker: str


@runtime_checkable
class Recogniser(Protocol):
    """What can be judged: a checkpoint or an exported model."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Names the tokens."""
        ...

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, in Hz."""
        ...

    def log_probs(self, waveform: Float32[np.ndarray, " samples"]) -> Float[np.ndarray, "t v"]:
        """Give the log-probabilities (steps, tokens) of a recording."""
        ...

    def seconds(self, step: int) -> float:
        """Give the time at which a step starts."""
        ...


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What was made of an utterance.

    Attributes:
        silent: the best path holds no token.
        expected: the class of the reference; empty without commands, as are the next three.
        command: the best command, whatever was said.
        score: of that command.
        decided: the class that the utterance was taken for; empty where that was not asked: for
            other words and silence without a threshold.
    """

    id: str
    speaker: str
    reference: str
    hypothesis: str
    confidence: float
    silent: bool
    words: Counts
    characters: Counts
    expected: str = ""
    command: str = ""
    score: float = 0.0
    decided: str = ""

    @property
    def misjudged(self) -> bool:
        """Whether it was taken for something else than it is."""
        return self.decided != self.expected and bool(self.decided)

    @property
    def severity(self) -> tuple[bool, float]:
        """How bad it is: wrong classes first, then by the wrong words and how sure they came.

        Of another word it only matters that it is none of the commands, not how it is spelt.
        """
        if self.expected == closed.UNKNOWN and not self.misjudged:
            return False, 0.0
        return self.misjudged, self.words.errors * self.confidence


@dataclasses.dataclass(frozen=True)
class Heard:
    """An utterance, what the network said of it, and what that was taken for."""

    judgement: Judgement
    waveform: Float32[np.ndarray, " samples"]
    log_probs: Float[np.ndarray, "steps tokens"]
    hypothesis: decode.Hypothesis
    elapsed_s: float


def hear(
    recogniser: Recogniser,
    utterances: Iterable[Utterance],
    chosen: closed.Commands | None,
    threshold: float | None,
    beam: int,
) -> Iterator[Heard]:
    """Compute the posteriors of each utterance once, and what they say."""
    for utterance in utterances:
        start = time.perf_counter()
        log_probs = recogniser.log_probs(utterance.waveform)
        best_path = decode.greedy(log_probs)
        hypothesis = best_path if beam == 1 else decode.beam(log_probs, beam)
        elapsed_s = time.perf_counter() - start
        reference = normalise(utterance.text)
        text = recogniser.tokenizer.decode(hypothesis.ids)
        judgement = Judgement(
            id=utterance.id,
            speaker=utterance.speaker,
            reference=reference,
            hypothesis=text,
            confidence=hypothesis.confidence,
            silent=not recogniser.tokenizer.decode(best_path.ids),
            words=metrics.word_counts([reference], [text])[0],
            characters=metrics.character_counts([reference], [text])[0],
        )
        if chosen is not None:
            judgement = _classified(judgement, chosen, log_probs, best_path.score, threshold)
        yield Heard(judgement, utterance.waveform, log_probs, hypothesis, elapsed_s)


def _classified(
    judgement: Judgement,
    chosen: closed.Commands,
    log_probs: Float[np.ndarray, "steps tokens"],
    best_path: float,
    threshold: float | None,
) -> Judgement:
    """Add the class of the reference, the best command, and the class decided for."""
    command, score = chosen.best(log_probs, best_path)
    expected = chosen.expected(judgement.reference)
    if threshold is not None:
        decided = closed.decide(command, score, threshold, silent=judgement.silent)
    else:
        decided = command if expected in chosen.names else ""
    return dataclasses.replace(
        judgement, expected=expected, command=command, score=score, decided=decided
    )
