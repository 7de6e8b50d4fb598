"""Effects on a voice: another pitch, and other people talking."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchaudio import functional

from linnet.augment.drawing import noise_scale, uniform
from linnet.augment.effects import Effect

_WINDOW = 512  # samples: 32 ms at 16 kHz
_HOP = 128


class Pitch(Effect):
    """A higher or lower voice at the same speed.

    A phase vocoder (Flanagan and Golden 1966) stretches the clips, and resampling brings them back
    to their length. All chosen clips of a batch share one draw, so that one resampling serves them.

    Args:
        probability: share of the clips that are changed.
        semitones: range of the change.
    """

    def __init__(self, *, probability: float, semitones: Sequence[float]) -> None:
        super().__init__(probability=probability)
        self.semitones = semitones

    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips with another pitch."""
        semitones = float(uniform(1, self.semitones, torch.device("cpu")))
        hundredths = round(100 * 2 ** (semitones / 12))
        if hundredths == 100:
            return waveform
        width = waveform.shape[1]
        window = torch.hann_window(_WINDOW, device=waveform.device)
        advance = torch.linspace(0, torch.pi * _HOP, _WINDOW // 2 + 1, device=waveform.device)
        spectrum = torch.stft(waveform, _WINDOW, _HOP, window=window, return_complex=True)
        stretched = functional.phase_vocoder(spectrum, 100 / hundredths, advance[:, None])
        longer = torch.istft(stretched, _WINDOW, _HOP, window=window)
        changed = functional.resample(longer, hundredths, 100)[:, :width]
        return torch.nn.functional.pad(changed, (0, width - changed.shape[1]))


class Babble(Effect):
    """Other people talking behind the speaker: clips of the same batch, added up.

    Args:
        probability: share of the clips that get it.
        voices: how many other clips; several, so that no word of them can be followed.
        snr_db: range of the ratio of the speaker to all of them, drawn evenly in dB.
    """

    def __init__(self, *, probability: float, voices: int, snr_db: Sequence[float]) -> None:
        super().__init__(probability=probability)
        self.voices = voices
        self.snr_db = snr_db

    def forward(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips; the voices come from all clips of the batch, also unchosen ones."""
        self._batch = waveform
        return super().forward(waveform, samples)

    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips with voices behind them."""
        batch, width = waveform.shape
        device = waveform.device
        babble = torch.zeros_like(waveform)
        for _ in range(self.voices):
            others = torch.randint(len(self._batch), (batch,), device=device)
            # Moved in time: a clip that meets itself is then an echo, no copy.
            babble += self._batch[others].roll(int(torch.randint(width, (1,))), 1)
        scale = noise_scale(waveform, babble, uniform(batch, self.snr_db, device))
        return waveform + babble * scale[:, None]
