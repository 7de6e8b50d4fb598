"""The parts that every cut of a network has: its recurrent layers, its head, its numbers.

[T', N, width] -> one direction of a layer -> [T', N, hidden]; [N, T', width] -> head -> [N, T', V]
"""

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from linnet.export.builder import Graph
from linnet.frontend import FrontEnd
from linnet.model import Network

# Blocks of rows in torch's weights, in the order in which ONNX wants them.
_OPERATORS = {
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # r z n -> z r h
    "lstm": ("LSTM", (0, 3, 1, 2), {}),  # i f g o -> i o f c
    "rnn": ("RNN", (0,), {}),
}


def forward(
    graph: Graph, network: Network, layer: int, source: str, *, start: str = "", part: str = ""
) -> str:
    """Add the forward direction of a layer.

    Args:
        graph: under construction.
        network: whose weights it takes.
        layer: from 0.
        source: features [T', N, width].
        start: state [1, N, hidden] before the first step; without one it starts at zeros.
        part: tells this use of the layer from others.
    """
    name = f"layer_{layer}/forward"
    return _direction(graph, network, name, f"l{layer}", source, start, part)


def backward(
    graph: Graph,
    network: Network,
    layer: int,
    source: str,
    **attributes: str,
) -> str:
    """Add the direction of a layer that reads backwards.

    Args:
        graph: under construction.
        network: whose weights it takes.
        layer: from 0.
        source: features [T', N, width], reversed unless ``direction="reverse"`` is given.
        attributes: of the operator.
    """
    name = f"layer_{layer}/backward"
    return _direction(graph, network, name, f"l{layer}_reverse", source, **attributes)


def _direction(
    graph: Graph,
    network: Network,
    name: str,
    suffix: str,
    source: str,
    start: str = "",
    part: str = "",
    **attributes: str,
) -> str:
    """Add one direction of a layer; ``suffix`` is how torch names its weights."""
    operator, order, always = _OPERATORS[str(network.settings["cell"])]

    def weight(kind: str) -> Float32[np.ndarray, "..."]:
        blocks = np.split(numbers(getattr(network.recurrent, f"{kind}_{suffix}")), len(order))
        return np.concatenate([blocks[i] for i in order])

    biases = np.concatenate([weight("bias_ih"), weight("bias_hh")])
    states = graph.node(
        operator,
        f"{name}{part}/states",
        source,
        graph.constant(f"{name}/input_weight", weight("weight_ih")[None]),
        graph.constant(f"{name}/state_weight", weight("weight_hh")[None]),
        graph.constant(f"{name}/bias", biases[None]),
        # No lengths: some runtimes ignore them.
        *(["", start] if start else []),
        hidden_size=network.recurrent.hidden_size,
        **always,
        **attributes,
    )
    return graph.node("Squeeze", f"{name}{part}/squeezed", states, graph.ints(1))


def head(graph: Graph, network: Network, states: str, output: str) -> str:
    """Add the head; ``output`` names the log-probabilities [N, T', V]."""
    weight = graph.constant("head/weight", numbers(network.head.weight.T))
    product = graph.node("MatMul", "head/product", states, weight)
    bias = graph.constant("head/bias", numbers(network.head.bias))
    logits = graph.node("Add", "head/scores", product, bias)
    return graph.node("LogSoftmax", output, logits, axis=-1)


def filling(front_end: FrontEnd) -> Float32[np.ndarray, " mels"]:
    """Give the log-mel that is the mean of the training set: its features are zeros."""
    return numbers(front_end.dct.double() @ front_end.mean.double())


def numbers(tensor: Tensor) -> Float32[np.ndarray, "..."]:
    """Give the values of a tensor as a graph holds them."""
    return tensor.detach().cpu().float().contiguous().numpy()
