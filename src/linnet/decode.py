"""CTC posteriors to text: the best path, a prefix beam, the likelihood and the times of a text.

    log_probs (steps, tokens)  --greedy | beam-->          Hypothesis: ids, times, confidences
    log_probs + ids            --log_likelihood-->         log P(ids), all paths summed
    log_probs + ids            --align-->                  Hypothesis: the best path that spells ids

A path names one token a step; it spells a text once repeats are merged and blanks (token 0) are
dropped (Graves et al. 2006, "Connectionist temporal classification", section 3). Everything is
computed in float64 on logarithms. "Never" is a finite number, because the difference of two
infinities is no number.

The beam searches over prefixes (Graves 2012, "Sequence transduction", and Hannun et al. 2014,
"First-pass large vocabulary continuous speech recognition", algorithm 1): paths that spell the same
prefix are summed. It departs from the books in two ways, both of which make it no worse. The prefix
that the best path spells always keeps its place: a beam of one place is therefore the greedy search
(in the books it is not), and a wider one never answers with a less likely text than greedy does. At
the end the surviving texts are compared by their exact likelihood, not by the part of it that the
search happened to keep. No token is pruned by a threshold: 50 steps, 29 tokens and 8 places take
about 4 ms.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from linnet.errors import ConfigError, ModelError, TextError
from linnet.text import shortest_path

BLANK_ID = 0
_NEVER = -1e30
_ROOT = 0


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A text with its times.

    Attributes:
        ids: token ids, no blanks.
        starts: the first step of each token.
        ends: one past the last step of each token.
        confidences: the highest posterior of each token within its steps, in (0, 1].
        score: natural log-probability: of the path for ``greedy`` and ``align``, of the text (all
            its paths) for ``beam`` with more than one place.
        steps: how many steps were read.
    """

    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    confidences: tuple[float, ...]
    score: float
    steps: int

    @property
    def confidence(self) -> float:
        """The geometric mean over the tokens, in (0, 1]; over the blanks where there is none."""
        if self.confidences:
            return math.exp(sum(map(math.log, self.confidences)) / len(self.confidences))
        # Only one path spells the empty text, so the score is the sum over its blanks.
        return _probability(self.score / max(self.steps, 1))


def greedy(log_probs: Float[np.ndarray, "steps tokens"]) -> Hypothesis:
    """Read the best path: the most probable token of each step, repeats merged, blanks dropped."""
    scores = _checked(log_probs)
    return _read_path(scores, scores.argmax(axis=1) if len(scores) else np.zeros(0, np.int64))


def beam(log_probs: Float[np.ndarray, "steps tokens"], width: int) -> Hypothesis:
    """Search for the most probable text, ``width`` prefixes at a time.

    ``beam(log_probs, 1) == greedy(log_probs)``; a width that no prefix is lost to gives the most
    probable of all texts. Times and confidences are those of the text's best path.

    Raises:
        ConfigError: ``width`` is not positive.
    """
    if width < 1:
        raise ConfigError(f"a beam needs at least 1 place, got {width}")
    if width == 1:
        return greedy(log_probs)
    scores = _checked(log_probs)
    texts = [ids for ids, _ in _search(scores, width)]
    likelihoods = log_likelihoods(scores, texts)
    best = int(likelihoods.argmax())
    return dataclasses.replace(align(scores, texts[best]), score=float(likelihoods[best]))


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
    scores = _checked(log_probs)
    if not texts:
        return np.zeros(0)
    states, skips, lasts = _lattices(texts, scores.shape[1])
    before = np.full(states.shape, _NEVER)
    before[:, 0] = 0.0  # Before the first step every text stands at its first blank.
    for step_scores in scores:
        skipped = np.where(skips, _shifted(before, 2, _NEVER), _NEVER)
        before = _sum3(before, _shifted(before, 1, _NEVER), skipped) + step_scores[states]
    rows = np.arange(len(states))
    ends = np.where(lasts > 0, before[rows, np.maximum(lasts - 1, 0)], _NEVER)
    totals = np.logaddexp(before[rows, lasts], ends)
    return np.where(totals < _NEVER / 2, -np.inf, totals)


def align(log_probs: Float[np.ndarray, "steps tokens"], ids: Sequence[int]) -> Hypothesis:
    """Find the best path that spells ``ids`` (Viterbi): when each token was said.

    Raises:
        TextError: there are too few steps to spell ``ids``, or an id is no token.
    """
    scores = _checked(log_probs)
    if len(scores) < shortest_path(ids):
        raise TextError(
            f"{len(ids)} tokens cannot be aligned with {len(scores)} steps: they need at least "
            f"{shortest_path(ids)} (one each, and a blank between repeats); give more audio"
        )
    states, skips, _ = _lattices([ids], scores.shape[1])
    # A state out of reach (-inf) is worse than an impossible token (_NEVER): so the path spells the
    # text even where its probability is 0.
    before = np.full(states.shape, -np.inf)
    before[0, 0] = 0.0
    jumps = np.zeros((len(scores), states.shape[1]), np.int64)
    for step, step_scores in enumerate(scores):
        skipped = np.where(skips, _shifted(before, 2, -np.inf), -np.inf)
        choices = np.concatenate([before, _shifted(before, 1, -np.inf), skipped])
        jumps[step] = choices.argmax(axis=0)
        before = choices.max(axis=0, keepdims=True) + step_scores[states]
    return _read_path(scores, states[0][_trace(jumps, before[0])])


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


def _checked(log_probs: Float[np.ndarray, "steps tokens"]) -> Float64[np.ndarray, "steps tokens"]:
    """Give the log-probabilities in float64, "never" for -inf; refuse what is none."""
    if log_probs.ndim != 2 or log_probs.shape[1] < 1:
        raise ModelError(
            f"log-probabilities must be (steps, tokens) with at least the blank, got the shape "
            f"{log_probs.shape}; decode one recording at a time"
        )
    if np.isnan(log_probs).any():
        raise ModelError(
            "the log-probabilities hold NaN: the weights of the model are broken; use an earlier "
            "checkpoint"
        )
    return np.maximum(log_probs.astype(np.float64), _NEVER)


def _probability(log_prob: float) -> float:
    """Give the probability, kept within (0, 1] whatever rounding does."""
    return min(max(math.exp(min(log_prob, 0.0)), float(np.finfo(np.float64).tiny)), 1.0)


def _read_path(
    scores: Float64[np.ndarray, "steps tokens"], path: Int[np.ndarray, " steps"]
) -> Hypothesis:
    """Merge the repeats of a path and drop its blanks."""
    along = scores[np.arange(len(path)), path]
    changes = np.flatnonzero(np.diff(path)) + 1
    firsts = np.concatenate([[0], changes]).astype(np.int64)[: len(path)]
    lasts = np.append(changes, len(path)).astype(np.int64)[: len(firsts)]
    peaks = np.maximum.reduceat(along, firsts) if len(path) else along
    spoken = path[firsts] != BLANK_ID
    return Hypothesis(
        ids=tuple(path[firsts[spoken]].tolist()),
        starts=tuple(firsts[spoken].tolist()),
        ends=tuple(lasts[spoken].tolist()),
        confidences=tuple(map(_probability, peaks[spoken].tolist())),
        score=float(along.sum()) if (along > _NEVER / 2).all() else -math.inf,
        steps=len(path),
    )


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


class _Prefixes:
    """All prefixes met in one search, as a tree: the parent of each is one token shorter."""

    def __init__(self) -> None:
        self.parents = [-1]
        self.tokens = [BLANK_ID]
        self._children: dict[tuple[int, int], int] = {}

    def child(self, node: int, token: int) -> int:
        """Give the prefix that is ``node`` and then ``token``: the same one each time."""
        known = self._children.get((node, token))
        if known is None:
            known = len(self.parents)
            self._children[node, token] = known
            self.parents.append(node)
            self.tokens.append(token)
        return known

    def spell(self, node: int) -> tuple[int, ...]:
        """Give the token ids of a prefix."""
        ids = []
        while node != _ROOT:
            ids.append(self.tokens[node])
            node = self.parents[node]
        return tuple(reversed(ids))


@dataclasses.dataclass
class _Places:
    """The places of the beam: prefixes with the log-probability of ending in a blank or a token."""

    nodes: list[int]
    in_blank: Float64[np.ndarray, " places"]
    in_token: Float64[np.ndarray, " places"]


def _search(
    scores: Float64[np.ndarray, "steps tokens"], width: int
) -> list[tuple[tuple[int, ...], float]]:
    """Give the texts that survive in a beam, the one that the best path spells among them.

    Each comes with the log-probability of those of its paths that the search has followed.
    """
    prefixes = _Prefixes()
    places = _Places([_ROOT], np.zeros(1), np.full(1, _NEVER))
    kept, previous = _ROOT, BLANK_ID
    for step_scores in scores:
        token = int(step_scores.argmax())
        if token not in (BLANK_ID, previous):
            kept = prefixes.child(kept, token)
        previous = token
        places = _advance(places, step_scores, prefixes, width, kept)
    totals = np.logaddexp(places.in_blank, places.in_token).tolist()
    return list(zip(map(prefixes.spell, places.nodes), totals, strict=True))


def _advance(
    places: _Places,
    step_scores: Float64[np.ndarray, " tokens"],
    prefixes: _Prefixes,
    width: int,
    kept: int,
) -> _Places:
    """Read one step: every prefix stays or grows by a token; the ``width`` best survive.

    ``kept`` survives in any case; it always is among the candidates, as its parent was kept.
    """
    nodes = places.nodes
    last = np.array([prefixes.tokens[node] for node in nodes])
    both = np.logaddexp(places.in_blank, places.in_token)
    grown = both[:, None] + step_scores
    # A repeat of the last token is a new token only after a blank; else it is the same one, longer.
    grown[np.arange(len(nodes)), last] = places.in_blank + step_scores[last]
    grown[:, BLANK_ID] = _NEVER
    in_blank = both + step_scores[BLANK_ID]
    in_token = places.in_token + step_scores[last]
    position = {node: place for place, node in enumerate(nodes)}
    for place, node in enumerate(nodes):
        parent = position.get(prefixes.parents[node])
        if parent is not None:  # The parent grows into a prefix that is here already: one prefix.
            in_token[place] = np.logaddexp(in_token[place], grown[parent, last[place]])
            grown[parent, last[place]] = _NEVER
    if kept in position:
        favourite = position[kept]
    else:
        row = position[prefixes.parents[kept]]
        favourite = len(nodes) + row * len(step_scores) + prefixes.tokens[kept]
    in_token = np.concatenate([in_token, grown.ravel()])
    in_blank = np.concatenate([in_blank, np.full(grown.size, _NEVER)])
    best = _best(np.logaddexp(in_blank, in_token), width, favourite)
    return _Places(_named(best, nodes, len(step_scores), prefixes), in_blank[best], in_token[best])


def _best(
    candidates: Float64[np.ndarray, " candidates"], width: int, favourite: int
) -> Int[np.ndarray, " places"]:
    """Give the ``width`` best candidates that are possible at all, and the favourite among them."""
    # Sorting only what can win is several times as fast with a large vocabulary, and as stable.
    bar = np.partition(candidates, -width)[-width] if len(candidates) > width else _NEVER
    order = np.flatnonzero((candidates >= bar) & (candidates > _NEVER / 2))
    order = order[np.argsort(-candidates[order], kind="stable")][:width]
    return order if favourite in order else np.append(order[: width - 1], favourite)


def _named(
    best: Int[np.ndarray, " places"], nodes: list[int], tokens: int, prefixes: _Prefixes
) -> list[int]:
    """Give the prefixes of candidates: first all that stay, then all that grow, row by row."""
    named = []
    for candidate in best.tolist():
        if candidate < len(nodes):
            named.append(nodes[candidate])
        else:
            row, token = divmod(candidate - len(nodes), tokens)
            named.append(prefixes.child(nodes[row], token))
    return named
