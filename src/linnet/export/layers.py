"""The parts that every cut of a network has: its recurrent layers, its head, its numbers.

[T', N, width] -> one direction of a layer -> [T', N, hidden]; [N, T', width] -> head -> [N, T', V]
"""

from typing import cast

import numpy as np
from jaxtyping import Float32
from torch import Tensor, nn

from linnet.cells import weights_of
from linnet.export.builder import Graph
from linnet.export.operators import operator
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.stacked import StackedNetwork


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
    recurrent, ending = network.recurrent, suffix
    if isinstance(network, StackedNetwork):
        number, _, reverse = suffix.removeprefix("l").partition("_")
        recurrent = network.recurrent[int(number)]
        ending = "l0_reverse" if reverse else "l0"
    weights = weights_of(recurrent, ending)
    w, r = numbers(weights.input_weight), numbers(weights.state_weight)
    b, c = numbers(weights.input_bias), numbers(weights.state_bias)
    held = operator(str(network.settings["cell"]), (w, r, b, c))
    states = graph.node(
        held.name,
        f"{name}{part}/states",
        source,
        graph.constant(f"{name}/input_weight", held.input_weight[None]),
        graph.constant(f"{name}/state_weight", held.state_weight[None]),
        graph.constant(f"{name}/bias", held.bias[None]),
        # No lengths: some runtimes ignore them.
        *(["", start] if start else []),
        hidden_size=network.recurrent.hidden_size,
        **held.attributes,
        **attributes,
    )
    return graph.node("Squeeze", f"{name}{part}/squeezed", states, graph.ints(1))


def joined(graph: Graph, network: StackedNetwork, layer: int, states: str, given: str) -> str:
    """Add what stands behind a layer of a stack: its projection, its shortcut.

    Args:
        graph: under construction.
        network: whose weights it takes.
        layer: from 0.
        states: of its directions, joined.
        given: what the layer was fed.
    """
    name = f"layer_{layer}"
    if len(network.projections):
        projection = cast("nn.Linear", network.projections[layer])
        weight = graph.constant(f"{name}/projection", numbers(projection.weight.T))
        product = graph.node("MatMul", f"{name}/product", states, weight)
        bias = graph.constant(f"{name}/projection_bias", numbers(projection.bias))
        states = graph.node("Add", f"{name}/projected", product, bias)
    if network.shortcut(layer):
        states = graph.node("Add", f"{name}/with_shortcut", states, given)
    return states


def head(graph: Graph, network: Network, states: str, output: str) -> str:
    """Add the head; ``output`` names the log-probabilities [N, T', V]."""
    weight = graph.constant("head/weight", numbers(network.head.weight.T))
    product = graph.node("MatMul", "head/product", states, weight)
    bias = graph.constant("head/bias", numbers(network.head.bias))
    logits = graph.node("Add", "head/scores", product, bias)
    return graph.node("LogSoftmax", output, logits, axis=-1)


def numbered(graph: Graph, name: str, count: str) -> str:
    """Number ``count`` frames or steps from 0, [1, count]."""
    number = graph.node("Squeeze", f"{name}/number", count)
    zero, one = graph.number(0, np.int64), graph.number(1, np.int64)
    counted = graph.node("Range", f"{name}/counted", zero, number, one)
    return graph.node("Unsqueeze", f"{name}/positions", counted, graph.ints(0))


def inside(graph: Graph, name: str, positions: str, ends: str) -> str:
    """Tell which ``positions``, [1 or N, T], lie before the end of each clip, [N, T, 1]."""
    lengths = graph.node("Unsqueeze", f"{name}_lengths", ends, graph.ints(1))
    flat = graph.node("Less", f"{name}_flat", positions, lengths)
    return graph.node("Unsqueeze", name, flat, graph.ints(2))


def before(graph: Graph, name: str, count: str, first: str, end: str) -> str:
    """Tell which of ``count`` steps, numbered from ``first``, come before ``end``: [N, T', 1]."""
    row = graph.node("Unsqueeze", f"{name}_row", first, graph.ints(1))
    positions = graph.node("Add", f"{name}_numbered", numbered(graph, name, count), row)
    return inside(graph, name, positions, end)


def cepstra(graph: Graph, front_end: FrontEnd, centred: str) -> str:
    """Add the DCT of a log-mel whose mean was taken off, unless the front-end keeps the log-mel.

    The DCT is linear: the mean taken off before it does not swell the numbers that it rounds.
    """
    if not front_end.settings["cepstra"]:
        return centred
    dct = graph.constant("cepstra/dct", numbers(front_end.dct))
    return graph.node("MatMul", "cepstra/cepstra", centred, dct)


def filling(front_end: FrontEnd) -> Float32[np.ndarray, " mels"]:
    """Give the log-mel that is the mean of the training set: its features are zeros."""
    return numbers(front_end.dct.double() @ front_end.mean.double())


def numbers(tensor: Tensor) -> Float32[np.ndarray, "..."]:
    """Give the values of a tensor as a graph holds them."""
    return tensor.detach().cpu().float().contiguous().numpy()
