"""Throughput of the features: Linnet's front-end against four libraries, one thread.

    clips -> MFCC of every frame, in times real time

Twice: the whole front-end (level, MFCC, normalisation, stacking: what training and recognition
wait for) and its MFCC alone. The peers give plain MFCC both times, at Linnet's settings as far as
each takes them:

    torchaudio.transforms.MFCC       no pre-emphasis, no DC removal; log(mel + 1e-6); one batch
    torchaudio.compliance.kaldi      the same definition as ours; a clip at a time
    librosa                          no pre-emphasis, no DC removal; decibels; one batch
    kaldi-native-fbank               the same definition as ours; a clip at a time, from a list
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.comparing import Comparison, alternate, threads, timed
from benchmarks.options import Options
from linnet.apps import config
from linnet.filters import povey_window
from linnet.frontend import FrontEnd

# Cepstra [frames, cepstra] of each clip.
Mfcc = Callable[[Float[Tensor, "clips samples"]], Sequence[Any]]


@dataclass(frozen=True)
class Peer:
    """Another library's MFCC.

    Attributes:
        name: what it is called.
        make: gives its function for the settings of a front-end.
        same: it has Kaldi's definition; else pre-emphasis is done for it where results are
            compared, its frames are centred half a shift earlier, and its logarithm has a factor.
        factor: what its cepstra are to be multiplied with to be natural logarithms.
    """

    name: str
    make: Callable[[dict[str, Any]], Mfcc]
    same: bool
    factor: float = 1.0


def _torchaudio(settings: dict[str, Any]) -> Mfcc:
    from torchaudio.transforms import MFCC

    front_end = FrontEnd(**settings)
    transform = MFCC(
        front_end.sample_rate,
        settings["cepstra"],
        log_mels=True,
        melkwargs={
            "n_fft": front_end.fft_samples,
            "win_length": front_end.window_samples,
            "hop_length": front_end.shift_samples,
            "f_min": settings["low_hz"],
            "f_max": settings["high_hz"],
            "n_mels": settings["mels"],
            "window_fn": lambda samples: torch.from_numpy(povey_window(samples)).float(),
        },
    )

    def mfcc(clips: Float[Tensor, "clips samples"]) -> Sequence[Any]:
        return transform(clips).transpose(1, 2)

    return mfcc


def _compliance(settings: dict[str, Any]) -> Mfcc:
    from torchaudio.compliance import kaldi

    def mfcc(clips: Float[Tensor, "clips samples"]) -> Sequence[Any]:
        return [
            kaldi.mfcc(
                clip[None],
                sample_frequency=settings["sample_rate"],
                frame_length=settings["window_ms"],
                frame_shift=settings["shift_ms"],
                preemphasis_coefficient=settings["preemphasis"],
                num_mel_bins=settings["mels"],
                low_freq=settings["low_hz"],
                high_freq=settings["high_hz"],
                num_ceps=settings["cepstra"],
                cepstral_lifter=0.0,
                dither=0.0,
                snip_edges=False,
            )
            for clip in clips
        ]

    return mfcc


def _librosa(settings: dict[str, Any]) -> Mfcc:
    import librosa

    front_end = FrontEnd(**settings)
    window = povey_window(front_end.window_samples)

    def mfcc(clips: Float[Tensor, "clips samples"]) -> Sequence[Any]:
        return librosa.feature.mfcc(
            y=clips.numpy(),
            sr=front_end.sample_rate,
            n_mfcc=settings["cepstra"],
            n_fft=front_end.fft_samples,
            win_length=front_end.window_samples,
            hop_length=front_end.shift_samples,
            window=window,
            n_mels=settings["mels"],
            fmin=settings["low_hz"],
            fmax=settings["high_hz"],
            htk=True,
            mel_norm=None,
        ).swapaxes(1, 2)

    return mfcc


def _kaldi_native_fbank(settings: dict[str, Any]) -> Mfcc:
    import kaldi_native_fbank

    options = kaldi_native_fbank.MfccOptions()
    frames, mels = options.frame_opts, options.mel_opts
    frames.samp_freq = settings["sample_rate"]
    frames.frame_length_ms = settings["window_ms"]
    frames.frame_shift_ms = settings["shift_ms"]
    frames.preemph_coeff = settings["preemphasis"]
    frames.dither = 0.0
    frames.snip_edges = False
    mels.num_bins = settings["mels"]
    mels.low_freq, mels.high_freq = settings["low_hz"], settings["high_hz"]
    options.num_ceps = settings["cepstra"]
    options.cepstral_lifter = 0.0
    options.use_energy = False

    def mfcc(clips: Float[Tensor, "clips samples"]) -> Sequence[Any]:
        return [_online(clip) for clip in clips]

    def _online(clip: Float[Tensor, " samples"]) -> Sequence[Any]:
        online = kaldi_native_fbank.OnlineMfcc(options)
        # A list is what it takes fastest.
        online.accept_waveform(settings["sample_rate"], clip.tolist())
        online.input_finished()
        return [online.get_frame(frame) for frame in range(online.num_frames_ready)]

    return mfcc


PEERS = (
    Peer("torchaudio.transforms.MFCC", _torchaudio, same=False),
    Peer("torchaudio.compliance.kaldi.mfcc", _compliance, same=True),
    Peer("librosa.feature.mfcc", _librosa, same=False, factor=np.log(10) / 10),
    Peer("kaldi_native_fbank.OnlineMfcc", _kaldi_native_fbank, same=True),
)


def settings_of_training() -> dict[str, Any]:
    """Give the front-end that ``linnet train`` takes when nothing is said."""
    written = config.compose("train", []).frontend
    return {str(key): value for key, value in written.items() if key != "_target_"}


def run(options: Options) -> list[Comparison]:
    """Compare with each peer, both shapes, the whole front-end and the MFCC alone."""
    settings = settings_of_training()
    front_end = FrontEnd(**settings)
    peers = [(peer, peer.make(settings)) for peer in PEERS]
    found = []
    with threads(1), torch.inference_mode():
        agreements = [deviation(front_end, peer, mfcc) for peer, mfcc in peers]
        for clips, seconds in ((options.batch, 1), (1, 10)):
            waveform = noise(clips, seconds * front_end.sample_rate)
            for name, ours in _ours(front_end, waveform).items():
                for (peer, mfcc), agreement in zip(peers, agreements, strict=True):
                    theirs = timed(lambda w=waveform, mfcc=mfcc: mfcc(w), options.least_s)
                    took = alternate(timed(ours, options.least_s), theirs, options.turns)
                    speeds = [tuple(clips * seconds / one for one in side) for side in took]
                    comparison = Comparison(
                        benchmark="frontend",
                        task=f"{clips} x {seconds} s, 1 thread",
                        ours=name,
                        peer=peer.name,
                        unit="x real time",
                        more_is_better=True,
                        our_values=speeds[0],
                        peer_values=speeds[1],
                        agreement={"relative_deviation": agreement},
                    )
                    found.append(comparison)
    return found


def _ours(
    front_end: FrontEnd, waveform: Float[Tensor, "clips samples"]
) -> dict[str, Callable[[], object]]:
    samples = torch.full((len(waveform),), waveform.shape[1])
    return {
        "the whole front-end": lambda: front_end(waveform, samples),
        "its MFCC alone": lambda: front_end.log_mel(waveform, samples) @ front_end.dct,
    }


def noise(clips: int, samples: int) -> Float[Tensor, "clips samples"]:
    """Give clips of white noise, the same in every run."""
    return 0.1 * torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))


def deviation(front_end: FrontEnd, peer: Peer, mfcc: Mfcc) -> float:
    """Give how far a peer's cepstra are from ours: root mean square, relative to their spread.

    Frames near the ends are left out, where libraries continue a clip differently.
    """
    waveform = noise(2, front_end.sample_rate)
    samples = torch.full((len(waveform),), waveform.shape[1])
    expected = (front_end.log_mel(waveform, samples) @ front_end.dct).numpy()
    if not peer.same:
        earlier = front_end.preemphasis * waveform[:, :-1]
        emphasised = torch.cat([waveform[:, :1], waveform[:, 1:] - earlier], 1)
        waveform = emphasised[:, front_end.shift_samples // 2 :]
    theirs = np.stack([np.stack(list(map(np.asarray, clip))) for clip in mfcc(waveform)])
    difference = (peer.factor * theirs[:, : expected.shape[1]] - expected)[:, 3:-3]
    return float(np.sqrt(np.square(difference).mean()) / expected.std())
