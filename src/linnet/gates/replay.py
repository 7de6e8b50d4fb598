"""The replay: what every gate of every unit did at each step, from the weights alone.

    weights of a layer, its inputs -> equations, step by step -> a Trace for each direction
    stack of plain layers, features -> each layer on what the one before it gave

In float64, so that what is seen is the model and not the rounding; equal to torch's own layers.
Gradients flow through a replay, as through the layers themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linnet.errors import ModelError
from linnet.gates.equations import EQUATIONS, Weights, run


@dataclass(frozen=True)
class Direction:
    """One direction of a recurrent layer.

    Attributes:
        layer: counted from 0.
        backward: whether it reads a clip from its end.
        cell: the name of its equations.
        weights: what they work with.
    """

    layer: int
    backward: bool
    cell: str
    weights: Weights

    @property
    def name(self) -> str:
        """Say which one it is, as people count."""
        return f"layer {self.layer + 1} {'backward' if self.backward else 'forward'}"


@dataclass(frozen=True)
class Trace:
    """What one direction of a layer did with a clip; step t is step t of the clip, always.

    Attributes:
        direction: which one.
        states: the output of the units.
        gates: ``update`` and ``reset`` of a GRU, ``forget``, ``input`` and ``output`` of an LSTM,
            nothing of an Elman layer; with them ``candidate`` and, of an LSTM, ``cell``.
        carry: logit of the gate that keeps the memory; None where there is none.
    """

    direction: Direction
    states: Float[Tensor, "steps hidden"]
    gates: Mapping[str, Float[Tensor, "steps hidden"]]
    carry: Float[Tensor, "steps hidden"] | None

    @property
    def carried(self) -> Float[Tensor, "steps hidden"] | None:
        """Give the share of the old memory that each unit keeps at each step, if a gate says so."""
        return None if self.carry is None else torch.sigmoid(self.carry)


def layer(direction: Direction, inputs: Float[Tensor, "steps width"]) -> Trace:
    """Replay one direction of a layer on what it was fed.

    Args:
        direction: its weights.
        inputs: in the order of the clip, also for a backward direction.

    Raises:
        ModelError: the inputs are of another width than the weights.
    """
    width = direction.weights.input_weight.shape[1]
    if inputs.shape[1] != width:
        raise ModelError(
            f"{direction.name} takes {width} values a step and was given {inputs.shape[1]}; the "
            "weights are not those of a plain stack of layers"
        )
    ordered = inputs.flip(0) if direction.backward else inputs
    steps = run(direction.cell, direction.weights, direction.weights.of_inputs(ordered))

    def joined(values: Sequence[Tensor]) -> Float[Tensor, "steps hidden"]:
        line = torch.stack(list(values))
        return line.flip(0) if direction.backward else line

    return Trace(
        direction,
        joined([step.state for step in steps]),
        {name: joined([step.gates[name] for step in steps]) for name in steps[0].gates},
        joined([s.carry for s in steps if s.carry is not None])
        if steps[0].carry is not None
        else None,
    )


def stack(
    directions: Sequence[Direction], features: Float[Tensor, "steps features"]
) -> list[Trace]:
    """Replay a plain stack: both directions of a layer, side by side, feed the next one.

    Args:
        directions: of all layers, the lowest first and forward before backward.
        features: of one clip.
    """
    traces: list[Trace] = []
    inputs = features
    for number in sorted({direction.layer for direction in directions}):
        own = [layer(direction, inputs) for direction in directions if direction.layer == number]
        inputs = torch.cat([trace.states for trace in own], dim=1)
        traces += own
    return traces


def suffixes(state: Iterable[str]) -> list[tuple[int, bool, str]]:
    """Give layer, whether it reads backward, and the ending of the names of its weights.

    Args:
        state: names of weights: ``weight_ih_l0``, ..., ``weight_ih_l0_reverse``.
    """
    found = []
    for name in state:
        if name.startswith("weight_ih_l"):
            suffix = name.removeprefix("weight_ih_")
            number, _, reverse = suffix.removeprefix("l").partition("_")
            found.append((int(number), bool(reverse), suffix))
    return sorted(found)


def plain(cell: str, state: Mapping[str, Tensor]) -> list[Direction]:
    """Give the directions of an nn.GRU, nn.LSTM or nn.RNN from its ``state_dict``.

    Args:
        cell: ``gru``, ``lstm`` or ``rnn``.
        state: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ..., ``weight_ih_l0_reverse``.

    Raises:
        ModelError: the weights are not there, or not of this cell.
    """
    blocks = EQUATIONS[cell][1]
    directions = []
    for number, backward, suffix in suffixes(state):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = Weights(*(state[f"{kind}_{suffix}"] for kind in kinds)).detached()
        if len(weights.state_weight) != blocks * weights.hidden:
            raise ModelError(
                f"the weights of {suffix} have {len(weights.state_weight)} rows; a {cell} of "
                f"{weights.hidden} units has {blocks * weights.hidden}"
            )
        directions.append(Direction(number, backward, cell, weights))
    if not directions:
        raise ModelError(
            "there are no weights of recurrent layers; expected weight_ih_l0 and so on"
        )
    return directions
