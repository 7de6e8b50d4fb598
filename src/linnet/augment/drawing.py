"""Draws that all augmentation shares, from torch's global generator."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# A mean square below this is no sound.
SILENCE = 1e-8


def uniform(count: int, bounds: Sequence[float], device: torch.device) -> Float[Tensor, " count"]:
    """Draw numbers evenly between two bounds."""
    low, high = bounds
    return torch.rand(count, device=device) * (high - low) + low


def chosen(count: int, probability: float, device: torch.device) -> Bool[Tensor, " count"]:
    """Draw which of ``count`` clips are taken, each with this probability."""
    return torch.rand(count, device=device) < probability


def noise_scale(
    waveform: Float[Tensor, "batch samples"],
    noise: Float[Tensor, "batch samples"],
    snr_db: Float[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """Give what noise is multiplied with to come at a signal-to-noise ratio.

    A silent clip keeps the noise at its own level.
    """
    loudness = waveform.square().mean(1)
    scale = (loudness / (noise.square().mean(1).clamp(min=SILENCE) * 10 ** (snr_db / 10))).sqrt()
    return torch.where(loudness > SILENCE, scale, torch.ones_like(scale))
