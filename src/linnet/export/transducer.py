"""The model in the dress of a transducer, for hosts that look for keywords only in transducers.

    encoder  log-mel -> log p(t), log p(t - 1), side by side
    decoder  the last token said -> one-hot
    joiner   log p(t), with the mass of "the last token goes on" moved to the blank

A CTC model says a token as often as it lasts, a transducer once. So where the last token k was
probably heard at the step before as well, hearing it again is no news but the token going on:

    r = p(t - 1, k) / (p(t - 1, k) + p(t - 1, blank)), or 1 if k was the best token at t - 1
    joiner(k) = log((1 - r) p(t, k)),  joiner(blank) = log(p(t, blank) + r p(t, k))

Greedy decoding of it gives the tokens of greedy CTC decoding; that r is a share and not a choice is
what lets searches with hot words find another path. A model of whole clips gives an encoder for
recordings; one that streams gives in addition an encoder for streams, its states in those of
sherpa-onnx's lstm transducer.
"""

from collections.abc import Mapping

import numpy as np
import onnx

from linnet.export import graphs, stream
from linnet.export.builder import FLOAT, INT64, Graph
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.streaming import StreamingNetwork

ENCODER = "encoder.onnx"
STREAM_ENCODER = "stream_encoder.onnx"
DECODER = "decoder.onnx"
JOINER = "joiner.onnx"
# Tokens of context that hosts pass to the decoder; the last one matters.
_CONTEXT = 2
_NOTHING = -20.0
_LEAST = 1e-10
_TO_THE_END = 2**63 - 1


def build(
    front_end: FrontEnd, network: Network, metadata: Mapping[str, str]
) -> dict[str, onnx.ModelProto]:
    """Give the graphs by file name.

    Args:
        front_end: of the checkpoint.
        network: of the checkpoint.
        metadata: of the encoders; the other two hold nothing that was learnt.
    """
    tokens = network.settings["tokens"]
    brief = {"version": metadata["version"]}
    made = {
        ENCODER: _encoder(front_end, network, {**metadata, "model_type": "zipformer2"}),
        DECODER: _decoder(tokens, brief),
        JOINER: _joiner(tokens, brief),
    }
    if isinstance(network, StreamingNetwork):
        made[STREAM_ENCODER] = _stream_encoder(front_end, network, metadata)
    return made


def _encoder(front_end: FrontEnd, network: Network, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Give the graph from log-mel to the log-probabilities of each step and of the one before."""
    graph = Graph()
    steps = graphs.from_log_mel(graph, front_end, network, "log_probs")
    tokens = network.settings["tokens"]
    nothing = graph.constant("before/nothing", np.full((1, 1, tokens), _NOTHING, np.float32))
    batch = graph.size("before/batch", "log_probs", 0)
    shape = graph.node("Concat", "before/shape", batch, graph.ints(1, tokens), axis=0)
    first = graph.node("Expand", "before/first", nothing, shape)
    _with_the_step_before(graph, "log_probs", first)
    graph.node("Identity", "encoder_out_lens", steps)
    return graph.model(
        "linnet_encoder",
        {"x": (FLOAT, ("N", "T", front_end.mel.shape[1])), "x_lens": (INT64, ("N",))},
        {"encoder_out": (FLOAT, ("N", "T_out", 2 * tokens)), "encoder_out_lens": (INT64, ("N",))},
        metadata,
    )


def _stream_encoder(
    front_end: FrontEnd, network: StreamingNetwork, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Give the same of a stream; ``h`` holds the layers' states, ``c`` all else that is carried.

    In ``c`` stand one after the other the log-probabilities of the step before, what the answers
    to come still need, and the frames so far.
    """
    graph, tokens = Graph(), network.settings["tokens"]
    layer_count, hidden = network.recurrent.num_layers, network.recurrent.hidden_size
    waiting = network.pending_width * network.lookahead
    carried = tokens + waiting + 1
    own = graph.node("Gather", "carried/own", "c", graph.number(0, np.int64), axis=0)
    sizes = graph.ints(tokens, waiting, 1)
    parts = ["carried/before", "carried/pending", "carried/frames"]
    graph.split("carried/parts", parts, own, sizes, axis=1)
    shape = graph.ints(0, network.pending_width, network.lookahead)
    pending = graph.node("Reshape", "carried/waiting", parts[1], shape)
    counted = graph.node("Squeeze", "carried/counted", parts[2], graph.ints(1))
    processed = graph.cast("carried/processed", counted, np.int64)
    states, kept = stream.answers(graph, front_end, network, "h", pending, processed, "log_probs")
    before = graph.node("Unsqueeze", "before/first", parts[0], graph.ints(1))
    _with_the_step_before(graph, "log_probs", before)
    graph.node("Concat", "new_h", *states, axis=0)
    end = graph.ints(-1), graph.ints(_TO_THE_END), graph.ints(1)
    last = graph.node("Slice", "carried/last", "log_probs", *end)
    flat = graph.node("Reshape", "carried/last_flat", last, graph.ints(0, tokens))
    kept_flat = graph.node("Reshape", "carried/kept", kept, graph.ints(0, waiting))
    frames = graph.cast("carried/more", graph.size("carried/given", "x", 1), np.float32)
    total = graph.node("Add", "carried/total", parts[2], frames)
    joined = graph.node("Concat", "carried/joined", flat, kept_flat, total, axis=1)
    alone = graph.node("Unsqueeze", "carried/alone", joined, graph.ints(0))
    graph.node("Tile", "new_c", alone, graph.ints(layer_count, 1, 1))
    chunk = stream.host_frames(front_end, network)
    described = {
        "model_type": "lstm",
        "num_encoder_layers": str(layer_count),
        "T": str(chunk),
        "decode_chunk_len": str(chunk),
        "rnn_hidden_size": str(carried),
        "d_model": str(hidden),
    }
    state_h, state_c = (layer_count, "N", hidden), (layer_count, "N", carried)
    return graph.model(
        "linnet_stream_encoder",
        {
            "x": (FLOAT, ("N", "T", front_end.mel.shape[1])),
            "h": (FLOAT, state_h),
            "c": (FLOAT, state_c),
        },
        {
            "encoder_out": (FLOAT, ("N", "T_out", 2 * tokens)),
            "new_h": (FLOAT, state_h),
            "new_c": (FLOAT, state_c),
        },
        {**metadata, **described},
    )


def _with_the_step_before(graph: Graph, log_probs: str, first: str) -> None:
    """Add ``encoder_out``: each step's log-probabilities and those of the step before."""
    longer = graph.node("Concat", "before/longer", first, log_probs, axis=1)
    ends = graph.ints(0), graph.ints(-1), graph.ints(1)
    before = graph.node("Slice", "before/before", longer, *ends)
    graph.node("Concat", "encoder_out", log_probs, before, axis=2)


def _decoder(tokens: int, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Give the graph from the last tokens [N, context] to a one-hot of the last one."""
    graph = Graph()
    last = graph.node("Gather", "last/given", "y", graph.number(_CONTEXT - 1, np.int64), axis=1)
    # Hosts fill up with -1 where nothing was said.
    said = graph.node("Max", "last/said", last, graph.number(0, np.int64))
    values = graph.constant("last/off_on", np.array([0, 1], np.float32))
    graph.node("OneHot", "decoder_out", said, graph.number(2 * tokens, np.int64), values, axis=-1)
    return graph.model(
        "linnet_decoder",
        {"y": (INT64, ("N", _CONTEXT))},
        {"decoder_out": (FLOAT, ("N", 2 * tokens))},
        {**metadata, "context_size": str(_CONTEXT), "vocab_size": str(tokens)},
    )


def _joiner(tokens: int, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Give the graph from both to log-probabilities."""
    graph = Graph()
    halves, axis = graph.ints(tokens, tokens), 1
    graph.split("now_before", ["now", "before"], "encoder_out", halves, axis=axis)
    graph.split("last_rest", ["last", "rest"], "decoder_out", halves, axis=axis)
    one_hot = np.zeros((1, tokens), np.float32)
    one_hot[0, 0] = 1
    blank = graph.constant("blank/one_hot", one_hot)
    others = graph.constant("blank/others", 1 - one_hot)
    earlier = graph.node("Exp", "goes_on/earlier", "before")
    only_blank = graph.node("Mul", "goes_on/only_blank", earlier, blank)
    silent = graph.node("ReduceSum", "goes_on/blank", only_blank, graph.ints(1), keepdims=1)
    either = graph.node("Add", "goes_on/either", earlier, silent)
    floored = graph.node("Max", "goes_on/floored", either, graph.number(_LEAST))
    share = graph.node("Div", "goes_on/share", earlier, floored)
    best = graph.node("ArgMax", "goes_on/best", "before", axis=1, keepdims=0)
    values = graph.constant("goes_on/off_on", np.array([0, 1], np.float32))
    count = graph.number(tokens, np.int64)
    chosen = graph.node("OneHot", "goes_on/chosen", best, count, values, axis=-1)
    certain = graph.node("Max", "goes_on/certain", share, chosen)
    of_last = graph.node("Mul", "goes_on/of_last", certain, "last")
    goes_on = graph.node("Mul", "goes_on/tokens", of_last, others)
    now = graph.node("Exp", "joined/now", "now")
    moved = graph.node("Mul", "joined/moved", now, goes_on)
    mass = graph.node("ReduceSum", "joined/mass", moved, graph.ints(1), keepdims=1)
    to_blank = graph.node("Mul", "joined/to_blank", mass, blank)
    left = graph.node("Sub", "joined/left", now, moved)
    joined = graph.node("Add", "joined/joined", left, to_blank)
    graph.node("Log", "logit", graph.node("Max", "joined/floor", joined, graph.number(_LEAST)))
    both = (FLOAT, ("N", 2 * tokens))
    return graph.model(
        "linnet_joiner",
        {"encoder_out": both, "decoder_out": both},
        {"logit": (FLOAT, ("N", tokens))},
        {**metadata, "joiner_dim": str(2 * tokens)},
    )
