"""Keywords: scores against all alignments, detections against their definition, word by word."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet import decode
from linnet.errors import KeywordError, ModelError
from linnet.keywords import Detection, Detector, Keyword, Scorer, Scores, detect, keyword, parse
from linnet.text import Characters, Words

ROUNDING = 1e-6  # a sum counts in units of 2**-26


def posteriors(seed: int, steps: int, tokens: int, sharpness: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(steps, tokens)) * sharpness
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def best_alignment(log_probs: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    """Score at each step by its definition: walk over every path of every stretch."""
    best = np.zeros(len(log_probs))
    for first, last in itertools.combinations_with_replacement(range(len(log_probs)), 2):
        paths = list(itertools.product(range(log_probs.shape[1]), repeat=last + 1 - first))
        weights = [
            np.exp(log_probs[np.arange(first, last + 1), list(path)].sum()) for path in paths
        ]
        for path, weight in zip(paths, weights, strict=True):
            spelt = tuple(token for token, _ in itertools.groupby(path) if token != 0)
            if spelt == ids and path[-1] != 0:
                best[last] = max(best[last], weight / sum(weights))
    return best ** (1 / len(ids))


def from_here(log_probs: np.ndarray, ids: tuple[int, ...], first: int, last: int) -> float:
    """The best path that begins and ends with a token in these steps, by a plain lattice."""
    states = [token for each in ids for token in (each, 0)][:-1]
    before = [-math.inf] * len(states)
    for step in range(first, last + 1):
        after = []
        for state, token in enumerate(states):
            ways = [0.0 if step == first and state == 0 else -math.inf, before[state]]
            ways += [before[state - 1]] if state >= 1 else []
            if state >= 2 and token != 0 and token != states[state - 2]:
                ways.append(before[state - 2])
            after.append(max(ways) + log_probs[step, token])
        before = after
    return math.exp(before[-1] / len(ids))


def split(log_probs: np.ndarray, seed: int) -> list[np.ndarray]:
    """Cut into chunks, among them empty ones and single steps."""
    random = np.random.default_rng(seed)
    places = np.sort(random.integers(0, len(log_probs) + 1, size=1 + len(log_probs) // 3))
    return np.split(log_probs, np.repeat(places, random.integers(1, 3, len(places))))


def together(found: list[Scores]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.concatenate([each.scores for each in found])
    return scores, np.concatenate([each.starts for each in found])


some_keywords = st.lists(
    st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6
)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple),
)
def test_a_score_is_that_of_the_best_alignment_among_all_paths(
    seed: int, steps: int, ids: tuple[int, ...]
) -> None:
    log_probs = posteriors(seed, steps, 3)
    found = Scorer([ids]).push(log_probs)
    expected = best_alignment(log_probs, ids)
    assert found.scores[:, 0] == pytest.approx(expected, rel=ROUNDING)
    assert ((found.starts[:, 0] >= 0) == (expected > 0)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), some_keywords)
def test_a_score_is_that_of_the_path_from_its_start(
    seed: int, keywords: list[tuple[int, ...]]
) -> None:
    log_probs = posteriors(seed, 14, 4)
    found = Scorer(keywords).push(log_probs)
    for step, column in zip(*np.nonzero(found.scores), strict=True):
        ids, start = keywords[column], int(found.starts[step, column])
        exact = from_here(log_probs, ids, start, int(step))
        assert found.scores[step, column] == pytest.approx(exact, rel=ROUNDING)
        others = (from_here(log_probs, ids, first, int(step)) for first in range(step + 1))
        assert max(others) == pytest.approx(exact, rel=ROUNDING)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), some_keywords, st.sampled_from([7, 30, 1 << 19]))
def test_chunks_of_any_size_give_the_scores_of_the_whole_exactly(
    seed: int, keywords: list[tuple[int, ...]], longest: int
) -> None:
    log_probs = posteriors(seed, 90, 4).astype(np.float32)
    whole = Scorer(keywords, longest).push(log_probs)
    piecewise = Scorer(keywords, longest)
    scores, starts = together([piecewise.push(chunk) for chunk in split(log_probs, seed)])
    assert np.array_equal(scores, whole.scores)
    assert np.array_equal(starts, whole.starts)
    assert piecewise.steps == 90


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), some_keywords)
def test_keywords_that_share_beginnings_score_as_each_alone(
    seed: int, keywords: list[tuple[int, ...]]
) -> None:
    log_probs = posteriors(seed, 40, 4)
    found = Scorer(keywords).push(log_probs)
    for column, ids in enumerate(keywords):
        alone = Scorer([ids]).push(log_probs)
        assert np.array_equal(found.scores[:, column], alone.scores[:, 0])
        assert np.array_equal(found.starts[:, column], alone.starts[:, 0])


def test_what_is_likelier_scores_higher_though_the_best_path_spells_both() -> None:
    said = np.log([[0.9, 0.05, 0.05], [0.1, 0.6, 0.3], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
    assert decode.greedy(said).ids == (1, 2)
    scores = Scorer([(1,), (2,), (1, 2)]).push(said).scores
    assert scores[1, 0] == pytest.approx(0.6)
    assert scores[3, 1] == pytest.approx(0.8)
    assert scores[3, 2] == pytest.approx(math.sqrt(0.6 * 0.9 * 0.8))
    assert ((scores >= 0) & (scores <= 1)).all()


def peaky(steps: int, tokens: int, said: dict[int, int]) -> np.ndarray:
    """Posteriors that are sure: a blank, or the token that is said at a step."""
    probabilities = np.full((steps, tokens), 0.01)
    best = [said.get(step, 0) for step in range(steps)]
    probabilities[np.arange(steps), best] = 1 - 0.01 * (tokens - 1)
    return np.log(probabilities)


def test_repeats_need_a_blank_between_them() -> None:
    scores = Scorer([(1, 1)]).push(peaky(6, 3, {1: 1, 2: 1})).scores[:, 0]
    assert scores.max() < 0.2
    scores = Scorer([(1, 1)]).push(peaky(6, 3, {1: 1, 3: 1})).scores[:, 0]
    assert (scores > 0.9).nonzero()[0].tolist() == [3]


TWO = [Keyword("left right", (1, 2), 0.3), Keyword("left", (1,), 0.3)]


def test_a_keyword_of_two_words_does_not_fire_on_its_first() -> None:
    first = detect(peaky(40, 4, {10: 1}), TWO, refractory=5, mark=0.3)
    assert [each.keyword for each in first] == ["left"]
    both = detect(peaky(40, 4, {10: 1, 20: 2}), TWO, refractory=5, mark=0.3)
    assert [(each.keyword, each.start, each.end) for each in both] == [
        ("left", 10, 11),
        ("left right", 10, 21),
    ]
    assert detect(peaky(40, 4, {10: 2, 20: 1}), TWO[:1], refractory=5, mark=0.3) == []


def test_words_that_are_too_far_apart_are_no_phrase() -> None:
    for gap in (5, 29, 30, 31, 60, 200):
        log_probs = peaky(300, 4, {7: 1, 7 + gap: 2})
        found = detect(log_probs, TWO[:1], refractory=5, mark=0.3, longest=31)
        assert [(each.start, each.end) for each in found] == ([(7, 8 + gap)] if gap <= 30 else [])


def test_paths_are_forgotten_without_a_trace_in_the_scores() -> None:
    random = np.random.default_rng(0)
    log_probs = posteriors(1, 5000, 5, 3.0)
    keywords = [tuple(random.integers(1, 5, size=n).tolist()) for n in (1, 2, 3, 5, 8)]
    free, bounded = Scorer(keywords).push(log_probs), Scorer(keywords, 300).push(log_probs)
    assert np.array_equal(free.scores, bounded.scores)
    assert np.array_equal(free.starts, bounded.starts)
    assert (np.arange(5000)[:, None] - free.starts < 300).all()


def test_equal_paths_start_as_late_as_they_can() -> None:
    found = Scorer([(1, 2)]).push(peaky(9, 3, {1: 1, 4: 1, 7: 2}))
    assert (found.scores[7, 0], found.starts[7, 0]) == (pytest.approx(1, abs=0.3), 4)
    flat = Scorer([(1, 2), (2,)]).push(np.zeros((6, 3)))
    assert flat.scores[5].tolist() == [1.0, 1.0]
    assert flat.starts[5].tolist() == [4, 5]


def test_impossible_tokens_score_next_to_nothing_and_the_next_steps_recover() -> None:
    certain = np.full((8, 3), -np.inf, np.float32)
    certain[np.arange(8), [0, 1, 1, 0, 2, 0, 1, 2]] = 0.0
    scores = Scorer([(1, 2), (2, 1), (1,) * 3]).push(certain).scores
    assert scores[[4, 7], 0].tolist() == [1.0, 1.0]
    assert scores[6, 1] == 1.0
    assert np.sort(scores[:, 2])[-1] < 1e-30


def test_the_state_of_a_stream_does_not_grow() -> None:
    made = [Keyword(str(n), (n, 4 - n, n), 0.5) for n in (1, 2, 3)]
    detector = Detector(made, refractory=5, mark=0.2, longest=50)

    def held() -> int:
        mine, its = vars(detector), vars(detector._scorer)
        return sum(v.nbytes for v in (*mine.values(), *its.values()) if isinstance(v, np.ndarray))

    sizes, misses = set(), 0
    for seed in range(300):
        detector.push(posteriors(seed, 7, 4))
        misses += len(detector.near_misses)
        sizes.add(held())
    assert misses > 20
    assert len(sizes) == 1
    assert sizes.pop() < 2000


# Detections


def by_definition(
    scores: Scores, keywords: list[Keyword], refractory: int, lowest: float
) -> list[tuple[str, int, int, float, int]]:
    steps = len(scores.scores)
    found = []
    for column, made in enumerate(keywords):
        line = scores.scores[:, column].tolist()
        for step, score in enumerate(line):
            before = line[max(0, step - refractory) : step]
            after = line[step + 1 : step + 1 + refractory]
            if (
                score >= lowest
                and all(b < score for b in before)
                and all(a <= score for a in after)
            ):
                decided = min(step + refractory, steps - 1)
                start = int(scores.starts[step, column])
                found.append((made.text, start, step + 1, score, decided))
    return sorted(found)


detecting = st.tuples(
    st.integers(0, 2**32 - 1), some_keywords, st.integers(0, 9), st.sampled_from([0.2, 0.5, 1.0])
)


def texts(keywords: list[tuple[int, ...]], threshold: float) -> list[Keyword]:
    return [Keyword(str(number), ids, threshold) for number, ids in enumerate(keywords)]


def fields(found: list[Detection]) -> list[tuple[str, int, int, float, int]]:
    return sorted((f.keyword, f.start, f.end, f.score, f.decided) for f in found)


@settings(max_examples=60, deadline=None)
@given(detecting)
def test_detections_and_near_misses_are_the_peaks_of_the_scores(
    case: tuple[int, list[tuple[int, ...]], int, float],
) -> None:
    seed, ids, refractory, threshold = case
    log_probs = posteriors(seed, 60, 4)
    made = texts(ids, threshold)
    detector = Detector(made, refractory=refractory, mark=0.1)
    found = detector.push(log_probs)
    missed = detector.near_misses
    found += detector.flush()
    missed += detector.near_misses
    peaks = by_definition(Scorer(ids).push(log_probs), made, refractory, 0.1)
    assert fields(found) == [peak for peak in peaks if peak[3] >= threshold]
    assert fields(missed) == [peak for peak in peaks if peak[3] < threshold]
    assert found == detect(log_probs, made, refractory=refractory, mark=1.0)


@settings(max_examples=60, deadline=None)
@given(detecting)
def test_a_stream_gives_the_detections_of_the_recording_in_the_same_order(
    case: tuple[int, list[tuple[int, ...]], int, float],
) -> None:
    seed, ids, refractory, threshold = case
    log_probs = posteriors(seed, 60, 4)
    detector = Detector(texts(ids, threshold), refractory=refractory, mark=0.1)
    whole = detector.push(log_probs), detector.near_misses
    rest = detector.flush(), detector.near_misses
    found, missed = [], []
    for chunk in split(log_probs, seed):  # the same object, for a second stream
        new = detector.push(chunk)
        assert all(detector.steps - len(chunk) <= each.decided < detector.steps for each in new)
        found += new
        missed += detector.near_misses
    assert (found, missed) == whole
    assert (detector.flush(), detector.near_misses) == rest
    assert (detector.flush(), detector.near_misses) == ([], [])


@settings(max_examples=40, deadline=None)
@given(detecting)
def test_a_higher_threshold_takes_away_what_is_under_it_and_nothing_else(
    case: tuple[int, list[tuple[int, ...]], int, float],
) -> None:
    seed, ids, refractory, threshold = case
    log_probs = posteriors(seed, 60, 4)
    low = detect(log_probs, texts(ids, 0.05), refractory=refractory, mark=0.5)
    high = detect(log_probs, texts(ids, threshold), refractory=refractory, mark=0.5)
    assert high == [each for each in low if each.score >= threshold]


@pytest.mark.parametrize("one", [1.0, 0.9])
def test_a_detection_is_known_after_the_refractory_time(one: float) -> None:
    log_probs = np.log(np.tile([1.0, 1e-3], (30, 1)))
    for step, score in ((10, one), (14, one**2), (20, one**3)):
        log_probs[step, 1] = np.log(score)
    detector = Detector([Keyword("one", (1,), 0.3)], refractory=5, mark=0.1)
    known = [
        (step, each.end, each.decided)
        for step in range(30)
        for each in detector.push(log_probs[step : step + 1])
    ]
    assert known == [(15, 11, 15), (25, 21, 25)]


def test_the_best_score_of_the_last_piece_is_there_for_a_display() -> None:
    detector = Detector(TWO, refractory=3, mark=0.1)
    log_probs = posteriors(3, 20, 4)
    expected = Scorer([(1, 2), (1,)]).push(log_probs).scores
    for step in range(20):
        detector.push(log_probs[step : step + 1])
        assert np.array_equal(detector.best, expected[step])


# What is typed

LETTERS = Characters("abcdefghijklmnopqrstuvwxyz'")


def test_a_keyword_is_spelt_by_the_tokens_of_the_model() -> None:
    made = keyword("  Hey, LINNET! ", LETTERS, 0.4)
    assert (made.text, made.threshold) == ("hey linnet", 0.4)
    assert LETTERS.decode(made.ids) == "hey linnet"
    assert keyword("up", Words(["down", "up"]), 1.0).ids == (2,)


def test_keywords_are_read_as_they_are_typed() -> None:
    found = parse(["left", "Right:0.4", "stop", "left"], LETTERS, {"stop": 0.7, "right": 0.9}, 0.5)
    assert [(each.text, each.threshold) for each in found] == [
        ("left", 0.5),
        ("right", 0.4),
        ("stop", 0.7),
    ]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ([], "no keyword to listen for; give at least one"),
        (["?!"], r"the keyword '\?!' holds no letters; give a word or a phrase"),
        ([""], "the keyword '' holds no letters"),
        ([":0.5"], "the keyword '' holds no letters"),
        (["left:0"], r"'left' has the threshold 0; expected more than 0 and at most 1"),
        (["left:1.01"], "'left' has the threshold 1.01; expected more than 0"),
        (["left:nan"], "'left' has the threshold nan; expected more than 0"),
        (
            ["left:high"],
            "'left:high' has the threshold 'high', which is no number; expected 'text'",
        ),
        (["left:0.4", "Left:0.5"], "'left' is given twice, with the thresholds 0.4 and 0.5"),
        (["left", "left:0.4"], "'left' is given twice, with the thresholds 0.5 and 0.4"),
        (
            ["caf\u00e9 7"],
            "'caf\u00e9 7' holds '7', '\u00e9', which this model cannot spell; its tokens",
        ),
    ],
)
def test_what_is_no_keyword_is_named(typed: list[str], text: str) -> None:
    with pytest.raises(KeywordError, match=text) as raised:
        parse(typed, LETTERS, {}, 0.5)
    assert raised.value.exit_status == 2
    assert len(str(raised.value).splitlines()) == 1


def test_words_that_a_model_of_words_lacks_are_named() -> None:
    with pytest.raises(KeywordError, match=r"'go far away' holds 'away', 'far', which .* go, stop"):
        keyword("go far away", Words(["go", "stop"]), 0.5)


def test_what_cannot_be_scored_is_named() -> None:
    with pytest.raises(KeywordError, match=r"1 to 128 tokens, none of them the blank \(0\), got"):
        Scorer([(1, 0)])
    with pytest.raises(KeywordError, match=r"got \[\]"):
        Scorer([()])
    with pytest.raises(KeywordError, match="1 to 128 tokens"):
        Scorer([(1, 2) * 65])
    with pytest.raises(KeywordError, match="longest=0 steps"):
        Scorer([(1,)], 0)
    with pytest.raises(KeywordError, match="refractory=-1 steps"):
        Detector(TWO, refractory=-1, mark=0.1)
    with pytest.raises(KeywordError, match="mark of near misses is 0"):
        Detector(TWO, refractory=1, mark=0.0)
    broken = posteriors(0, 4, 3)
    broken[2, 0] = np.nan
    with pytest.raises(ModelError, match=r"hold NaN .*; use an earlier checkpoint"):
        Scorer([(1, 2)]).push(broken)
    broken[2] = -np.inf
    with pytest.raises(ModelError, match="a step without any possible token"):
        Scorer([(1, 2)]).push(broken)
    with pytest.raises(
        ModelError, match=r"at most 0, and here is 2\.5: these are logits; normalise"
    ):
        Scorer([(1, 2)]).push(np.full((4, 3), 2.5))
    with pytest.raises(ModelError, match=r"more than 3 tokens.*the shape \(4, 3\); spell"):
        Scorer([(1, 3)]).push(posteriors(0, 4, 3))


def test_the_longest_keywords_keep_within_the_integers() -> None:
    certain = np.full((600, 3), -np.inf)
    certain[:, 0] = 0.0
    ids = (1, 1, 2, 2) * 32
    assert Scorer([ids]).push(certain).scores.max() < 1e-60
    steps = [token for each in ids for token in (each, 0)]
    certain[100 : 100 + len(steps)] = -np.inf
    certain[np.arange(100, 100 + len(steps)), steps] = 0.0
    found = Scorer([ids]).push(certain)
    assert found.scores.argmax() == 98 + len(steps)
    assert found.scores.max() == 1.0
    assert found.starts[98 + len(steps), 0] == 100


def test_a_thousand_keywords_are_scored_in_a_fraction_of_real_time() -> None:
    # A loose bound, against a loop over keywords: 20 times what it takes.
    random = np.random.default_rng(0)
    keywords = [tuple(random.integers(1, 30, size=8).tolist()) for _ in range(1000)]
    scorer = Scorer(keywords)
    log_probs = posteriors(0, 1000, 30)
    begin = time.process_time()
    scorer.push(log_probs)
    assert time.process_time() - begin < 1.0
