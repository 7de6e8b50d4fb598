"""From what was heard to figures: every form of a model on the same recordings.

Heard of each form -> alarms -> Trials of each keyword, pooled -> figures -> SpottingReport
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from linnet.errors import InputError
from linnet.evaluation.judging import overlap
from linnet.evaluation.spotting import homophones, notes
from linnet.evaluation.spotting.listening import Heard, alarms, occurrences
from linnet.evaluation.spotting.report import (
    POOLED,
    Audio,
    Cost,
    FalseAlarm,
    Form,
    SpottingReport,
    Value,
)
from linnet.keywords import Keyword
from linnet.metrics import Figure, proportion, rate
from linnet.metrics.matching import Alarm, Trials, false_alarms, match, pool
from linnet.metrics.spotting import (
    at_rate,
    best_term_weighted_value,
    bootstrap,
    delay,
    hours_needed,
    misses_each,
    term_weighted_value,
)

_LONGEST_DELAY = 0.95  # the share of the alarms that come sooner


def evaluate(
    heard: Mapping[str, Sequence[Heard]],
    keywords: Sequence[Keyword],
    *,
    calibrated: bool,
    rates: Sequence[float],
    worst: int,
    costs: Mapping[str, Cost],
    training_speakers: Set[str],
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    record: Mapping[str, Any],
    accent: str | None = None,
) -> SpottingReport:
    """Judge a model.

    Args:
        heard: what each form of it heard, of the same recordings.
        keywords: what to listen for, with thresholds.
        calibrated: the thresholds were chosen on other audio; else no figure uses them.
        rates: false alarms per hour at which the misses are wanted.
        worst: how many false alarms to name.
        costs: of each form, where measured.
        training_speakers: whom the model has heard; the report warns of them.
        model: what the report says about it.
        data: what the report says about the recordings.
        record: where the result comes from.
        accent: espeak-ng's name of one in which words that sound like a keyword, as "ate" does
            like "eight", are neither true nor false; None: such words are negative audio.

    Raises:
        CorpusError: there is no such accent.
        InputError: there is nothing to listen to, or no keyword is said in it.
        MissingExtraError: an accent is given, and espeak-ng is not installed.
    """
    any_form = next(iter(heard.values()), ())
    if not any_form:
        raise InputError("there is no recording to listen to; name a split that holds some")
    heard_as = homophones.sounding(any_form, keywords, accent) if accent else {}
    said = {each.text: occurrences(any_form, each.text, heard_as) for each in keywords}
    if not any(placed for placed, _ in said.values()):
        raise InputError(
            f"none of the keywords {', '.join(said)} is said in {len(any_form)} recordings by "
            "itself; name keywords that are, or audio that holds these"
        )
    audio = _audio(any_form)
    forms = tuple(
        _form(
            name,
            each,
            keywords,
            rates,
            heard_as=heard_as,
            calibrated=calibrated,
            worst=worst,
            cost=costs.get(name),
        )
        for name, each in heard.items()
    )
    speakers = {span.speaker for one in any_form for span in one.spans} - {""}
    return SpottingReport(
        forms=forms,
        keywords=tuple(keywords),
        calibrated=calibrated,
        rates=tuple(rates),
        audio=audio,
        warnings=overlap(speakers, training_speakers),
        notes=(
            *notes.of_figures(forms[0], said, rates, calibrated=calibrated),
            *homophones.notes(keywords, heard_as),
        ),
        model=dict(model),
        data=dict(data),
        record=dict(record),
    )


def _form(
    name: str,
    heard: Sequence[Heard],
    keywords: Sequence[Keyword],
    rates: Sequence[float],
    *,
    heard_as: Mapping[str, str],
    calibrated: bool,
    worst: int,
    cost: Cost | None,
) -> Form:
    """Judge one form of the model."""
    durations_s = {one.id: one.duration_s for one in heard}
    raised = alarms(heard, keywords)
    trials, strict, false = {}, {}, list[Alarm]()
    said = {each.text: occurrences(heard, each.text, heard_as) for each in keywords}
    every = [one for placed, _ in said.values() for one in placed]
    for text, (placed, somewhere) in said.items():
        trials[text] = match(text, placed, raised, durations_s, unplaced=somewhere, others=every)
        # The term-weighted value counts a confusion as a false alarm.
        strict[text] = match(text, placed, raised, durations_s, unplaced=somewhere)
        rivals = [one for one in every if one.keyword != text]
        false += false_alarms(text, [*placed, *somewhere], raised, others=rivals)
    thresholds = {each.text: each.threshold for each in keywords} if calibrated else None
    pooled = pool(list(trials.values()))
    figures = _misses(pooled, rates) | _misses_each(trials, rates) | _confused(pooled, rates)
    figures |= _chosen(trials, pooled, thresholds)
    figures |= _weighted(strict, thresholds, sum(durations_s.values()))
    figures |= _delays(trials, pooled, thresholds, rates)
    by_keyword = {
        text: _misses(one, rates)
        | _chosen({text: one}, one, thresholds)
        | _delays({text: one}, one, thresholds, rates)
        for text, one in trials.items()
    }
    false.sort(key=lambda alarm: -alarm.score)
    return Form(
        name=name,
        figures=figures,
        by_keyword=by_keyword,
        trials={**trials, POOLED: pooled},
        worst=tuple(FalseAlarm(alarm, _said(heard, alarm)) for alarm in false[:worst]),
        cost=cost,
    )


def _misses(trials: Trials, rates: Sequence[float]) -> dict[str, Value]:
    """Give the misses at each rate of false alarms; a bound where the hours do not bear it."""
    figures = {}
    for each in rates:
        point = at_rate(trials, each)
        if point.frr is not None:
            high = 1.0 if point.bound else point.frr.high
            figures[f"frr_at_{each:g}"] = Value(
                point.frr.value, point.frr.low, high, point.frr.count, bound=point.bound
            )
    return figures


def _misses_each(trials: Mapping[str, Trials], rates: Sequence[float]) -> dict[str, Value]:
    """Give the misses of all keywords where each raises so many false alarms an hour by itself.

    Every keyword has the threshold that its own rate asks for, as calibration sets it; so all
    together raise as many times more. One keyword has nothing to add to ``_misses``.
    """
    said = sum(len(one.true_scores) for one in trials.values())
    if not said or len(trials) == 1:
        return {}
    figures = {}
    for each in rates:
        bound = any(one.hours < hours_needed(each) for one in trials.values())
        frr = proportion(misses_each(trials.values(), each), said)
        high = 1.0 if bound else frr.high
        figures[f"frr_each_at_{each:g}"] = Value(frr.value, frr.low, high, said, bound=bound)
    return figures


def _confused(pooled: Trials, rates: Sequence[float]) -> dict[str, Value]:
    """Give, at each rate of false alarms, how many occurrences raised another keyword's alarm."""
    said = len(pooled.true_scores)
    figures = {}
    for each in rates:
        confused = pooled.confusions(at_rate(pooled, each).threshold)
        if said:
            figures[f"confused_at_{each:g}"] = _value(proportion(min(confused, said), said))
    return figures


def _chosen(
    trials: Mapping[str, Trials], pooled: Trials, thresholds: Mapping[str, float] | None
) -> dict[str, Value]:
    """Give misses and false alarms per hour at the keywords' own thresholds, if they have any."""
    if thresholds is None:
        return {}
    missed = sum(one.misses(thresholds[text]) for text, one in trials.items())
    raised = sum(one.false_alarms(thresholds[text]) for text, one in trials.items())
    figures = {"false_alarms_per_hour": _value(rate(raised, pooled.hours))}
    if len(pooled.true_scores):
        figures["frr"] = _value(proportion(missed, len(pooled.true_scores)))
    return figures


def _weighted(
    trials: Mapping[str, Trials], thresholds: Mapping[str, float] | None, audio_s: float
) -> dict[str, Value]:
    """Give NIST's term-weighted values."""
    best = bootstrap(trials, lambda drawn: best_term_weighted_value(drawn, audio_s)[0])
    figures = {"mtwv": _value(best)}
    if thresholds is not None:
        figures["atwv"] = _value(
            bootstrap(trials, lambda drawn: term_weighted_value(drawn, thresholds, audio_s))
        )
    return figures


def _delays(
    trials: Mapping[str, Trials],
    pooled: Trials,
    thresholds: Mapping[str, float] | None,
    rates: Sequence[float],
) -> dict[str, Value]:
    """Give the delay at the keywords' own thresholds, or at the highest rate that was asked for."""
    shared = at_rate(pooled, max(rates)).threshold
    late = pool(
        [
            dataclasses.replace(one, **_accepted(one, (thresholds or {}).get(text, shared)))
            for text, one in trials.items()
        ]
    )
    if np.isnan(late.delays_s).any():
        return {}
    found = {
        "delay_median_s": delay(late, 0.0, 0.5),
        "delay_p95_s": delay(late, 0.0, _LONGEST_DELAY),
    }
    return {name: _value(figure) for name, figure in found.items() if figure is not None}


def _accepted(trials: Trials, threshold: float) -> dict[str, Any]:
    """Give what is left of the occurrences at a threshold."""
    kept = trials.true_scores >= threshold
    return {"true_scores": trials.true_scores[kept], "delays_s": trials.delays_s[kept]}


def _value(figure: Figure) -> Value:
    return Value(figure.value, figure.low, figure.high, figure.count)


def _said(heard: Sequence[Heard], alarm: Alarm) -> str:
    """Give what is said where an alarm was raised."""
    for one in heard:
        if one.id == alarm.recording:
            texts = [
                span.text
                for span in one.spans
                if span.start_s < alarm.end_s and alarm.start_s < span.end_s
            ]
            return " ... ".join(texts)
    return ""


def _audio(heard: Sequence[Heard]) -> Audio:
    spans = [span for one in heard for span in one.spans]
    return Audio(
        hours=sum(one.duration_s for one in heard) / 3600,
        speech_hours=math.fsum(span.end_s - span.start_s for span in spans) / 3600,
        recordings=len(heard),
        clips=len(spans),
        speakers=len({span.speaker for span in spans} - {""}),
    )
