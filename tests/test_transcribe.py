"""``linnet transcribe``: without torch and Hydra, at once, and past a broken file."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from linnet import apps, audio
from linnet.runtime import load
from small_model import clips, exported

# Importing one of these raises, as on a device where they are not installed.
GUARD = """
import sys
BARRED = {"torch", "torchaudio", "lightning", "hydra", "omegaconf", "lhotse", "matplotlib", "onnx",
          "scipy", "rich", "jiwer"}
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BARRED:
            raise ModuleNotFoundError(f"barred: {name}", name=name)
sys.meta_path.insert(0, Guard())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    for name, clip in zip(("b.wav", "a.flac", "deep/er/c.ogg"), clips(), strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, 16000)
    (folder / "notes.txt").write_text("no sound")
    return folder


def run(*arguments: object) -> int:
    return apps.main(["transcribe", *map(str, arguments)])


def guarded(tmp_path: Path, *arguments: object, given: bytes = b"") -> tuple[str, str, float]:
    """Run the command in a process of its own; give its output and the processor time it took."""
    (tmp_path / "guard").mkdir(exist_ok=True)
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "guard"), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", "import sys, linnet.apps; sys.exit(linnet.apps.main())"]
        + [str(argument) for argument in ("transcribe", *arguments)],
        input=given,
        capture_output=True,
        env=environment,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr.decode()
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout.decode(), done.stderr.decode(), seconds


def test_it_runs_where_importing_torch_or_hydra_raises(
    model: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, errors, _ = guarded(tmp_path, model, sounds, "--json", "--beam", 3)
    assert errors == ""
    assert run(model, sounds, "--json", "--beam", 3) == 0
    assert output == capsys.readouterr().out
    barred = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "guard")},
        capture_output=True,
        check=False,
    )
    assert b"barred: torch" in barred.stderr


def test_starting_and_answering_takes_less_than_a_second_of_processor_time(
    model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "one_second.wav"
    soundfile.write(path, np.resize(clips(1)[0], 16000), 16000)
    seconds = min(guarded(tmp_path, model, path)[2] for _ in range(3))
    assert seconds < 1.0


def test_a_line_a_file_folders_sorted(
    model: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, sounds / "b.wav", sounds) == 0
    loaded = load(model)
    files = [sounds / name for name in ("b.wav", "a.flac", "b.wav", "deep/er/c.ogg")]
    texts = [loaded.transcribe(audio.read(path), 16000).text for path in files]
    assert len("".join(texts)) > 5
    expected = "".join(f"{file}\t{text}\n" for file, text in zip(files, texts, strict=True))
    assert capsys.readouterr().out == expected


def test_json_lines_hold_the_agreed_keys(
    model: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "--json", sounds / "a.flac", sounds / "b.wav") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == [str(sounds / "a.flac"), str(sounds / "b.wav")]
    for line in lines:
        assert list(line) == ["file", "text", "confidence", "tokens"]
        assert 0 < line["confidence"] <= 1
        assert line["tokens"]
        for token in line["tokens"]:
            assert list(token) == ["token", "start", "end", "confidence"]
            assert 0 <= token["start"] < token["end"]
            assert 0 < token["confidence"] <= 1


def test_standard_input_equals_the_file(model: Path, sounds: Path, tmp_path: Path) -> None:
    for name in ("a.flac", "b.wav"):
        path = sounds / name
        piped, _, _ = guarded(tmp_path, model, "-", given=path.read_bytes())
        given, _, _ = guarded(tmp_path, model, path)
        assert piped.partition("\t") == ("-", "\t", given.partition("\t")[2])


def test_a_broken_file_is_named_and_the_others_are_read(
    model: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sounds / "aa.wav").write_bytes(b"RIFF....")
    (sounds / "ab.wav").write_bytes(b"")
    whole = (sounds / "b.wav").read_bytes()
    (sounds / "bb.wav").write_bytes(whole[: len(whole) // 2])
    soundfile.write(sounds / "bc.wav", np.full(800, np.nan), 16000, subtype="FLOAT")
    missing = sounds / "missing.wav"
    assert run(model, missing, sounds) == 2
    captured = capsys.readouterr()
    names = [Path(line.partition("\t")[0]).name for line in captured.out.splitlines()]
    assert names == ["a.flac", "b.wav", "c.ogg"]
    errors = captured.err.splitlines()
    assert len(errors) == 5
    for line, name in zip(errors, ("missing", "aa", "ab", "bb", "bc"), strict=True):
        assert line.startswith("linnet: ")
        assert f"{name}.wav: " in line


def test_a_name_that_is_no_text_is_printed_all_the_same(
    model: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = os.fsdecode(os.fsencode(sounds) + b"/caf\xe9.wav")
    assert run(model, odd, sounds / "b.wav") == 2
    captured = capsys.readouterr()
    assert "caf\\udce9.wav: there is no such file" in captured.err
    assert captured.out.startswith(f"{sounds / 'b.wav'}\t")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere", "a.wav"], "linnet: nowhere: there is no such model"),
        (["MODEL"], "linnet transcribe: error: the following arguments are required: AUDIO"),
        (["MODEL", "a.wav", "--beam", "0"], "'0' is not a whole number of at least 1"),
        (["MODEL", "a.wav", "--beam", "many"], "'many' is not a whole number of at least 1"),
        (["MODEL", "a.wav", "--jsno"], "unrecognized arguments: --jsno"),
        (["MODEL", "nothing.wav"], "linnet: nothing.wav: there is no such file"),
    ],
)
def test_a_wrong_call_is_told_so(
    model: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(str(model) if a == "MODEL" else a for a in arguments)) == 2
    assert text in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "linnet transcribe exported/ recordings/ --json" in capsys.readouterr().out


def test_a_model_transcribes_real_recordings(
    model: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = sorted((recordings / "free_spoken_digit_dataset" / "recordings").glob("7_*_1.wav"))
    assert run(model, *digits) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(digits) > 0
