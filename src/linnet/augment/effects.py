"""What an effect is: it changes some clips of a batch and leaves their lengths as they are."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from linnet.augment.drawing import chosen


class Effect(nn.Module, ABC):
    """Changes a share of the clips.

    Args:
        probability: share of the clips that are changed.
    """

    def __init__(self, *, probability: float) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"augment: probability={probability} must lie between 0 and 1")
        self.probability = probability

    def forward(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips, some of them changed."""
        rows = chosen(len(waveform), self.probability, waveform.device).nonzero()[:, 0]
        if not len(rows):
            return waveform
        return waveform.index_copy(0, rows, self.change(waveform[rows], samples[rows]))

    @abstractmethod
    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give these clips changed, every one of them."""


def filtered(
    waveform: Float[Tensor, "batch samples"], response: Float[Tensor, "batch taps"]
) -> Float[Tensor, "batch samples"]:
    """Convolve each clip with its own response; what rings on beyond the width is lost."""
    width, taps = waveform.shape[1], response.shape[1]
    points = _quick_size(width + taps - 1)
    spectrum = torch.fft.rfft(waveform, n=points) * torch.fft.rfft(response, n=points)
    return torch.fft.irfft(spectrum, n=points)[:, :width]


def _quick_size(least: int) -> int:
    """Give a size that the FFT is quick at: at most an eighth more, a multiple of a power of 2."""
    step = 1 << max(0, least.bit_length() - 4)
    return -(-least // step) * step
