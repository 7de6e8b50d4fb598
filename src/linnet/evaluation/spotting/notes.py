"""What the figures of a report on keyword spotting do not cover, and what in them is chance."""

from collections.abc import Mapping, Sequence
from typing import Any

from linnet.evaluation.spotting.report import POOLED, Form
from linnet.metrics.matching import Trials
from linnet.metrics.spotting import EVENTS_TO_CLAIM, events, hours_needed, misses_by_chance

_FEW = 10  # false alarms that set a threshold, which by chance alone may be other ones


def of_figures(
    form: Form,
    said: Mapping[str, tuple[Sequence[Any], Sequence[Any]]],
    rates: Sequence[float],
    *,
    calibrated: bool,
) -> tuple[str, ...]:
    """Say what the figures do not cover.

    Args:
        form: of the model, whose misses stand for those of its other forms.
        said: where each keyword is said, and where it is said at an unknown moment.
        rates: false alarms per hour at which the misses are given.
        calibrated: the keywords have thresholds of their own.
    """
    pooled = form.trials[POOLED]
    notes = []
    unborne = [each for each in rates if pooled.hours < hours_needed(each)]
    if unborne:
        named = ", ".join(f"{each:g}" for each in unborne)
        notes.append(
            f"{pooled.hours:.2f} hours of negative audio bear no claim about {named} false alarms "
            f"per hour ({hours_needed(min(unborne)):.3g} hours would for the lowest): the misses "
            f"there are at least those at {EVENTS_TO_CLAIM / pooled.hours:.2g} per hour"
        )
    few = [each for each in rates if each not in unborne and each * pooled.hours < _FEW]
    notes += [_chance(form.name, pooled, each) for each in sorted(few)]
    if not calibrated:
        notes.append(
            "the keywords have no thresholds of their own ('linnet calibrate' finds them), so "
            "there are no figures at a chosen point and no ATWV"
        )
    somewhere = sum(len(unplaced) for _, unplaced in said.values())
    if somewhere:
        notes.append(
            f"{somewhere} times a keyword is said within a sentence, nobody knows when: these "
            "sentences are left out for that keyword"
        )
    missing = [text for text, (placed, _) in said.items() if not placed]
    if missing:
        notes.append(f"never said by itself, so judged by false alarms only: {', '.join(missing)}")
    return tuple(notes)


def _chance(name: str, pooled: Trials, per_hour: float) -> str:
    """Say how far the misses at a rate hang on which false alarms came to be heard."""
    counted = events(per_hour, pooled.hours)
    chance = misses_by_chance(pooled, per_hour)
    spoken = len(pooled.true_scores)
    low, high = (100 * misses / spoken for misses in (chance.fewest, chance.highest))
    return (
        f"at {per_hour:g} false alarms per hour {counted} of them set the threshold, and their "
        f"number is chance: as many other hours would hold {chance.least} to {chance.most} (95 %), "
        f"and with thresholds so set {low:.1f} to {high:.1f} % are missed ({name}), which Wilson's "
        "intervals do not tell"
    )
