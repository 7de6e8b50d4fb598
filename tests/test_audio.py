"""Reading: every format gives the same sound, and every fault gives its own clear error."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jaxtyping import Float32

from linnet import audio
from linnet.errors import AudioError

RATES = (8000, 11025, 16000, 22050, 44100, 48000)


def tone(sample_rate: int, duration_s: float = 0.5) -> Float32[np.ndarray, " samples"]:
    """A chord far below 4 kHz, which no resampling may change."""
    time_s = np.arange(round(sample_rate * duration_s)) / sample_rate
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220, 330, 1100))
    return (0.2 * np.asarray(chord) * np.hanning(len(time_s))).astype(np.float32)


def write(path: Path, waveform: np.ndarray, sample_rate: int, **options: str) -> Path:
    soundfile.write(path, waveform, sample_rate, **options)
    return path


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_rate_and_channel_count_gives_the_same_sound(
    tmp_path: Path, sample_rate: int, channels: int
) -> None:
    once = tone(sample_rate)
    path = write(tmp_path / "tone.wav", np.stack([once] * channels, 1), sample_rate)
    waveform = audio.read(path)
    assert waveform.dtype == np.float32
    assert len(waveform) == audio.resampled(len(once), sample_rate)
    np.testing.assert_allclose(waveform, tone(16000)[: len(waveform)], atol=2e-3)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 8e-3),
        ("a.wav", {"subtype": "PCM_16"}, 4e-5),
        ("a.wav", {"subtype": "PCM_24"}, 2e-7),
        ("a.wav", {"subtype": "PCM_32"}, 1e-7),
        ("a.wav", {"subtype": "FLOAT"}, 0.0),
        ("a.wav", {"subtype": "DOUBLE"}, 0.0),
        ("a.wav", {"subtype": "ULAW"}, 2e-2),
        ("a.wav", {"subtype": "IMA_ADPCM"}, 5e-2),
        ("a.flac", {"subtype": "PCM_24"}, 2e-7),
        ("a.aiff", {"subtype": "PCM_16"}, 4e-5),
        ("a.caf", {"subtype": "PCM_16"}, 4e-5),
        ("a.w64", {"subtype": "PCM_16"}, 4e-5),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, 5e-2),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 1.2e-1),
        ("a.mp3", {"format": "MP3"}, 5e-2),
    ],
)
def test_every_format_from_a_file_equals_the_stream_and_its_parts(
    tmp_path: Path, name: str, options: dict[str, str], tolerance: float
) -> None:
    path = write(tmp_path / name, tone(16000, 2.0), 16000, **options)
    whole = audio.read(path)
    np.testing.assert_allclose(whole[:32000], tone(16000, 2.0), atol=tolerance)
    np.testing.assert_array_equal(audio.read(io.BytesIO(path.read_bytes())), whole)
    part = audio.read(path, start_s=0.5001, duration_s=1.0)
    np.testing.assert_array_equal(part, whole[8002:24002])
    assert audio.check(path) == audio.header(path)


@pytest.mark.parametrize("sample_rate", RATES)
def test_a_part_equals_the_same_part_of_the_whole(tmp_path: Path, sample_rate: int) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, sample_rate * 2)
    path = write(tmp_path / "noise.wav", noise, sample_rate)
    part = audio.read(path, start_s=0.7531, duration_s=0.6)
    begin = audio.resampled(round(0.7531 * sample_rate), sample_rate)
    np.testing.assert_allclose(part, audio.read(path)[begin : begin + len(part)], atol=1e-6)
    assert abs(len(part) - 9600) <= 1


@pytest.mark.parametrize("sample_rate", RATES)
def test_the_resampled_length_is_what_soxr_gives(sample_rate: int) -> None:
    for samples in (*range(1, 400), sample_rate - 1, sample_rate, sample_rate * 3 + 7):
        waveform = np.zeros(samples, np.float32)
        assert len(audio.resample(waveform, sample_rate)) == audio.resampled(samples, sample_rate)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16000), -0.5 * tone(16000)
    path = write(tmp_path / "a.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(path), (left + right) / 2, atol=1e-7)


def test_what_is_a_little_too_loud_is_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 4 * tone(16000), 16000, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(path), np.clip(4 * tone(16000), -1, 1))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {"subtype": "PCM_16"}),
        ("a.wav", {"subtype": "FLOAT"}),
        ("a.wav", {"subtype": "PCM_24", "format": "WAVEX"}),
        ("a.wav", {"subtype": "IMA_ADPCM"}),
        ("a.rf64", {"format": "RF64"}),
        ("a.aiff", {}),
        ("a.au", {}),
        ("a.w64", {}),
        ("a.flac", {}),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", {}),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_named(
    tmp_path: Path, name: str, options: dict[str, str], share: float
) -> None:
    path = write(tmp_path / name, tone(16000, 5.0), 16000, **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    for reads in (audio.read, audio.check):
        with pytest.raises(AudioError, match=rf"{name}: the file is .*cut off"):
            reads(path)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_stream_of_unknown_length_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "a.wav", tone(16000), 16000)
    content = bytearray(path.read_bytes())
    content[40:44] = length.to_bytes(4, "little")
    np.testing.assert_array_equal(audio.read(io.BytesIO(bytes(content))), audio.read(path))


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 44100])
def test_a_variable_rate_mp3_without_its_length_is_refused_and_a_constant_one_read(
    tmp_path: Path, sample_rate: int
) -> None:
    # Silence and then noise: the first frame says nothing about the rest.
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * sample_rate)
    waveform = np.append(np.zeros(2 * sample_rate), noise)
    for mode, lost in (("CONSTANT", False), ("VARIABLE", True)):
        path = tmp_path / f"{mode}.mp3"
        soundfile.write(path, waveform, sample_rate, bitrate_mode=mode, compression_level=0.5)
        whole = audio.read(path)
        content = path.read_bytes()
        path.write_bytes(content[content.find(content[:2], 4) :])  # without its header frame
        if lost:
            with pytest.raises(
                AudioError, match=r"not state its length; it was taken for \d+ samp"
            ):
                audio.read(path)
        else:
            assert 0 <= len(audio.read(path)) - len(whole) < 16000 * 4 * 1152 / sample_rate


def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(16000), 16000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    np.testing.assert_array_equal(audio.read(pipe), audio.read(path))
    writer.join()


def test_every_fault_is_named_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no sound\n" * 100)
    (tmp_path / "headless.raw").write_bytes(bytes(1000))
    write(tmp_path / "none.wav", np.zeros(0, np.float32), 16000)
    write(tmp_path / "short.wav", np.zeros(1, np.float32), 48000)
    for name, value in (("nan", np.nan), ("inf", -np.inf), ("scale", 20000.0)):
        broken = np.append(tone(16000), np.float32(value))
        write(tmp_path / f"{name}.wav", broken, 16000, subtype="FLOAT")
    faults = {
        "missing.wav": "no such file; check the path",
        ".": "folder; give the recordings in it",
        "empty.wav": r"empty \(0 bytes\)",
        "text.wav": "no audio file; expected WAV, FLAC",
        "headless.raw": "has no header; expected WAV",
        "none.wav": "holds no samples",
        "short.wav": "1 samples at 48000 Hz are too short",
        "nan.wav": "holds NaN or infinity",
        "inf.wav": "holds NaN or infinity",
        "scale.wav": "values up to 20000, expected -1 to 1; divide",
    }
    for name, reason in faults.items():
        with pytest.raises(AudioError, match=f"{tmp_path / name}: .*{reason}"):
            audio.read(tmp_path / name)


def test_a_part_outside_the_recording_is_refused_and_rounding_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(16000), 16000)
    assert len(audio.read(path, start_s=0.25, duration_s=0.26)) == 4000
    for start_s, duration_s in ((0.6, None), (0.0, 0.7), (-0.1, 0.2), (0.2, 0.0)):
        with pytest.raises(AudioError, match=r"the recording is 0\.500 s long"):
            audio.read(path, start_s=start_s, duration_s=duration_s)


def test_folders_give_their_recordings_sorted_and_files_come_as_they_are(tmp_path: Path) -> None:
    for name in ("b/2.flac", "b/10.WAV", "a.mp3", "b/.hidden.wav", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = audio.find([tmp_path / "b" / "notes.txt", tmp_path])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["b/notes.txt", "a.mp3", "b/10.WAV", "b/2.flac"]
    for path, reason in ((tmp_path / "c", "no such file or folder"), (tmp_path / "d", "no record")):
        (tmp_path / "d").mkdir(exist_ok=True)
        with pytest.raises(AudioError, match=reason):
            audio.find([path])


def test_a_file_name_that_is_no_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    soundfile.write(os.fsencode(path), np.zeros(100), 16000, format="WAV")
    assert len(audio.read(path)) == 100
