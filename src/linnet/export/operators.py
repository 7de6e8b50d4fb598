"""How ONNX's operators hold our cells: their blocks of rows, put in order or made.

    gru               r z n -> GRU with z r h, linear_before_reset=1
    gru_reset_before  r z n -> GRU with z r h, linear_before_reset=0
    mgu               f n   -> GRU with z = 1 - f (the rows of f with their sign turned), r = f
    ligru             z n   -> GRU whose r is held open by its bias, with a ReLU
    lstm              i f n o -> LSTM with i o f c
    rnn               h -> RNN

Two cells are smaller than the operator that holds them: their graphs carry rows that say nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from linnet.cells import NO_OPERATOR, VARIANTS
from linnet.errors import ModelError

Rows = Float32[np.ndarray, "..."]
# The logit of a gate that float32 cannot tell from 1.
_OPEN = 40.0


@dataclass(frozen=True)
class Operator:
    """One direction of a layer as ONNX has it, less the axis of directions.

    Attributes:
        name: of the operator.
        input_weight: W.
        state_weight: R.
        bias: of the input, then of the state.
        attributes: of the operator.
    """

    name: str
    input_weight: Rows
    state_weight: Rows
    bias: Rows
    attributes: dict[str, Any]


def reason(cell: str) -> str | None:
    """Say why a cell cannot be exported; None if it can."""
    return NO_OPERATOR.get(cell)


def operator(cell: str, parts: tuple[Rows, Rows, Rows, Rows]) -> Operator:
    """Give the operator that computes a direction.

    Args:
        cell: of the network.
        parts: weight of the input, weight of the state, bias of each, in our order of blocks.

    Raises:
        ModelError: ONNX has no operator for this cell.
    """
    if (why := reason(cell)) is not None:
        others = ", ".join(["gru", *(one for one in VARIANTS if one not in NO_OPERATOR)])
        raise ModelError(f"cell={cell} cannot be exported: {why}; train one of {others}")
    name, attributes = _NAMES[cell]
    w, r, b, c = (_blocks(cell, part) for part in parts)
    if cell == "ligru":
        b[1] = np.full_like(b[1], _OPEN)
    w_rows, r_rows = np.concatenate(w), np.concatenate(r)
    return Operator(name, w_rows, r_rows, np.concatenate([*b, *c]), dict(attributes))


def _blocks(cell: str, rows: Rows) -> list[Rows]:
    """Give the blocks of rows in ONNX's order."""
    if cell == "mgu":
        forget, candidate = np.split(rows, 2)
        return [-forget, forget, candidate]
    if cell == "ligru":
        update, candidate = np.split(rows, 2)
        return [update, np.zeros_like(update), candidate]
    order = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}[_NAMES[cell][0]]
    blocks = np.split(rows, len(order))
    return [blocks[i] for i in order]


_NAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("GRU", {"linear_before_reset": 1}),
    "gru_reset_before": ("GRU", {"linear_before_reset": 0}),
    "mgu": ("GRU", {"linear_before_reset": 0}),
    "ligru": ("GRU", {"linear_before_reset": 1, "activations": ["Sigmoid", "Relu"]}),
    "lstm": ("LSTM", {}),
    "rnn": ("RNN", {}),
}
