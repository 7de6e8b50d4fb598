"""The network that streams, as nodes: over whole clips, and as ``stream.onnx``, piece by piece.

    chunk of log-mel, states -> cepstra -> normalised -> stacked -> layers -> log_probs, new states

The inputs and their order are those of sherpa-onnx's zipformer2 CTC loader, which matches them by
position and asks for their sizes in the metadata. Three of its eight states carry something: the
key cache holds the state of each recurrent layer, the convolution cache what the answers to come
still need, and ``processed_lens`` the frames so far. The others pass through. Answers come
``lookahead`` steps late; those before the first step are blanks.

``T`` may be any multiple of a chunk; the host reads from the metadata how many frames it gives.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from linnet.export import layers
from linnet.export.builder import FLOAT, INT64, Graph
from linnet.frontend import FrontEnd
from linnet.streaming import ChunkedNetwork, LookaheadNetwork, StreamingNetwork

# Steps that a host gives at once to a network that would take any number.
_HOST_STEPS = 8
_LOG_NOTHING = float(np.log(np.finfo(np.float32).tiny))
_TO_THE_END = 2**63 - 1
_CARRIED = ("cached_key_0", "cached_conv1_0", "processed_lens")


def stream_graph(
    front_end: FrontEnd, network: StreamingNetwork, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Give the graph from ``x`` [N, T, mels], log-mel, and states to ``log_probs`` and states."""
    graph = Graph()
    hidden, pending = answers(
        graph, front_end, network, "cached_key_0", "cached_conv1_0", "processed_lens", "log_probs"
    )
    graph.node("Concat", "new_cached_key_0", *hidden, axis=0)
    graph.node("Identity", "new_cached_conv1_0", pending)
    frames = graph.size("chunk/frames", "x", 1)
    graph.node("Add", "new_processed_lens", "processed_lens", frames)
    states = _states(network)
    for name in states:
        if name not in _CARRIED:
            graph.node("Identity", f"new_{name}", name)
    tokens = network.head.out_features
    return graph.model(
        "linnet_stream",
        {"x": (FLOAT, ("N", "T", front_end.mel.shape[1])), **states},
        {
            "log_probs": (FLOAT, ("N", "T_out", tokens)),
            **{f"new_{name}": shape for name, shape in states.items()},
        },
        {**metadata, **_host_metadata(front_end, network)},
    )


def answers(
    graph: Graph,
    front_end: FrontEnd,
    network: StreamingNetwork,
    hidden: str,
    pending: str,
    processed: str,
    output: str,
) -> tuple[list[str], str]:
    """Add a stream from ``x`` [N, T, mels] and its states to log-probabilities.

    Args:
        graph: under construction.
        front_end: of the checkpoint.
        network: of the checkpoint.
        hidden: state of the layers, [layers, N, hidden].
        pending: what the answers to come still need, [N, width, lookahead].
        processed: frames before these, int64 [N].
        output: what the log-probabilities [N, T', V] are called.

    Returns:
        The new state [1, N, hidden] of each layer, the new pending.
    """
    outputs, states, kept = _advanced(
        graph, network, _features(graph, front_end), pending, _split(graph, network, hidden)
    )
    late = layers.head(graph, network, outputs, "head/log_probs")
    _blank_before_the_start(graph, front_end, network, late, processed, output)
    return states, kept


def described(front_end: FrontEnd, network: StreamingNetwork) -> dict[str, Any]:
    """Give what a runtime needs to feed the graph, for ``model.json``."""
    return {
        # Frames at once: a multiple of these.
        "chunk_frames": network.chunk * front_end.stack,
        "delay_steps": network.lookahead,
        # A frame that stands for what follows the end of a stream.
        "filling": [float(value) for value in layers.filling(front_end)],
    }


def host_frames(front_end: FrontEnd, network: StreamingNetwork) -> int:
    """Give how many frames a host that always gives as many gives at once."""
    steps = network.chunk if isinstance(network, ChunkedNetwork) else _HOST_STEPS
    return steps * front_end.stack


def whole(graph: Graph, network: StreamingNetwork, features: str, steps: str) -> str:
    """Add the network without its head over whole clips, [N, T', features] to [N, T', width].

    Args:
        graph: under construction.
        network: whose weights it takes.
        features: may hold anything beyond each clip's steps.
        steps: of each clip, [N].
    """
    longest = graph.size("whole/longest", features, 1)
    inside = _before(graph, "whole/inside", longest, graph.ints(0), steps)
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
    late, _, _ = _advanced(graph, network, padded, pending, starts)
    return graph.node("Slice", "whole/answers", late, ahead, needed, graph.ints(1))


def _features(graph: Graph, front_end: FrontEnd) -> str:
    """Give the network's input [N, T', features] from ``x``, whose frames are whole steps."""
    centre = graph.constant("cepstra/mean", layers.filling(front_end))
    centred = graph.node("Sub", "cepstra/centred", "x", centre)
    cepstra = layers.cepstra(graph, front_end, centred)
    deviation = graph.constant("cepstra/deviation", layers.numbers(front_end.deviation))
    normalised = graph.node("Div", "cepstra/normalised", cepstra, deviation)
    stacked = graph.ints(0, -1, front_end.features)
    return graph.node("Reshape", "stack/stacked", normalised, stacked)


def _before(graph: Graph, name: str, count: str, first: str, end: str) -> str:
    """Tell which of ``count`` steps, numbered from ``first``, come before ``end``: [N, T', 1]."""
    row = graph.node("Unsqueeze", f"{name}_row", first, graph.ints(1))
    numbered = graph.node("Add", f"{name}_numbered", layers.numbered(graph, name, count), row)
    return layers.inside(graph, name, numbered, end)


def _blank_before_the_start(
    graph: Graph,
    front_end: FrontEnd,
    network: StreamingNetwork,
    late: str,
    processed: str,
    output: str,
) -> None:
    """Put blanks where the answers are to steps before the first."""
    stack = graph.ints(front_end.stack)
    done = graph.node("Div", "start/done", processed, stack)
    count = graph.size("start/count", late, 1)
    early = _before(graph, "start/early", count, done, graph.ints(network.lookahead))
    certain = np.full(network.head.out_features, _LOG_NOTHING, np.float32)
    certain[0] = 0.0
    graph.node("Where", output, early, graph.constant("start/blank", certain), late)


def _split(graph: Graph, network: StreamingNetwork, states: str) -> list[str]:
    """Give the state [1, N, hidden] of each layer."""
    return [
        graph.node("Gather", f"layer_{layer}/start", states, graph.ints(layer), axis=0)
        for layer in range(network.recurrent.num_layers)
    ]


def _advanced(
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
    """Add the layers over windows of a chunk and its lookahead; as ``_advanced``."""
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


def _states(network: StreamingNetwork) -> dict[str, tuple[int, tuple[int | str, ...]]]:
    """Give type and shape of each state, in the order in which the host passes them."""
    layer_count, width = network.recurrent.num_layers, network.pending_width
    cache = ("N", width, network.lookahead)
    return {
        "cached_key_0": (FLOAT, (layer_count, "N", network.recurrent.hidden_size)),
        "cached_nonlin_attn_0": (FLOAT, (1, "N", layer_count, 3 * width // 4)),
        "cached_val1_0": (FLOAT, (layer_count, "N", 1)),
        "cached_val2_0": (FLOAT, (layer_count, "N", 1)),
        "cached_conv1_0": (FLOAT, cache),
        "cached_conv2_0": (FLOAT, cache),
        "embed_states": (FLOAT, ("N", 128, 3, 19)),
        "processed_lens": (INT64, ("N",)),
    }


def _host_metadata(front_end: FrontEnd, network: StreamingNetwork) -> dict[str, str]:
    """Give the frames of a piece, and the sizes from which the host makes the states."""
    frames = str(host_frames(front_end, network))
    return {
        "model_type": "zipformer2",
        "T": frames,
        "decode_chunk_len": frames,
        "encoder_dims": str(network.pending_width),
        "query_head_dims": str(network.recurrent.hidden_size),
        "value_head_dims": "1",
        "num_heads": "1",
        "num_encoder_layers": "1",
        "cnn_module_kernels": str(2 * network.lookahead + 1),
        "left_context_len": str(network.recurrent.num_layers),
    }
