"""``linnet listen``: a file in place of the microphone gives what a spotter gives, and clips."""

import argparse
import builtins
import contextlib
import json
import os
import pty
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from linnet import apps, audio, decode
from linnet.apps import display, keeping, sound
from linnet.apps.listen import Session
from linnet.errors import ConfigError, MissingExtraError
from linnet.keywords import Keyword
from linnet.runtime import Model, NearMiss, Spotted, load
from small_model import TOKENIZER, clips, exported


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / "talk.wav"
    soundfile.write(path, np.concatenate(clips(8)), 16000)
    return path


@pytest.fixture(scope="module")
def typed(model: Model, recording: Path) -> list[str]:
    text = TOKENIZER.decode(decode.greedy(model.log_probs(audio.read(recording))).ids)
    heard = sorted({text[i : i + 2] for i in range(len(text)) if text[i : i + 2].isalpha()})
    return [f"{each}:0.4" for each in heard[:8]]


def run(verb: str, *arguments: object, typed: list[str]) -> int:
    named = [part for each in typed for part in ("--keyword", each)]
    return apps.main([verb, *map(str, arguments), *named])


def test_a_file_gives_exactly_the_detections_of_spot(
    folder: Path, recording: Path, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ((), ("--json",)):
        assert run("spot", folder, recording, *form, typed=typed) == 0
        expected = sorted(capsys.readouterr().out.splitlines())
        assert run("listen", folder, "--from", recording, *form, typed=typed) == 0
        assert sorted(capsys.readouterr().out.splitlines()) == expected
        assert len(expected) > 5


def test_near_misses_are_kept_as_clips_of_the_recording(
    folder: Path, model: Model, recording: Path, typed: list[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept" / "clips"
    arguments = ("listen", folder, "--from", recording, "--save-near-misses", kept)
    assert run(*arguments, typed=typed) == 0
    lines = [json.loads(line) for line in (kept / "clips.jsonl").read_text().splitlines()]
    waveform = audio.read(recording)
    spotter = model.stream(16000, typed)
    spotter.push(waveform)
    expected = list(spotter.near_misses)
    spotter.flush()
    expected += spotter.near_misses
    assert len(expected) > 2
    fields = sorted((one.keyword, round(one.score, 6), one.heard) for one in expected)
    assert sorted((line["keyword"], line["score"], line["heard"]) for line in lines) == fields
    by_score = {round(one.score, 6): one for one in expected}
    for number, line in enumerate(lines, 1):
        assert line["kind"] == "near_miss"
        assert line["file"] == f"{number:04}_near_miss_{line['keyword']}.wav"
        clip, rate = soundfile.read(kept / line["file"], dtype="float32")
        assert rate == 16000
        one = by_score[line["score"]]
        first = max(0, round((one.start - 0.5) * 16000))
        last = min(len(waveform), round((one.end + 0.5) * 16000))
        assert np.abs(clip - waveform[first:last]).max() < 1e-4
        assert line["start"] == pytest.approx(one.start - first / 16000)
        assert line["end"] == pytest.approx(one.end - first / 16000)
    assert run(*arguments, typed=typed) == 0  # a second session adds to the first
    assert len(list(kept.glob("*.wav"))) == 2 * len(lines)


class Pressed(display.Keys):
    """Keys that are pressed at the pieces of sound that a test says."""

    def __init__(self, at: dict[int, str]) -> None:
        super().__init__(None)
        self._at = at
        self._piece = -1

    def pressed(self) -> str:
        self._piece += 1
        return self._at.get(self._piece, "")


def session(model: Model, recording: Path, typed: list[str], folder: Path | None) -> Session:
    options = argparse.Namespace(json=True, save_near_misses=folder)
    opened = sound.from_file(str(recording), model.sample_rate, realtime=False)
    return Session(model.stream(model.sample_rate, typed), opened, options)


def test_a_key_marks_the_last_detection_as_wrong_and_another_ends(
    model: Model, recording: Path, typed: list[str], tmp_path: Path, capsys: Any
) -> None:
    session(model, recording, typed, None).run(Pressed({}))
    every = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    session(model, recording, typed, tmp_path).run(Pressed({40: "w", 41: "w", 42: "q"}))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 0 < len(found) < len(every)
    lines = [json.loads(line) for line in (tmp_path / "clips.jsonl").read_text().splitlines()]
    wrong = [line for line in lines if line["kind"] == "wrong"]
    assert len(wrong) == 1
    assert wrong[0]["score"] in {line["score"] for line in found}
    assert "heard" not in wrong[0]
    session(model, recording, typed, None).run(Pressed({50: "w"}))
    assert "--save-near-misses DIR keeps what a key marks" in capsys.readouterr().err


def test_clips_that_are_no_longer_remembered_are_not_kept(tmp_path: Path) -> None:
    keeper = keeping.Keeper(tmp_path, 1000, 2.0)
    waveform = np.linspace(-0.9, 0.9, 9000, dtype=np.float32)
    for begin in range(0, 9000, 100):
        keeper.hear(waveform[begin : begin + 100])
    keeper.keep(Spotted("old", 1.0, 2.0, 0.5), keeping.WRONG)
    keeper.keep(NearMiss("hey you", 7.5, 8.0, 0.5, "he u"), keeping.NEAR_MISS)
    keeper.keep(Spotted("last", 8.5, 9.0, 0.5), keeping.WRONG)
    keeper.close()
    names = sorted(path.name for path in tmp_path.glob("*.wav"))
    assert names == ["0001_near_miss_hey_you.wav", "0002_wrong_last.wav"]
    clip, _ = soundfile.read(tmp_path / names[0], dtype="float32")
    assert np.abs(clip - waveform[7000:8500]).max() < 1e-4


def test_a_folder_that_cannot_be_written_is_named(
    folder: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ("listen", folder, "--from", recording, "--save-near-misses", tmp_path / "file")
    assert run(*arguments, typed=["a:0.5"]) == 2
    assert f"{tmp_path / 'file'}: clips cannot be kept there" in capsys.readouterr().err


def test_real_time_takes_as_long_as_the_recording(recording: Path) -> None:
    begin = time.monotonic()
    heard = 0
    for piece in sound.from_file(str(recording), 16000, realtime=True).pieces:
        heard += len(piece)
        if heard >= 8000:
            break
    assert 0.4 < time.monotonic() - begin < 5.0


def test_keys_are_read_from_a_terminal_without_enter_and_without_waiting() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal, display.keys(terminal) as keys:
        assert keys.pressed() == ""
        os.write(ours, b"wq")
        deadline = time.monotonic() + 5
        seen = ""
        while len(seen) < 2 and time.monotonic() < deadline:
            seen += keys.pressed()
        assert seen == "wq"
        assert keys.pressed() == ""
    os.close(ours)
    with Path(os.devnull).open() as nothing, display.keys(nothing) as keys:
        assert keys.pressed() == ""


def test_the_display_shows_level_scores_and_detections() -> None:
    from rich.console import Console

    shown = display.Display([Keyword("left", (1,), 0.4)], "talk.wav", "q: quit")
    shown.update(-6.0, {"left": 0.75}, [Spotted("left", 1.0, 1.5, 0.75)])
    console = Console(width=90, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    console.print(shown.picture())
    text = console.export_text()
    console.file.close()
    for part in ("talk.wav", "q: quit", "0.75", "0.4", "1.50 s  left  0.750"):
        assert part in text
    full = [line.count("\N{FULL BLOCK}") for line in text.splitlines() if "\N{FULL BLOCK}" in line]
    assert full == [27, 22]  # of 30: -6 of -60 dB, 0.75


def test_lines_go_into_a_pipe_also_while_the_display_is_live(
    folder: Path, recording: Path, typed: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with display.live(display.Display([Keyword("left", (1,), 0.4)], "talk.wav", "q: quit")):
        assert run("listen", folder, "--from", recording, typed=typed) == 0
    captured = capfd.readouterr()
    assert len(captured.out.splitlines()) > 5
    assert all(line.startswith(f"{recording}\t") for line in captured.out.splitlines())
    assert "listening to talk.wav" in captured.err


def sounddevice_with(rate: int | None = None) -> ModuleType:
    """Give the parts of sounddevice that are called, with a microphone of one rate or none."""
    made: Any = ModuleType("sounddevice")
    made.PortAudioError = type("PortAudioError", (Exception,), {})

    def query_devices(kind: str) -> dict[str, Any]:
        if rate is None:
            raise made.PortAudioError("Error querying device -1")
        return {"name": "Mock mic", "default_samplerate": float(rate)}

    def check_input_settings(samplerate: int, **_: Any) -> None:
        if samplerate != rate:
            raise made.PortAudioError("Invalid sample rate")

    def input_stream(callback: Any, samplerate: int, blocksize: int, **_: Any) -> Any:
        for value in range(3):
            callback(np.full((blocksize, 1), value / 4, np.float32), blocksize, None, None)
        return contextlib.nullcontext()

    made.query_devices, made.check_input_settings = query_devices, check_input_settings
    made.InputStream = input_stream
    return made


def test_without_a_microphone_it_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sound, "_sounddevice", sounddevice_with)
    assert run("listen", folder, typed=["a:0.5"]) == 2
    assert capsys.readouterr().err == (
        "linnet: there is no microphone to listen to (Error querying device -1); plug one in, or "
        "give a recording with --from FILE\n"
    )


@pytest.mark.parametrize(
    ("failure", "error", "text"),
    [
        (ModuleNotFoundError("no"), MissingExtraError, r"pip install 'linnet\[mic\]'"),
        (OSError("PortAudio library not found"), ConfigError, "microphone needs the PortAudio"),
    ],
)
def test_what_the_microphone_needs_is_named(
    failure: Exception, error: type[Exception], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "sounddevice":
            raise failure
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(error, match=text):
        sound._sounddevice()


def test_a_microphone_is_heard_at_the_rate_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, rate in ((16000, 16000), (48000, 48000)):
        monkeypatch.setattr(sound, "_sounddevice", lambda has=has: sounddevice_with(has))
        with sound.from_microphone(16000) as opened:
            assert (opened.name, opened.sample_rate) == ("Mock mic", rate)
            pieces = [next(opened.pieces) for _ in range(3)]
        assert [piece.shape for piece in pieces] == [(rate // 10,)] * 3
        assert [float(piece[0]) for piece in pieces] == [0.0, 0.25, 0.5]
        monkeypatch.setattr(sound, "_WAIT_S", 0.01)
        with pytest.raises(ConfigError, match=r"microphone 'Mock mic' has given nothing for 0\.01"):
            next(opened.pieces)


def test_real_time_is_for_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("listen", folder, "--realtime", typed=["a:0.5"]) == 2
    assert "--realtime is for a file: give one with --from FILE" in capsys.readouterr().err


def test_help_shows_examples_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("listen", "--help", typed=[]) == 0
    shown = capsys.readouterr().out
    assert 'linnet listen exported/ --keyword "hey linnet"' in shown
    assert "w marks the last detection as wrong, q ends" in shown
