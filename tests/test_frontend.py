"""The front-end against other implementations, alone against batched, and its frame arithmetic."""

from typing import Any

import kaldi_native_fbank
import librosa
import numpy as np
import pytest
import scipy.fft
import torch
import torchaudio
from torch import Tensor

from linnet.apps import config
from linnet.filters import LOG_FLOOR, dct_matrix
from linnet.frontend import VARIANCE_EPSILON, FrontEnd

AWKWARD = [0, 1, 79, 80, 399, 400, 401, 1999, 4321, 7919, 16000]


def front_end(**changes: Any) -> FrontEnd:
    settings = dict(config.compose("train", []).frontend)
    return FrontEnd(**{k: v for k, v in settings.items() if k != "_target_"} | changes)


def clip(samples: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(samples, generator=generator)


def batch(lengths: list[int]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Clips of these lengths, padded with junk."""
    clips = [clip(samples, seed) for seed, samples in enumerate(lengths)]
    padded = 7.0 * torch.randn(len(clips), max(lengths), generator=torch.Generator().manual_seed(9))
    for row, one in zip(padded, clips, strict=True):
        row[: len(one)] = one
    return padded, torch.tensor(lengths), clips


def kaldi_log_mel(waveform: Tensor) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = 80
    options.mel_opts.low_freq = 20.0
    options.mel_opts.high_freq = 7600.0
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(16000, waveform.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(frame) for frame in range(bank.num_frames_ready)])


def compliance(name: str, waveform: Tensor, **more: Any) -> Tensor:
    features = getattr(torchaudio.compliance.kaldi, name)
    return features(
        waveform[None],
        dither=0.0,
        snip_edges=False,
        num_mel_bins=80,
        low_freq=20.0,
        high_freq=7600.0,
        **more,
    )


def log_mel(waveform: Tensor) -> Tensor:
    return front_end().log_mel(waveform[None], torch.tensor([len(waveform)]))[0]


@pytest.mark.parametrize("samples", [640, 641, 1999, 4321, 16000])
def test_log_mel_equals_kaldi_native_fbank(samples: int) -> None:
    waveform = clip(samples)
    np.testing.assert_allclose(log_mel(waveform), kaldi_log_mel(waveform), atol=5e-3, rtol=0)


@pytest.mark.parametrize("samples", [640, 641, 1999, 4321, 16000])
def test_log_mel_equals_torchaudios_kaldi(samples: int) -> None:
    waveform = clip(samples)
    torch.testing.assert_close(log_mel(waveform), compliance("fbank", waveform), atol=5e-3, rtol=0)


@pytest.mark.parametrize("samples", [641, 4321, 16000])
def test_cepstra_equal_torchaudios_and_kaldis_mfcc(samples: int) -> None:
    waveform = clip(samples)
    cepstra = log_mel(waveform) @ front_end().dct
    theirs = compliance("mfcc", waveform, num_ceps=40, cepstral_lifter=0.0)
    torch.testing.assert_close(cepstra, theirs, atol=5e-3, rtol=0)
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = 80
    options.mel_opts.high_freq = 7600.0
    options.num_ceps = 40
    options.cepstral_lifter = 0.0
    options.use_energy = False
    online = kaldi_native_fbank.OnlineMfcc(options)
    online.accept_waveform(16000, waveform.tolist())
    online.input_finished()
    kaldi = np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)])
    np.testing.assert_allclose(cepstra, kaldi, atol=5e-3, rtol=0)


def test_dct_equals_scipys_and_librosas() -> None:
    log_mels = np.random.default_rng(0).normal(size=(80, 100))
    ours = dct_matrix(40, 80) @ log_mels
    np.testing.assert_allclose(ours, scipy.fft.dct(log_mels, axis=0, norm="ortho")[:40], atol=1e-12)
    np.testing.assert_allclose(ours, librosa.feature.mfcc(S=log_mels, n_mfcc=40), atol=1e-12)


@pytest.mark.parametrize("stack", [1, 2, 3, 4])
def test_frames_and_steps_are_right_for_every_length(stack: int) -> None:
    module = front_end(stack=stack)
    lengths = torch.arange(2001)
    for samples in range(2001):
        frames = module.frames(samples)
        if samples >= module.least_samples:
            # Kaldi's NumFrames without snip_edges.
            assert frames == (samples + 80) // 160
        assert module.steps(frames) >= 1
    assert module.frames(lengths).tolist() == [module.frames(n) for n in range(2001)]
    steps = module.steps(module.frames(lengths))
    assert steps.tolist() == [module.steps(module.frames(n)) for n in range(2001)]


@pytest.mark.parametrize("stack", [1, 3, 4])
def test_features_have_the_frames_that_the_arithmetic_says(stack: int) -> None:
    module = front_end(stack=stack)
    for samples in [*range(0, 2001, 97), *AWKWARD]:
        waveform = clip(samples)[None]
        mel = module.log_mel(waveform, torch.tensor([samples]))
        features, steps = module(waveform, torch.tensor([samples]))
        assert mel.shape[1] == module.frames(samples)
        assert features.shape[1] == int(steps) == module.steps(module.frames(samples))


@pytest.mark.parametrize("normalisation", ["utterance", "training"])
@pytest.mark.parametrize("normalise_waveform", [True, False])
def test_alone_equals_batched_with_junk_in_the_padding(
    normalisation: str, normalise_waveform: bool
) -> None:
    module = front_end(normalisation=normalisation, normalise_waveform=normalise_waveform)
    padded, lengths, clips = batch(AWKWARD)
    features, steps = module(padded, lengths)
    for row, (one, samples) in enumerate(zip(clips, lengths, strict=True)):
        alone, count = module(one[None], samples[None])
        assert int(count) == int(steps[row])
        # A product of a handful of rows takes another path through the BLAS, so not exactly.
        torch.testing.assert_close(features[row, : int(count)], alone[0], atol=1e-4, rtol=0)


def test_alone_equals_batched_exactly() -> None:
    module = front_end()
    padded, lengths, clips = batch([16000, 4321, 7919, 12345])
    together, _ = module(padded, lengths)
    for row, one in zip(together, clips, strict=True):
        alone = module(one[None], torch.tensor([len(one)]))[0][0]
        assert torch.equal(row[: len(alone)], alone)


@pytest.mark.parametrize("gain", [1e-3, 0.1, 30.0])
def test_gain_and_offset_change_nothing(gain: float) -> None:
    module, waveform, samples = front_end(), clip(8000)[None], torch.tensor([8000])
    expected, _ = module(waveform, samples)
    changed, _ = module(gain * waveform + 0.01 * gain, samples)
    torch.testing.assert_close(changed, expected, atol=2e-3, rtol=0)


def test_silence_gives_finite_features() -> None:
    features, _ = front_end()(torch.zeros(2, 16000), torch.tensor([16000, 0]))
    assert torch.isfinite(features).all()


def test_the_log_mel_cut_equals_the_waveform_cut() -> None:
    module = front_end(normalise_waveform=False)
    padded, lengths, _ = batch([16000, 4321])
    expected, steps = module(padded, lengths)
    mel = module.log_mel(padded, lengths)
    mel[1, module.frames(4321) :] = 55.0
    features, count = module.from_log_mel(mel, module.frames(lengths))
    assert torch.equal(count, steps)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)


def test_a_log_mel_too_short_for_a_step_is_filled_with_the_floor() -> None:
    module = front_end(stack=4)
    short = torch.randn(1, 2, 80)
    filled = torch.full((1, 4, 80), LOG_FLOOR)
    filled[:, :2] = short
    features, steps = module.from_log_mel(short, torch.tensor([2]))
    expected, _ = module.from_log_mel(filled, torch.tensor([4]))
    assert int(steps) == 1
    torch.testing.assert_close(features, expected)


def test_without_cepstra_features_are_the_normalised_log_mel() -> None:
    module = front_end(cepstra=0, stack=1)
    waveform, samples = clip(16000)[None], torch.tensor([16000])
    features, _ = module(waveform, samples)
    log_mel = module.log_mel(module.level(waveform, samples), samples)[0].double()
    centred = log_mel - log_mel.mean(0)
    expected = centred / (centred.square().mean(0) + VARIANCE_EPSILON).sqrt()
    torch.testing.assert_close(features[0].double(), expected, atol=1e-5, rtol=0)


def test_training_statistics_are_subtracted_and_divided_by() -> None:
    module = front_end(normalisation="training", stack=1)
    waveform, samples = clip(16000)[None], torch.tensor([16000])
    plain, _ = module(waveform, samples)
    module.set_statistics(torch.full((40,), 2.0), torch.full((40,), 4.0))
    scaled, _ = module(waveform, samples)
    torch.testing.assert_close(scaled, (plain - 2.0) / 4.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high_hz": 9000.0}, "high_hz=9000.0 must satisfy"),
        ({"cepstra": 81}, "cepstra=81 must lie between 1 and mels=80"),
        ({"cepstra": -1}, "cepstra=-1 must lie between 1 and mels=80, or be 0"),
        ({"stack": 0}, "stack=0 must be at least 1"),
        ({"normalisation": "none"}, "must be 'utterance' or 'training'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        front_end(**changes)


def test_time_of_a_step() -> None:
    assert front_end(stack=3).seconds(10) == pytest.approx(0.3)
