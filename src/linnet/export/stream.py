"""``stream.onnx``: a network that streams, a piece of log-mel at a time.

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

from linnet.export import layers, piecewise
from linnet.export.builder import FLOAT, INT64, Graph
from linnet.frontend import FrontEnd
from linnet.streaming import ChunkedNetwork, StreamingNetwork

# Steps that a host gives at once to a network that would take any number.
_HOST_STEPS = 8
_LOG_NOTHING = float(np.log(np.finfo(np.float32).tiny))
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
    outputs, states, kept = piecewise.advanced(
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


def _features(graph: Graph, front_end: FrontEnd) -> str:
    """Give the network's input [N, T', features] from ``x``, whose frames are whole steps."""
    centre = graph.constant("cepstra/mean", layers.filling(front_end))
    centred = graph.node("Sub", "cepstra/centred", "x", centre)
    cepstra = layers.cepstra(graph, front_end, centred)
    deviation = graph.constant("cepstra/deviation", layers.numbers(front_end.deviation))
    normalised = graph.node("Div", "cepstra/normalised", cepstra, deviation)
    stacked = graph.ints(0, -1, front_end.features)
    return graph.node("Reshape", "stack/stacked", normalised, stacked)


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
    early = layers.before(graph, "start/early", count, done, graph.ints(network.lookahead))
    certain = np.full(network.head.out_features, _LOG_NOTHING, np.float32)
    certain[0] = 0.0
    graph.node("Where", output, early, graph.constant("start/blank", certain), late)


def _split(graph: Graph, network: StreamingNetwork, states: str) -> list[str]:
    """Give the state [1, N, hidden] of each layer."""
    return [
        graph.node("Gather", f"layer_{layer}/start", states, graph.ints(layer), axis=0)
        for layer in range(network.recurrent.num_layers)
    ]


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
