"""Which loader of sherpa-onnx reads which file, and what to make of the times that it prints.

A host does not know how long a step is: it takes the step of the models that its loader was made
for. Where ours is another, its times are off by a constant factor.
"""

from collections.abc import Mapping
from typing import Any

from linnet.runtime import FEATURES_GRAPH, STREAM_GRAPH, WAVEFORM_GRAPH

# The loader of each file, and the seconds of a step that it assumes.
_LOADERS = {
    WAVEFORM_GRAPH: ("OfflineRecognizer.from_omnilingual_asr_ctc", 0.02),
    FEATURES_GRAPH: ("OfflineRecognizer.from_zipformer_ctc", 0.04),
    STREAM_GRAPH: ("OnlineRecognizer.from_zipformer2_ctc", 0.04),
}
# What a host computes before it calls a graph from the log-mel.
_HOST_FEATURES = {
    "sample_rate": 16000,
    "window_ms": 25.0,
    "shift_ms": 10.0,
    "preemphasis": 0.97,
    "mels": 80,
    "low_hz": 20.0,
    "high_hz": 7600.0,
}


def hosts(described: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give, for each file that sherpa-onnx reads, its loader and the factor of its times.

    Args:
        described: of ``describe``.
    """
    front_end, step_s = described["front_end"], float(described["subsampling"]["seconds"])
    fitting = set()
    if (
        front_end["sample_rate"] == _HOST_FEATURES["sample_rate"]
        and front_end["normalise_waveform"]
    ):
        # This host levels the waveform before it calls the graph: it must not matter.
        fitting.add(WAVEFORM_GRAPH)
    if all(front_end[key] == value for key, value in _HOST_FEATURES.items()):
        fitting |= {FEATURES_GRAPH, STREAM_GRAPH} if "stream" in described else {FEATURES_GRAPH}
    return {
        file: {
            "loader": loader,
            "host_step_s": host_step_s,
            "step_s": step_s,
            "multiply_its_times_by": round(step_s / host_step_s, 6),
        }
        for file, (loader, host_step_s) in _LOADERS.items()
        if file in fitting
    }
