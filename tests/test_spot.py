"""``linnet spot``: any text is a keyword, in files of any length, without torch and Hydra."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from linnet import apps, audio, decode
from linnet.apps import options as wanted
from linnet.runtime import Model, load
from small_model import TOKENIZER, clips, exported
from test_transcribe import GUARD


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sounds")
    for name, parts, rate in (("b.wav", 9, 16000), ("a.flac", 3, 16000), ("c.wav", 5, 44100)):
        soundfile.write(made / name, np.concatenate(clips(parts)), rate)
    return made


@pytest.fixture(scope="module")
def typed(model: Model, sounds: Path) -> list[str]:
    """Keywords that the model happens to hear, with thresholds, and one that it does not."""
    text = TOKENIZER.decode(decode.greedy(model.log_probs(audio.read(sounds / "b.wav"))).ids)
    heard = sorted({text[i : i + 2] for i in range(len(text)) if text[i : i + 2].isalpha()})
    return [*(f"{each}:0.4" for each in heard[:8]), "cabbage"]


def keyword_options(typed: list[str]) -> list[str]:
    return [part for each in typed for part in ("--keyword", each)]


def run(*arguments: object) -> int:
    return apps.main(["spot", *map(str, arguments)])


def test_lines_are_what_the_model_spots_in_each_file(
    folder: Path, model: Model, sounds: Path, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, sounds / "b.wav", sounds, *keyword_options(typed), "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(folder, sounds / "b.wav", sounds, *keyword_options(typed)) == 0
    plain = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    expected = []
    for name in ("b.wav", "a.flac", "b.wav", "c.wav"):
        found = model.spot(audio.read(sounds / name), 16000, typed)
        expected += [(str(sounds / name), each) for each in sorted(found, key=lambda f: f.end)]
    assert len(expected) > 8
    assert sorted(map(str, lines)) == sorted(
        str(
            {
                "file": file,
                "keyword": each.keyword,
                "start": round(each.start, 6),
                "end": round(each.end, 6),
                "score": round(each.score, 6),
            }
        )
        for file, each in expected
    )
    assert sorted(plain) == sorted(
        [file, one.keyword, f"{one.start:.2f}", f"{one.end:.2f}", f"{one.score:.3f}"]
        for file, one in expected
    )
    assert [line["file"] for line in lines] == [file for file, _ in expected]


def test_near_misses_come_with_what_was_heard_instead(
    folder: Path, model: Model, sounds: Path, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (folder, sounds / "b.wav", *keyword_options(typed), "--json")
    assert run(*arguments, "--near-misses") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(*arguments) == 0
    without = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if "heard" not in line] == without
    missed = [line for line in lines if "heard" in line]
    spotter = model.stream(16000, typed)
    spotter.push(audio.read(sounds / "b.wav"))
    near = sorted(spotter.near_misses, key=lambda one: one.end)
    spotter.flush()
    near += sorted(spotter.near_misses, key=lambda one: one.end)
    assert [(line["keyword"], line["heard"]) for line in missed] == [
        (one.keyword, one.heard) for one in near
    ]
    assert len(missed) > 2
    thresholds = {made.text: made.threshold for made in model.keywords(typed)}
    assert all(0.1 <= line["score"] < thresholds[line["keyword"]] for line in missed)
    assert run(*arguments[:-1], "--near-misses") == 0
    assert "\tnear miss, heard: " in capsys.readouterr().out


def test_it_runs_where_importing_torch_or_hydra_raises_and_reads_a_pipe(
    folder: Path, sounds: Path, typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    arguments = [str(folder), "-", *keyword_options(typed), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "linnet", "spot", *arguments],
        input=(sounds / "a.flac").read_bytes(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
    )
    assert run(folder, sounds / "a.flac", *keyword_options(typed), "--json") == 0
    expected = capsys.readouterr().out.replace(str(sounds / "a.flac"), "-")
    assert done.stdout.decode() == expected
    assert len(expected.splitlines()) > 1


def test_keywords_come_from_a_file_as_well(
    folder: Path, model: Model, sounds: Path, tmp_path: Path
) -> None:
    path = tmp_path / "keywords.txt"
    path.write_text("# for the kitchen\nbad:0.3  # often\n\n  Cab\n", encoding="utf-8")

    def asked(**changes: Any) -> argparse.Namespace:
        return argparse.Namespace(**{"keyword": [], "keywords": None, **changes})

    found = wanted.keywords(model, asked(keywords=path, keyword=["bed"]))
    assert [(each.text, each.threshold) for each in found] == [
        ("bed", 0.5),
        ("bad", 0.3),
        ("cab", 0.5),
    ]
    known = {"keywords": {"hag": {"threshold": 0.7, "evidence": {}}}}
    calibrated = Model(model._session, {**model.description, **known}, "here")
    assert [(k.text, k.threshold) for k in wanted.keywords(calibrated, asked())] == [("hag", 0.7)]


def test_uncalibrated_keywords_are_named_once(
    folder: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (folder, sounds, "--keyword", "bad", "--keyword", "cab:0.3", "--keyword", "hag")
    assert run(*arguments) == 0
    errors = capsys.readouterr().err.splitlines()
    assert errors == [
        "linnet: note: not calibrated, so taken at 0.5: bad, hag ('linnet calibrate' finds "
        "thresholds)"
    ]


def test_a_keyword_too_long_for_the_audio_is_a_note(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "short.wav", clips(1)[0][:1600], 16000)
    assert run(folder, tmp_path / "short.wav", "--keyword", "aabbcc:0.5") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "short.wav: 'aabbcc' needs at least 9 steps, the recording has 5; it" in captured.err


def test_a_broken_file_is_named_and_the_others_are_searched(
    folder: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes((sounds / "b.wav").read_bytes()[:5000])
    assert run(folder, "nothing.wav", broken, sounds / "b.wav", "--keyword", "a:0.2") == 2
    captured = capsys.readouterr()
    errors = captured.err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("linnet: nothing.wav: there is no such file")
    assert "broken.wav: the file is cut off" in errors[1]
    assert {line.split("\t")[0] for line in captured.out.splitlines()} == {str(sounds / "b.wav")}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--keyword", "zoo"], "linnet: the keyword 'zoo' holds 'o', 'z', which this model cannot"),
        (["--keyword", "!"], "linnet: the keyword '!' holds no letters"),
        (["--keyword", "bad:1.5"], "'bad' has the threshold 1.5; expected more than 0 and at most"),
        (["--keyword", "bad:x"], "has the threshold 'x', which is no number"),
        (["--keyword", "bad:0.1", "--keyword", "bad:0.2"], "'bad' is given twice, with the"),
        ([], "linnet: there is no keyword to listen for; give at least one"),
        (
            ["--keywords", "nowhere.txt"],
            "linnet: nowhere.txt: the keywords cannot be read: No such",
        ),
        (["--threads", "0"], "'0' is not a whole number of at least 1"),
    ],
)
def test_a_wrong_call_is_told_so(
    folder: Path, sounds: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, sounds, *arguments) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


def test_a_file_of_keywords_that_is_no_text_is_named(
    folder: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.txt").write_bytes(b"caf\xe9")
    assert run(folder, sounds, "--keywords", tmp_path / "odd.txt") == 2
    assert "odd.txt: the keywords are not UTF-8 text; save the file so" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [16000, 8000, 44100])
def test_the_blocks_of_a_file_are_the_file(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).standard_normal((600000, 2)).astype(np.float32)
    soundfile.write(path, 0.4 * noise, rate)
    blocks = list(audio.blocks(path))
    assert len(blocks) > 2
    assert np.array_equal(np.concatenate(blocks), audio.read(path))


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert "examples:\n  linnet spot exported/ meeting.wav --keyword left" in shown
    assert "or 0.5" in shown
