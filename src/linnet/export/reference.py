"""The checkpoint as a reference: one clip at a time, on the CPU, in float64.

waveform -> log-mel -+-> log-probabilities
"""

import copy

import numpy as np
import torch
from jaxtyping import Float

from linnet.export import stream
from linnet.export.shapes import LogMel, Waveform
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.streaming import StreamingNetwork

LogProbs = Float[np.ndarray, "_steps _tokens"]


class Reference:
    """The checkpoint, one clip at a time, on the CPU.

    Args:
        front_end: copied, not changed.
        network: the same.
        precision: float64 to judge by, float32 to see what the checkpoint itself rounds.
    """

    def __init__(
        self, front_end: FrontEnd, network: Network, precision: torch.dtype = torch.float64
    ) -> None:
        self._front_end = copy.deepcopy(front_end).to("cpu", precision).eval()
        self._network = copy.deepcopy(network).to("cpu", precision).eval()
        self._precision = precision
        self.stack = front_end.stack
        # What feeds a stream: frames of a piece, steps of delay, the frame after its end.
        self.streamed = (
            stream.described(front_end, network) if isinstance(network, StreamingNetwork) else {}
        )

    def in_float32(self) -> "Reference":
        """Give the same checkpoint in its own precision, which shows what float32 can carry."""
        return Reference(self._front_end, self._network, torch.float32)

    @torch.no_grad()
    def log_mel(self, waveform: Waveform) -> LogMel:
        """Give the log-mel as a host computes it: levelled if the front-end does so."""
        samples = torch.tensor([len(waveform)])
        values = torch.tensor(waveform, dtype=self._precision)[None]
        levelled = self._front_end.level(values, samples)
        return self._front_end.log_mel(levelled, samples)[0].float().numpy()

    @torch.no_grad()
    def from_waveform(self, waveform: Waveform) -> LogProbs:
        """Give the log-probabilities of a clip."""
        values = torch.tensor(waveform, dtype=self._precision)[None]
        features, steps = self._front_end(values, torch.tensor([len(waveform)]))
        return self._network(features, steps)[0].numpy()

    @torch.no_grad()
    def from_log_mel(self, log_mel: LogMel) -> LogProbs:
        """Give the log-probabilities of a clip that starts as a log-mel."""
        values = torch.tensor(log_mel, dtype=self._precision)[None]
        features, steps = self._front_end.from_log_mel(values, torch.tensor([len(log_mel)]))
        return self._network(features, steps)[0].numpy()
