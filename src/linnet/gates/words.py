"""What is seen, in plain sentences: the literature's own, each with this model's numbers.

Inspection -> time scales, shares, gates -> sentences, a list a chapter of the page
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from linnet.gates.inspection import Inspection
from linnet.gates.reach import GONE, Reach
from linnet.gates.replay import Trace
from linnet.gates.scales import openness, overwritten

_KINDS = {
    "gru": "gated recurrent units",
    "gru_reset_before": "gated recurrent units that reset before the product (Cho et al. 2014)",
    "gru_layernorm": "gated recurrent units with layer normalisation",
    "mgu": "minimal gated units, whose one gate forgets and writes",
    "ligru": "light gated recurrent units, which have no reset gate",
    "lstm": "LSTM units",
    "rnn": "Elman units, which have no gates",
}
# What is said of a gate that some cells lack.
_LACKS = {
    "rnn": "An Elman cell has no gates: there is nothing that carries its state unchanged, no time "
    "scale to read off a gate and nothing to forget on purpose. Its states are drawn instead.",
    "lstm": "An LSTM has no reset gate and no update gate. Its forget gate carries the cell, its "
    "input gate writes to it and its output gate shows it; unlike a GRU's, the first two are not "
    "bound to sum up to one.",
    "ligru": "A light GRU has no reset gate: its update gate alone decides what is kept.",
    "mgu": "A minimal gated unit has one gate, f. It resets the past inside the candidate and "
    "overwrites the state by the share f; drawn is 1 - f, the share that it carries.",
}
_INTERPOLATES = (
    "The update gate interpolates: the new state is z times the old one and 1 - z times the "
    "candidate. Where z is near 1 (blue) a unit carries what it knows across the step, where it "
    "is near 0 (orange) it writes anew."
)
_RESETS = (
    "Where the reset gate is near 0 (pink) the candidate forgets the past and reads the present "
    "alone; where it is near 1 (green) the candidate is made from both."
)


def kind(cell: str) -> str:
    """Say what the cells are."""
    return _KINDS.get(cell, cell)


def of_gates(found: Inspection) -> list[str]:
    """Say what the gates of this cell do, and which this cell does not have."""
    sentences = []
    if "update" in found.clip.traces[0].gates:
        sentences.append(_INTERPOLATES)
    if "reset" in found.clip.traces[0].gates:
        sentences.append(_RESETS)
    if found.cell in _LACKS:
        sentences.append(_LACKS[found.cell])
    return sentences


def of_time(found: Inspection) -> list[str]:
    """Say when the state was overwritten and when it was carried."""
    gated = [trace for trace in found.clip.traces if trace.carry is not None]
    if not gated:
        return ["Every unit replaces its whole state at every step."]
    sentences = []
    clip = found.clip
    for trace in (gated[0], gated[-1]) if len(gated) > 1 else gated:
        shares = overwritten(trace)
        busiest, calmest = int(shares.argmax()), int(shares.argmin())
        if clip.steps > 1 and shares[busiest] > shares[calmest]:
            sentences.append(
                f"In {trace.direction.name} most is overwritten at {busiest * clip.step_s:.2f} s "
                f"({_share(shares[busiest])} of the units replace more than half of their state) "
                f"and most is carried at {calmest * clip.step_s:.2f} s "
                f"({_share(1 - shares[calmest])} keep more than half)."
            )
    if clip.heard:
        sentences += _at_tokens(found, gated)
    return sentences


def _at_tokens(found: Inspection, gated: Sequence[Trace]) -> list[str]:
    """Compare the steps of tokens with the others, in the layer where the two differ most."""
    spoken = found.clip.marked > 0
    if spoken.all() or not spoken.any():
        return []
    shares = [overwritten(trace) for trace in gated]
    gaps = [abs(share[spoken].mean() - share[~spoken].mean()) for share in shares]
    best = int(np.argmax(gaps))
    here, elsewhere = shares[best][spoken].mean(), shares[best][~spoken].mean()
    return [
        f"At the steps where a token comes out, {_share(here)} of {gated[best].direction.name} is "
        f"overwritten, elsewhere {_share(elsewhere)}: the largest such difference of all layers."
    ]


def of_units(trace: Trace, scales_s: Float64[np.ndarray, " hidden"] | None) -> str:
    """Say in a sentence what one direction of a layer did."""
    means = {name: float(values.mean()) for name, values in openness(trace).items()}
    gates = ", ".join(f"{name} gate {mean:.2f}" for name, mean in means.items())
    if scales_s is None:
        return "States of the units; there are no gates."
    short, middle, long = np.percentile(scales_s, [10, 50, 90])
    return (
        f"Mean of all units and steps: {gates}. Half of the units remember more than "
        f"{_time(middle)}; one in ten less than {_time(short)}, one in ten more than {_time(long)}."
    )


def of_scales(
    found: Inspection, scales_s: Sequence[Float64[np.ndarray, " hidden"] | None]
) -> list[str]:
    """Say how long the units of this model remember."""
    known = [scales for scales in scales_s if scales is not None]
    if not known:
        return ["Without a gate that carries there is no time scale to read off."]
    everything = np.concatenate(known)
    step_s, longest_s = found.clip.step_s, max(clip.duration_s for clip in found.clips)
    return [
        "Each unit lives on its own time scale: a gate that keeps the share z at every step lets "
        "the past fade as exp(-t / tau) with tau = -step / ln z, averaged in the logarithm over "
        f"{_steps(found)}.",
        f"The memories of these {len(everything)} units run from {_time(everything.min())} to "
        f"{_time(everything.max())}: {_share((everything < step_s).mean())} forget within one step "
        f"of {_time(step_s)}, {_share((everything > longest_s).mean())} remember longer than the "
        f"longest recording ({_time(longest_s)}).",
    ]


def of_answers(found: Inspection) -> list[str]:
    """Say how the answers of units are to be read."""
    if len({token for clip in found.clips for token, _, _ in clip.heard}) == 0:
        return ["No token was heard, so no unit can answer to one."]
    count = len(found.clips)
    few = (
        ""
        if count > 9
        else " With so few recordings that is what happened, not yet a rule: give more."
    )
    return [
        "Blue units rise where a token comes out, orange ones fall: the mean state at the steps of "
        "the token less the mean at all others, in standard deviations of the unit, over "
        f"{count} recording{'s' if count > 1 else ''}.{few}"
    ]


def of_reach(found: Inspection) -> list[str]:
    """Say how far back the gradient goes."""
    if not found.reaches:
        return []
    parts = [f"{name} {_reached(found, curve)}" for name, curve in found.reaches.items()]
    return [
        "How much the log-probability of an answer changes with the input at some distance from "
        "it, averaged in the logarithm over the tokens heard and a few steps between. A straight "
        "fall in this picture is the vanishing gradient: what lies further away can be neither "
        "heard nor learnt.",
        f"The gradient stays above {100 * GONE:.0f} % of its largest value, {'; '.join(parts)}.",
    ]


def _reached(found: Inspection, curve: Reach) -> str:
    """Say how far one curve reaches."""
    sides = []
    for steps, side in zip(curve.steps(), ("back", "ahead"), strict=True):
        if side == "ahead" and not curve.future[1:].any():
            continue
        far = "all the way" if steps is None else _time(steps * found.clip.step_s)
        sides.append(f"{far} {side}")
    return " and ".join(sides)


def _steps(found: Inspection) -> str:
    steps, count = sum(clip.steps for clip in found.clips), len(found.clips)
    return f"{steps} steps of {count} recordings" if count > 1 else f"{steps} steps"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _time(seconds: float) -> str:
    """Say a time with two digits that count, in a unit that suits it."""
    if seconds < 1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else "hours or more"
