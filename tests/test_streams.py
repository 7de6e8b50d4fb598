"""Long recordings made of clips: what is said where, and the same bytes each time."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jaxtyping import Float32
from lhotse.cut import Cut

from linnet import audio, sources
from linnet.data import waveform_of
from linnet.errors import ConfigError, CorpusError
from linnet.evaluation.spotting import Recording, Span
from linnet.sources.folders import Folders
from linnet.sources.streams import Streams

SETTINGS = {
    "stream_s": 6.0,
    "pause_s": [0.4, 1.2],
    "level_dbfs": [-30.0, -20.0],
    "snr_db": [10.0, 20.0],
    "seed": 3,
}


def burst(seed: int, quiet_s: float, loud_s: float) -> Float32[np.ndarray, " samples"]:
    """Give a second that is loud from ``quiet_s`` on for ``loud_s``, else nearly silent."""
    random = np.random.default_rng(seed)
    waveform = 1e-4 * random.standard_normal(audio.SAMPLE_RATE)
    first, last = (round(t * audio.SAMPLE_RATE) for t in (quiet_s, quiet_s + loud_s))
    waveform[first:last] += 0.2 * random.standard_normal(last - first)
    return waveform.astype(np.float32)


@pytest.fixture
def cuts(tmp_path: Path) -> list[Cut]:
    for number in range(12):
        word = ("go", "stop", "turn_left")[number % 3]
        path = tmp_path / word / f"anna_{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, burst(number, 0.3 + 0.01 * number, 0.4), audio.SAMPLE_RATE, "FLOAT")
    (tmp_path / "_silence_").mkdir()
    hum = 0.05 * np.sin(np.arange(20000) * 0.05)
    soundfile.write(tmp_path / "_silence_" / "hum.wav", hum, audio.SAMPLE_RATE, "FLOAT")
    source = Folders(
        root=tmp_path, split_by="speakers", speaker_separator=None, valid_share=0.0, test_share=0.0
    )
    return list(source.splits()["train"])


def built(cuts: list[Cut], **changes: object) -> list[Recording]:
    made = Streams(**{**SETTINGS, **changes})  # type: ignore[arg-type]
    return list(made.build(cuts, waveform_of))


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(cuts: list[Cut]) -> None:
    first, again, other = built(cuts), built(cuts[::-1]), built(cuts, seed=4)
    assert [one.spans for one in first] == [one.spans for one in again]
    assert all(
        one.waveform.tobytes() == two.waveform.tobytes()
        for one, two in zip(first, again, strict=True)
    )
    assert [one.spans for one in first] != [one.spans for one in other]


def test_every_clip_is_said_once_and_its_span_is_where_its_samples_lie(cuts: list[Cut]) -> None:
    # Without noise, what lies at a span is the clip itself at another level.
    spoken = {cut.id: cut for cut in cuts if cut.supervisions[0].text}
    streams = built(list(spoken.values()))
    spans = [(stream, span) for stream in streams for span in stream.spans]
    assert sorted(span.id for _, span in spans) == sorted(spoken)
    for stream, span in spans:
        first, last = (round(t * audio.SAMPLE_RATE) for t in (span.start_s, span.end_s))
        number = int(span.id.rpartition("_")[2])
        begin = round((0.3 + 0.01 * number) * audio.SAMPLE_RATE)
        clip = waveform_of(spoken[span.id])[begin : begin + last - first]
        assert abs(last - first - 0.4 * audio.SAMPLE_RATE) <= 0.01 * audio.SAMPLE_RATE
        assert np.corrcoef(stream.waveform[first:last], clip)[0, 1] > 0.999999
        assert span.text == spoken[span.id].supervisions[0].text


def test_streams_are_as_long_as_asked_for_and_pauses_lie_between_the_clips(cuts: list[Cut]) -> None:
    streams = built(cuts)
    assert len(streams) > 1
    assert all(6.0 <= one.duration_s < 6.0 + 1.0 + 1.2 for one in streams[:-1])
    for stream in streams:
        for earlier, later in itertools.pairwise(stream.spans):
            assert later.start_s - earlier.end_s >= 0.4
        assert np.abs(stream.waveform).max() <= 0.99 + 1e-6


def test_the_speech_lies_above_the_noise_by_the_drawn_decibels(cuts: list[Cut]) -> None:
    for stream in built(cuts, snr_db=[10.0, 10.0], level_dbfs=[-25.0, -25.0]):
        speech = np.zeros(len(stream.waveform), bool)
        for span in stream.spans:
            first, last = (round(t * audio.SAMPLE_RATE) for t in (span.start_s, span.end_s))
            speech[first:last] = True
        power = np.square(stream.waveform.astype(np.float64))
        noise = power[: round(0.4 * audio.SAMPLE_RATE)].mean()
        assert 10 * np.log10(noise) == pytest.approx(-35.0, abs=1.0)
        assert 10 * np.log10(power[speech].mean() - noise) == pytest.approx(-25.0, abs=0.5)


def placed(folder: Path, waveform: Float32[np.ndarray, " samples"]) -> Span:
    """Where the speech of a clip is that is alone in its stream, and as loud as asked for."""
    (folder / "go").mkdir()
    soundfile.write(folder / "go" / "anna_0.wav", waveform, audio.SAMPLE_RATE, "FLOAT")
    source = Folders(
        root=folder, split_by="speakers", speaker_separator=None, valid_share=0.0, test_share=0.0
    )
    (stream,) = built(list(source.splits()["train"]), level_dbfs=[-45.0, -45.0])
    (span,) = stream.spans
    first, last = (round(t * audio.SAMPLE_RATE) for t in (span.start_s, span.end_s))
    power = np.square(stream.waveform[first:last].astype(np.float64)).mean()
    assert 10 * np.log10(power) == pytest.approx(-45.0, abs=0.1)
    return span


def test_a_click_is_neither_the_place_of_a_word_nor_its_level(tmp_path: Path) -> None:
    clicking = 0.05 * burst(0, 0.5, 0.3)
    clicking[800:1100] = 0.9  # 19 ms, 39 dB above the word
    span = placed(tmp_path, clicking)
    assert span.end_s - span.start_s == pytest.approx(0.3, abs=0.01)


def test_where_noise_drowns_a_word_its_place_is_the_whole_clip(tmp_path: Path) -> None:
    drowned = 0.05 * np.random.default_rng(0).standard_normal(audio.SAMPLE_RATE)
    drowned[-480:] *= 3  # 30 ms that stand out, and are no word
    span = placed(tmp_path, drowned.astype(np.float32))
    assert span.end_s - span.start_s == pytest.approx(1.0)


def test_settings_and_clips_that_make_no_streams_are_errors(cuts: list[Cut]) -> None:
    with pytest.raises(ConfigError, match=r"streams.pause_s must be \[least, most\] within 0 to"):
        built(cuts, pause_s=[-1.0, 1.0])
    with pytest.raises(
        ConfigError, match=r"streams.snr_db must be \[least, most\], got \[5.0, 1.0\]"
    ):
        built(cuts, snr_db=[5.0, 1.0])
    with pytest.raises(ConfigError, match="stream_s must be more than 0 seconds, got 0"):
        built(cuts, stream_s=0.0)
    silent = [cut for cut in cuts if not cut.supervisions[0].text]
    with pytest.raises(CorpusError, match="none of 1 clips has a text"):
        built(silent)


def test_real_words_are_trimmed_to_where_they_are_said(recordings: Path) -> None:
    from linnet.sources.speech_commands import SpeechCommands

    source = SpeechCommands(
        root=recordings / "speech_commands_subset",
        words=["left"],
        unknown=None,
        silence_s=6.0,
        noise_valid_share=0.1,
        noise_test_share=0.1,
        download=False,
    )
    examined = sources.examine(
        source,
        splits=["test"],
        on_reject="skip",
        allow_speaker_overlap=True,
        encode=None,
        steps=None,
    )
    spans = [span for one in built(list(examined.splits["test"])) for span in one.spans]
    lengths = [span.end_s - span.start_s for span in spans]
    assert 0.3 < np.median(lengths) < 0.8  # of clips of a second
