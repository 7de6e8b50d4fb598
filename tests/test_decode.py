"""Decoding against its definition: every search is compared with a walk over all paths."""

import itertools
import math
import time
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet import decode
from linnet.decode import prefixes
from linnet.errors import ConfigError, ModelError, TextError

Paths = dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]]


def posteriors(seed: int, steps: int, tokens: int, sharpness: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(steps, tokens)) * sharpness
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def spell(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != 0)


def all_paths(log_probs: np.ndarray) -> Paths:
    """Each text with every path that spells it and the path's log-probability."""
    texts: Paths = defaultdict(list)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        score = float(log_probs[np.arange(len(path)), list(path)].sum())
        texts[spell(path)].append((score, path))
    return texts


def total(paths: list[tuple[float, tuple[int, ...]]]) -> float:
    return float(np.logaddexp.reduce([score for score, _ in paths]))


small_cases = st.builds(
    posteriors,
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 6),
    tokens=st.integers(2, 4),
    sharpness=st.sampled_from([0.3, 1.0, 3.0]),
)
any_cases = st.builds(
    posteriors,
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(0, 40),
    tokens=st.integers(1, 12),
    sharpness=st.sampled_from([0.3, 1.0, 3.0]),
)


@settings(max_examples=60, deadline=None)
@given(small_cases)
def test_a_large_beam_finds_the_most_probable_of_all_texts(log_probs: np.ndarray) -> None:
    texts = {ids: total(paths) for ids, paths in all_paths(log_probs).items()}
    found = decode.beam(log_probs, 4**6)
    assert found.score == pytest.approx(max(texts.values()), abs=1e-9)
    assert texts[found.ids] == pytest.approx(max(texts.values()), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(small_cases)
def test_a_search_that_loses_nothing_follows_every_path(log_probs: np.ndarray) -> None:
    texts = {ids: total(paths) for ids, paths in all_paths(log_probs).items()}
    found = dict(prefixes.search(log_probs, 4**6))
    assert found == pytest.approx(texts, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(any_cases)
def test_a_beam_of_one_is_the_greedy_search(log_probs: np.ndarray) -> None:
    best_path = decode.greedy(log_probs)
    assert decode.beam(log_probs, 1) == best_path
    # And by its own rules, without the short cut.
    assert [ids for ids, _ in prefixes.search(log_probs, 1)] == [best_path.ids]


@settings(max_examples=60, deadline=None)
@given(any_cases, st.integers(2, 9))
def test_a_wider_beam_is_never_less_likely_than_greedy(log_probs: np.ndarray, width: int) -> None:
    found, best_path = decode.beam(log_probs, width), decode.greedy(log_probs)
    assert found.score >= decode.log_likelihood(log_probs, best_path.ids) - 1e-9
    survivors = [ids for ids, _ in prefixes.search(log_probs, width)]
    assert found.score == max(decode.log_likelihoods(log_probs, survivors))
    assert found.score == pytest.approx(decode.log_likelihood(log_probs, found.ids), abs=1e-9)
    aligned = decode.align(log_probs, found.ids)
    assert (found.starts, found.ends, found.confidences) == (
        aligned.starts,
        aligned.ends,
        aligned.confidences,
    )


@settings(max_examples=60, deadline=None)
@given(any_cases)
def test_greedy_is_the_best_path_written_out_step_by_step(log_probs: np.ndarray) -> None:
    ids, starts, ends, peaks, previous = [], [], [], [], 0
    for step, row in enumerate(log_probs):
        token = int(np.argmax(row))
        if token != 0 and token == previous:
            ends[-1] = step + 1
            peaks[-1] = max(peaks[-1], row[token])
        elif token != 0:
            ids.append(token)
            starts.append(step)
            ends.append(step + 1)
            peaks.append(row[token])
        previous = token
    found = decode.greedy(log_probs)
    assert (found.ids, found.starts, found.ends) == (tuple(ids), tuple(starts), tuple(ends))
    assert found.confidences == pytest.approx(np.exp(peaks))
    assert found.score == pytest.approx(log_probs.max(axis=1).sum() if len(log_probs) else 0.0)
    assert 0 < found.confidence <= 1


@settings(max_examples=40, deadline=None)
@given(small_cases)
def test_the_likelihood_is_the_sum_over_all_paths(log_probs: np.ndarray) -> None:
    texts = all_paths(log_probs)
    ours = decode.log_likelihoods(log_probs, list(texts))
    np.testing.assert_allclose(ours, [total(paths) for paths in texts.values()], atol=1e-9)
    assert np.logaddexp.reduce(ours) == pytest.approx(0, abs=1e-9)  # All texts together: surely.


@settings(max_examples=40, deadline=None)
@given(small_cases)
def test_the_alignment_is_the_best_of_all_paths(log_probs: np.ndarray) -> None:
    for ids, paths in all_paths(log_probs).items():
        score, path = max(paths)
        found = decode.align(log_probs, ids)
        assert found.ids == ids
        assert found.score == pytest.approx(score, abs=1e-9)
        spans = [
            (key, list(group))
            for key, group in itertools.groupby(enumerate(path), key=lambda pair: pair[1])
            if key != 0
        ]
        assert found.starts == tuple(steps[0][0] for _, steps in spans)
        assert found.ends == tuple(steps[-1][0] + 1 for _, steps in spans)


def test_the_likelihood_is_minus_the_ctc_loss_of_torch() -> None:
    generator = np.random.default_rng(0)
    for seed in range(40):
        log_probs = posteriors(seed, steps=31, tokens=9)
        ids = generator.integers(1, 9, size=int(generator.integers(0, 14))).tolist()
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs)[:, None],
            torch.tensor([ids], dtype=torch.long),
            torch.tensor([31]),
            torch.tensor([len(ids)]),
            reduction="sum",
        )
        assert decode.log_likelihood(log_probs, ids) == pytest.approx(-float(loss), abs=1e-8)


def test_many_texts_at_once_are_each_text_alone() -> None:
    log_probs = posteriors(3, steps=23, tokens=7)
    generator = np.random.default_rng(1)
    texts = [generator.integers(1, 7, size=n).tolist() for n in [0, 1, 5, 2, 30, 13, 0, 12]]
    alone = [decode.log_likelihood(log_probs, ids) for ids in texts]
    assert decode.log_likelihoods(log_probs, texts).tolist() == alone
    assert alone[4] == -math.inf
    assert decode.log_likelihoods(log_probs, []).shape == (0,)


def test_float32_posteriors_are_summed_in_float64() -> None:
    log_probs = posteriors(4, steps=400, tokens=29).astype(np.float32)
    ids = np.random.default_rng(5).integers(1, 29, 60).tolist()
    exact = decode.log_likelihood(log_probs.astype(np.float64), ids)
    assert decode.log_likelihood(log_probs, ids) == exact


def test_repeats_need_a_blank_between_them() -> None:
    log_probs = posteriors(6, steps=2, tokens=3)
    assert decode.log_likelihood(log_probs, [1, 1]) == -math.inf
    assert decode.log_likelihood(log_probs, [1, 2]) > -math.inf
    with pytest.raises(TextError, match=r"2 tokens cannot be aligned with 2 steps.*at least 3"):
        decode.align(log_probs, [1, 1])


def test_impossible_tokens_make_no_nan_and_the_path_still_spells_the_text() -> None:
    certain = np.full((5, 3), -np.inf, np.float32)
    certain[[0, 1, 2, 3, 4], [0, 1, 1, 0, 2]] = 0.0
    for width in (1, 2, 50):
        found = decode.beam(certain, width)
        assert (found.ids, found.starts, found.ends) == ((1, 2), (1, 4), (3, 5))
        assert (found.confidence, found.score) == (1.0, 0.0)
    assert decode.log_likelihood(certain, [2, 1]) == -math.inf
    forced = decode.align(certain, [2, 2, 2])
    assert forced.ids == (2, 2, 2)
    assert forced.score == -math.inf
    assert 0 < forced.confidence < 1e-100


def test_no_steps_and_no_speech_have_an_empty_text() -> None:
    nothing = np.zeros((0, 5), np.float32)
    for found in (decode.greedy(nothing), decode.beam(nothing, 4), decode.align(nothing, [])):
        assert found == decode.Hypothesis((), (), (), (), 0.0, 0)
        assert found.confidence == 1.0
    assert decode.log_likelihoods(nothing, [[], [1]]).tolist() == [0.0, -math.inf]
    quiet = np.log(np.array([[0.9, 0.1], [0.4, 0.3], [0.9, 0.1]]))
    assert decode.greedy(quiet).confidence == pytest.approx((0.9 * 0.4 * 0.9) ** (1 / 3))


def test_the_beam_finds_the_text_that_the_best_path_misses() -> None:
    # Graves' own example: each step is likelier blank, but some "a" is likelier than none.
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert decode.greedy(log_probs).ids == ()
    found = decode.beam(log_probs, 2)
    assert found.ids == (1,)
    assert found.score == pytest.approx(math.log(1 - 0.36))


def test_confidences_are_the_peaks_of_the_posteriors() -> None:
    log_probs = np.log(np.array([[0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5]]))
    found = decode.greedy(log_probs)
    assert found.confidences == pytest.approx((0.8, 0.5))
    assert found.confidence == pytest.approx(math.sqrt(0.8 * 0.5))


def test_wrong_calls_say_what_came_and_what_to_do() -> None:
    log_probs = posteriors(0, steps=4, tokens=3)
    with pytest.raises(ConfigError, match="at least 1 place, got 0"):
        decode.beam(log_probs, 0)
    with pytest.raises(TextError, match=r"ids 1 to 2 .*got \[1, 3\]"):
        decode.log_likelihood(log_probs, [1, 3])
    with pytest.raises(TextError, match=r"0 is the blank.*got \[0\]"):
        decode.align(log_probs, [0])
    log_probs[2, 1] = np.nan
    with pytest.raises(ModelError, match=r"hold NaN.*earlier checkpoint"):
        decode.greedy(log_probs)


def test_a_thousand_commands_and_a_beam_are_fast_enough_to_wait_for() -> None:
    # Loose bounds, against an accidental loop over texts or tokens: 20 times what they take.
    log_probs = posteriors(0, steps=50, tokens=29)
    generator = np.random.default_rng(0)
    commands = [generator.integers(1, 29, size=8).tolist() for _ in range(1000)]
    start = time.process_time()
    decode.log_likelihoods(log_probs, commands)
    middle = time.process_time()
    decode.beam(log_probs, 8)
    end = time.process_time()
    assert middle - start < 1.0
    assert end - middle < 0.2
