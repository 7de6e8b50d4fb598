"""The reach of the gradient: how far back an answer still depends on what came in.

    features -> network -> log p(token at t) -> its gradient at every earlier and later input
    gradients for several t -> averaged in the logarithm over equal distances -> a decay curve

Where the curve falls as a straight line in the logarithm, learning sees nothing beyond a fixed
distance: the vanishing gradient (Hochreiter 1991; Bengio et al. 1994). Gates that carry keep it up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

# A gradient below this share of the largest counts as gone.
GONE = 0.01


@dataclass(frozen=True)
class Reach:
    """How the gradient falls with distance; 1 where it is largest.

    Attributes:
        past: at 0, 1, 2, ... steps before the answer.
        future: the same after it; zeros where the network reads forward only.
    """

    past: Float64[np.ndarray, " lags"]
    future: Float64[np.ndarray, " leads"]

    def steps(self) -> tuple[int | None, int | None]:
        """Give for how many steps back, and ahead, the gradient stays above ``GONE``.

        None where it does so to the very end.
        """
        return _last_above(self.past), _last_above(self.future)

    def line(self) -> tuple[Int[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
        """Give both sides as one curve over the distance, without what is exactly 0."""
        lags = np.concatenate([-np.arange(1, len(self.past))[::-1], np.arange(len(self.future))])
        curve = np.concatenate([self.past[:0:-1], self.future])
        return lags[curve > 0], curve[curve > 0]


def reach(
    network: Callable[[Tensor], Tensor], features: Tensor, targets: Sequence[tuple[int, int]]
) -> Reach:
    """Give the decay curve of a network on a clip.

    Args:
        network: from features [steps, features] to log-probabilities [steps, tokens].
        features: of one clip.
        targets: step and token of each answer that is looked at; at least one.
    """
    given = features.detach().clone().requires_grad_()
    log_probs = network(given)
    norms = []
    for i, (step, token) in enumerate(targets):
        last = i + 1 == len(targets)
        (slope,) = torch.autograd.grad(log_probs[step, token], given, retain_graph=not last)
        norms.append(slope.double().norm(dim=1).numpy())
    past = _averaged(
        [norm[: step + 1][::-1] for norm, (step, _) in zip(norms, targets, strict=True)]
    )
    future = _averaged([norm[step:] for norm, (step, _) in zip(norms, targets, strict=True)])
    largest = max(past.max(), future.max(), np.finfo(np.float64).tiny)
    return Reach(past / largest, future / largest)


def targets(
    log_probs: Float64[np.ndarray, "steps tokens"],
    heard: Sequence[tuple[int, int, int]],
    count: int,
) -> list[tuple[int, int]]:
    """Choose the answers to look at: tokens heard, and the best token of evenly spread steps.

    Args:
        log_probs: what the network said.
        heard: id, first step and one past the last step of each token.
        count: most answers of either kind.
    """
    chosen = []
    for token, start, end in heard[:count]:
        peak = start + int(log_probs[start : max(end, start + 1), token].argmax())
        chosen.append((peak, token))
    spread = np.linspace(0, len(log_probs) - 1, count).round().astype(int)
    chosen += [(int(step), int(log_probs[step].argmax())) for step in spread]
    return sorted(set(chosen))


def _last_above(curve: Float64[np.ndarray, " lags"]) -> int | None:
    above = np.flatnonzero(curve >= GONE)
    after = int(above[-1]) + 1 if len(above) else 0
    return None if after >= len(curve) else after


def _averaged(curves: Sequence[Float64[np.ndarray, " _lags"]]) -> Float64[np.ndarray, " lags"]:
    """Average curves of different lengths in the logarithm, over those that reach so far."""
    longest = max(map(len, curves))
    table = np.full((len(curves), longest), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.nanmean(np.log(table), axis=0)))
