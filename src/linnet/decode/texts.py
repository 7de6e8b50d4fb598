"""A text that is given: how likely it is, and when it was said.

    ids -> blank, a, blank, b, blank --all paths--> log P(ids)
                                     --the best-->  Hypothesis

Of many texts at once, each is a row.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from linnet.decode.paths import BLANK_ID, NEVER, Hypothesis, checked, read_path
from linnet.errors import TextError
from linnet.text import shortest_path


def log_likelihood(log_probs: Float[np.ndarray, "steps tokens"], ids: Sequence[int]) -> float:
    """Give log P(ids), the sum over all paths that spell them; -inf if there are too few steps."""
    return float(log_likelihoods(log_probs, [ids])[0])


def log_likelihoods(
    log_probs: Float[np.ndarray, "steps tokens"], texts: Sequence[Sequence[int]]
) -> Float64[np.ndarray, " texts"]:
    """Give log P of each of many texts at once (the forward variable of Graves et al. 2006, eq. 6).

    Args:
        log_probs: natural log-probabilities, the blank first.
        texts: token ids, without blanks.

    Returns:
        One log-probability a text; -inf where the steps are too few to spell it.

    Raises:
        TextError: an id is the blank or beyond the tokens.
    """
    scores = checked(log_probs)
    if not texts:
        return np.zeros(0)
    states, skips, lasts = _lattices(texts, scores.shape[1])
    before = np.full(states.shape, NEVER)
    before[:, 0] = 0.0  # Before the first step every text stands at its first blank.
    for step_scores in scores:
        skipped = np.where(skips, _shifted(before, 2, NEVER), NEVER)
        before = _sum3(before, _shifted(before, 1, NEVER), skipped) + step_scores[states]
    rows = np.arange(len(states))
    ends = np.where(lasts > 0, before[rows, np.maximum(lasts - 1, 0)], NEVER)
    totals = np.logaddexp(before[rows, lasts], ends)
    return np.where(totals < NEVER / 2, -np.inf, totals)


def align(log_probs: Float[np.ndarray, "steps tokens"], ids: Sequence[int]) -> Hypothesis:
    """Find the best path that spells ``ids`` (Viterbi): when each token was said.

    Raises:
        TextError: there are too few steps to spell ``ids``, or an id is no token.
    """
    scores = checked(log_probs)
    if len(scores) < shortest_path(ids):
        raise TextError(
            f"{len(ids)} tokens cannot be aligned with {len(scores)} steps: they need at least "
            f"{shortest_path(ids)} (one each, and a blank between repeats); give more audio"
        )
    states, skips, _ = _lattices([ids], scores.shape[1])
    # A state out of reach (-inf) is worse than an impossible token (NEVER): so the path spells the
    # text even where its probability is 0.
    before = np.full(states.shape, -np.inf)
    before[0, 0] = 0.0
    jumps = np.zeros((len(scores), states.shape[1]), np.int64)
    for step, step_scores in enumerate(scores):
        skipped = np.where(skips, _shifted(before, 2, -np.inf), -np.inf)
        choices = np.concatenate([before, _shifted(before, 1, -np.inf), skipped])
        jumps[step] = choices.argmax(axis=0)
        before = choices.max(axis=0, keepdims=True) + step_scores[states]
    return read_path(scores, states[0][_trace(jumps, before[0])])


def _trace(
    jumps: Int[np.ndarray, "steps states"], final: Float64[np.ndarray, " states"]
) -> Int[np.ndarray, " steps"]:
    """Walk back from the better of the two last states; give the state of each step."""
    path = np.zeros(len(jumps), np.int64)
    state = len(final) - 1
    if state > 0 and final[state - 1] > final[state]:
        state -= 1
    for step in range(len(jumps) - 1, -1, -1):
        path[step] = state
        state -= jumps[step, state]
    return path


def _lattices(
    texts: Sequence[Sequence[int]], tokens: int
) -> tuple[
    Int[np.ndarray, "texts states"], Bool[np.ndarray, "texts states"], Int[np.ndarray, " texts"]
]:
    """Write each text with blanks around its tokens: blank, a, blank, b, blank.

    Returns:
        The token of each state (short texts are followed by blanks), whether a state may be entered
        from two before it (over a blank, between different tokens), and each text's last state.
    """
    longest = max(map(len, texts))
    states = np.full((len(texts), 2 * longest + 1), BLANK_ID, np.int64)
    for row, ids in zip(states, texts, strict=True):
        if not all(BLANK_ID < i < tokens for i in ids):
            raise TextError(
                f"a text must be made of the ids 1 to {tokens - 1} (0 is the blank), got "
                f"{list(ids)}; encode it with the tokenizer of this model"
            )
        row[1 : 2 * len(ids) : 2] = ids
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != BLANK_ID) & (states[:, 2:] != states[:, :-2])
    return states, skips, np.array([2 * len(ids) for ids in texts], np.int64)


def _shifted(
    before: Float64[np.ndarray, "texts states"], places: int, start: float
) -> Float64[np.ndarray, "texts states"]:
    """Give for each state what stands ``places`` before it; ``start`` where nothing does."""
    shifted = np.full(before.shape, start)
    shifted[:, places:] = before[:, :-places]
    return shifted


def _sum3(
    first: Float64[np.ndarray, "texts states"],
    second: Float64[np.ndarray, "texts states"],
    third: Float64[np.ndarray, "texts states"],
) -> Float64[np.ndarray, "texts states"]:
    """Add three probabilities given as logarithms (several times as fast as ``np.logaddexp``)."""
    peak = np.maximum(np.maximum(first, second), third)
    return peak + np.log(np.exp(first - peak) + np.exp(second - peak) + np.exp(third - peak))
