"""Scores: how well each keyword fits what was just heard, step by step.

    log_probs -> emission, in whole units -> paths through a tree -> scores, starts

The score of a keyword at a step compares the best CTC path that spells the keyword and ends there
in its last token, starting anywhere, with all paths over the same steps.

    score = exp((log P(best path that spells it) - log P(all paths)) / number of tokens)

The posteriors of a step sum to one, and with them all paths over the same steps: P(all paths) is 1,
and the logarithm is one sum over the path that spells. So the score lies in (0, 1], 1 where nothing
else is possible. Beside the best path alone, not all of them, every keyword that the best path
spells would score 1, however unsure the model is, and what it hears falsely could not be told from
what is said. Repeats are CTC's (Graves et al. 2006, section 3): a token may last, blanks may stand
between tokens and must stand between equal ones. A blank after the last token belongs to no path:
what ends there has ended before.

Tokens are passed (Young, Russell and Thornton 1989, "Token passing") through a tree of all
keywords, in which a shared beginning exists once. Its state is two numbers a node, whatever the
length of the stream: the best path that ends in the node's token, and the best that ends in a
blank after it. Each number holds a sum and a start: the sum in units of 2**-26 in the upper 44
bits of an integer, the start in the lower 20. So the larger of two numbers is the better path, of
equal ones that which starts later; one maximum picks both, sums are exact, and no chunk, block or
neighbouring keyword changes a bit of a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from linnet.errors import KeywordError, ModelError

_BLANK = 0
_START_BITS = 20
_START_MASK = (1 << _START_BITS) - 1
_UNITS = float(1 << 26)  # of a sum, a nat
# A token less probable than 1 / e**256 counts as impossible. With it, and keywords of at most 128
# tokens, no sum of a path (at least the shortest one is always there) leaves 64 bits.
_LOWEST_NATS = -256.0
_LONGEST_TOKENS = 128
_ROUNDING = 1e-3  # nats by which single precision may put a probability above 1
_NEVER = -(1 << 62)
_POSSIBLE = -(1 << 61)  # sums of paths that exist lie above
LONGEST = 1 << (_START_BITS - 1)
_BLOCK = 1 << 17  # numbers that are held at once: they fit a processor's cache


@dataclass(frozen=True)
class Scores:
    """The scores of some steps.

    Attributes:
        scores: in (0, 1]; 0 where the stream is still too short to spell the keyword.
        starts: the first step of the path, counted from the beginning of the stream; -1 where
            there is none.
    """

    scores: Float64[np.ndarray, "steps keywords"]
    starts: Int64[np.ndarray, "steps keywords"]


class Scorer:
    """Scores keywords over a stream of log-probabilities.

    Args:
        keywords: the token ids of each, without blanks.
        longest: the most steps that a keyword may last; a path that is older scores 0. So a word
            and, after a minute of silence, another are no phrase.

    Raises:
        KeywordError: a keyword is empty or too long, or an id is the blank.
    """

    def __init__(self, keywords: Sequence[Sequence[int]], longest: int = LONGEST) -> None:
        if not 1 <= longest <= LONGEST:
            raise KeywordError(f"longest={longest} steps must be 1 to {LONGEST}")
        self.steps = 0
        self._longest = longest
        self._base = -longest  # the step that a start of 0 means
        tree = _tree(keywords)
        nodes = len(tree.tokens)
        self._node_tokens = np.array(tree.tokens, np.intp)
        self._sources = np.array(tree.sources(), np.intp)
        self._ends = np.array(tree.ends, np.intp)
        self._counts = np.array([len(ids) for ids in keywords], np.float64)
        self._in_token = np.full(nodes, _NEVER, np.int64)
        # What a path can be entered from: the root, any end of each node, a blank after each node.
        self._leaving = np.full(1 + 2 * nodes, _NEVER, np.int64)

    def push(self, log_probs: Float[np.ndarray, "steps tokens"]) -> Scores:
        """Read some more steps, any number of them, and give the scores at each.

        Raises:
            ModelError: these are no log-probabilities of these tokens, or hold NaN.
        """
        emission = self._emission(log_probs)
        scores = np.zeros((len(emission), len(self._ends)))
        starts = np.full(scores.shape, -1, np.int64)
        done = 0
        while done < len(emission):
            if self.steps % self._longest == 0:
                self._forget()
            room = max(1, _BLOCK // max(1, len(self._node_tokens)))
            count = min(room, self._longest - self.steps % self._longest)
            block = slice(done, done + count)
            self._read(emission[block], scores[block], starts[block])
            done = block.stop
        return Scores(scores, starts)

    def _emission(
        self, log_probs: Float[np.ndarray, "steps tokens"]
    ) -> Int64[np.ndarray, "steps tokens"]:
        """Give what each token costs at each step, in the upper bits of an integer."""
        highest = self._node_tokens.max(initial=_BLANK)
        if log_probs.ndim != 2 or log_probs.shape[1] <= highest:
            raise ModelError(
                f"log-probabilities must be (steps, tokens) with more than {highest} tokens, which "
                f"the keywords need, got the shape {log_probs.shape}; spell the keywords with the "
                "tokenizer of this model"
            )
        best = log_probs.max(axis=1, initial=-np.inf)
        if not np.isfinite(best).all():
            raise ModelError(
                "the log-probabilities hold NaN or a step without any possible token: the weights "
                "of the model are broken; use an earlier checkpoint"
            )
        if (best > _ROUNDING).any():
            raise ModelError(
                f"log-probabilities are at most 0, and here is {best.max():g}: these are logits; "
                "normalise each step with a log-softmax"
            )
        nats = np.clip(log_probs.astype(np.float64), _LOWEST_NATS, 0.0)
        return np.rint(nats * _UNITS).astype(np.int64) << _START_BITS

    def _forget(self) -> None:
        """Drop paths that began too long ago, and count starts from a later step."""
        base = self.steps - self._longest
        moved = base - self._base
        self._base = base
        for paths in (self._in_token, self._leaving):
            old = (paths & _START_MASK) < moved
            paths -= moved
            paths[old | (paths < _POSSIBLE)] = _NEVER

    def _read(
        self,
        emission: Int64[np.ndarray, "steps tokens"],
        scores: Float64[np.ndarray, "steps keywords"],
        starts: Int64[np.ndarray, "steps keywords"],
    ) -> None:
        """Pass all paths on, step by step, and write down those that end a keyword."""
        nodes = len(self._node_tokens)
        leaving, in_token = self._leaving, self._in_token
        at_end, in_blank = leaving[1 : 1 + nodes], leaving[1 + nodes :]
        entering = np.empty(nodes, np.int64)
        passed = emission[:, self._node_tokens]  # becomes the paths that end in each node's token
        blanks = emission[:, _BLANK : _BLANK + 1]
        first = self.steps - self._base
        for now, (blank, row) in enumerate(zip(blanks, passed, strict=True), start=first):
            np.maximum(in_token, in_blank, out=at_end)
            leaving[0] = now  # a path of no cost that starts here
            leaving.take(self._sources, out=entering, mode="clip")
            np.maximum(entering, in_token, out=entering)
            np.add(row, entering, out=row)
            np.add(at_end, blank, out=in_blank)
            in_token = row
        self._in_token = in_token.copy()
        ended = passed[:, self._ends]
        began = (ended & _START_MASK) + self._base
        last = np.arange(self.steps, self.steps + len(ended))[:, None]
        found = (ended > _POSSIBLE) & (last - began < self._longest)
        nats = (ended >> _START_BITS) / _UNITS / self._counts
        np.exp(nats, out=scores, where=found)
        np.copyto(starts, began, where=found)
        self.steps += len(ended)


class _Tree:
    """All keywords, each beginning once: node by node its token and the node before it."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.ends: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def add(self, ids: Sequence[int]) -> None:
        """Add a keyword."""
        node = -1
        for token in ids:
            known = self._children.setdefault((node, token), len(self.tokens))
            if known == len(self.tokens):
                self.tokens.append(token)
                self.parents.append(node)
            node = known
        self.ends.append(node)

    def sources(self) -> list[int]:
        """Give where each node is entered from: 0 is the root, then all ends, then all blanks.

        An equal token before it must have been left through a blank.
        """
        nodes = len(self.tokens)
        return [
            1 + parent + (nodes if parent >= 0 and self.tokens[parent] == token else 0)
            for token, parent in zip(self.tokens, self.parents, strict=True)
        ]


def _tree(keywords: Sequence[Sequence[int]]) -> _Tree:
    tree = _Tree()
    for ids in keywords:
        if not 1 <= len(ids) <= _LONGEST_TOKENS or min(ids) <= _BLANK:
            raise KeywordError(
                f"a keyword must have 1 to {_LONGEST_TOKENS} tokens, none of them the blank "
                f"({_BLANK}), got {list(ids)}"
            )
        tree.add(ids)
    return tree
