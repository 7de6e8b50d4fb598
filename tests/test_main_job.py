"""The main job, verb after verb: prepare, train, evaluate, export, evaluate again, transcribe."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile

import spoken
from linnet.apps import main


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a run and an exported model."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("job")
    small = ["model.layers=1", "model.hidden=48", "trainer=cpu", "batches.batch_cuts=12"]
    learn = ["trainer.max_epochs=25", "augment=none", "optimizer.lr=0.01"]
    run = f"hydra.run.dir={folder / 'run'}"
    assert main(["train", *spoken.settings(folder / "spoken"), *small, *learn, run]) == 0
    checkpoint = f"checkpoint={folder / 'run' / 'checkpoints' / 'best.ckpt'}"
    assert main(["export", checkpoint, f"output={folder / 'model'}", "longest_s=20.0"]) == 0
    return folder


def report(job: Path, output: Path, *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", f"output={output}", *arguments]) == 0
    return json.loads((output / "report.json").read_text())


def test_a_checkpoint_and_its_export_are_judged_the_same(job: Path, tmp_path: Path) -> None:
    checkpoint = job / "run" / "checkpoints" / "best.ckpt"
    ours = report(job, tmp_path / "checkpoint", f"model={checkpoint}")
    exported = report(job, tmp_path / "exported", f"model={job / 'model'}")
    graph = report(job, tmp_path / "graph", f"model={job / 'model' / 'model.onnx'}")
    assert ours["figures"] == exported["figures"] == graph["figures"]
    assert ours["confusion"] == exported["confusion"]
    assert ours["figures"]["closed_set_accuracy"]["count"] == 18
    # Three words of a synthesiser: a third would be chance.
    assert ours["figures"]["closed_set_accuracy"]["value"] > 0.6
    assert ours["data"]["split"] == "test"


def test_the_report_is_one_file_that_asks_for_nothing(job: Path, tmp_path: Path) -> None:
    report(job, tmp_path, f"model={job / 'model'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    page = (tmp_path / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "data:image/png" in page


def test_the_same_evaluation_gives_the_same_figures(job: Path, tmp_path: Path) -> None:
    first = report(job, tmp_path / "a", f"model={job / 'model'}")
    again = report(job, tmp_path / "b", f"model={job / 'model'}")
    first["record"].pop("timing")
    again["record"].pop("timing")
    assert first == again


def test_a_corpus_elsewhere_is_judged_by_naming_its_place(job: Path, tmp_path: Path) -> None:
    moved = tmp_path / "a place, with = and spaces"
    shutil.copytree(job / "spoken", moved)
    where = f"data.root='{moved}'"
    there = report(job, tmp_path / "report", f"model={job / 'model'}", where)
    here = report(job, tmp_path / "here", f"model={job / 'model'}")
    assert there["figures"] == here["figures"]


def test_speakers_heard_in_training_are_said(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(job, tmp_path, f"model={job / 'model'}", "split=train")
    assert "were also heard in training" in " ".join(capsys.readouterr().out.split())


def test_other_words_are_rejected_by_a_threshold_found_on_validation(
    job: Path, tmp_path: Path
) -> None:
    limited = report(job, tmp_path, f"model={job / 'model'}", "commands=[left,zero]")
    assert limited["figures"]["closed_set_accuracy"]["count"] == 12
    assert limited["figures"]["accuracy_with_rejection"]["count"] == 18
    assert 0 < limited["threshold"] <= 1


def test_transcribe_reads_what_training_wrote(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = sorted((job / "spoken").glob("test_*.wav"))
    assert main(["transcribe", str(job / "model"), *map(str, clips)]) == 0
    lines = capsys.readouterr().out.splitlines()
    right = sum(line.split("\t")[1] == line.split("test_")[1].split("_")[0] for line in lines)
    assert len(lines) == 18
    assert right > 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate"], "model=PATH is missing"),
        (["evaluate", "model=nowhere"], "nowhere: there is no such model"),
        (["evaluate", "model=nowhere.ckpt"], "nowhere.ckpt: there is no such checkpoint"),
        (["evaluate", "model={job}/spoken"], "this is no model folder"),
        (["evaluate", "model={job}/run/config.yaml"], "config.yaml"),
        (["evaluate", "model={job}/model", "splitt=test"], "did you mean 'split'?"),
        (["evaluate", "model={job}/model", "split=tset"], "tset"),
        (["evaluate", "model={job}/model", "data.root=/dev/null/x"], "/dev/null/x"),
        (["evaluate", "model={job}/model", "commands=[sideways!!,7]"], "7"),
        (["export", "checkpoint={job}/run/checkpoints/best.ckpt"], "output=PATH is missing"),
        (["export", "output=x"], "checkpoint=PATH is missing"),
        (["export", "checkpoint={job}/model", "output=x"], "there is no such checkpoint"),
        (["export", "checkpoint={job}/run/checkpoints/best.ckpt", "output={job}/run"], "no export"),
        (["train", "data=folders", "data.root={job}/nowhere", "hydra.run.dir=run"], "nowhere"),
        (["train", "resume=true", "hydra.run.dir=run"], "found no run in"),
        (["prepare", "data=folders", "data.root={job}/nowhere"], "nowhere"),
        (["prepare", "data=folder"], "did you mean 'folders'?"),
        (["transcribe", "{job}/model", "{job}/none.wav"], "none.wav: there is no such file"),
        (["transcribe", "{job}/model", "{job}/run/config.yaml"], "this is no audio file"),
    ],
)
def test_a_wrong_call_is_a_line_and_status_2(
    job: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([argument.format(job=job) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert not list(tmp_path.iterdir())


def test_a_model_that_names_a_foreign_class_as_its_corpus_is_refused(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(job / "model", tmp_path / "model")
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    described["record"]["settings"]["data"] = {"_target_": "os.system", "command": "touch trap"}
    (tmp_path / "model" / "model.json").write_text(json.dumps(described))
    assert main(["evaluate", f"model={tmp_path / 'model'}"]) == 2
    assert "does not say which corpus" in capsys.readouterr().err


def test_prepare_says_what_a_corpus_holds_and_leaves_out(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("left", "right"):
        for speaker in ("ann", "bob", "eve", "ivo"):
            target = tmp_path / "words" / word / f"{speaker}_1.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(job / "spoken" / "test_left_0000.wav", target)
    (tmp_path / "words" / "left" / "ann_2.wav").write_bytes(b"not audio at all")
    soundfile.write(tmp_path / "words" / "right" / "bob_2.wav", [0.0] * 300, 16000)
    arguments = ["data=folders", f"data.root={tmp_path / 'words'}", "data.valid_share=0.25"]
    command = ["prepare", *arguments, f"output={tmp_path / 'out'}", "data.test_share=0.25"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "left out, unreadable: 1" in said
    assert "ann_2" in said
    assert "left out, text longer than its steps: 1" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cuts_test.jsonl.gz",
        "cuts_train.jsonl.gz",
        "cuts_valid.jsonl.gz",
    ]
    assert main([*command, "examine.on_reject=stop"]) == 2
