"""Augmentation, batched on the device: what training changes so that the network learns the word.

    waveform -> speed -> time shift -> noise at a drawn SNR -> gain -> log-mel -> warp -> masks

Every clip of a batch draws its own values (the speed is drawn once a batch, so that one resampling
serves all). Random numbers come from torch's global generator, which training seeds for each step.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torchaudio import functional

_SILENCE = 1e-8


def _uniform(count: int, bounds: Sequence[float], device: torch.device) -> Float[Tensor, " count"]:
    low, high = bounds
    return torch.rand(count, device=device) * (high - low) + low


def _chosen(count: int, probability: float, device: torch.device) -> Bool[Tensor, " count"]:
    return torch.rand(count, device=device) < probability


class WaveformAugment(nn.Module):
    """Speed, time shift and background noise.

    Args:
        speed: range of the factor that each batch draws, to a percent; 1 leaves it as it is.
        shift_s: largest time shift to either side; what leaves the clip is lost, zeros come in.
        noise_probability: share of the clips that get noise.
        snr_db: range of the signal-to-noise ratio, drawn evenly in dB.
    """

    noise: Tensor

    def __init__(
        self,
        *,
        speed: Sequence[float],
        shift_s: float,
        noise_probability: float,
        snr_db: Sequence[float],
        sample_rate: int,
    ) -> None:
        super().__init__()
        if min(speed) <= 0:
            raise ValueError(f"augment: speed={list(speed)} must be above 0")
        self.speed = speed
        self.shift_samples = round(shift_s * sample_rate)
        self.noise_probability = noise_probability
        self.snr_db = snr_db
        self.register_buffer("noise", torch.zeros(0), persistent=False)

    def set_noise(self, noise: Float[Tensor, " samples"]) -> None:
        """Give the background recordings, one behind the other, of which clips draw pieces."""
        self.noise = noise.to(self.noise.device)

    def forward(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch longer"], Int[Tensor, " batch"]]:
        """Give the changed clips and their lengths, which the speed changes."""
        waveform, samples = self._speed(waveform, samples)
        waveform = self._shift(waveform, samples)
        return self._add_noise(waveform), samples

    def _speed(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch longer"], Int[Tensor, " batch"]]:
        # Played faster is the same as recorded at a lower rate; a percent is fine enough.
        hundredths = round(100 * float(_uniform(1, self.speed, torch.device("cpu"))))
        if hundredths == 100:
            return waveform, samples
        changed = functional.resample(waveform, hundredths, 100)
        return changed, (samples * 100 // hundredths).clamp(max=changed.shape[1])

    def _shift(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Move each clip inside its own length."""
        if self.shift_samples == 0:
            return waveform
        most = self.shift_samples
        offsets = torch.randint(-most, most + 1, (len(waveform),)).tolist()
        shifted = torch.zeros_like(waveform)
        # Row by row: a gather of all samples at once takes five times as long on a CPU.
        for row, origin, offset, count in zip(
            shifted, waveform, offsets, samples.tolist(), strict=True
        ):
            begin, end = max(0, offset), min(len(row), count + offset)
            if begin < end:
                row[begin:end] = origin[begin - offset : end - offset]
        return shifted

    def _add_noise(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch samples"]:
        """Mix in background noise; a silent clip keeps the noise at its own level."""
        batch, width = waveform.shape
        if self.noise.numel() < width or self.noise_probability == 0:
            return waveform
        device = waveform.device
        starts = torch.randint(self.noise.numel() - width + 1, (batch, 1), device=device)
        # Rows of a view of all pieces: an index for each sample takes forty times as long.
        noise = self.noise.unfold(0, width, 1).index_select(0, starts[:, 0])
        loudness = waveform.square().mean(1, keepdim=True)
        noise_loudness = noise.square().mean(1, keepdim=True).clamp(min=_SILENCE)
        snr = 10 ** (_uniform(batch, self.snr_db, device)[:, None] / 10)
        scale = (loudness / (noise_loudness * snr)).sqrt()
        scale = torch.where(loudness > _SILENCE, scale, torch.ones_like(scale))
        chosen = _chosen(batch, self.noise_probability, device)[:, None]
        return waveform + noise * scale * chosen


class Gain(nn.Module):
    """A gain drawn for each clip, after its level is normalised: quiet recordings near the floor.

    Args:
        probability: share of the clips that get one.
        gain_db: range of the gain, drawn evenly in dB.
    """

    def __init__(self, *, probability: float, gain_db: Sequence[float]) -> None:
        super().__init__()
        self.probability = probability
        self.gain_db = gain_db

    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
        """Give the clips, louder or quieter."""
        batch, device = len(waveform), waveform.device
        gain = 10 ** (_uniform(batch, self.gain_db, device) / 20)
        chosen = _chosen(batch, self.probability, device)
        return waveform * torch.where(chosen, gain, torch.ones_like(gain))[:, None]


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
        factor = _uniform(batch, (1 - self.share, 1 + self.share), log_mel.device)[:, None]
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
