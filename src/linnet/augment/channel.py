"""Effects of what lies between the microphone and the recogniser: filters, telephones, codecs."""

import io
from collections.abc import Sequence

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchaudio import functional

from linnet.augment.drawing import uniform
from linnet.augment.effects import Effect, filtered

_TAPS = 257  # of a filter; 16 ms at 16 kHz, lows down to 100 Hz
_STOPPED_DB = -60.0
_LAW = 256  # levels of the mu-law (ITU-T G.711)
_CODECS = {"vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}


class Equaliser(Effect):
    """A drawn frequency response: bands louder and softer, lows and highs cut off.

    A constant response is taken out again where features are normalised over a clip; what stays is
    what the bands below the noise floor lose.

    Args:
        probability: share of the clips that are filtered.
        bands: places on a logarithmic frequency axis where the gain is drawn.
        gain_db: range of the gain at each.
        low_hz: range of the frequency below which nothing passes.
        high_hz: range of the frequency above which nothing passes.
        sample_rate: in Hz.
    """

    def __init__(
        self,
        *,
        probability: float,
        bands: int,
        gain_db: Sequence[float],
        low_hz: Sequence[float],
        high_hz: Sequence[float],
        sample_rate: int,
    ) -> None:
        super().__init__(probability=probability)
        if bands < 2:
            raise ValueError(f"augment: bands={bands} must be at least 2")
        self.bands, self.gain_db = bands, gain_db
        self.low_hz, self.high_hz = low_hz, high_hz
        self.sample_rate = sample_rate

    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips filtered."""
        response_db = self._draw(len(waveform), waveform.device)
        spectrum = 10 ** (response_db / 20)
        # The filter without a phase, its taps moved behind 0 and windowed.
        taps = torch.fft.irfft(spectrum, n=_TAPS - 1).roll(_TAPS // 2, 1)
        taps = torch.nn.functional.pad(taps, (0, 1)) * torch.hann_window(
            _TAPS, periodic=False, device=waveform.device
        )
        # Its delay, half its length, is taken back.
        late = filtered(torch.nn.functional.pad(waveform, (0, _TAPS // 2)), taps)
        return late[:, _TAPS // 2 :]

    def _draw(self, batch: int, device: torch.device) -> Float[Tensor, "batch bins"]:
        """Draw responses in dB, at the bins of a spectrum as long as the filter."""
        hz = torch.linspace(0, self.sample_rate / 2, _TAPS // 2 + 1, device=device)
        gains = uniform(batch * self.bands, self.gain_db, device).reshape(batch, self.bands)
        octaves = (hz.clamp(min=50.0) / 50.0).log2()
        place = octaves / octaves[-1] * (self.bands - 1)
        below = place.floor().clamp(max=self.bands - 2).long()
        response = torch.lerp(gains[:, below], gains[:, below + 1], (place - below))
        low = uniform(batch, self.low_hz, device)[:, None]
        high = uniform(batch, self.high_hz, device)[:, None]
        return torch.where((hz >= low) & (hz <= high), response, _STOPPED_DB)


class Telephone(Effect):
    """A telephone line: half the sample rate, and the mu-law's 256 levels (ITU-T G.711)."""

    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips as they come over the line."""
        width = waveform.shape[1]
        narrow = functional.resample(waveform, 2, 1)
        peak = narrow.abs().amax(1, keepdim=True).clamp(min=1e-5)
        coded = functional.mu_law_encoding(narrow / peak, _LAW)
        decoded = functional.mu_law_decoding(coded, _LAW) * peak
        return functional.resample(decoded, 1, 2)[:, :width]


class Codec(Effect):
    """Encoded and decoded again, as messages and calls are. On the CPU, clip by clip.

    Args:
        probability: share of the clips.
        codec: ``vorbis`` or ``opus``, which takes six times as long.
        compression: range from 0 (best sound) to 1 (fewest bits).
        sample_rate: in Hz.
    """

    def __init__(
        self,
        *,
        probability: float,
        codec: str,
        compression: Sequence[float],
        sample_rate: int,
    ) -> None:
        super().__init__(probability=probability)
        if codec not in _CODECS:
            raise ValueError(f"augment: codec={codec!r} must be one of {', '.join(_CODECS)}")
        self.codec = codec
        self.compression = compression
        self.sample_rate = sample_rate

    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips as the decoder hears them."""
        changed = torch.zeros_like(waveform)
        levels = uniform(len(waveform), self.compression, torch.device("cpu")).tolist()
        for row, origin, count, level in zip(
            changed, waveform, samples.tolist(), levels, strict=True
        ):
            if count:
                decoded = self._decoded(origin[:count].cpu().numpy(), level)[:count]
                row[: len(decoded)] = torch.from_numpy(decoded)
        return changed

    def _decoded(
        self, waveform: Float[np.ndarray, " samples"], compression: float
    ) -> Float[np.ndarray, " decoded"]:
        container, subtype = _CODECS[self.codec]
        # An encoder clips what is louder than full scale.
        peak = max(float(np.abs(waveform).max()), 1.0)
        stream = io.BytesIO()
        soundfile.write(
            stream,
            waveform / peak,
            self.sample_rate,
            format=container,
            subtype=subtype,
            compression_level=compression,
        )
        stream.seek(0)
        decoded, _ = soundfile.read(stream, dtype="float32")
        return np.asarray(decoded * np.float32(peak))
