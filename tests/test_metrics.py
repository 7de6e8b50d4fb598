"""Error rates and intervals, each against another's or against its definition."""

import functools

import jiwer
import numpy as np
import pytest
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as sklearn_confusion

from linnet.errors import InputError
from linnet.metrics import (
    Counts,
    character_counts,
    confusion_matrix,
    error_rate,
    proportion,
    word_counts,
)

sentences = st.lists(st.sampled_from(["go", "left", "a", "up"]), max_size=6).map(" ".join)
pairs = st.lists(st.tuples(sentences, sentences), min_size=1, max_size=8)


def edit_distance(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> int:
    @functools.cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (reference[i - 1] != hypothesis[j - 1]),
        )

    return distance(len(reference), len(hypothesis))


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_the_errors_of_each_pair_are_its_edit_distance(texts: list[tuple[str, str]]) -> None:
    references, hypotheses = zip(*texts, strict=True)
    words = word_counts(references, hypotheses)
    characters = character_counts(references, hypotheses)
    for reference, hypothesis, word, character in zip(
        references, hypotheses, words, characters, strict=True
    ):
        assert word.errors == edit_distance(tuple(reference.split()), tuple(hypothesis.split()))
        assert word.reference == len(reference.split())
        assert word.hits + word.substitutions + word.insertions == len(hypothesis.split())
        assert character.errors == edit_distance(tuple(reference), tuple(hypothesis))
        assert character.reference == len(reference)


@settings(max_examples=30, deadline=None)
@given(pairs.filter(lambda texts: any(reference for reference, _ in texts)))
def test_the_rates_are_those_of_jiwer_and_torchmetrics(texts: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*texts, strict=True))
    speakers = ["same"] * len(references)
    wer = error_rate(word_counts(references, hypotheses), speakers).value
    cer = error_rate(character_counts(references, hypotheses), speakers).value
    assert wer == pytest.approx(jiwer.wer(references, hypotheses))
    assert cer == pytest.approx(jiwer.cer(references, hypotheses))
    theirs = torchmetrics.text.WordErrorRate()(hypotheses, references)
    assert wer == pytest.approx(float(theirs), rel=1e-6)
    theirs = torchmetrics.text.CharErrorRate()(hypotheses, references)
    assert cer == pytest.approx(float(theirs), rel=1e-6)


def test_what_is_heard_in_silence_is_inserted() -> None:
    counts = word_counts(["", "go left", "", "up"], ["go", "go right", "", ""])
    assert counts == [
        Counts(insertions=1),
        Counts(hits=1, substitutions=1),
        Counts(),
        Counts(0, 0, 1),
    ]
    figure = error_rate(counts, list("abcd"))
    assert figure.value == 3 / 3
    assert figure.count == 3
    assert character_counts([""], ["up"]) == [Counts(insertions=2)]
    with pytest.raises(InputError, match="all 2 are empty"):
        error_rate(word_counts(["", ""], ["go", ""]), ["a", "b"])


@pytest.mark.parametrize("trials", [1, 2, 7, 50, 563])
def test_the_interval_of_a_share_is_wilsons_as_scipy_has_it(trials: int) -> None:
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        ours = proportion(successes, trials)
        theirs = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
        assert ours.low <= ours.value <= ours.high
        assert (ours.value, ours.count) == (successes / trials, trials)


def test_a_share_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="got 0 of 0"):
        proportion(0, 0)
    with pytest.raises(InputError, match="got 3 of 2"):
        proportion(3, 2)


def test_the_bootstrap_of_independent_words_is_about_wilsons_interval() -> None:
    generator = np.random.default_rng(0)
    wrong = generator.random(600) < 0.2
    counts = [Counts(substitutions=1) if w else Counts(hits=1) for w in wrong]
    bootstrap = error_rate(counts, [str(i) for i in range(600)])
    wilson = proportion(int(wrong.sum()), 600)
    assert bootstrap.value == wilson.value
    assert (bootstrap.low, bootstrap.high) == pytest.approx((wilson.low, wilson.high), abs=0.006)


def test_speakers_who_are_alike_widen_the_interval() -> None:
    # Ten speakers of sixty words: two of them are never understood.
    counts = [Counts(substitutions=1) if i < 120 else Counts(hits=1) for i in range(600)]
    by_speaker = error_rate(counts, [str(i // 60) for i in range(600)])
    by_word = error_rate(counts, [str(i) for i in range(600)])
    few_speakers = error_rate(counts, [str(i // 300) for i in range(600)])
    assert by_speaker.high - by_speaker.low > 5 * (by_word.high - by_word.low)
    # Two speakers tell nothing: their utterances are drawn.
    assert few_speakers.high == pytest.approx(by_word.high, abs=0.005)


def test_utterances_without_a_speaker_stand_alone() -> None:
    counts = [Counts(substitutions=1) if i < 20 else Counts(hits=1) for i in range(100)]
    named = error_rate(counts, [f"{i:03}" for i in range(100)])
    nameless = error_rate(counts, [""] * 100)
    assert (nameless.low, nameless.high) == pytest.approx((named.low, named.high), abs=0.02)


def test_the_same_counts_give_the_same_interval() -> None:
    counts = [Counts(hits=i % 3, substitutions=i % 2, insertions=i % 5 == 0) for i in range(40)]
    speakers = [str(i % 9) for i in range(40)]
    assert error_rate(counts, speakers) == error_rate(counts, speakers)
    assert error_rate(counts, speakers) != error_rate(counts, speakers, seed=1)


def test_draws_that_are_all_alike_are_no_certainty() -> None:
    figure = error_rate([Counts(hits=1)] * 20, [str(i) for i in range(20)])
    assert (figure.value, figure.low, figure.high) == (0.0, 0.0, proportion(0, 20).high)
    assert figure.high > 0.1
    nothing_right = error_rate([Counts(deletions=1)] * 20, [str(i) for i in range(20)])
    assert (nothing_right.low, nothing_right.high) == (proportion(20, 20).low, 1.0)
    too_much = error_rate([Counts(deletions=1, insertions=1)], ["a"])
    assert too_much.low < 1 < too_much.value == too_much.high == 2


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    classes = ["up", "down", "_unknown_", "_silence_"]
    said = generator.choice(classes, 200).tolist()
    heard = generator.choice(classes, 200).tolist()
    ours = confusion_matrix(said, heard, classes)
    np.testing.assert_array_equal(ours, sklearn_confusion(said, heard, labels=classes))
    assert confusion_matrix([], [], classes).sum() == 0
    with pytest.raises(InputError, match="left: not among the classes up, down"):
        confusion_matrix(["left"], ["up"], classes[:2])


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(InputError, match="2 references and 1 hypotheses"):
        word_counts(["a", "b"], ["a"])
