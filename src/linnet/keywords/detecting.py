"""Detections: the moments at which a keyword was said, known as soon as they can be.

    log_probs -> Scorer -> peaks of each keyword's score -> detections | near misses

A peak is a score that none within the refractory time around it exceeds, and that none before it
in that time equals. A peak that reaches the keyword's threshold is a detection; one that reaches
only the lower mark is a near miss. So two detections of a keyword are always further apart than the
refractory time, a near miss is never the shoulder of a detection, and whether a step is a peak does
not depend on any threshold: the detections at a threshold are those at a lower one, less the ones
under it. A peak is known when the refractory time is over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from linnet.errors import KeywordError
from linnet.keywords.scoring import LONGEST, Scorer
from linnet.keywords.spelling import Keyword

_BLOCK = 1 << 18  # scores that are held at once


@dataclass(frozen=True)
class Detection:
    """A keyword that was said, or nearly.

    Attributes:
        keyword: its text.
        start: the first step of its first token.
        end: one past the step at which it was complete.
        score: in (0, 1].
        decided: the step at which it was known: that of the peak, ``end - 1``, and the refractory
            time, or the last step of the stream.
    """

    keyword: str
    start: int
    end: int
    score: float
    decided: int


class Detector:
    """Detects keywords in a stream of log-probabilities.

    Args:
        keywords: what to listen for.
        refractory: steps, at least 0; the shortest time between two detections of a keyword, and
            the delay of one.
        mark: the lowest score of a near miss, in (0, 1].
        longest: the most steps that a keyword may last.

    Attributes:
        near_misses: those that became known in the last ``push`` or ``flush``.
        best: the best score of each keyword among the steps of the last ``push``.

    Raises:
        KeywordError: one of these is not of its kind.
    """

    near_misses: list[Detection]
    best: Float64[np.ndarray, " keywords"]
    _ended: bool
    _scores: Float64[np.ndarray, "steps keywords"]
    _starts: Int64[np.ndarray, "steps keywords"]

    def __init__(
        self, keywords: Sequence[Keyword], *, refractory: int, mark: float, longest: int = LONGEST
    ) -> None:
        if refractory < 0:
            raise KeywordError(f"refractory={refractory} steps must be at least 0")
        if not 0.0 < mark <= 1.0:
            raise KeywordError(f"the mark of near misses is {mark:g}; expected 0 to 1, not 0")
        self.keywords = tuple(keywords)
        self._refractory = refractory
        self._longest = longest
        self._thresholds = np.array([made.threshold for made in keywords], np.float64)
        self._lowest = np.minimum(self._thresholds, mark)
        self._begin()

    @property
    def steps(self) -> int:
        """How many steps of the stream were read; after ``flush``, of the stream that ended."""
        return self._scorer.steps

    def push(self, log_probs: Float[np.ndarray, "steps tokens"]) -> list[Detection]:
        """Read some more steps; give the detections that they make known, in that order.

        Raises:
            ModelError: these are no log-probabilities, or hold NaN.
        """
        if self._ended:
            self._begin()
        self.near_misses = []
        self.best = np.zeros(len(self.keywords))
        detections = []
        rows = max(1, _BLOCK // max(1, len(self.keywords)))
        for first in range(0, max(1, len(log_probs)), rows):
            found = self._scorer.push(log_probs[first : first + rows])
            self._scores = np.concatenate([self._scores, found.scores])
            self._starts = np.concatenate([self._starts, found.starts])
            self.best = np.maximum(self.best, found.scores.max(axis=0, initial=0.0))
            detections += self._decide(len(found.scores))
        return detections

    def flush(self) -> list[Detection]:
        """End the stream; give what only later steps could have outdone. A new stream may follow.

        Returns:
            The detections, known at the stream's last step.
        """
        self.near_misses = []
        if self._ended:
            return []
        self._ended = True
        last = self.steps - 1
        nothing = np.zeros((self._refractory, len(self.keywords)))
        self._scores = np.concatenate([self._scores, nothing])
        self._starts = np.concatenate([self._starts, np.full(nothing.shape, -1, np.int64)])
        return self._decide(self._refractory, last)

    def _begin(self) -> None:
        """Stand at the beginning of a stream."""
        self.near_misses = []
        self.best = np.zeros(len(self.keywords))
        self._ended = False
        self._scorer = Scorer([made.ids for made in self.keywords], self._longest)
        # The scores that still count, from two refractory times ago on; before the stream, nothing.
        before = (2 * self._refractory, len(self.keywords))
        self._scores = np.zeros(before)
        self._starts = np.full(before, -1, np.int64)

    def _decide(self, new: int, last: int | None = None) -> list[Detection]:
        """Find the peaks that ``new`` rows at the end of the scores make known; drop old rows."""
        kept = len(self._scores) - new
        first = self._scorer.steps + (new if last is not None else 0) - len(self._scores)
        detections: list[Detection] = []
        for row, column in self._peaks(kept):
            score = float(self._scores[row, column])
            end = first + row + 1
            decided = end - 1 + self._refractory
            found = Detection(
                keyword=self.keywords[column].text,
                start=int(self._starts[row, column]),
                end=end,
                score=score,
                decided=decided if last is None else min(decided, last),
            )
            over = score >= self._thresholds[column]
            (detections if over else self.near_misses).append(found)
        self._scores = self._scores[new:]
        self._starts = self._starts[new:]
        return detections

    def _peaks(self, kept: int) -> Iterator[tuple[int, int]]:
        """Give row and column of the peaks that rows from ``kept`` on make known, as they come."""
        scores, reach = self._scores, self._refractory
        possible = scores >= self._lowest
        possible[: max(reach, kept - reach)] = False
        possible[len(scores) - reach :] = False
        for row, column in zip(*np.nonzero(possible), strict=True):
            score = scores[row, column]
            before = scores[max(0, row - reach) : row, column]
            after = scores[row + 1 : row + 1 + reach, column]
            if (before < score).all() and (after <= score).all():
                yield int(row), int(column)


def detect(
    log_probs: Float[np.ndarray, "steps tokens"],
    keywords: Sequence[Keyword],
    *,
    refractory: int,
    mark: float,
    longest: int = LONGEST,
) -> list[Detection]:
    """Give the detections in a whole recording, as a :class:`Detector` does, near misses aside."""
    detector = Detector(keywords, refractory=refractory, mark=mark, longest=longest)
    return detector.push(log_probs) + detector.flush()
