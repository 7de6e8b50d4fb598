"""The layers of a network that streams, as nodes: some steps further, from states to states.

    lookahead: steps -> layers -> joined to the pending -> convolution -> what the head reads
    chunked:   steps -> joined to the pending -> windows -> layers, both ways -> what the head reads

Whole clips take the same nodes once, from states of zeros.
"""

import numpy as np

from linnet.export import layers
from linnet.export.builder import Graph
from linnet.streaming import ChunkedNetwork, LookaheadNetwork, StreamingNetwork

_TO_THE_END = 2**63 - 1


def whole(graph: Graph, network: StreamingNetwork, features: str, steps: str) -> str:
    """Add the network without its head over whole clips, [N, T', features] to [N, T', width].

    Args:
        graph: under construction.
        network: whose weights it takes.
        features: may hold anything beyond each clip's steps.
        steps: of each clip, [N].
    """
    longest = graph.size("whole/longest", features, 1)
    inside = layers.before(graph, "whole/inside", longest, graph.ints(0), steps)
    cleared = graph.node("Where", "whole/cleared", inside, features, graph.number(0.0))
    ahead, chunk = graph.ints(network.lookahead), graph.ints(network.chunk)
    needed = graph.node("Add", "whole/needed", longest, ahead)
    rounded = graph.node("Add", "whole/rounded", needed, graph.ints(network.chunk - 1))
    chunks = graph.node("Div", "whole/chunks", rounded, chunk)
    filled = graph.node("Mul", "whole/filled", chunks, chunk)
    missing = graph.node("Sub", "whole/missing", filled, longest)
    none = graph.ints(0)
    pads = graph.node("Concat", "whole/pads", *[none] * 4, missing, none, axis=0)
    padded = graph.node("Pad", "whole/padded", cleared, pads)
    batch = graph.size("whole/batch", features, 0)
    hidden, width = graph.ints(network.recurrent.hidden_size), graph.ints(network.pending_width)
    one = graph.node("Concat", "whole/state_shape", graph.ints(1), batch, hidden, axis=0)
    start = graph.node("Expand", "whole/state", graph.number(0.0), one)
    shape = graph.node("Concat", "whole/pending_shape", batch, width, ahead, axis=0)
    pending = graph.node("Expand", "whole/pending", graph.number(0.0), shape)
    starts = [start] * network.recurrent.num_layers
    late, _, _ = advanced(graph, network, padded, pending, starts)
    return graph.node("Slice", "whole/answers", late, ahead, needed, graph.ints(1))


def advanced(
    graph: Graph, network: StreamingNetwork, features: str, pending: str, starts: list[str]
) -> tuple[str, list[str], str]:
    """Add the layers over some chunks.

    Args:
        graph: under construction.
        network: whose weights it takes.
        features: [N, T', features], whole chunks.
        pending: [N, width, lookahead].
        starts: the state [1, N, hidden] of each layer before the first step.

    Returns:
        What the head reads, [N, T', width]; the state of each layer after the last step; the new
        pending.
    """
    if isinstance(network, ChunkedNetwork):
        return _chunked(graph, network, features, pending, starts)
    if not isinstance(network, LookaheadNetwork):
        raise TypeError(f"there is no graph of {type(network).__name__}")
    source = graph.node("Transpose", "network/steps_first", features, perm=[1, 0, 2])
    ends = []
    for layer, start in enumerate(starts):
        source = layers.forward(graph, network, layer, source, start=start)
        ends.append(_last(graph, f"layer_{layer}/end", source))
    outputs = graph.node("Transpose", "lookahead/outputs", source, perm=[1, 2, 0])
    joined, kept = _joined(graph, network, outputs, pending)
    kernel = graph.constant("lookahead/kernel", layers.numbers(network.convolution.weight))
    hidden = network.recurrent.hidden_size
    convolved = graph.node("Conv", "lookahead/convolved", joined, kernel, group=hidden)
    answers = graph.node("Transpose", "lookahead/answers", convolved, perm=[0, 2, 1])
    return answers, ends, kept


def _joined(graph: Graph, network: StreamingNetwork, arrived: str, pending: str) -> tuple[str, str]:
    """Give what is there [N, width, lookahead + T'], and what of it stays pending."""
    joined = graph.node("Concat", "lookahead/joined", pending, arrived, axis=2)
    first, end = graph.ints(-network.lookahead), graph.ints(_TO_THE_END)
    return joined, graph.node("Slice", "lookahead/pending", joined, first, end, graph.ints(2))


def _last(graph: Graph, name: str, states: str) -> str:
    """Give the last of states [T', N, hidden], as [1, N, hidden]."""
    return graph.node("Slice", name, states, graph.ints(-1), graph.ints(_TO_THE_END), graph.ints(0))


def _chunked(
    graph: Graph, network: ChunkedNetwork, features: str, pending: str, starts: list[str]
) -> tuple[str, list[str], str]:
    """Add the layers over windows of a chunk and its lookahead; as ``advanced``."""
    arrived = graph.node("Transpose", "lookahead/arrived", features, perm=[0, 2, 1])
    joined, kept = _joined(graph, network, arrived, pending)
    by_step = graph.node("Transpose", "windows/by_step", joined, perm=[2, 0, 1])
    number = graph.node("Squeeze", "windows/number", graph.size("windows/steps", features, 1))
    zero, chunk = graph.number(0, np.int64), graph.number(network.chunk, np.int64)
    firsts = graph.node("Range", "windows/firsts", zero, number, chunk)
    places = np.arange(network.chunk + network.lookahead)[:, None]
    column = graph.constant("windows/places", places)
    positions = graph.node("Add", "windows/positions", column, firsts)
    windows = graph.node("Gather", "windows/windows", by_step, positions, axis=0)
    batch = graph.size("windows/batch", features, 0)
    ends = []
    for layer, start in enumerate(starts):
        windows, end = _window_layer(graph, network, layer, windows, start, batch)
        ends.append(end)
    in_order = graph.node("Transpose", "windows/in_order", windows, perm=[2, 1, 0, 3])
    shape = graph.ints(0, -1, 2 * network.recurrent.hidden_size)
    return graph.node("Reshape", "windows/answers", in_order, shape), ends, kept


def _window_layer(
    graph: Graph, network: ChunkedNetwork, layer: int, windows: str, start: str, batch: str
) -> tuple[str, str]:
    """Add one layer over windows [window, windows, N, width]; give its outputs and its state.

    The outputs of the last layer end with the chunk, as nothing reads what it says beyond.
    """
    chunk, hidden = network.chunk, graph.ints(network.recurrent.hidden_size)
    width = network.recurrent.input_size if layer == 0 else 2 * network.recurrent.hidden_size
    name, top = f"layer_{layer}", layer + 1 == network.recurrent.num_layers

    def sliced(what: str, source: str, first: int, end: int) -> str:
        ends = graph.ints(first), graph.ints(end), graph.ints(0)
        return graph.node("Slice", f"{name}/{what}", source, *ends)

    def shaped(what: str, source: str, *sizes: str) -> str:
        shape = graph.node("Concat", f"{name}/{what}_shape", *sizes, axis=0)
        return graph.node("Reshape", f"{name}/{what}", source, shape)

    side_by_side = graph.node("Reshape", f"{name}/side_by_side", windows, graph.ints(0, -1, width))
    chunks = sliced("chunks", windows, 0, chunk)
    ordered = graph.node("Transpose", f"{name}/ordered", chunks, perm=[1, 0, 2, 3])
    sequence = shaped("sequence", ordered, graph.ints(-1), batch, graph.ints(width))
    run = layers.forward(graph, network, layer, sequence, start=start)
    end = _last(graph, f"{name}/end", run)
    split = shaped("run_by_chunk", run, graph.ints(-1, chunk), batch, hidden)
    forward = graph.node("Transpose", f"{name}/run", split, perm=[1, 0, 2, 3])
    back = layers.backward(graph, network, layer, side_by_side, direction="reverse")
    backward = shaped(
        "back", back, graph.ints(network.chunk + network.lookahead, -1), batch, hidden
    )
    if top:
        backward = sliced("back_in_chunk", backward, 0, chunk)
    else:
        lasts = sliced("lasts", forward, chunk - 1, chunk)
        before = graph.node(
            "Reshape", f"{name}/before", lasts, graph.ints(1, -1, network.recurrent.hidden_size)
        )
        ahead = sliced("ahead", side_by_side, chunk, _TO_THE_END)
        on = layers.forward(graph, network, layer, ahead, start=before, part="_ahead")
        beyond = shaped("beyond", on, graph.ints(network.lookahead, -1), batch, hidden)
        forward = graph.node("Concat", f"{name}/forward_both", forward, beyond, axis=0)
    return graph.node("Concat", f"{name}/both", forward, backward, axis=3), end
