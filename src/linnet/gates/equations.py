"""The equations of the recurrent cells, a step each: all of them in one place, none of them hidden.

    inputs W x + b, state h -> gates (sigmoid) -> candidate -> new state

``r`` is the reset gate, ``z`` the update gate, ``n`` the candidate; a product with the state is
written R h. Blocks of rows in the weights stand in the order in which each cell names them here.

    cell              equations                                             blocks of rows
    rnn               h' = tanh(W x + R h)                                  h
    gru               n = tanh(W_n x + r * (R_n h)), h' = (1 - z) n + z h   r z n
    gru_reset_before  n = tanh(W_n x + R_n (r * h)), h' = (1 - z) n + z h   r z n
    gru_layernorm     as gru, each product normalised over its rows         r z n
    mgu               n = tanh(W_n x + R_n (f * h)), h' = (1 - f) h + f n   f n
    ligru             n = relu(W_n x + R_n h),       h' = (1 - z) n + z h   z n
    lstm              c' = f c + i n,                h' = o tanh(c')        i f n o

rnn: Elman 1990. gru_reset_before: Cho et al. 2014, where z and 1 - z change places; gru: the form
of cuDNN and torch. gru_layernorm: Ba et al. 2016. mgu: the minimal gated unit of Zhou et al. 2016.
ligru: the light GRU of Ravanelli et al. 2018. lstm: Hochreiter and Schmidhuber 1997 with the
forget gate of Gers et al. 2000.

Whatever the cell, one gate says how much of the old memory is carried: z, 1 - f of the minimal
gated unit, f of the LSTM. Its logit is given beside the gates, because a gate that float64 rounds
to 1 still has a logit, and the logarithm of its time scale needs it. An Elman cell has no such
gate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# As torch.nn.LayerNorm.
NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Weights:
    """The weights of one direction of a layer; the blocks of rows in the order of its equations.

    Attributes:
        input_weight: W.
        state_weight: R.
        input_bias: b.
        state_bias: c, added to the product with the state.
        input_gain: of the normalised product with the input (``gru_layernorm``).
        state_gain: of the normalised product with the state.
    """

    input_weight: Float[Tensor, "rows width"]
    state_weight: Float[Tensor, "rows hidden"]
    input_bias: Float[Tensor, " rows"]
    state_bias: Float[Tensor, " rows"]
    input_gain: Float[Tensor, " rows"] | None = None
    state_gain: Float[Tensor, " rows"] | None = None

    def detached(self) -> "Weights":
        """Give these weights for a replay: without gradients, in float64 on the CPU."""
        given = (getattr(self, field.name) for field in fields(self))
        parts: list[Any] = [p if p is None else p.detach().to("cpu", torch.float64) for p in given]
        return Weights(*parts)

    @property
    def hidden(self) -> int:
        """How many units the state has."""
        return self.state_weight.shape[1]

    def of_inputs(self, inputs: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch rows"]:
        """Give W x + b, the part of every gate that waits for no state."""
        product = inputs @ self.input_weight.T
        if self.input_gain is not None:
            product = _normalised(product, self.hidden) * self.input_gain
        return product + self.input_bias

    def of_state(
        self, state: Float[Tensor, "*batch hidden"], first: int = 0, last: int | None = None
    ) -> Float[Tensor, "*batch some_rows"]:
        """Give R h + c for the blocks from ``first`` up to ``last``."""
        end = None if last is None else last * self.hidden
        rows = slice(first * self.hidden, end)
        product = state @ self.state_weight[rows].T
        if self.state_gain is not None:
            product = _normalised(product, self.hidden) * self.state_gain[rows]
        return product + self.state_bias[rows]


@dataclass(frozen=True)
class Step:
    """What one step did.

    Attributes:
        state: the new output of the units.
        memory: what the next step carries on: the cell of an LSTM, else the state.
        gates: each gate by its name, and the candidate, in the order in which they are computed.
        carry: logit of the gate that keeps the memory; None where there is none.
    """

    state: Float[Tensor, "*batch hidden"]
    memory: Float[Tensor, "*batch hidden"]
    gates: Mapping[str, Float[Tensor, "*batch hidden"]]
    carry: Float[Tensor, "*batch hidden"] | None


def _normalised(product: Float[Tensor, "*batch rows"], hidden: int) -> Float[Tensor, "*batch rows"]:
    """Normalise the two gates together and the candidate by itself (Ba et al. 2016, appendix)."""
    parts = product.split([2 * hidden, hidden], -1)
    normal = torch.nn.functional.layer_norm
    return torch.cat([normal(part, part.shape[-1:], eps=NORM_EPSILON) for part in parts], -1)


def _rnn(inputs: Tensor, before: Step, weights: Weights) -> Step:
    new = torch.tanh(inputs + weights.of_state(before.state))
    return Step(new, new, {}, None)


def _gru(inputs: Tensor, before: Step, weights: Weights) -> Step:
    of_input, of_state = inputs.chunk(3, -1), weights.of_state(before.state).chunk(3, -1)
    reset = torch.sigmoid(of_input[0] + of_state[0])
    carry = of_input[1] + of_state[1]
    candidate = torch.tanh(of_input[2] + reset * of_state[2])
    return _interpolated(before, carry, candidate, {"reset": reset})


def _gru_layernorm(inputs: Tensor, before: Step, weights: Weights) -> Step:
    """As the GRU: the weights normalise their products themselves."""
    return _gru(inputs, before, weights)


def _gru_reset_before(inputs: Tensor, before: Step, weights: Weights) -> Step:
    of_input, of_state = inputs.chunk(3, -1), weights.of_state(before.state, 0, 2).chunk(2, -1)
    reset = torch.sigmoid(of_input[0] + of_state[0])
    carry = of_input[1] + of_state[1]
    candidate = torch.tanh(of_input[2] + weights.of_state(reset * before.state, 2))
    return _interpolated(before, carry, candidate, {"reset": reset})


def _mgu(inputs: Tensor, before: Step, weights: Weights) -> Step:
    of_input = inputs.chunk(2, -1)
    logit = of_input[0] + weights.of_state(before.state, 0, 1)
    forget = torch.sigmoid(logit)
    candidate = torch.tanh(of_input[1] + weights.of_state(forget * before.state, 1))
    new = (1 - forget) * before.state + forget * candidate
    return Step(new, new, {"forget": forget, "candidate": candidate}, -logit)


def _ligru(inputs: Tensor, before: Step, weights: Weights) -> Step:
    carry, candidate = (inputs + weights.of_state(before.state)).chunk(2, -1)
    return _interpolated(before, carry, torch.relu(candidate), {})


def _interpolated(
    before: Step, carry: Tensor, candidate: Tensor, gates: Mapping[str, Tensor]
) -> Step:
    update = torch.sigmoid(carry)
    new = (1 - update) * candidate + update * before.state
    return Step(new, new, {"update": update, **gates, "candidate": candidate}, carry)


def _lstm(inputs: Tensor, before: Step, weights: Weights) -> Step:
    ingoing, carry, candidate, outgoing = (inputs + weights.of_state(before.state)).chunk(4, -1)
    gates = {
        "forget": torch.sigmoid(carry),
        "input": torch.sigmoid(ingoing),
        "output": torch.sigmoid(outgoing),
        "candidate": torch.tanh(candidate),
    }
    cell = gates["forget"] * before.memory + gates["input"] * gates["candidate"]
    new = gates["output"] * torch.tanh(cell)
    return Step(new, cell, {**gates, "cell": cell}, carry)


# What computes a step, and how many blocks of rows its weights have.
EQUATIONS: dict[str, tuple[Callable[[Tensor, Step, Weights], Step], int]] = {
    "gru": (_gru, 3),
    "gru_reset_before": (_gru_reset_before, 3),
    "gru_layernorm": (_gru_layernorm, 3),
    "mgu": (_mgu, 2),
    "ligru": (_ligru, 2),
    "lstm": (_lstm, 4),
    "rnn": (_rnn, 1),
}


def run(cell: str, weights: Weights, products: Float[Tensor, "steps *batch rows"]) -> list[Step]:
    """Run a direction over all steps, from a state of zeros.

    Args:
        cell: a key of ``EQUATIONS``.
        weights: of the direction.
        products: ``weights.of_inputs`` of the inputs, step by step.
    """
    equation, _ = EQUATIONS[cell]
    zeros = products.new_zeros(*products.shape[1:-1], weights.hidden)
    steps = [Step(zeros, zeros, {}, None)]
    for inputs in products:
        steps.append(equation(inputs, steps[-1], weights))
    return steps[1:]
