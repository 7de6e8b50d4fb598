"""From posteriors to verdicts: each utterance is heard once and judged in every way from that.

Utterance -> log_probs -> text and confidence, best command and its score -> Judgement
Judgements -> figures with intervals, confusion matrices -> Report
the worst mistakes keep their waveform and posteriors for a picture, the others nothing
"""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from linnet import decode, metrics
from linnet.errors import InputError
from linnet.evaluation import commands as closed
from linnet.evaluation.report import Confusion, Mistake, Report, Timing
from linnet.metrics import Counts, Figure
from linnet.plots import Posteriors
from linnet.text import Tokenizer, normalise

_NAMED_SPEAKERS = 5


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
class _Heard:
    """An utterance, what the network said of it, and what that was taken for."""

    judgement: Judgement
    waveform: Float32[np.ndarray, " samples"]
    log_probs: Float[np.ndarray, "steps tokens"]
    hypothesis: decode.Hypothesis
    elapsed_s: float


def evaluate(
    recogniser: Recogniser,
    utterances: Iterable[Utterance],
    *,
    commands: Sequence[str] = (),
    threshold: float | None = None,
    beam: int = 1,
    worst: int = 12,
    training_speakers: Set[str] | None = None,
    model: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
) -> Report:
    """Judge a recogniser.

    Args:
        recogniser: a checkpoint or an exported model.
        utterances: read once, one at a time.
        commands: the words of the closed set, if there is one.
        threshold: the score from which a command is taken; see ``fit_rejection_threshold``.
        beam: the width of the search; 1 is greedy.
        worst: how many of the worst mistakes to show.
        training_speakers: speakers whom the recogniser has heard; the report warns of them.
        model: what the report says about the recogniser.
        data: what the report says about the recordings.
        record: where the result comes from: commit, versions, hashes.

    Raises:
        InputError: there is no utterance, or none of a command.
        TextError: the tokens cannot spell a command.
    """
    chosen = closed.Commands(commands, recogniser.tokenizer) if commands else None
    judgements: list[Judgement] = []
    mistakes: list[_Heard] = []
    timing = Timing(0.0, 0.0)
    for heard in _hear(recogniser, utterances, chosen, threshold, beam):
        judgements.append(heard.judgement)
        timing = timing.plus(len(heard.waveform) / recogniser.sample_rate, heard.elapsed_s)
        mistakes = _keep_worst([*mistakes, heard], worst)
    if not judgements:
        raise InputError("there is no utterance to judge; name a split that holds some")
    figures, confusion, notes = _closed_set(judgements, chosen, threshold)
    speakers = {judgement.speaker for judgement in judgements} - {""}
    return Report(
        figures=_transcription(judgements) | figures,
        counts={
            "words": sum((judgement.words for judgement in judgements), Counts()),
            "characters": sum((judgement.characters for judgement in judgements), Counts()),
        },
        utterances=len(judgements),
        speakers=len(speakers),
        beam=beam,
        commands=chosen.names if chosen else (),
        threshold=threshold if chosen else None,
        confusion=confusion,
        worst=tuple(_mistake(recogniser, heard) for heard in mistakes),
        warnings=_overlap(speakers, training_speakers),
        notes=notes,
        timing=timing,
        model=dict(model or {}),
        data=dict(data or {}),
        record=dict(record or {}),
    )


def fit_rejection_threshold(
    recogniser: Recogniser, utterances: Iterable[Utterance], commands: Sequence[str]
) -> float:
    """Find the threshold of the highest accuracy with rejection, on validation utterances.

    Raises:
        InputError: no utterance is another word or silence.
        TextError: the tokens cannot spell a command.
    """
    chosen = closed.Commands(commands, recogniser.tokenizer)
    scores, taken, rejected = [], [], []
    for heard in _hear(recogniser, utterances, chosen, threshold=None, beam=1):
        judgement = heard.judgement
        scores.append(judgement.score)
        taken.append(judgement.command == judgement.expected)
        rejected.append(closed.otherwise(silent=judgement.silent) == judgement.expected)
    return closed.best_threshold(
        np.array(scores, np.float64), np.array(taken, bool), np.array(rejected, bool)
    )


def _hear(
    recogniser: Recogniser,
    utterances: Iterable[Utterance],
    chosen: closed.Commands | None,
    threshold: float | None,
    beam: int,
) -> Iterator[_Heard]:
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
        yield _Heard(judgement, utterance.waveform, log_probs, hypothesis, elapsed_s)


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


def _keep_worst(heard: list[_Heard], worst: int) -> list[_Heard]:
    """Keep the worst mistakes, the worst first; of equally bad ones those that came first."""
    wrong = [one for one in heard if any(one.judgement.severity)]
    return sorted(wrong, key=lambda one: one.judgement.severity, reverse=True)[:worst]


def _mistake(recogniser: Recogniser, heard: _Heard) -> Mistake:
    """Give what the report shows of a mistake."""
    judgement, hypothesis = heard.judgement, heard.hypothesis
    tokens = recogniser.tokenizer.tokens
    spans = zip(hypothesis.ids, hypothesis.starts, hypothesis.ends, strict=True)
    return Mistake(
        id=judgement.id,
        speaker=judgement.speaker,
        reference=judgement.reference,
        hypothesis=judgement.hypothesis,
        confidence=judgement.confidence,
        word_errors=judgement.words.errors,
        expected=judgement.expected,
        decided=judgement.decided,
        score=judgement.score,
        waveform=heard.waveform,
        sample_rate=recogniser.sample_rate,
        posteriors=Posteriors(
            log_probs=heard.log_probs,
            tokens=tuple(tokens),
            edges_s=np.array([recogniser.seconds(i) for i in range(len(heard.log_probs) + 1)]),
            heard=tuple(
                (tokens[i], recogniser.seconds(start), recogniser.seconds(end))
                for i, start, end in spans
            ),
        ),
    )


def _transcription(judgements: Sequence[Judgement]) -> dict[str, Figure]:
    """Give the figures of the text: error rates (if there are words), whole utterances right."""
    figures = {}
    speakers = [judgement.speaker for judgement in judgements]
    if any(judgement.reference for judgement in judgements):
        figures["wer"] = metrics.error_rate([j.words for j in judgements], speakers)
        figures["cer"] = metrics.error_rate([j.characters for j in judgements], speakers)
    right = sum(not judgement.words.errors for judgement in judgements)
    figures["sentence_accuracy"] = metrics.proportion(right, len(judgements))
    return figures


def _closed_set(
    judgements: Sequence[Judgement], chosen: closed.Commands | None, threshold: float | None
) -> tuple[dict[str, Figure], dict[str, Confusion], tuple[str, ...]]:
    """Give figures and confusion of the commands alone, and with all else to be rejected."""
    if chosen is None:
        return {}, {}, ()
    pairs = [(j.expected, j.command) for j in judgements if j.expected in chosen.names]
    if not pairs:
        raise InputError(
            f"none of {len(judgements)} utterances is one of the commands "
            f"{', '.join(chosen.names)}; name commands that the recordings hold"
        )
    figures = {"closed_set_accuracy": _accuracy(pairs)}
    confusion = {"closed_set": _confusion(pairs, chosen.names)}
    others = len(judgements) - len(pairs)
    if not others:
        return figures, confusion, ()
    if threshold is None:
        note = f"{others} utterances of other words or silence were not judged: no threshold"
        return figures, confusion, (note,)
    pairs = [(judgement.expected, judgement.decided) for judgement in judgements]
    figures["accuracy_with_rejection"] = _accuracy(pairs)
    classes = (*chosen.names, closed.UNKNOWN, closed.SILENCE)
    confusion["with_rejection"] = _confusion(pairs, classes)
    return figures, confusion, ()


def _accuracy(pairs: Sequence[tuple[str, str]]) -> Figure:
    return metrics.proportion(sum(said == decided for said, decided in pairs), len(pairs))


def _confusion(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> Confusion:
    said, decided = zip(*pairs, strict=True)
    if closed.NONE in decided:
        classes = (*classes, closed.NONE)
    return Confusion(tuple(classes), metrics.confusion_matrix(said, decided, classes))


def _overlap(speakers: Set[str], training_speakers: Set[str] | None) -> tuple[str, ...]:
    """Warn of speakers whom the recogniser has heard."""
    known = sorted(speakers & (training_speakers or set()))
    if not known:
        return ()
    named = ", ".join(known[:_NAMED_SPEAKERS]) + (", ..." if len(known) > _NAMED_SPEAKERS else "")
    return (
        f"{len(known)} of the {len(speakers)} speakers judged here were also heard in training "
        f"({named}): the figures are better than they will be for new speakers",
    )
