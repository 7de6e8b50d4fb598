"""The synthetic corpus: the same sounds every time, and no test voice in training."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from linnet import audio, espeak, sources
from linnet.errors import ConfigError, CorpusError
from linnet.sources import flite, speaking, synthetic
from linnet.sources.synthetic import Synthetic

pytest.importorskip("espeakng_loader")
# A program that pip does not install.
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
CONFIG = Path(__file__).resolve().parent.parent / "conf" / "data" / "synthetic.yaml"


def corpus(root: Path, **changes: object) -> Synthetic:
    """A small corpus with the settings of the real one."""
    options = yaml.safe_load(CONFIG.read_text())
    del options["_target_"]
    small = {
        "root": root,
        "words": ["yes", "turn left"],
        "voices": ["f2", "f5", "m1", "m3", "klatt"],
    }
    counts = {"clips_per_word": {"train": 6, "valid": 2, "test": 3}}
    return Synthetic(**{**options, **small, **counts, **changes})


def sounds(root: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.iterdir())}


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_corpus_is_made_once_and_equal_wherever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sources.examine(
        corpus(tmp_path / "a"),
        on_reject="stop",
        allow_speaker_overlap=False,
        encode=None,
        steps=None,
    )
    # Smaller tasks: other workers, after other clips.
    monkeypatch.setattr(synthetic, "_UTTERANCES_A_TASK", 3)
    again = corpus(tmp_path / "b").splits()
    assert sounds(tmp_path / "a") == sounds(tmp_path / "b")
    assert {split: list(cuts.ids) for split, cuts in again.items()} == {
        split: list(cuts.ids) for split, cuts in first.splits.items()
    }
    assert [first.summaries[split].clips for split in ("train", "valid", "test")] == [12, 4, 6]
    before = sounds(tmp_path / "a")
    (tmp_path / "a" / "train_yes_0000.wav").touch()
    monkeypatch.setattr(synthetic, "_speak_all", lambda *_: pytest.fail("it is there already"))
    corpus(tmp_path / "a").clips()
    assert sounds(tmp_path / "a") == before


def test_other_settings_make_the_corpus_again_and_a_strange_folder_is_left_alone(
    tmp_path: Path,
) -> None:
    counts = {"train": 1, "valid": 0, "test": 0}
    corpus(tmp_path / "a", words=["yes"], clips_per_word=counts).clips()
    before = sounds(tmp_path / "a")
    corpus(tmp_path / "a", words=["yes"], clips_per_word=counts, seed=1).clips()
    assert sounds(tmp_path / "a")["train_yes_0000.wav"] != before["train_yes_0000.wav"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / "a" / "settings.json").unlink()
    with pytest.raises(CorpusError, match=r"a exists and was not made by this source; remove it"):
        corpus(tmp_path / "a").clips()


def test_told_to_end_it_leaves_neither_files_nor_processes(tmp_path: Path) -> None:
    root = tmp_path / "spoken"
    settings = [f"data.root={root}", "data.clips_per_word.train=3000", f"output={tmp_path / 'out'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "linnet", "prepare", "data=synthetic", *settings],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("spoken.making-*/*.wav")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "linnet: interrupted"
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + 10
    while group_lives(process.pid):  # Python's own tracker ends a moment after the process
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_voice_is_in_two_splits_and_each_speaks_as_often_as_the_others(tmp_path: Path) -> None:
    options = yaml.safe_load(CONFIG.read_text())
    del options["_target_"]
    plan = Synthetic(**{**options, "root": tmp_path}).plan()
    voices: dict[str, dict[str | None, int]] = {"train": {}, "valid": {}, "test": {}}
    for clip, utterance in plan:
        assert utterance.voice.endswith(f"+{clip.speaker}")
        voices[clip.split][clip.speaker] = voices[clip.split].get(clip.speaker, 0) + 1
    assert sum(map(len, voices.values())) == len(set().union(*voices.values()))
    for counts in voices.values():
        assert max(counts.values()) - min(counts.values()) <= len(options["words"])
    assert not list(tmp_path.iterdir())


def test_another_word_leaves_the_clips_of_a_word_alone(tmp_path: Path) -> None:
    few = dict(corpus(tmp_path, words=["yes"]).plan())
    more = dict(corpus(tmp_path, words=["no", "yes"]).plan())
    assert few.items() <= more.items()


@pytest.mark.parametrize("voice", ["en-us+f2", "en+m3", "en-gb-scotland+klatt", "en-029+victor"])
def test_an_utterance_does_not_depend_on_what_was_said_before(voice: str) -> None:
    def say(text: str) -> np.ndarray:
        samples, sample_rate = espeak.speak(text, voice=voice, rate=170, pitch=50, pitch_range=50)
        assert sample_rate == 22050
        return samples

    first = say("left")
    assert not np.array_equal(say("right"), first[: len(say("right"))])
    np.testing.assert_array_equal(say("left"), first)


def said(**how: str | float) -> speaking.Utterance:
    """An utterance of a voice's own size, pitch and range, with no silence around it."""
    usual = {
        "file": "a.wav",
        "synthesiser": "espeak",
        "rate": 170,
        "pitch": 50,
        "pitch_range": 50,
        "before_s": 0.0,
        "after_s": 0.0,
        "size": 1.0,
    }
    return speaking.Utterance(**{**usual, **how})


def test_silence_surrounds_the_word_and_a_hiss_lies_over_all(tmp_path: Path) -> None:
    utterance = said(
        text="yes", voice="en-us+m3", before_s=0.2, after_s=0.3, noise_dbfs=-50.0, seed=3
    )
    speaking.write([utterance], tmp_path)
    waveform = audio.read(tmp_path / "a.wav", sample_rate=22050)
    spoken, _ = espeak.speak("yes", voice="en-us+m3", rate=170, pitch=50, pitch_range=50)
    assert len(waveform) == len(spoken) + round(0.5 * 22050)
    for silence in (waveform[:4400], waveform[-6600:]):
        assert 20 * np.log10(np.std(silence)) == pytest.approx(-50, abs=0.5)
    assert np.abs(waveform).max() > 0.1


@pytest.mark.parametrize(
    ("synthesiser", "voice"),
    [
        ("espeak", "en-us+m3"),
        pytest.param("flite", "slt", marks=needs_flite),
        pytest.param("flite", "awb", marks=needs_flite),
    ],
)
def test_a_shorter_vocal_tract_raises_all_frequencies_and_keeps_the_pace(
    synthesiser: str, voice: str
) -> None:
    def spoken(size: float) -> tuple[float, float]:
        """The centre of the spectrum in Hz, and the length in seconds."""
        samples, sample_rate = speaking.render(
            said(
                synthesiser=synthesiser,
                text="over there",
                voice=voice,
                rate=150,
                noise_dbfs=-90.0,
                seed=0,
                size=size,
            )
        )
        power = np.abs(np.fft.rfft(samples)) ** 2
        hz = np.fft.rfftfreq(len(samples), 1 / sample_rate)
        voiced = hz < 4000
        return float((hz * power)[voiced].sum() / power[voiced].sum()), len(samples) / sample_rate

    (long_hz, long_s), (own_hz, own_s), (short_hz, short_s) = map(spoken, (1.25, 1.0, 0.8))
    assert long_hz < 0.93 * own_hz
    assert short_hz > 1.07 * own_hz
    assert long_s == pytest.approx(own_s, rel=0.1)
    assert short_s == pytest.approx(own_s, rel=0.1)


@needs_flite
def test_flite_speaks_as_it_is_told_and_the_same_every_time(tmp_path: Path) -> None:
    def say(**changes: int | str) -> np.ndarray:
        usual = {"text": "left", "voice": "slt", "rate": 170, "pitch": 50, "pitch_range": 50}
        samples, sample_rate = flite.speak(**{**usual, **changes})
        assert sample_rate == 16000
        return samples

    usual = say()
    np.testing.assert_array_equal(say(), usual)
    assert len(say(rate=120)) > 1.2 * len(usual)
    assert not np.array_equal(say(pitch=70)[: len(usual)], usual)
    voices = {"voices": ["awb", "kal16", "rms", "slt"], "accents": [], "size": [0.8, 1.25]}
    changes = {"clips_per_word": {"train": 6, "valid": 0, "test": 0}, "synthesiser": "flite"}
    shares = {"valid_share": 0.0, "test_share": 0.0}
    made = corpus(tmp_path / "a", **voices, **changes, **shares).clips()
    assert {clip.speaker for clip in made} == {"awb", "kal16", "rms", "slt"}
    assert len(sounds(tmp_path / "a")) == 12 + 1
    for unknown, reason in (
        ({"voices": ["bob"]}, "flite has no voice 'bob'; it has awb, kal16, rms, slt"),
        ({"accents": ["en-us"]}, r"have their own accents, got \['en-us'\]; expected \[\]"),
    ):
        with pytest.raises(CorpusError, match=reason):
            corpus(tmp_path / "b", **{**voices, **changes, **shares, **unknown}).clips()


def test_without_flite_it_is_said_how_to_get_it_or_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match=r"flite is not installed; .*flite_keywords=null"):
        flite.check(["slt"], [])


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    for changes, reason in (
        ({"voices": ["m1", "m2", "f22"]}, r"no voice variant 'f22'; did you mean 'f2"),
        ({"accents": ["en-xx"]}, "no voice 'en-xx'"),
    ):
        with pytest.raises(CorpusError, match=reason):
            corpus(tmp_path / "a", **changes).clips()
    for changes, reason in (
        ({"rate": [200, 100]}, r"rate must be \[least, most\], got \[200, 100\]"),
        ({"clips_per_word": {"train": 1}}, "clips_per_word needs train, valid, test, got"),
        ({"words": ["yes", "!"]}, "words must be words"),
        ({"size": [0.0, 1.0]}, r"size=\[0.0, 1.0\] must be above 0"),
        ({"synthesiser": "festival"}, "synthesiser must be espeak or flite, got 'festival'"),
    ):
        with pytest.raises(ConfigError, match=reason):
            corpus(tmp_path / "a", **changes)
    with pytest.raises(ConfigError, match=r"clips_per_word.test is 3, but its share .* is 0"):
        corpus(tmp_path / "a", test_share=0.0).plan()
    assert not list(tmp_path.iterdir())
