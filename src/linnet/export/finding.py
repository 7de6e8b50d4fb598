"""What the comparisons of one graph come to, and the limit that ends an export.

The limit is one of log-probabilities, absolute for likely tokens and relative below exp(-1): the
score of a token at exp(-20) is a sum of large terms, and float32 keeps 7 digits of each.

Among ten thousands of steps there may be one at which the network makes much of the last digits.
On a clip where the checkpoint itself, computed in float32 from the waveform on, is off by more than
the limit, a graph may be off by as much, and ``parity.json`` says where.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from linnet.decode import greedy
from linnet.errors import ParityError
from linnet.export.reference import LogProbs

LIMIT = 1e-4


@dataclass
class Finding:
    """What the comparisons of one graph came to; ``real`` names the real recordings."""

    file: str
    real: frozenset[str]
    against: str = "the checkpoint in float64"
    compared: int = 0
    largest: float = 0.0
    largest_difference: float = 0.0
    where: str = ""
    tied_steps: int = 0
    beyond_float32: dict[str, dict[str, float]] = field(default_factory=dict)

    def compare(
        self,
        clip: str,
        expected: LogProbs,
        got: LogProbs,
        own_error: Callable[[], float] | None = None,
    ) -> None:
        """Hold one answer against the checkpoint's.

        Args:
            clip: names it.
            expected: the checkpoint's answer.
            got: the graph's.
            own_error: tells that of the checkpoint in float32; asked only beyond the limit.

        Raises:
            ParityError: the shapes differ, the error is over the limit, or, on a real clip,
                the greedy tokens differ. On an artificial one the two best tokens of a step can be
                closer than the limit; such steps are counted.
        """
        if expected.shape != got.shape:
            raise ParityError(
                f"{self.file}: on {clip} the graph gives {got.shape[0]} steps of {got.shape[1]} "
                f"tokens, the checkpoint {expected.shape[0]} of {expected.shape[1]}; "
                "nothing was exported"
            )
        errors = _errors(expected, got)
        error, limit = float(errors.max()), LIMIT
        if not error <= LIMIT and own_error is not None:
            limit = max(LIMIT, own_error())
        if not error <= limit:  # NaN is no number below the limit either
            worst = np.unravel_index(errors.argmax(), errors.shape)
            raise ParityError(
                f"{self.file}: on {clip} the graph gives the log-probability {got[worst]:.6g} "
                f"where the checkpoint gives {expected[worst]:.6g}, an error of {error:.3g}; the "
                f"limit is {limit:g}; nothing was exported"
            )
        ours, theirs = greedy(got).ids, greedy(expected).ids
        if clip in self.real and ours != theirs:
            raise ParityError(
                f"{self.file}: on {clip} the graph reads the tokens {list(ours)}, the checkpoint "
                f"{list(theirs)}, with an error of {error:.3g} (the limit is {limit:g}); nothing "
                "was exported"
            )
        if limit > LIMIT:
            self.beyond_float32[clip] = {"error": error, "checkpoint_in_float32": limit}
        self.tied_steps += int((expected.argmax(1) != got.argmax(1)).sum())
        self.compared += 1
        self.largest_difference = max(self.largest_difference, float(np.abs(expected - got).max()))
        if not self.where or error > self.largest:
            self.largest, self.where = error, clip

    def record(self) -> dict[str, object]:
        """Give what ``parity.json`` says about the comparisons."""
        return {
            "compared_with": self.against,
            "comparisons": self.compared,
            "largest_error": self.largest,
            "largest_error_at": self.where,
            "largest_difference": self.largest_difference,
            "greedy_tokens": "identical",
            "tied_steps": self.tied_steps,
            "beyond_float32": self.beyond_float32,
        }


def error_of(expected: LogProbs, got: LogProbs) -> float:
    """Give the largest error of log-probabilities: absolute, relative below exp(-1)."""
    return float(_errors(expected, got).max())


def _errors(expected: LogProbs, got: LogProbs) -> LogProbs:
    return np.abs(expected - got) / np.maximum(1.0, np.abs(expected))
