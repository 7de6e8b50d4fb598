"""A wake word from its text: the real configuration, shrunk, from the command line to a folder."""

import json
import shutil
from pathlib import Path

import pytest

from linnet.apps import main
from linnet.apps.finishing import finish
from linnet.errors import LinnetError


def commands(recordings: Path, root: Path) -> Path:
    """A small Speech Commands: three words, of which one is to be a keyword, and noise."""
    whole = recordings / "speech_commands_subset"
    lists = ("validation_list.txt", "testing_list.txt")
    held_out = {name: (whole / name).read_text().split() for name in lists}
    for name, lines in held_out.items():
        root.mkdir(exist_ok=True)
        (root / name).write_text("\n".join(lines))
    split = {
        Path(line).with_suffix("").as_posix(): name for name in lists for line in held_out[name]
    }
    for word in ("left", "right", "up"):
        (root / word).mkdir()
        taken: dict[str, int] = {}
        for path in sorted((whole / word).iterdir()):
            name = split.get(f"{word}/{path.stem}", "train")
            taken[name] = taken.get(name, 0) + 1
            if taken[name] <= (8 if name == "train" else 2):
                shutil.copy(path, root / word / path.name)
    noise = "_background_noise_"
    (root / noise).mkdir()
    shutil.copy(next((whole / noise).iterdir()), root / noise)
    return root


@pytest.mark.slow
def test_a_wake_word_from_text_ends_as_a_calibrated_folder(
    recordings: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader")
    run = tmp_path / "run"
    voices = "[f2,f5,m1,m3,klatt,Andy,Annie,max]"
    few = "{train:4,valid:2,test:2}"
    synthetic = [
        setting
        for name in ("keywords", "confusers", "others")
        for setting in (
            f"data.corpora.{name}.root={tmp_path / name}",
            f"data.corpora.{name}.clips_per_word={few}",
        )
    ]
    command = [
        "train",
        "experiment=wakeword",
        "keywords=[right]",
        f"data.corpora.commands.source.root={commands(recordings, tmp_path / 'commands')}",
        "data.corpora.sentences=null",
        "data.corpora.digits=null",
        *(f"data.corpora.flite_{name}=null" for name in ("keywords", "confusers", "others")),
        *synthetic,
        f"data.corpora.keywords.voices={voices}",
        f"data.corpora.others.voices={voices}",
        "data.corpora.others.words=[left,up]",
        "data.corpora.confusers.words.near=3",
        "augment.waveform.speech_effects.room.rooms=4",
        "model.layers=1",
        "model.hidden=16",
        "trainer=cpu",
        "trainer.max_epochs=1",
        f"hydra.run.dir={run}",
    ]
    assert main(command) == 0
    said = capfd.readouterr()
    assert said.out == f"{run / 'checkpoints' / 'best.ckpt'}\n"
    assert f'linnet listen {run / "model"} --keyword "right"' in said.err
    record = json.loads((run / "record.json").read_text())
    assert "f2" in record["training_speakers"]
    described = json.loads((run / "model" / "model.json").read_text())
    assert 0 < described["keywords"]["right"]["threshold"] <= 1


def test_without_a_keyword_it_says_where_to_put_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["train", "experiment=wakeword", f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert "keywords='[\"hey linnet\"]'" in said
    assert "Traceback" not in said


def test_a_verb_that_fails_after_the_training_is_named_with_its_call(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone.ckpt"
    with pytest.raises(LinnetError, match=r"linnet export failed.*linnet export checkpoint=.*gone"):
        finish(gone, tmp_path / "model", keywords=["hey linnet"], target=0.5)
    assert "gone.ckpt" in capfd.readouterr().err
    assert not (tmp_path / "model").exists()
