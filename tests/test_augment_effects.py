"""Effects on the waveform: each one's own equation, and nothing where it is not drawn."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from linnet.augment import Babble, Codec, Effect, Equaliser, Pitch, Room, Telephone, WaveformAugment
from linnet.augment.drawing import noise_scale
from linnet.augment.effects import filtered

RATE = 16000


def room(**changes: object) -> Room:
    settings = {
        "probability": 1.0,
        "rooms": 4,
        "reverberation_s": [0.2, 0.4],
        "size_m": [3.0, 6.0],
        "height_m": [2.4, 3.0],
        "distance_m": [0.5, 2.0],
        "sample_rate": RATE,
        "seed": 0,
    }
    return Room(**{**settings, **changes})  # type: ignore[arg-type]


def equaliser(**changes: object) -> Equaliser:
    settings = {
        "probability": 1.0,
        "bands": 5,
        "gain_db": [0.0, 0.0],
        "low_hz": [0.0, 0.0],
        "high_hz": [8000.0, 8000.0],
        "sample_rate": RATE,
    }
    return Equaliser(**{**settings, **changes})  # type: ignore[arg-type]


def clips(batch: int = 3, samples: int = 8000) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return 0.1 * torch.randn(batch, samples), torch.full((batch,), samples)


def tone(hz: float, samples: int = 16000) -> Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(samples) / RATE)[None]


def level_db(waveform: Tensor) -> float:
    return float(10 * waveform.square().mean().log10())


@pytest.mark.parametrize(
    "effect",
    [
        room(probability=0.0),
        equaliser(probability=0.0),
        Telephone(probability=0.0),
        Babble(probability=0.0, voices=2, snr_db=[0.0, 0.0]),
        Pitch(probability=0.0, semitones=[3.0, 3.0]),
        Codec(probability=0.0, codec="vorbis", compression=[0.5, 0.5], sample_rate=RATE),
    ],
)
def test_a_probability_of_0_changes_nothing(effect: Effect) -> None:
    waveform, samples = clips()
    assert effect(waveform, samples) is waveform


def test_an_effect_changes_its_share_of_the_clips_and_keeps_their_size() -> None:
    waveform, samples = clips(400, 200)
    changed = Telephone(probability=0.25)(waveform, samples)
    assert changed.shape == waveform.shape
    touched = (changed != waveform).any(1)
    assert 70 <= int(touched.sum()) <= 130
    assert torch.equal(changed[~touched], waveform[~touched])


def test_filtering_is_convolution_clip_by_clip() -> None:
    waveform, _ = clips(3, 500)
    responses = torch.randn(3, 77)
    changed = filtered(waveform, responses)
    for row in range(3):
        expected = np.convolve(waveform[row].numpy(), responses[row].numpy())[:500]
        np.testing.assert_allclose(changed[row].numpy(), expected, atol=1e-5)


def test_a_room_starts_with_the_direct_sound_and_keeps_the_level() -> None:
    made = room(rooms=8)
    assert torch.equal(made.responses.abs().argmax(1), torch.zeros(8, dtype=torch.long))
    torch.testing.assert_close(made.responses.square().sum(1), torch.ones(8))
    waveform, samples = clips(8, 32000)
    changed = made(waveform, samples)
    for row in range(8):
        assert level_db(changed[row]) == pytest.approx(level_db(waveform[row]), abs=0.5)


def test_echoes_fall_by_60_db_in_the_time_that_was_asked_for() -> None:
    made = room(rooms=6, reverberation_s=[0.3, 0.3], distance_m=[2.0, 2.0])
    for response in made.responses.double():
        # Schroeder's backward integration; its slope from -5 to -25 dB, times three.
        decay = 10 * response.square().flip(0).cumsum(0).flip(0).log10()
        begin, end = (int((decay < level).nonzero()[0, 0]) for level in (-5.0, -25.0))
        assert 3 * (end - begin) / RATE == pytest.approx(0.3, rel=0.5)


def test_the_seed_decides_the_rooms() -> None:
    assert torch.equal(room().responses, room().responses)
    assert room().responses.shape != room(seed=1).responses.shape or not torch.equal(
        room().responses, room(seed=1).responses
    )


def test_a_flat_equaliser_changes_nothing() -> None:
    waveform, samples = clips()
    torch.testing.assert_close(equaliser()(waveform, samples), waveform, atol=1e-5, rtol=0)


def test_an_equaliser_passes_what_lies_between_its_corners() -> None:
    narrow = equaliser(low_hz=[400.0, 400.0], high_hz=[3000.0, 3000.0])
    for hz, change_db in ((1000.0, 0.0), (2000.0, 0.0)):
        waveform = tone(hz)
        changed = narrow(waveform, torch.tensor([16000]))
        assert level_db(changed) - level_db(waveform) == pytest.approx(change_db, abs=0.3)
    for hz in (100.0, 4000.0, 7000.0):
        waveform = tone(hz)
        assert level_db(narrow(waveform, torch.tensor([16000]))) < level_db(waveform) - 15


def test_an_equaliser_is_as_loud_as_its_draw_and_takes_no_time() -> None:
    waveform = tone(1000.0)
    changed = equaliser(gain_db=[6.0, 6.0])(waveform, torch.tensor([16000]))
    middle = slice(1000, 15000)
    expected = waveform[:, middle] * 10 ** (6 / 20)
    torch.testing.assert_close(changed[:, middle], expected, atol=2e-3, rtol=0)


def test_a_telephone_halves_the_band_and_has_256_levels() -> None:
    low, high = (Telephone(probability=1.0)(tone(hz), torch.tensor([16000])) for hz in (997, 6e3))
    assert level_db(low) == pytest.approx(level_db(tone(997)), abs=0.3)
    assert level_db(high) < level_db(tone(6e3)) - 40
    noise = level_db(low[:, 500:-500] - tone(997)[:, 500:-500])
    # Some 37 dB below the signal, as the mu-law with 8 bits does for loud tones.
    assert 30 < level_db(tone(997)) - noise < 45


@pytest.mark.parametrize("codec", ["vorbis", "opus"])
def test_a_codec_gives_the_clip_back_in_time_but_not_in_every_sample(codec: str) -> None:
    waveform = torch.stack([tone(500.0)[0] + tone(1500.0)[0], 4 * tone(700.0)[0]])
    samples = torch.tensor([16000, 12345])
    waveform[1, 12345:] = 0.0
    effect = Codec(probability=1.0, codec=codec, compression=[0.5, 0.5], sample_rate=RATE)
    changed = effect(waveform, samples)
    assert not torch.equal(changed, waveform)
    assert not changed[1, 12345:].any()
    for row, count in enumerate(samples.tolist()):
        a, b = changed[row, :count].numpy(), waveform[row, :count].numpy()
        lag = int(np.argmax(signal.correlate(a, b))) - (count - 1)
        assert abs(lag) <= 1
        assert np.corrcoef(a, b)[0, 1] > 0.9


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of vorbis, opus"):
        Codec(probability=1.0, codec="mp9", compression=[0.5, 0.5], sample_rate=RATE)


@pytest.mark.parametrize("semitones", [-3.0, 4.0])
def test_pitch_moves_the_tone_and_keeps_the_length(semitones: float) -> None:
    torch.manual_seed(0)
    changed = Pitch(probability=1.0, semitones=[semitones, semitones])(
        tone(500.0), torch.tensor([16000])
    )
    assert changed.shape == (1, 16000)
    peak = float(torch.fft.rfft(changed[0]).abs().argmax())
    assert peak == pytest.approx(500 * 2 ** (semitones / 12), rel=0.01)


def test_babble_comes_from_the_batch_at_its_level() -> None:
    waveform, samples = clips(6, 4000)
    changed = Babble(probability=1.0, voices=3, snr_db=[6.0, 6.0])(waveform, samples)
    babble = changed - waveform
    ratio = waveform.square().mean(1) / babble.square().mean(1)
    torch.testing.assert_close(10 * ratio.log10(), torch.full((6,), 6.0), atol=0.01, rtol=0)
    # Only what the batch holds is in it: a batch of tones of 1 kHz has babble of 1 kHz.
    tones = tone(1000.0, 4000).repeat(4, 1)
    added = Babble(probability=1.0, voices=3, snr_db=[0.0, 0.0])(tones, samples[:4]) - tones
    assert torch.equal(torch.fft.rfft(added).abs().argmax(1), torch.full((4,), 250))


def test_noise_over_silence_keeps_its_own_level() -> None:
    noise = torch.full((2, 100), 0.5)
    quiet_and_loud = torch.stack([torch.zeros(100), torch.ones(100)])
    scale = noise_scale(quiet_and_loud, noise, torch.tensor([20.0, 20.0]))
    torch.testing.assert_close(scale, torch.tensor([1.0, 0.2]))


def test_speech_effects_come_before_the_noise_and_channel_effects_after() -> None:
    def chain(speech: dict[str, Effect | None], channel: dict[str, Effect | None]) -> Tensor:
        augment = WaveformAugment(
            speed=[1.0, 1.0],
            shift_s=0.0,
            noise_probability=1.0,
            snr_db=[0.0, 0.0],
            sample_rate=RATE,
            speech_effects=speech,
            channel_effects=channel,
        )
        augment.set_noise(tone(6000.0)[0])
        changed, _ = augment(tone(1000.0), torch.tensor([16000]))
        spectrum: Tensor = torch.fft.rfft(changed[0]).abs()
        return spectrum[6000] / spectrum[1000]

    line = Telephone(probability=1.0)
    assert float(chain({"line": line}, {})) == pytest.approx(1.0, abs=0.05)
    assert float(chain({}, {"line": line})) < 0.01
    assert float(chain({"none": None}, {"line": None})) == pytest.approx(1.0, abs=0.05)
