"""Networks that answer while somebody is still speaking, a few steps late.

    gru_stream  features -> recurrent layers, state carried -> lookahead convolution -+
    lcbigru     features -> windows -> [forward carried, backward in the window] x n -+-> head

The first is a unidirectional stack whose answer at a step sees a few steps more: the lookahead
convolution (Wang et al. 2016), which Deep Speech 2 (Amodei et al. 2016, section 3.7) calls row
convolution. The second is latency-controlled (Zhang et al. 2016, for LSTM): time is cut into
chunks, a window is a chunk and the steps after it, and the backward direction starts anew at the
end of each window, while the forward direction hands its state on from chunk to chunk.

A network is trained as it will run: ``forward`` is ``advance`` over the whole clip. Steps beyond a
clip's end count as zeros, the mean of the training set; so an answer never depends on the batch.
"""

from collections.abc import Mapping
from typing import Any

from linnet.joined import JoinedNetwork
from linnet.model import Network
from linnet.normalised import NormalisedNetwork
from linnet.stacked import StackedNetwork
from linnet.streaming.chunked import ChunkedNetwork
from linnet.streaming.lookahead import LookaheadNetwork
from linnet.streaming.piecewise import State, StreamingNetwork
from linnet.streaming.stream import Stream

__all__ = [
    "KINDS",
    "ChunkedNetwork",
    "LookaheadNetwork",
    "State",
    "Stream",
    "StreamingNetwork",
    "network",
]

KINDS: dict[str, type[Network]] = {
    "whole": Network,
    "normalised": NormalisedNetwork,
    "stacked": StackedNetwork,
    "lookahead": LookaheadNetwork,
    "chunked": ChunkedNetwork,
}


def network(settings: Mapping[str, Any]) -> Network:
    """Build the network that ``settings`` describe, with fresh weights.

    Args:
        settings: as in a network's ``settings``; without a ``kind`` it reads whole clips.
    """
    arguments = dict(settings)
    if arguments.get("kind") == "joined":
        return JoinedNetwork([network(one) for one in arguments["networks"]])
    return KINDS[arguments.pop("kind", "whole")](**arguments)
