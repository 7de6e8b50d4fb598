"""Augmentation of the waveform: the chain from a voice to a recording of it.

speed -> time shift -> speech effects (room, ...) -> noise at a drawn SNR -> channel effects
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchaudio import functional

from linnet.augment.drawing import chosen, noise_scale, uniform
from linnet.augment.effects import Effect


class WaveformAugment(nn.Module):
    """Speed, time shift, background noise, and the effects before and after it.

    Args:
        speed: range of the factor that each batch draws, to a percent; 1 leaves it as it is.
        shift_s: largest time shift to either side; what leaves the clip is lost, zeros come in.
        noise_probability: share of the clips that get noise.
        snr_db: range of the signal-to-noise ratio, drawn evenly in dB.
        sample_rate: in Hz.
        speech_effects: what happens to the voice before noise comes in, by name, in order: other
            voices, a room; None leaves one out.
        channel_effects: what happens to all that the microphone hears: filters, codecs.
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
        speech_effects: Mapping[str, Effect | None],
        channel_effects: Mapping[str, Effect | None],
    ) -> None:
        super().__init__()
        if min(speed) <= 0:
            raise ValueError(f"augment: speed={list(speed)} must be above 0")
        self.speed = speed
        self.shift_samples = round(shift_s * sample_rate)
        self.noise_probability = noise_probability
        self.snr_db = snr_db
        self.speech_effects, self.channel_effects = (
            nn.ModuleDict({name: one for name, one in effects.items() if one is not None})
            for effects in (speech_effects, channel_effects)
        )
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
        for effect in self.speech_effects.values():
            waveform = effect(waveform, samples)
        waveform = self._add_noise(waveform)
        for effect in self.channel_effects.values():
            waveform = effect(waveform, samples)
        return waveform, samples

    def _speed(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch longer"], Int[Tensor, " batch"]]:
        # Played faster is the same as recorded at a lower rate; a percent is fine enough.
        hundredths = round(100 * float(uniform(1, self.speed, torch.device("cpu"))))
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
        scale = noise_scale(waveform, noise, uniform(batch, self.snr_db, device))
        picked = chosen(batch, self.noise_probability, device)
        return waveform + noise * (scale * picked)[:, None]


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
        gain = 10 ** (uniform(batch, self.gain_db, device) / 20)
        picked = chosen(batch, self.probability, device)
        return waveform * torch.where(picked, gain, torch.ones_like(gain))[:, None]
