"""What a path says: its tokens, their times, and how sure they are; ``greedy`` reads the best one.

"Never" is a finite number, because the difference of two infinities is no number.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Float64, Int

from linnet.errors import ModelError

BLANK_ID = 0
NEVER = -1e30


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
    scores = checked(log_probs)
    return read_path(scores, scores.argmax(axis=1) if len(scores) else np.zeros(0, np.int64))


def checked(log_probs: Float[np.ndarray, "steps tokens"]) -> Float64[np.ndarray, "steps tokens"]:
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
    return np.maximum(log_probs.astype(np.float64), NEVER)


def read_path(
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
        score=float(along.sum()) if (along > NEVER / 2).all() else -math.inf,
        steps=len(path),
    )


def _probability(log_prob: float) -> float:
    """Give the probability, kept within (0, 1] whatever rounding does."""
    return min(max(math.exp(min(log_prob, 0.0)), float(np.finfo(np.float64).tiny)), 1.0)
