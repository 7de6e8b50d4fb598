"""Commands: is a clip one of a closed set of words, another word, or silence?

    log_probs -> log P of each command -> the best one and its score
    score >= threshold: that command;  below: `_silence_` if nothing was heard, else `_unknown_`

The best command is the one of the highest CTC likelihood. Its score compares it with the best path
of all, per token: 1 where nothing else is heard, on one scale for short and long words.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64

from linnet.decode import log_likelihoods
from linnet.errors import ConfigError, InputError
from linnet.text import Tokenizer, normalise

UNKNOWN, SILENCE = "_unknown_", "_silence_"
# What a clip is taken for that has too few steps for any command.
NONE = "_none_"
_LOWEST_SCORE = float(np.finfo(np.float64).tiny)


class Commands:
    """The words of a closed set, as text and as token ids.

    Raises:
        ConfigError: there are none, or one stands twice.
        TextError: the tokens cannot spell one.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer) -> None:
        self.names = tuple(normalise(word) for word in words)
        if not self.names or len(set(self.names)) != len(self.names) or "" in self.names:
            raise ConfigError(
                f"commands must be different words, at least one, got {list(words)}; name each once"
            )
        self._ids = [tokenizer.encode(name) for name in self.names]

    def best(
        self, log_probs: Float[np.ndarray, "steps tokens"], best_path: float
    ) -> tuple[str, float]:
        """Give the most probable command and its score in (0, 1].

        Args:
            log_probs: the posteriors of the whole clip.
            best_path: the log-probability of the best path, of any text.
        """
        likelihoods = log_likelihoods(log_probs, self._ids)
        best = int(likelihoods.argmax())
        if np.isneginf(likelihoods[best]):
            return NONE, _LOWEST_SCORE
        surplus = (float(likelihoods[best]) - best_path) / len(self._ids[best])
        return self.names[best], max(math.exp(min(surplus, 0.0)), _LOWEST_SCORE)

    def expected(self, reference: str) -> str:
        """Give the class of a reference: a command, ``_unknown_`` or ``_silence_``."""
        if reference in self.names:
            return reference
        return UNKNOWN if reference else SILENCE


def decide(command: str, score: float, threshold: float, *, silent: bool) -> str:
    """Give the class of a clip: its best command, or what else it is if the score is too low."""
    return command if score >= threshold else otherwise(silent=silent)


def otherwise(*, silent: bool) -> str:
    """Give the class of a clip that is no command."""
    return SILENCE if silent else UNKNOWN


def best_threshold(
    scores: Float64[np.ndarray, " clips"],
    right_if_taken: Bool[np.ndarray, " clips"],
    right_if_rejected: Bool[np.ndarray, " clips"],
) -> float:
    """Find the threshold that makes most clips right.

    All thresholds between two neighbouring scores do the same. Of the best ranges the widest is
    taken, and of that the middle: what lies farthest from the clips on either side.

    Raises:
        InputError: there are no clips, or none that must be rejected.
    """
    if not len(scores) or not right_if_rejected.any():
        raise InputError(
            f"the threshold needs clips of other words or of silence, and there are none among "
            f"{len(scores)}; add them to the validation set"
        )
    order = np.argsort(scores, kind="stable")
    # Interval i lies above the i lowest scores: those are rejected and the others are taken.
    rejected = np.concatenate([[0], np.cumsum(right_if_rejected[order])])
    taken = right_if_taken.sum() - np.concatenate([[0], np.cumsum(right_if_taken[order])])
    edges = np.concatenate([[0.0], scores[order], [1.0]])
    right = np.where(np.diff(edges) > 0, rejected + taken, -1)
    best = np.flatnonzero(right == right.max())
    # Intervals of no width (equal scores) part nothing: bridge them.
    inside = np.flatnonzero(right >= 0)
    ranks = np.searchsorted(inside, best)
    runs = np.split(best, np.flatnonzero(np.diff(ranks) > 1) + 1)
    widest = max(runs, key=lambda run: edges[run[-1] + 1] - edges[run[0]])
    return float((edges[widest[0]] + edges[widest[-1] + 1]) / 2)
