"""The wheel holds the configuration, and the verbs run from it in any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("linnet-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


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
