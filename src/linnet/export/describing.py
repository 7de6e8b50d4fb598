"""What a model is, in words for programs, and the graphs that carry these words.

front-end, network, tokenizer, record -> model.json (less the files) -> metadata of each graph
"""

import json
from collections.abc import Mapping
from typing import Any

import onnx

from linnet import text
from linnet.errors import ModelError
from linnet.export import stream
from linnet.export.fingerprint import fingerprint
from linnet.export.graphs import features_graph, waveform_graph
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import (
    CUT_KEY,
    FEATURES_GRAPH,
    FORMAT,
    METADATA_KEY,
    STREAM_GRAPH,
    VERSION,
    WAVEFORM_GRAPH,
)
from linnet.streaming import StreamingNetwork
from linnet.text import Tokenizer

# Of each file: where the model is cut, and the kind that hosts know it as.
_CUTS = {
    WAVEFORM_GRAPH: ("waveform", "omnilingual_asr_ctc"),
    FEATURES_GRAPH: ("log_mel", "zipformer2_ctc"),
    STREAM_GRAPH: ("stream", "zipformer2"),
}


def describe(
    front_end: FrontEnd, network: Network, tokenizer: Tokenizer, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Give what a runtime needs to know, as in ``model.json``, less the list of files."""
    described = {
        "format": FORMAT,
        "version": VERSION,
        "sample_rate": front_end.sample_rate,
        "front_end": dict(front_end.settings),
        "network": dict(network.settings),
        "subsampling": {
            "frames": front_end.stack,
            "samples": front_end.stack * front_end.shift_samples,
            "seconds": front_end.seconds(1),
        },
        "tokenizer": text.described(tokenizer),
        "keywords": {},
        "record": dict(record),
        "fingerprint": fingerprint(front_end),
    }
    if isinstance(network, StreamingNetwork):
        described["stream"] = stream.described(front_end, network)
    return described


def build(
    front_end: FrontEnd, network: Network, described: Mapping[str, Any]
) -> dict[str, onnx.ModelProto]:
    """Give every graph by file name, the description in its metadata."""
    metadata = {
        file: metadata_of(front_end, network, described, cut, kind)
        for file, (cut, kind) in _CUTS.items()
    }
    graphs = {
        WAVEFORM_GRAPH: waveform_graph(front_end, network, metadata[WAVEFORM_GRAPH]),
        FEATURES_GRAPH: features_graph(front_end, network, metadata[FEATURES_GRAPH]),
    }
    if isinstance(network, StreamingNetwork):
        graphs[STREAM_GRAPH] = stream.stream_graph(front_end, network, metadata[STREAM_GRAPH])
    return graphs


def metadata_of(
    front_end: FrontEnd, network: Network, described: Mapping[str, Any], cut: str, kind: str
) -> dict[str, str]:
    """Give what travels with a graph.

    Args:
        front_end: of the checkpoint.
        network: of the checkpoint.
        described: of ``describe``.
        cut: where the graph is cut off the model.
        kind: of model, as hosts know it.
    """
    return {
        METADATA_KEY: json.dumps(described, sort_keys=True, allow_nan=False),
        CUT_KEY: cut,
        "model_type": kind,
        "sample_rate": str(front_end.sample_rate),
        "subsampling_factor": str(front_end.stack),
        "version": str(VERSION),
        "vocab_size": str(network.settings["tokens"]),
    }


def check_parts(front_end: FrontEnd, network: Network, tokenizer: Tokenizer) -> None:
    """See that the parts are of one checkpoint.

    Raises:
        ModelError: they are not, or a weight is no number.
    """
    features, tokens = network.settings["features"], network.settings["tokens"]
    if features != front_end.features:
        raise ModelError(
            f"the front-end gives {front_end.features} features a step, the network takes "
            f"{features}; they are of different checkpoints"
        )
    if tokens != len(tokenizer.tokens):
        raise ModelError(
            f"the tokenizer has {len(tokenizer.tokens)} tokens, the network {tokens}; they are of "
            "different checkpoints"
        )
    knows_the_clip = front_end.normalisation != "training" or front_end.normalise_waveform
    if isinstance(network, StreamingNetwork) and knows_the_clip:
        raise ModelError(
            "the network streams, but its front-end needs the whole clip (normalisation="
            f"{front_end.normalisation!r}, normalise_waveform={front_end.normalise_waveform}); "
            "train it with frontend=streaming"
        )
    for name, values in network.state_dict().items():
        if not values.isfinite().all():
            raise ModelError(
                f"the checkpoint's {name} holds NaN or infinity; its training went astray: export "
                "an earlier one"
            )
