"""What the comparisons of one graph come to, and the limit that ends an export.

The limit is one of log-probabilities, absolute for likely tokens and relative below exp(-1): the
score of a token at exp(-20) is a sum of large terms, and float32 keeps 7 digits of each.
"""

from dataclasses import dataclass

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

    def compare(self, clip: str, expected: LogProbs, got: LogProbs) -> None:
        """Hold one answer against the checkpoint's.

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
        differences = np.abs(expected - got)
        errors = differences / np.maximum(1.0, np.abs(expected))
        error = float(errors.max())
        if not error <= LIMIT:  # NaN is no number below the limit either
            worst = np.unravel_index(errors.argmax(), errors.shape)
            raise ParityError(
                f"{self.file}: on {clip} the graph gives the log-probability {got[worst]:.6g} "
                f"where the checkpoint gives {expected[worst]:.6g}, an error of {error:.3g}; the "
                f"limit is {LIMIT:g}; nothing was exported"
            )
        ours, theirs = greedy(got).ids, greedy(expected).ids
        if clip in self.real and ours != theirs:
            raise ParityError(
                f"{self.file}: on {clip} the graph reads the tokens {list(ours)}, the checkpoint "
                f"{list(theirs)}, with an error of {error:.3g} (the limit is {LIMIT:g}); nothing "
                "was exported"
            )
        self.tied_steps += int((expected.argmax(1) != got.argmax(1)).sum())
        self.compared += 1
        self.largest_difference = max(self.largest_difference, float(differences.max()))
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
        }
