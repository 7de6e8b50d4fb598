"""Augmentation of the log-mel: other vocal tracts, and holes in frequency and time."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from linnet.augment.drawing import uniform


class Warp(nn.Module):
    """Vocal tract length perturbation (Jaitly and Hinton 2013): another speaker says the same.

    Each clip draws a factor by which its mel channels are stretched; this differs from the paper in
    that the mel scale is stretched, not the frequency below a corner.

    Args:
        share: largest change of the factor from 1.
    """

    def __init__(self, *, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(
        self, log_mel: Float[Tensor, "batch frames mels"]
    ) -> Float[Tensor, "batch frames mels"]:
        """Give the log-mel, stretched or compressed; the highest channel fills what is missing."""
        if self.share == 0:
            return log_mel
        batch, frames, mels = log_mel.shape
        factor = uniform(batch, (1 - self.share, 1 + self.share), log_mel.device)[:, None]
        place = (torch.arange(mels, device=log_mel.device) * factor).clamp(max=mels - 1)
        below = place.floor().clamp(max=mels - 2)
        weight = (place - below)[:, None]
        left = below.long()[:, None].expand(batch, frames, mels)
        return torch.lerp(log_mel.gather(2, left), log_mel.gather(2, left + 1), weight)


class SpecAugment(nn.Module):
    """Masks of frequency and time on the log-mel (Park et al. 2019, without the time warp).

    What is masked takes the clip's mean over the frames in that channel: a mask carries no level.

    Args:
        frequency_masks: masks over neighbouring mel channels a clip.
        frequency_width: most channels of one.
        time_masks: masks over neighbouring frames a clip.
        time_width: most frames of one.
        time_share: most of a clip's frames in one mask, as a share.
    """

    def __init__(
        self,
        *,
        frequency_masks: int,
        frequency_width: int,
        time_masks: int,
        time_width: int,
        time_share: float,
    ) -> None:
        super().__init__()
        self.frequency_masks = frequency_masks
        self.frequency_width = frequency_width
        self.time_masks = time_masks
        self.time_width = time_width
        self.time_share = time_share

    def forward(
        self, log_mel: Float[Tensor, "batch frames mels"], frames: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch frames mels"]:
        """Give the log-mel with its masks."""
        batch, width, mels = log_mel.shape
        inside = torch.arange(width, device=log_mel.device) < frames[:, None]
        weight = (inside / frames[:, None]).to(log_mel.dtype)
        mean = torch.einsum("bfm,bf->bm", log_mel, weight)[:, None]
        channels = torch.full((batch,), mels, device=log_mel.device)
        widest = (frames * self.time_share).clamp(max=float(self.time_width))
        frequency = self._masks(self.frequency_masks, channels, mels, float(self.frequency_width))
        time = self._masks(self.time_masks, frames, width, widest[:, None])
        return torch.where(frequency[:, None] | time[..., None], mean, log_mel)

    @staticmethod
    def _masks(
        masks: int,
        lengths: Int[Tensor, " batch"],
        size: int,
        widest: float | Float[Tensor, "batch 1"],
    ) -> Bool[Tensor, "batch size"]:
        """Give where any of ``masks`` intervals of random place and width lies."""
        batch, device = len(lengths), lengths.device
        widths = torch.rand(batch, masks, device=device) * widest
        starts = torch.rand(batch, masks, device=device) * (lengths[:, None] - widths).clamp(min=0)
        positions = torch.arange(size, device=device)[None, None]
        begins, ends = starts[..., None].round(), (starts + widths)[..., None].round()
        return ((positions >= begins) & (positions < ends)).any(1)
