"""Misses against false alarms: hand-made cases, and rules against others' and definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, poisson
from sklearn.metrics import det_curve

from linnet.errors import InputError
from linnet.metrics import counts, proportion, quantile, rate
from linnet.metrics.matching import Alarm, Occurrence, Trials, match, pool
from linnet.metrics.spotting import (
    at_rate,
    at_threshold,
    best_term_weighted_value,
    bootstrap,
    curve,
    delay,
    hours_needed,
    lowest_threshold,
    misses_by_chance,
    term_weighted_value,
)

SAID = [Occurrence("a", "go", 10.0, 11.0), Occurrence("a", "go", 20.0, 20.5)]
DURATIONS = {"a": 1800.0, "b": 1800.0}
scores = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8, 1.0]), max_size=12)


def alarm(middle_s: float, score: float, *, late_s: float = 0.2, recording: str = "a") -> Alarm:
    return Alarm(recording, "go", middle_s - 0.2, middle_s + 0.2, score, middle_s + 0.2 + late_s)


def trials(true: list[float], false: list[float], hours: float = 10.0) -> Trials:
    return Trials(np.array(true, float), np.array(true, float), np.array(false, float), hours)


def test_an_alarm_is_true_while_its_middle_lies_in_the_widened_occurrence() -> None:
    for middle_s, hit in [(9.49, False), (9.5, True), (11.5, True), (11.51, False), (20.9, True)]:
        found = match("go", SAID, [alarm(middle_s, 0.5)], DURATIONS)
        assert found.misses(0.5) == (1 if hit else 2)
        assert found.false_alarms(0.5) == (0 if hit else 1)


def test_a_second_alarm_in_a_hit_is_neither_true_nor_false() -> None:
    found = match("go", SAID, [alarm(10.2, 0.5), alarm(10.9, 0.7)], DURATIONS)
    assert found.true_scores.tolist() == [0.7, 0.0]
    assert not len(found.false_scores)
    assert found.delays_s[0] == pytest.approx(10.9 + 0.2 + 0.2 - 11.0)
    assert at_threshold(found, 0.6).frr == proportion(1, 2)


def test_alarms_of_other_keywords_and_recordings_are_not_taken_for_this_one() -> None:
    other = Alarm("a", "stop", 10.0, 11.0, 0.9, 11.0)
    found = match("go", SAID, [other, alarm(10.5, 0.9, recording="b")], DURATIONS)
    assert (found.misses(0.5), found.false_alarms(0.5)) == (2, 1)


def test_two_alarms_take_two_neighbouring_occurrences() -> None:
    said = [Occurrence("a", "go", 1.0, 2.0), Occurrence("a", "go", 2.1, 3.0)]
    found = match("go", said, [alarm(1.9, 0.9), alarm(2.2, 0.5)], DURATIONS)
    assert found.true_scores.tolist() == [0.9, 0.5]


def test_a_detector_that_never_fires_misses_all_and_raises_nothing() -> None:
    found = match("go", SAID, [], DURATIONS)
    point = at_rate(found, 5.0)
    assert point.frr == proportion(2, 2)
    assert point.false_alarms == rate(0, found.hours)
    assert point.threshold == math.inf
    assert term_weighted_value({"go": found}, {"go": 0.1}, 3600.0) == 0.0
    assert best_term_weighted_value({"go": found}, 3600.0)[0] == 0.0
    assert delay(found, 0.1, 0.5) is None


def test_a_detector_that_always_fires_misses_nothing_and_pays_for_every_second() -> None:
    everywhere = [alarm(t + 0.5, 1.0, recording=name) for name in DURATIONS for t in range(1800)]
    found = match("go", SAID, everywhere, DURATIONS)
    assert found.misses(1.0) == 0
    # 9.5 and 10.5 of [9.5, 11.5], 11.5; 19.5 and 20.5 of [19.5, 21.0].
    assert found.false_alarms(1.0) == 3600 - 5
    assert found.hours == pytest.approx((3600 - 2.0 - 1.5) / 3600)
    # Whatever the rate asked for, no threshold stays below it, so nothing may fire.
    assert at_rate(found, 100.0).frr == proportion(2, 2)
    expected = 1 - 999.9 * 3595 / (3600 - 2)
    assert term_weighted_value({"go": found}, {"go": 1.0}, 3600.0) == pytest.approx(expected)


def test_a_detector_that_fires_twice_in_each_hit_is_perfect() -> None:
    twice = [alarm(t + d, 0.9) for t in (10.5, 20.2) for d in (0.0, 0.3)]
    found = match("go", SAID, twice, DURATIONS)
    point = at_rate(found, 5.0)
    assert point.frr == proportion(0, 2)
    assert point.false_alarms.count == 0
    assert best_term_weighted_value({"go": found}, 3600.0) == (1.0, 0.9)


def test_an_alarm_where_another_keyword_is_said_is_a_confusion_and_its_time_no_negative_audio() -> (
    None
):
    others = [Occurrence("a", "stop", 100.0, 101.0), Occurrence("a", "go", 50.0, 51.0)]
    raised = [alarm(100.5, 0.9), alarm(102.0, 0.4), alarm(50.5, 0.3)]
    strict = match("go", SAID, raised, DURATIONS)
    assert sorted(strict.false_scores) == [0.3, 0.4, 0.9]
    found = match("go", SAID, raised, DURATIONS, others=others)
    assert sorted(found.false_scores) == [0.3, 0.4]
    assert list(found.confused_scores) == [0.9]
    assert [found.confusions(each) for each in (0.5, 0.95)] == [1, 0]
    assert strict.hours - found.hours == pytest.approx(2.0 / 3600)


def test_overlapping_occurrences_are_taken_from_the_hours_once() -> None:
    said = [Occurrence("a", "go", 0.2, 1.0), Occurrence("a", "go", 0.8, 1.5)]
    assert match("go", said, [], {"a": 3600.0}).hours == pytest.approx((3600 - 2.0) / 3600)


def test_an_occurrence_in_a_recording_that_nobody_heard_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^c: 'go' is said or heard there, but the recording is"):
        match("go", [Occurrence("c", "go", 0.0, 1.0)], [], DURATIONS)


@settings(max_examples=100, deadline=None)
@given(scores.filter(len), scores.filter(len))
def test_the_curve_has_the_counts_of_sklearns_det_curve(
    true: list[float], false: list[float]
) -> None:
    ours = curve(trials(true, false))
    labels = np.array([1] * len(true) + [0] * len(false))
    fpr, fnr, thresholds = det_curve(labels, np.array(true + false))
    for threshold, positives, negatives in zip(thresholds, fpr, fnr, strict=True):
        place = np.flatnonzero(ours.thresholds == threshold)[0]
        assert ours.false_alarms[place] == round(positives * len(false))
        assert ours.misses[place] == round(negatives * len(true))
    for threshold, misses, alarms in zip(
        ours.thresholds, ours.misses, ours.false_alarms, strict=True
    ):
        assert misses == sum(score < threshold for score in true)
        assert alarms == sum(score >= threshold for score in false)


@settings(max_examples=100, deadline=None)
@given(scores, scores, st.integers(0, 4))
def test_the_lowest_threshold_allows_so_many_and_one_lower_does_not(
    true: list[float], false: list[float], allowed: int
) -> None:
    made = trials(true, false)
    threshold = lowest_threshold(made, allowed)
    assert made.false_alarms(threshold) <= allowed
    lower = [score for score in true + false if score < threshold]
    if lower:
        assert made.false_alarms(max(lower)) > allowed


def test_a_rate_that_the_hours_cannot_bear_is_a_bound() -> None:
    made = trials([0.9, 0.6, 0.4, 0.2], [0.5, 0.45, 0.3, 0.25, 0.1], hours=3.0)
    exact = at_rate(made, 1.0)
    assert not exact.bound
    assert exact.threshold == 0.3  # three false alarms in three hours
    assert exact.frr == proportion(1, 4)
    # At 0.1 an hour fewer alarms are allowed, so at least as much is missed.
    low = at_rate(made, 0.1)
    assert low.bound
    assert low.frr == exact.frr
    assert hours_needed(0.1) == pytest.approx(30.0)
    with pytest.raises(InputError, match=r"must be above 0, got 0\.0; give 0\.5, say"):
        hours_needed(0.0)


def test_misses_by_chance_are_those_at_the_fewest_and_the_most_false_alarms() -> None:
    # At 1 an hour three hours hold 0 to 7 (Poisson's 2.5 and 97.5 %).
    false = [0.95, 0.8, 0.7, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15]
    chance = misses_by_chance(trials([1.0, 0.9, 0.6, 0.3, 0.2], false, hours=3.0), 1.0)
    assert (chance.least, chance.most) == (0, 7)
    assert (chance.fewest, chance.highest) == (1, 4)
    with pytest.raises(InputError, match=r"must be above 0, got -1\.0"):
        misses_by_chance(trials([0.9], []), -1.0)


def test_the_threshold_of_a_rate_lies_between_those_of_chance_nineteen_times_in_twenty() -> None:
    # False alarms of one score in (0, 1) at 4 an hour: above 0.75 there is 1 an hour.
    random = np.random.default_rng(0)
    true = random.random(400).tolist()
    held = []
    for _ in range(1000):
        made = trials(true, random.random(random.poisson(12.0)).tolist(), hours=3.0)
        chance = misses_by_chance(made, 1.0)
        held.append(chance.fewest <= made.misses(0.75) <= chance.highest)
    assert 0.94 < np.mean(held) < 0.99


def test_pooled_false_alarms_are_those_of_all_keywords_in_the_same_hours() -> None:
    pooled = pool([trials([0.9], [0.5, 0.4], hours=2.0), trials([0.3], [0.6], hours=4.0)])
    assert pooled.hours == 3.0
    point = at_threshold(pooled, 0.5)
    assert point.false_alarms.value == pytest.approx(2 / 3)
    assert point.frr == proportion(1, 2)


def test_the_best_term_weighted_value_is_the_best_of_all_thresholds() -> None:
    random = np.random.default_rng(0)
    made = {
        name: trials(random.random(9).round(2).tolist(), (random.random(3) * 0.5).tolist())
        for name in ("go", "stop")
    }
    made["absent"] = trials([], [0.99])
    every = np.unique(
        np.concatenate([np.r_[one.true_scores, one.false_scores] for one in made.values()])
    )
    values = {
        threshold: term_weighted_value(made, dict.fromkeys(made, threshold), 36000.0)
        for threshold in [*every.tolist(), math.inf]
    }
    best, where = best_term_weighted_value(made, 36000.0)
    assert best == pytest.approx(max(values.values()))
    assert values[where] == pytest.approx(best)


def test_the_bootstrap_of_a_miss_rate_is_about_wilsons_interval() -> None:
    made = {"go": trials([0.9] * 60 + [0.1] * 40, [0.8] * 5)}
    drawn = bootstrap(made, lambda one: one["go"].misses(0.5) / 100)
    wilson = proportion(40, 100)
    assert drawn.value == 0.4
    assert (drawn.low, drawn.high) == pytest.approx((wilson.low, wilson.high), abs=0.03)
    alarms = bootstrap(made, lambda one: float(one["go"].false_alarms(0.5)))
    assert (alarms.low, alarms.high) == pytest.approx((1.6, 10.0), abs=1.0)


def test_where_a_keyword_is_said_at_an_unknown_moment_nothing_is_counted() -> None:
    sentence = [Occurrence("a", "go", 100.0, 104.0)]
    raised = [alarm(102.0, 0.9), alarm(105.0, 0.8)]
    found = match("go", SAID, raised, DURATIONS, unplaced=sentence)
    assert found.false_scores.tolist() == [0.8]
    assert found.misses(0.5) == 2
    assert found.hours == pytest.approx((3600 - 2.0 - 1.5 - 5.0) / 3600)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.floats(0.1, 50.0))
def test_the_interval_of_a_rate_is_scipys_exact_poisson_interval(events: int, hours: float) -> None:
    ours = rate(events, hours)
    low = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    assert ours.low * hours == pytest.approx(low, rel=1e-6, abs=1e-9)
    assert ours.high * hours == pytest.approx(chi2.ppf(0.975, 2 * events + 2) / 2, rel=1e-6)
    assert poisson.cdf(events, ours.high * hours) == pytest.approx(0.025, rel=1e-5)


@given(st.floats(1e-3, 3000.0))
def test_counts_by_chance_are_scipys_poisson_quantiles(mean: float) -> None:
    assert counts(mean) == tuple(poisson.ppf([0.025, 0.975], mean))


@given(st.integers(1, 400), st.floats(0, 1))
def test_the_interval_of_misses_is_scipys_wilson_interval(count: int, share: float) -> None:
    misses = round(share * count)
    ours = at_threshold(trials([0.1] * misses + [0.9] * (count - misses), []), 0.5).frr
    assert ours is not None
    theirs = binomtest(misses, count).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_interval_of_a_median_holds_it_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(0)
    held = [
        figure.low <= math.log(2) <= figure.high
        for figure in (quantile(random.exponential(size=60), 0.5) for _ in range(1000))
    ]
    assert 0.93 < np.mean(held) < 0.985


def test_figures_of_nothing_are_errors() -> None:
    with pytest.raises(InputError, match="needs events in some hours, got 1 in 0"):
        rate(1, 0.0)
    with pytest.raises(InputError, match="at least one value, got none"):
        quantile(np.zeros(0), 0.5)
    with pytest.raises(InputError, match="needs a keyword that occurs, and none does"):
        term_weighted_value({"go": trials([], [])}, {"go": 0.5}, 1.0)
    with pytest.raises(InputError, match="no keyword to pool"):
        pool([])
