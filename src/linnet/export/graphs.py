"""The network and its front-end as ONNX graphs, cut at the waveform and at the log-mel.

    model.onnx     waveform -> power spectrum (spectrum.py) -> log-mel -+
    features.onnx                                              log-mel -+-> cepstra -> normalised
                     -> stacked -> (convolutions) -> recurrent layers -> head -> log-probabilities

Only plain operators that every runtime has, onnxruntime in a browser among them. A backward layer
is a forward one between two ReverseSequence nodes: some runtimes ignore the lengths that the
recurrent operators take. Sums over time run in float64, because in float32 the mean of ten minutes
is off by more than the gate allows.
"""

import math
from collections.abc import Mapping

import numpy as np
import onnx
import torch

from linnet.export import layers, piecewise, spectrum
from linnet.export.builder import FLOAT, INT64, Graph
from linnet.export.convolutions import convolutions
from linnet.filters import LOG_FLOOR
from linnet.frontend import VARIANCE_EPSILON, FrontEnd
from linnet.joined import JoinedNetwork
from linnet.model import Network
from linnet.stacked import StackedNetwork
from linnet.streaming import StreamingNetwork


def waveform_graph(
    front_end: FrontEnd, network: Network, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Give the graph from ``x`` [N, S], raw samples, to ``logits`` [N, T', V].

    All N clips are S samples long; S may be 0.
    """
    graph = Graph()
    power, frames = spectrum.power(graph, front_end, "x")
    log_mel = _log_mel(graph, front_end, power)
    batch = graph.size("frames/batch", "x", 0)
    lengths = graph.node("Expand", "frames/of_each_clip", frames, batch)
    features, steps = _features(graph, front_end, log_mel, lengths)
    _network(graph, network, features, steps, "logits")
    return graph.model(
        "linnet_waveform",
        {"x": (FLOAT, ("N", "S"))},
        {"logits": (FLOAT, ("N", "T_out", network.settings["tokens"]))},
        metadata,
    )


def features_graph(
    front_end: FrontEnd, network: Network, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Give the graph from ``x`` [N, T, mels], log-mel, and ``x_lens`` [N] to ``log_probs``.

    The output is [N, T', V], with ``log_probs_len`` [N]. What stands beyond a clip's length in
    ``x`` does not matter; T may be 0.
    """
    graph = Graph()
    steps = from_log_mel(graph, front_end, network, "log_probs")
    graph.node("Identity", "log_probs_len", steps)
    return graph.model(
        "linnet_features",
        {"x": (FLOAT, ("N", "T", front_end.mel.shape[1])), "x_lens": (INT64, ("N",))},
        {
            "log_probs": (FLOAT, ("N", "T_out", network.settings["tokens"])),
            "log_probs_len": (INT64, ("N",)),
        },
        metadata,
    )


def from_log_mel(graph: Graph, front_end: FrontEnd, network: Network, output: str) -> str:
    """Add all from ``x`` and ``x_lens`` to the log-probabilities; give the steps of each clip."""
    features, steps = _features(graph, front_end, "x", "x_lens")
    _network(graph, network, features, steps, output)
    return steps


def _log_mel(graph: Graph, front_end: FrontEnd, power: str) -> str:
    """Give the log-mel [N, T, mels] from the power spectrum."""
    bins = torch.tensor(spectrum.bin_order(front_end.fft_samples))
    # The spectrum holds a few bins twice: only the first of each counts.
    first = torch.tensor([int(b) not in bins[:i].tolist() for i, b in enumerate(bins)])
    mel = front_end.mel[bins.to(front_end.mel.device)].cpu() * first[:, None]
    banks = graph.node(
        "MatMul", "mel/banks", power, graph.constant("mel/filters", layers.numbers(mel))
    )
    floored = graph.node("Max", "mel/floored", banks, graph.number(math.exp(LOG_FLOOR)))
    return graph.node("Log", "mel/log_mel", floored)


def _features(graph: Graph, front_end: FrontEnd, log_mel: str, frames: str) -> tuple[str, str]:
    """Give the network's input [N, T', features] and the steps of each clip from the log-mel."""
    stack = front_end.stack
    short = graph.node("Sub", "clip/short", graph.ints(stack), graph.size("clip/given", log_mel, 1))
    missing = graph.node("Max", "clip/missing", short, graph.ints(0))
    pads = graph.node("Concat", "clip/pads", graph.ints(0, 0, 0, 0), missing, graph.ints(0), axis=0)
    floor = graph.number(LOG_FLOOR)
    padded = graph.node("Pad", "clip/padded", log_mel, pads, floor)
    positions = layers.numbered(graph, "clip", graph.size("clip/longest", padded, 1))
    inside = layers.inside(graph, "clip/inside", positions, frames)
    clipped = graph.node("Where", "clip/clipped", inside, padded, floor)
    enough = graph.node("Max", "clip/frames", frames, graph.ints(stack))
    if front_end.normalisation == "training":
        centre = graph.constant("cepstra/mean", layers.filling(front_end))
        centred = graph.node("Sub", "cepstra/centred", clipped, centre)
        cepstra = layers.cepstra(graph, front_end, centred)
        deviation = graph.constant("cepstra/deviation", layers.numbers(front_end.deviation))
    else:
        filled = layers.inside(graph, "clip/filled", positions, enough)
        mask = graph.cast("cepstra/mask", filled, np.float32)
        kept = graph.node("Mul", "cepstra/kept", clipped, mask)
        difference = graph.node(
            "Sub", "cepstra/difference", clipped, _mean(graph, "cepstra/mean", kept, enough)
        )
        centred = graph.node("Mul", "cepstra/centred", difference, mask)
        cepstra = layers.cepstra(graph, front_end, centred)
        deviation = _deviation(graph, cepstra, enough)
    normalised = graph.node("Div", "cepstra/normalised", cepstra, deviation)
    steps = graph.node("Div", "clip/steps", enough, graph.ints(stack))
    return _stacked(graph, front_end, normalised), steps


def _mean(graph: Graph, name: str, values: str, frames: str) -> str:
    """Give the mean over each clip's frames, [N, 1, width], of values that are 0 elsewhere."""
    wide = graph.cast(f"{name}_float64", values, np.float64)
    total = graph.node("ReduceSum", f"{name}_sum", wide, graph.ints(1), keepdims=1)
    lengths = graph.node("Unsqueeze", f"{name}_frames", frames, graph.ints(1, 2))
    count = graph.cast(f"{name}_count", lengths, np.float64)
    exact = graph.node("Div", f"{name}_exact", total, count)
    return graph.cast(name, exact, np.float32)


def _deviation(graph: Graph, cepstra: str, frames: str) -> str:
    """Give the deviation of each coefficient of centred cepstra, [N, 1, cepstra]."""
    squares = graph.node("Mul", "cepstra/squares", cepstra, cepstra)
    variance = _mean(graph, "cepstra/variance", squares, frames)
    floored = graph.node("Add", "cepstra/floored", variance, graph.number(VARIANCE_EPSILON))
    return graph.node("Sqrt", "cepstra/deviation", floored)


def _stacked(graph: Graph, front_end: FrontEnd, cepstra: str) -> str:
    """Join ``stack`` frames to one step; an unfilled rest is dropped."""
    if front_end.stack == 1:
        return cepstra
    frames, stack = graph.size("stack/frames", cepstra, 1), graph.ints(front_end.stack)
    steps = graph.node("Div", "stack/steps", frames, stack)
    end = graph.node("Mul", "stack/end", steps, stack)
    whole = graph.node("Slice", "stack/whole", cepstra, graph.ints(0), end, graph.ints(1))
    return graph.node("Reshape", "stack/stacked", whole, graph.ints(0, -1, front_end.features))


def _network(graph: Graph, network: Network, features: str, steps: str, output: str) -> None:
    """Add the network over whole clips; ``output`` names the log-probabilities [N, T', V]."""
    if isinstance(network, JoinedNetwork):
        _joined(graph, network, features, steps, output)
        return
    if isinstance(network, StreamingNetwork):
        layers.head(graph, network, piecewise.whole(graph, network, features, steps), output)
        return
    if network.stem is not None:
        features = convolutions(graph, network.stem, features, steps)
    states = graph.node("Transpose", "network/steps_first", features, perm=[1, 0, 2])
    for layer in range(network.recurrent.num_layers):
        given = states
        states = _layer(graph, network, layer, given, steps)
        if isinstance(network, StackedNetwork):
            states = layers.joined(graph, network, layer, states, given)
    batch_first = graph.node("Transpose", "network/batch_first", states, perm=[1, 0, 2])
    layers.head(graph, network, batch_first, output)


def _joined(graph: Graph, network: JoinedNetwork, features: str, steps: str, output: str) -> None:
    """Add each network, and the logarithm of the mean of their posteriors."""
    told = []
    for number, part in enumerate(network.parts):
        scope = f"network_{number}"
        with graph.scope(scope):
            _network(graph, part, features, steps, "log_probs")
        told.append(graph.node("Unsqueeze", f"{scope}/one", f"{scope}/log_probs", graph.ints(0)))
    side_by_side = graph.node("Concat", "joined/all", *told, axis=0)
    total = graph.node("ReduceLogSumExp", "joined/total", side_by_side, axes=[0], keepdims=0)
    graph.node("Sub", output, total, graph.number(math.log(len(told))))


def _layer(graph: Graph, network: Network, layer: int, source: str, steps: str) -> str:
    """Add one recurrent layer, [T', N, width] to [T', N, directions x hidden]."""
    forward = layers.forward(graph, network, layer, source)
    if not network.recurrent.bidirectional:
        return forward
    name = f"layer_{layer}/backward"
    turn = {"time_axis": 0, "batch_axis": 1}
    reversed_ = graph.node("ReverseSequence", f"{name}/reversed", source, steps, **turn)
    states = layers.backward(graph, network, layer, reversed_)
    backward = graph.node("ReverseSequence", f"{name}/restored", states, steps, **turn)
    if isinstance(network, StackedNetwork) and network.summed:
        return graph.node("Add", f"layer_{layer}/both", forward, backward)
    return graph.node("Concat", f"layer_{layer}/both", forward, backward, axis=2)
