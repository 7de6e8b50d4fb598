"""Augmentation does what it says, to each clip alone, and nothing when it is off."""

from typing import Any

import pytest
import torch
from torch import Tensor

from linnet.augment import Gain, SpecAugment, Warp, WaveformAugment


def waveform_augment(**changes: Any) -> WaveformAugment:
    settings: dict[str, Any] = {
        "speed": [1.0, 1.0],
        "shift_s": 0.0,
        "noise_probability": 0.0,
        "snr_db": [10.0, 10.0],
        "sample_rate": 16000,
        "speech_effects": {},
        "channel_effects": {},
    }
    return WaveformAugment(**settings | changes)


def clips(batch: int = 3, samples: int = 8000) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(batch, samples), torch.full((batch,), samples)


def test_nothing_changes_when_all_is_off() -> None:
    waveform, samples = clips()
    changed, lengths = waveform_augment()(waveform, samples)
    assert torch.equal(changed, waveform)
    assert torch.equal(lengths, samples)
    assert torch.equal(Gain(probability=0.0, gain_db=[-40.0, 0.0])(waveform), waveform)


def test_the_same_seed_gives_the_same_clips() -> None:
    augment = waveform_augment(
        speed=[0.9, 1.1], shift_s=0.1, noise_probability=0.5, snr_db=[0.0, 20.0]
    )
    augment.set_noise(torch.randn(40000))
    waveform, samples = clips()
    torch.manual_seed(5)
    first, _ = augment(waveform, samples)
    torch.manual_seed(5)
    second, _ = augment(waveform, samples)
    third, _ = augment(waveform, samples)
    assert torch.equal(first, second)
    assert first.shape != third.shape or not torch.equal(first, third)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_noise_comes_at_the_drawn_snr(snr_db: float) -> None:
    augment = waveform_augment(noise_probability=1.0, snr_db=[snr_db, snr_db])
    augment.set_noise(0.01 * torch.sin(0.3 * torch.arange(20000.0)))
    waveform, samples = clips()
    changed, _ = augment(waveform, samples)
    noise = changed - waveform
    ratio = waveform.square().mean(1) / noise.square().mean(1)
    torch.testing.assert_close(10 * ratio.log10(), torch.full((3,), snr_db), atol=0.1, rtol=0)


def test_a_silent_clip_keeps_the_noise_at_its_own_level() -> None:
    augment = waveform_augment(noise_probability=1.0)
    augment.set_noise(torch.full((8000,), 0.25))
    changed, _ = augment(torch.zeros(2, 8000), torch.tensor([8000, 8000]))
    torch.testing.assert_close(changed, torch.full((2, 8000), 0.25))


def test_a_shift_moves_the_clip_and_fills_with_zeros() -> None:
    augment = waveform_augment(shift_s=0.01)
    waveform = torch.arange(1.0, 2001.0).repeat(50, 1)
    samples = torch.full((50,), 1500)
    torch.manual_seed(0)
    changed, _ = augment(waveform, samples)
    offsets = set()
    for row in changed:
        kept = row.nonzero()[:, 0]
        offset = int(kept[0] + 1 - row[kept[0]])
        offsets.add(offset)
        assert abs(offset) <= 160
        # What was inside moved as one piece; padding beyond 1,500 samples never comes in.
        expected = torch.arange(1.0, 2001.0) - offset
        inside = (expected >= 1) & (expected <= 1500)
        assert torch.equal(row, torch.where(inside, expected, 0.0))
    assert min(offsets) < 0 < max(offsets)


@pytest.mark.parametrize(("speed", "samples"), [(2.0, 4000), (0.8, 10000)])
def test_speed_changes_length_and_pitch(speed: float, samples: int) -> None:
    augment = waveform_augment(speed=[speed, speed])
    tone = torch.sin(2 * torch.pi * 500 * torch.arange(8000) / 16000)[None]
    changed, lengths = augment(tone, torch.tensor([8000]))
    assert int(lengths) == samples
    spectrum = torch.fft.rfft(changed[0, :4000]).abs()
    assert float(spectrum.argmax()) * 4 == pytest.approx(500 * speed, abs=5)


def test_gain_stays_in_its_range() -> None:
    waveform = torch.ones(200, 1)
    torch.manual_seed(0)
    gains = 20 * Gain(probability=1.0, gain_db=[-30.0, -10.0])(waveform).log10()
    assert -30.01 <= float(gains.min()) < -28
    assert -12 < float(gains.max()) <= -9.99


def test_masks_stay_inside_each_clip_and_take_its_mean() -> None:
    augment = SpecAugment(
        frequency_masks=1, frequency_width=20, time_masks=2, time_width=15, time_share=0.2
    )
    log_mel = torch.randn(40, 100, 80)
    frames = torch.tensor([100, 60] * 20)
    torch.manual_seed(0)
    masked = augment(log_mel, frames)
    changed = masked != log_mel
    assert changed.any(2).sum(1).min() >= 0
    for row in range(40):
        count = int(frames[row])
        mean = log_mel[row, :count].mean(0)
        where = changed[row, :count]
        torch.testing.assert_close(
            masked[row, :count][where], mean.expand(count, 80)[where], atol=1e-5, rtol=1e-5
        )
        whole_frames = where.all(1).sum()
        assert whole_frames <= 2 * min(15, 0.2 * count) + 2
        whole_channels = where.all(0).sum()
        assert whole_channels <= 21
    assert changed.float().mean() > 0.1


def test_a_warp_stretches_the_mel_axis_of_each_clip() -> None:
    channel = torch.arange(80.0)
    log_mel = channel.expand(50, 3, 80)
    torch.manual_seed(0)
    warped = Warp(share=0.1)(log_mel)
    # Where a channel holds its own number, the warp shows where each value came from.
    factors = warped[:, 0, 50] / 50
    assert 0.9 <= float(factors.min()) < 0.93
    assert 1.07 < float(factors.max()) <= 1.1
    expected = (channel * factors[:, None]).clamp(max=79.0)[:, None].expand(50, 3, 80)
    torch.testing.assert_close(warped, expected, atol=1e-3, rtol=0)
    assert torch.equal(Warp(share=0.0)(log_mel), log_mel)


def test_no_masks_change_nothing() -> None:
    augment = SpecAugment(
        frequency_masks=0, frequency_width=0, time_masks=0, time_width=0, time_share=0.0
    )
    log_mel = torch.randn(2, 30, 80)
    assert torch.equal(augment(log_mel, torch.tensor([30, 20])), log_mel)


def test_a_speed_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        waveform_augment(speed=[0.0, 1.0])
