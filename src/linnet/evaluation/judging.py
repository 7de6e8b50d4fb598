"""From what was heard to a report: each utterance is judged in every way from one hearing.

Heard -> figures with intervals, confusion matrices -> Report
the worst mistakes keep their waveform and posteriors for a picture, the others nothing
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from linnet import metrics
from linnet.errors import InputError
from linnet.evaluation import commands as closed
from linnet.evaluation.hearing import Heard, Judgement, Recogniser, Utterance, hear
from linnet.evaluation.report import Confusion, Mistake, Report, Timing
from linnet.metrics import Counts, Figure
from linnet.plots import Posteriors

_NAMED_SPEAKERS = 5


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
    mistakes: list[Heard] = []
    timing = Timing(0.0, 0.0)
    for heard in hear(recogniser, utterances, chosen, threshold, beam):
        judgements.append(heard.judgement)
        timing = timing.plus(len(heard.waveform) / recogniser.sample_rate, heard.elapsed_s)
        mistakes = _keep_worst([*mistakes, heard], worst)
    if not judgements:
        raise InputError("there is no utterance to judge; name a split that holds some")
    figures, confusion, notes = _closed_set(judgements, chosen, threshold)
    speakers = {judgement.speaker for judgement in judgements} - {""}
    return Report(
        figures=_transcription(judgements) | figures,
        counts=_counts(judgements),
        utterances=len(judgements),
        speakers=len(speakers),
        beam=beam,
        commands=chosen.names if chosen else (),
        threshold=threshold if chosen else None,
        confusion=confusion,
        worst=tuple(_mistake(recogniser, heard) for heard in mistakes),
        warnings=overlap(speakers, training_speakers),
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
    for heard in hear(recogniser, utterances, chosen, threshold=None, beam=1):
        judgement = heard.judgement
        scores.append(judgement.score)
        taken.append(judgement.command == judgement.expected)
        rejected.append(closed.otherwise(silent=judgement.silent) == judgement.expected)
    return closed.best_threshold(
        np.array(scores, np.float64), np.array(taken, bool), np.array(rejected, bool)
    )


def _keep_worst(heard: list[Heard], worst: int) -> list[Heard]:
    """Keep the worst mistakes, the worst first; of equally bad ones those that came first."""
    wrong = [one for one in heard if any(one.judgement.severity)]
    return sorted(wrong, key=lambda one: one.judgement.severity, reverse=True)[:worst]


def _mistake(recogniser: Recogniser, heard: Heard) -> Mistake:
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


def _counts(judgements: Sequence[Judgement]) -> dict[str, Counts]:
    return {
        "words": sum((judgement.words for judgement in judgements), Counts()),
        "characters": sum((judgement.characters for judgement in judgements), Counts()),
    }


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


def overlap(speakers: Set[str], training_speakers: Set[str] | None) -> tuple[str, ...]:
    """Warn of speakers whom the recogniser has heard."""
    known = sorted(speakers & (training_speakers or set()))
    if not known:
        return ()
    named = ", ".join(known[:_NAMED_SPEAKERS]) + (", ..." if len(known) > _NAMED_SPEAKERS else "")
    return (
        f"{len(known)} of the {len(speakers)} speakers judged here were also heard in training "
        f"({named}): the figures are better than they will be for new speakers",
    )
