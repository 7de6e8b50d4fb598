"""The convolutions before the recurrent layers, as a graph.

features -> frames [N, 1, T, F] -> [0 beyond the clip -> Conv -> Relu] x n -> [N, T', F x C]
"""

import math
from typing import cast

from torch import nn

from linnet.convolved import Convolutions
from linnet.export import layers
from linnet.export.builder import Graph


def convolutions(graph: Graph, stem: Convolutions, features: str, steps: str) -> str:
    """Add the convolutions; give what the first recurrent layer reads.

    Args:
        graph: under construction.
        stem: without normalisations.
        features: [N, T', stack x bands].
        steps: of each clip, [N].
    """
    scale = math.prod(stem.strides)
    shape = graph.ints(0, 1, -1, stem.features // scale)
    states = graph.node("Reshape", "convolutions/frames", features, shape)
    for number, part in enumerate(stem.convolutions):
        name, convolution = f"convolutions/{number}", cast("nn.Conv2d", part)
        within = _within(graph, name, states, steps, scale)
        clear = graph.node("Where", f"{name}/clear", within, states, graph.number(0.0))
        weight = graph.constant(f"{name}/weight", layers.numbers(convolution.weight))
        bias = graph.constant(
            f"{name}/bias", layers.numbers(cast("nn.Parameter", convolution.bias))
        )
        read = graph.node(
            "Conv",
            f"{name}/read",
            clear,
            weight,
            bias,
            kernel_shape=list(convolution.kernel_size),
            strides=list(convolution.stride),
            pads=[convolution.padding[0], convolution.padding[1]] * 2,
        )
        states = graph.node("Relu", f"{name}/states", read)
        scale //= stem.strides[number]
    time_first = graph.node("Transpose", "convolutions/time_first", states, perm=[0, 2, 3, 1])
    return graph.node("Reshape", "convolutions/read", time_first, graph.ints(0, 0, stem.width))


def _within(graph: Graph, name: str, states: str, steps: str, scale: int) -> str:
    """Tell which times of [N, C, T, F] lie inside the clips, [N, 1, T, 1]."""
    positions = layers.numbered(graph, name, graph.size(f"{name}/times", states, 2))
    ends = graph.node("Mul", f"{name}/ends", steps, graph.ints(scale))
    within = layers.inside(graph, f"{name}/inside", positions, ends)
    return graph.node("Unsqueeze", f"{name}/within", within, graph.ints(1))
