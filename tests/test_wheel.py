"""The wheel holds the configuration, and the verbs run from it in any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

from linnet import audio
from linnet.runtime import load
from small_model import clips, exported

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (made,) = folder.glob("linnet-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The unpacked wheel."""
    zipfile.ZipFile(wheel).extractall(wheel.parent / "site")
    return wheel.parent / "site"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "linnet", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_every_setting(installed: Path) -> None:
    ours = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "conf").rglob("*.yaml")}
    packed = {path.relative_to(installed / "linnet") for path in installed.rglob("*.yaml")}
    assert packed == ours
    assert (installed / "linnet" / "evaluation" / "report.html.j2").is_file()


def test_the_verbs_read_the_configuration_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    wrong = run(installed, tmp_path, "train", "model.layer=1")
    assert wrong.returncode == 2
    assert "did you mean 'model.layers'?" in wrong.stderr
    said = run(installed, tmp_path, "train", "--cfg", "job", "model.layers=7")
    assert said.returncode == 0
    assert "layers: 7" in said.stdout
    where = [sys.executable, "-c", "from linnet.apps import config; print(config.folder())"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    printed = subprocess.run(where, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == str(installed / "linnet" / "conf")


_TRY = """
import sys, time
started = time.perf_counter()
import linnet.runtime
took = time.perf_counter() - started
import soundfile
waveform, rate = soundfile.read(sys.argv[2], dtype="float32")
model = linnet.runtime.load(sys.argv[1])
print(model.transcribe(waveform, rate).text)
print(f"import {took:.2f} s")
for heavy in ("torch", "lhotse", "hydra", "lightning", "onnx"):
    try:
        __import__(heavy)
    except ImportError:
        continue
    raise SystemExit(f"{heavy} is there")
"""


@pytest.mark.slow
def test_an_environment_with_the_wheel_alone_recognises(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", str(wheel)]
    done = subprocess.run(install, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the dependencies cannot be installed: {done.stderr[-200:]}")
    model = exported(tmp_path / "model")
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, clips()[2], 16000, subtype="PCM_16")
    expected = load(model).transcribe(audio.read(clip), 16000).text
    assert expected
    tried = [str(python), "-c", _TRY, str(model), str(clip)]
    said = subprocess.run(tried, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    text, took = said.stdout.splitlines()
    assert text == expected
    verb = [str(python.parent / "linnet"), "transcribe", str(model), str(clip)]
    line = subprocess.run(verb, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert line.stdout.strip().endswith(expected)
    site = next(python.parents[1].glob("lib/python*/site-packages"))
    sizes = {
        path.name: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        for path in site.iterdir()
        if path.is_dir() and path.name not in ("pip", "setuptools")
    }
    with capsys.disabled():
        whole = sum(sizes.values())
        sys.stdout.write(f"\nlinnet {sizes['linnet']:.1f} MB of {whole:.0f} MB; {took}\n")
    assert sizes["linnet"] < 5
    assert sum(sizes.values()) < 500
