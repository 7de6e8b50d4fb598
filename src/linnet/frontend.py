"""The front-end: waveform to normalised, stacked cepstra, as one module.

    waveform -> level -> frames -> power spectrum -> log-mel -> cepstra -> normalised -> stacked

The log-mel is Kaldi's (Povey window, pre-emphasis, DC removed, ``snip_edges=False``, no dither),
because that is what deployed runtimes compute; the cepstra are its DCT-II without a lifter. A fixed
floor under the logarithm and statistics over a clip's own frames keep a clip's features the same in
every batch.

The network can be fed at two cuts: ``forward`` takes the waveform, ``from_log_mel`` a log-mel that
somebody else computed. Frame arithmetic (``frames``, ``steps``, ``seconds``) stands here alone.
"""

import math
from typing import overload

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from linnet.filters import LOG_FLOOR, dct_matrix, fft_samples, mel_matrix, povey_window

# Small beside the variance of any real recording, so that levelling twice changes nothing.
LEVEL_EPSILON = 1e-10
# Far below the variance of cepstra in speech; where hardly anything varies it keeps rounding small.
VARIANCE_EPSILON = 1e-3
# What a core works on at once, so that frames and spectra stay in its cache: on a machine whose
# memory is busy a batch in pieces takes half as long.
_CACHED_SAMPLES = 2**17


def _clear(
    values: Float[Tensor, "batch length *rest"],
    lengths: Int[Tensor, " batch"],
    filling: float = 0.0,
) -> Float[Tensor, "batch length *rest"]:
    """Fill ``values`` beyond each clip's end, in place, and give them.

    On a CPU clip by clip: a mask over the whole batch takes seven times as long. A GPU would have
    to be waited for to learn the lengths.
    """
    if values.device.type == "cpu":
        for clip, length in enumerate(lengths.tolist()):
            values[clip, length:] = filling
        return values
    outside = torch.arange(values.shape[1], device=values.device) >= lengths[:, None]
    return values.masked_fill_(outside.reshape(*outside.shape, *[1] * (values.ndim - 2)), filling)


class FrontEnd(nn.Module):
    """Waveform to network input.

    Args:
        sample_rate: of the waveform, in Hz.
        window_ms: length of a frame.
        shift_ms: distance of two frames.
        preemphasis: coefficient of the first difference.
        mels: mel filters.
        low_hz: lower edge of the filter bank.
        high_hz: upper edge of the filter bank.
        cepstra: coefficients kept; 0 keeps the log-mel itself, for what reads neighbouring bands.
        normalisation: ``utterance`` takes mean and variance from the clip itself, ``training``
            from the training set (``set_statistics``).
        normalise_waveform: bring each clip to mean 0 and variance 1 first: gain does not matter.
        stack: frames that make one step of the network.
    """

    window: Tensor
    mel: Tensor
    dct: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        window_ms: float,
        shift_ms: float,
        preemphasis: float,
        mels: int,
        low_hz: float,
        high_hz: float,
        cepstra: int,
        normalisation: str,
        normalise_waveform: bool,
        stack: int,
    ) -> None:
        super().__init__()
        if not 0 <= low_hz < high_hz <= sample_rate / 2:
            raise ValueError(
                f"frontend: low_hz={low_hz} and high_hz={high_hz} must satisfy 0 <= low < high <= "
                f"sample_rate / 2 = {sample_rate / 2}"
            )
        if not 0 <= cepstra <= mels:
            raise ValueError(
                f"frontend: cepstra={cepstra} must lie between 1 and mels={mels}, or be 0 for the "
                "log-mel itself"
            )
        if stack < 1:
            raise ValueError(f"frontend: stack={stack} must be at least 1")
        if normalisation not in ("utterance", "training"):
            raise ValueError(
                f"frontend: normalisation={normalisation!r} must be 'utterance' or 'training'"
            )
        self.settings = {
            "sample_rate": sample_rate,
            "window_ms": window_ms,
            "shift_ms": shift_ms,
            "preemphasis": preemphasis,
            "mels": mels,
            "low_hz": low_hz,
            "high_hz": high_hz,
            "cepstra": cepstra,
            "normalisation": normalisation,
            "normalise_waveform": normalise_waveform,
            "stack": stack,
        }
        self.sample_rate = sample_rate
        self.window_samples = round(window_ms * sample_rate / 1000)
        self.shift_samples = round(shift_ms * sample_rate / 1000)
        self.fft_samples = fft_samples(self.window_samples)
        self.preemphasis = preemphasis
        self.normalisation = normalisation
        self.normalise_waveform = normalise_waveform
        self.stack = stack
        width = cepstra or mels
        self.features = width * stack
        # Kaldi centres frame k on sample (k + 1/2) * shift: the first frames start before the clip.
        self.lead_samples = (self.window_samples - self.shift_samples) // 2
        # A shorter clip is filled up with zeros: at least one window, at least one step.
        self.least_samples = max(self.window_samples, stack * self.shift_samples)
        bins = self.fft_samples // 2 + 1
        self._constant("window", povey_window(self.window_samples))
        self._constant("mel", mel_matrix(mels, bins, sample_rate, low_hz, high_hz).T)
        self._constant("dct", dct_matrix(cepstra, mels).T if cepstra else np.eye(mels))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def _constant(self, name: str, values: Float64[np.ndarray, "..."]) -> None:
        """Keep ``values`` with the module but out of checkpoints: the settings say them already."""
        self.register_buffer(name, torch.from_numpy(values).float().contiguous(), persistent=False)

    @property
    def causal(self) -> bool:
        """Whether no step depends on a later one, beyond its own frames."""
        return self.normalisation == "training" and not self.normalise_waveform

    @overload
    def frames(self, samples: int) -> int: ...
    @overload
    def frames(self, samples: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]: ...
    def frames(self, samples: int | Int[Tensor, " batch"]) -> int | Int[Tensor, " batch"]:
        """Give how many frames a clip of ``samples`` makes."""
        if isinstance(samples, Tensor):
            enough = samples.clamp(min=self.least_samples)
            return (enough + self.shift_samples // 2) // self.shift_samples
        return (max(samples, self.least_samples) + self.shift_samples // 2) // self.shift_samples

    @overload
    def steps(self, frames: int) -> int: ...
    @overload
    def steps(self, frames: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]: ...
    def steps(self, frames: int | Int[Tensor, " batch"]) -> int | Int[Tensor, " batch"]:
        """Give how many steps ``frames`` make after stacking; an unfilled rest is dropped."""
        if isinstance(frames, Tensor):
            return frames.clamp(min=self.stack) // self.stack
        return max(frames, self.stack) // self.stack

    def seconds(self, step: int) -> float:
        """Give the time at which ``step`` starts."""
        return step * self.stack * self.shift_samples / self.sample_rate

    def set_statistics(
        self, mean: Float[Tensor, " cepstra"], deviation: Float[Tensor, " cepstra"]
    ) -> None:
        """Set what ``normalisation="training"`` subtracts and divides by."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)

    def level(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Bring each clip to mean 0 and variance 1 over its own samples; padding becomes 0."""
        levelled = _clear(waveform.clone(), samples)
        if not self.normalise_waveform:
            return levelled
        count = samples.clamp(min=1)[:, None]
        # In float64 the sums do not depend on how much padding they run over.
        # A copy even of float64, for the squares are taken in place.
        exact = levelled.to(torch.float64, copy=True)
        mean = exact.sum(1, keepdim=True) / count
        power = exact.square_().sum(1, keepdim=True) / count
        variance = (power - mean.square()).clamp(min=0.0)
        scale = (variance + LEVEL_EPSILON).rsqrt()
        return _clear(levelled.sub_(mean.float()).mul_(scale.float()), samples)

    def log_mel(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch frames mels"]:
        """Give Kaldi's log-mel filter bank of the waveform as it is (in +-1).

        Args:
            waveform: may hold anything beyond each clip's end.
            samples: length of each clip.
        """
        reflected = self._reflect(waveform, samples)
        clips = len(reflected)
        if reflected.device.type == "cpu":
            clips = max(1, torch.get_num_threads() * _CACHED_SAMPLES // reflected.shape[1])
        return torch.cat([self._bank(piece) for piece in reflected.split(clips)])

    def _bank(self, reflected: Float[Tensor, "batch longer"]) -> Float[Tensor, "batch frames mels"]:
        """Give the log-mel of clips that their mirror images continue as far as frames reach."""
        size, shift = self.window_samples, self.shift_samples
        mean = reflected.unfold(1, size, shift).mean(-1, keepdim=True)
        # The window is 0 at a frame's first sample: what comes before it does not matter, and the
        # difference can be taken before framing. In place, because memory is what this waits for.
        differences = torch.sub(reflected[:, 1:], reflected[:, :-1], alpha=self.preemphasis)
        framed = differences.unfold(1, size - 1, shift) - (1 - self.preemphasis) * mean
        spectrum = torch.fft.rfft(framed.mul_(self.window[1:]), n=self.fft_samples)
        squares = torch.view_as_real(spectrum).square_()
        power = squares[..., 0] + squares[..., 1]
        return (power @ self.mel).clamp_(min=math.exp(LOG_FLOOR)).log_()

    def _reflect(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch longer"]:
        """Continue each clip beyond its ends by its mirror image, as far as the frames reach.

        A clip shorter than ``least_samples`` is first filled up with zeros.
        """
        batch, width = waveform.shape
        lead, least = self.lead_samples, self.least_samples
        samples = samples.clamp(max=width)
        tail = self.window_samples
        longest = max(width, least)
        long = waveform.new_zeros(batch, lead + longest + tail)
        long[:, lead : lead + width] = waveform
        _clear(long[:, lead : lead + width], samples)
        ends = samples.clamp(min=least)[:, None] + lead
        away = torch.arange(tail, device=waveform.device)[None]
        long.scatter_(1, ends + away, long.gather(1, ends - 1 - away))
        long[:, :lead] = long[:, lead : 2 * lead].flip(1)
        frames = self.frames(longest)
        return long[:, : (frames - 1) * self.shift_samples + self.window_samples]

    def from_log_mel(
        self, log_mel: Float[Tensor, "batch frames mels"], frames: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch steps features"], Int[Tensor, " batch"]]:
        """Give the network's input, and the steps of each clip, from the log-mel.

        Args:
            log_mel: may hold anything beyond each clip's end.
            frames: length of each clip; one too short for a step is filled up with the floor.
        """
        missing = max(0, self.stack - log_mel.shape[1])
        log_mel = nn.functional.pad(log_mel, (0, 0, 0, missing), value=LOG_FLOOR)
        # Padding made a copy, even by nothing: what the caller gave stays as it is.
        _clear(log_mel, frames, LOG_FLOOR)
        frames = frames.clamp(min=self.stack)
        cepstra = self._normalise(log_mel @ self.dct, frames)
        steps = cepstra.shape[1] // self.stack
        stacked = cepstra[:, : steps * self.stack].reshape(len(cepstra), steps, self.features)
        return stacked, self.steps(frames)

    def _normalise(
        self, cepstra: Float[Tensor, "batch frames cepstra"], frames: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch frames cepstra"]:
        if self.normalisation == "training":
            return (cepstra - self.mean) / self.deviation
        count = frames[:, None, None]
        inner = _clear(cepstra.clone(), frames)
        mean = inner.sum(1, keepdim=True, dtype=torch.float64) / count
        centred = _clear(inner.sub_(mean.to(inner.dtype)), frames)
        variance = centred.square().sum(1, keepdim=True, dtype=torch.float64) / count
        return centred / (variance + VARIANCE_EPSILON).sqrt().to(inner.dtype)

    def forward(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch steps features"], Int[Tensor, " batch"]]:
        """Give the network's input, and the steps of each clip, from the waveform."""
        log_mel = self.log_mel(self.level(waveform, samples), samples)
        return self.from_log_mel(log_mel, self.frames(samples))
