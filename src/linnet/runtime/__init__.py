"""The runtime: an exported model on onnxruntime, without torch.

    model folder -> model.json; each other file checked against it as it is opened -> Model
    waveform -> resample -> log-probabilities -> beam -> text with times and confidences
    a stream of samples -> Spotter -> keywords with their times, as they are said

The graph computes its own features, so a waveform is all it takes. What it needs to know beside the
graph (tokens, sample rate, time of a step) is JSON: in ``model.json`` of a folder, and again inside
the graph, so that a lone ``.onnx`` works as well.
"""

from linnet.runtime.loading import (
    CUT_KEY,
    DESCRIPTION,
    FEATURES_GRAPH,
    FORMAT,
    METADATA_KEY,
    STREAM_GRAPH,
    TOKENS,
    VERSION,
    WAVEFORM_GRAPH,
    load,
    session,
)
from linnet.runtime.model import DEFAULT_THRESHOLD, Model, Token, Transcript
from linnet.runtime.spotting import NearMiss, Rules, Spotted, Spotter, Window
from linnet.runtime.stream import Stream

__all__ = [
    "CUT_KEY",
    "DEFAULT_THRESHOLD",
    "DESCRIPTION",
    "FEATURES_GRAPH",
    "FORMAT",
    "METADATA_KEY",
    "STREAM_GRAPH",
    "TOKENS",
    "VERSION",
    "WAVEFORM_GRAPH",
    "Model",
    "NearMiss",
    "Rules",
    "Spotted",
    "Spotter",
    "Stream",
    "Token",
    "Transcript",
    "Window",
    "load",
    "session",
]
