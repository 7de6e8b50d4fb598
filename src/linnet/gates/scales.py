"""What the gates say: how long each unit remembers, where memory is kept, which unit hears what.

    gate logits over time     -> time_scales_s -> the memory of each unit in seconds
    gate values over time     -> openness      -> one curve a gate: its mean over the units
    states, tokens heard when -> answers       -> how far each unit stands out at each token

A unit whose gate keeps the share z of its memory at every step forgets as exp(-t / tau) does with
tau = -step / ln z. Gates move, so tau is averaged in the logarithm over the steps of real audio: a
unit that keeps everything for a while and then clears itself is neither endless nor instant.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float64, Int
from torch import Tensor

from linnet.gates.replay import Trace

# Beyond it -ln sigmoid(logit) is exp(-logit) to the last bit of a float64.
_SATURATED = 40.0
_LEAST_DEVIATION = 1e-6


def time_scales_s(
    carries: Sequence[Float[Tensor, "_steps hidden"]], step_s: float
) -> Float64[np.ndarray, " hidden"]:
    """Give each unit's memory in seconds, averaged in the logarithm over all steps.

    Args:
        carries: logits of the gate that carries, one array a clip.
        step_s: duration of a step.
    """
    logits = np.concatenate([carry.detach().double().numpy() for carry in carries])
    # ln(-ln z) from the logit: finite also where z itself rounds to 0 or to 1.
    inner = np.logaddexp(0.0, -np.minimum(logits, _SATURATED))
    logs = np.where(logits > _SATURATED, -logits, np.log(inner))
    return np.asarray(step_s * np.exp(-logs.mean(axis=0)))


def openness(trace: Trace) -> dict[str, Float64[np.ndarray, " steps"]]:
    """Give the mean of each gate over the units, step by step; candidate and cell are no gates."""
    return {
        name: values.detach().double().numpy().mean(axis=1)
        for name, values in trace.gates.items()
        if name not in ("candidate", "cell")
    }


def overwritten(trace: Trace) -> Float64[np.ndarray, " steps"]:
    """Give the share of units that replace more than half of their memory, step by step.

    A cell without a gate that carries replaces everything everywhere.
    """
    if trace.carry is None:
        return np.ones(len(trace.states))
    return np.asarray((trace.carry.detach().numpy() < 0).mean(axis=1, dtype=np.float64))


def labels(heard: Sequence[tuple[int, int, int]], steps: int) -> Int[np.ndarray, " steps"]:
    """Mark each step with the token that was heard there, or with 0 (the blank).

    Args:
        heard: id, first step and one past the last step of each token.
        steps: of the clip.
    """
    marked = np.zeros(steps, np.int64)
    for token, start, end in heard:
        marked[start : max(end, start + 1)] = token
    return marked


def answers(
    states: Float64[np.ndarray, "steps hidden"], marked: Int[np.ndarray, " steps"]
) -> Mapping[int, Float64[np.ndarray, " hidden"]]:
    """Give for each token how far each unit stands from its usual state while the token is heard.

    In standard deviations of the unit: mean at the token's steps less mean at all others, divided
    by the deviation over all. Empty where nothing is heard, or nothing else.

    Args:
        states: of one direction; several clips joined.
        marked: the token of each step (``labels``).
    """
    deviation = np.maximum(states.std(axis=0), _LEAST_DEVIATION)
    found = {}
    for token in sorted(set(marked.tolist()) - {0}):
        here = marked == token
        if not here.all():
            found[token] = (states[here].mean(axis=0) - states[~here].mean(axis=0)) / deviation
    return found
