"""Every command of the README runs."""

import re
import shlex
from pathlib import Path

import pytest

import spoken
from linnet.apps import checking, config, main
from linnet.sources.folders import Folders
from linnet.sources.synthetic import Synthetic

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()
LINES = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
# Run by hand or by other tests: they take minutes or are this test itself.
LONG = ("scripts/quickstart", "scripts/test", "source .venv/bin/activate")
EXPERIMENTS = [line for line in LINES if "commands12" in line]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with my_words/WORD/SPEAKER_N.wav and recording.wav."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("readme")
    composed = config.compose("train", spoken.settings(folder / "spoken")).data
    clips = Synthetic(**{k: v for k, v in composed.items() if k != "_target_"}).clips()
    for number, clip in enumerate(clips):
        target = folder / "my_words" / clip.text / f"{clip.speaker}_{number}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        clip.path.rename(target)
    (folder / "recording.wav").write_bytes(target.read_bytes())
    return folder


def test_the_commands_for_ones_own_words_run_in_their_order(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    commands = [line for line in LINES if line and line not in (*LONG, *EXPERIMENTS)]
    assert len(commands) == 13
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "linnet"
        assert main(arguments) == 0, line
    assert "recording.wav\t" in capsys.readouterr().out
    python = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(python) == 1
    exec(compile(python[0], "README.md", "exec"), {})  # noqa: S102 - our own README
    assert "linnet train" not in capsys.readouterr().out


@pytest.mark.parametrize("line", EXPERIMENTS)
def test_the_commands_of_the_experiments_are_valid(line: str) -> None:
    _, verb, *arguments = shlex.split(line)
    settings = [argument for argument in arguments if not argument.startswith("model=")]
    checking.check(verb, settings)


def test_every_file_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"`((?:src|conf|scripts)/[\w./]*)`", README):
        assert (REPOSITORY / name).exists(), name


def test_the_speakers_of_the_test_corpus_are_many_enough(place: Path) -> None:
    settings = config.compose("train", ["data=folders", f"data.root={place / 'my_words'}"]).data
    source = Folders(**{k: v for k, v in settings.items() if k != "_target_"})
    assert {clip.split for clip in source.clips()} == {"train", "valid", "test"}
