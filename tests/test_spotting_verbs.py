"""calibrate, confusable and evaluate task=spotting, called as the command calls them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jaxtyping import Float32

from linnet import apps, runtime
from linnet.module import Recogniser
from small_model import RECORD, TOKENIZER, clips, exported, front_end, network, saved

WORDS = ("bad", "cab", "bead")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a word with short clips, a model, and its checkpoint."""
    root = tmp_path_factory.mktemp("place")
    for number, clip in enumerate(clips(12)):
        path = root / "words" / ("test" if number % 2 else "valid") / WORDS[number % 3]
        path.mkdir(parents=True, exist_ok=True)
        soundfile.write(path / f"s{number}_0.wav", clip[:8000], 16000)
    exported(root / "model", layers=1, hidden=8)
    return root


def corpus(place: Path) -> list[str]:
    return [
        "data=folders",
        f"data.root={place / 'words'}",
        "data.split_by=folders",
        "data.speaker_separator=_",
        "streams.stream_s=4.0",
    ]


def described(place: Path) -> dict[str, dict[str, dict[str, float]]]:
    content: dict[str, dict[str, dict[str, float]]] = json.loads(
        (place / "model" / "model.json").read_text()
    )
    return content


def test_calibrating_again_replays_what_was_stored(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["calibrate", f"model={place / 'model'}", "keywords=[bad,cab]", *corpus(place)]
    assert apps.main(first) == 0
    said, shown = capsys.readouterr()
    assert "listening" in shown
    assert "'bad': 2 clips of the negative audio hold it and were left out (valid_bad_s0_0" in said
    assert "too few to claim 0.5 false alarms per hour, which takes 6 hours" in said.replace(
        "\n", " "
    )
    stored = list((place / "model.posteriors").iterdir())
    times = [path.stat().st_mtime_ns for path in stored]
    second = ["calibrate", f"model={place / 'model'}", 'keywords=["dead face"]', *corpus(place)]
    assert apps.main(second) == 0
    assert "listening" not in capsys.readouterr().err
    assert [path.stat().st_mtime_ns for path in stored] == times
    assert len(list((place / "model.posteriors").iterdir())) == 1
    keywords = described(place)["keywords"]
    assert sorted(keywords) == ["bad", "cab", "dead face"]
    assert keywords["bad"]["evidence"]["negatives"] == "streams of Folders, valid"
    assert (
        runtime.load(place / "model").keywords(["bad"])[0].threshold
        == (keywords["bad"]["threshold"])
    )


def test_posteriors_of_streams_that_were_made_otherwise_are_not_replayed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["calibrate", f"model={place / 'model'}", "keywords=[cab]", *corpus(place)]
    assert apps.main(call) == 0
    monkeypatch.setattr("linnet.apps.listening.REVISION", 99)
    assert apps.main(call) == 0
    assert len(list((place / "model.posteriors").iterdir())) == 2


def test_calibrating_on_recordings_with_and_without_their_text(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    negatives = tmp_path / "negatives"
    negatives.mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        noise: Float32[np.ndarray, " samples"] = random.standard_normal(48000).astype(np.float32)
        soundfile.write(negatives / f"{name}.wav", 0.1 * noise, 16000)
    call = ["calibrate", f"model={place / 'model'}", "keywords=[head]", f"negatives={negatives}"]
    assert apps.main(call) == 0
    evidence = described(place)["keywords"]["head"]["evidence"]
    assert evidence["hours"] == pytest.approx(6 / 3600, abs=1e-4)
    assert "hold it" not in capsys.readouterr().out
    (negatives / "b.txt").write_text("Use your head!\n")
    assert apps.main(call) == 0
    said = capsys.readouterr().out
    assert "'head': 1 clips of the negative audio hold it and were left out (b.wav)" in said
    (negatives / "b.txt").write_bytes(b"\xff")
    assert apps.main(call) == 2
    assert "b.txt: no transcript can be read" in capsys.readouterr().err


def test_the_forms_of_a_model_are_judged_side_by_side(place: Path, tmp_path: Path) -> None:
    checkpoint = saved_checkpoint(tmp_path / "best.ckpt")
    call = [
        "evaluate",
        f"model={place / 'model'}",
        f"checkpoint={checkpoint}",
        "task=spotting",
        'keywords=["bad:0.5",cab:0.5]',
        f"output={tmp_path / 'report'}",
        "homophones=en-us",
        *corpus(place),
    ]
    assert apps.main(call) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    forms = report["forms"]
    assert list(forms)[:2] == ["checkpoint", "float graph"]
    # What was exported computes what was trained.
    for name, figure in forms["checkpoint"]["figures"].items():
        assert figure == pytest.approx(forms["float graph"]["figures"][name], abs=1e-3), name
    assert report["figures"] == forms["checkpoint"]["figures"]
    assert report["audio"]["clips"] == 6
    assert report["data"]["homophones"] == "en-us"
    cost = forms["float graph"]["cost"]
    assert cost["file"] == "model.onnx"
    assert cost["megabytes"] == pytest.approx((place / "model" / "model.onnx").stat().st_size / 1e6)
    assert 20 < cost["memory_mb"] < forms["checkpoint"]["cost"]["memory_mb"]
    assert (tmp_path / "report" / "report.html").read_text().count("<img") == 2


def test_an_int8_graph_that_changed_or_is_gone_is_not_judged(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = Path(shutil.copytree(place / "model", tmp_path / "model")) / "model.int8.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    call = ["evaluate", f"model={graph.parent}", "task=spotting", "keywords=[bad]", *corpus(place)]
    call += [f"output={tmp_path / 'report'}"]
    assert apps.main(call) == 2
    assert "model.int8.onnx: the file is not the one that was exported" in capsys.readouterr().err
    graph.unlink()
    assert apps.main(call) == 2
    assert "this model folder lacks model.int8.onnx; copy" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def saved_checkpoint(path: Path) -> Path:
    """Save the checkpoint that the exported model is of."""
    made = front_end()
    model = Recogniser(made, network(made.features, layers=1, hidden=8), TOKENIZER)
    return saved(model, path, RECORD)


NOWHERE = ("keywords=[bad]", "data=folders", "data.root=nowhere")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (["calibrate", "keywords=[bad]"], "model=PATH is missing"),
        (["calibrate", "model={m}", "negatives={m}"], "keywords"),
        (["calibrate", "model={m}", "keywords=[xyz]", "negatives={w}"], "'x', 'y', 'z'"),
        (["calibrate", "model={m}", "keywords=[bad]", "negatives={m}"], "no recording"),
        (["calibrate", "model={m}", "keywords=[bad]", "negatives={w}", "target=0.0"], "above 0"),
        (["calibrate", "model={m}", "keywords=[bad:2]", "negatives={w}"], "threshold 2"),
        (["calibrate", "model={m}", "keywords=[bad:x]", "negatives={w}"], "no number"),
        (["calibrate", "model={m}", "keywords=[bad:0.1,bad:0.2]", "negatives={w}"], "given twice"),
        (["evaluate", "model={m}", "task=spoting", "data=folders", "data.root={w}"], "spotting"),
        (["evaluate", "model={m}", "task=spotting", *NOWHERE, "homophones=xx"], "no accent 'xx'"),
        (["confusable", "{m}", "xyz"], "cannot spell"),
        (["confusable", "{m}", "bad", "--words", "none.txt"], "none.txt"),
        (["confusable", "{m}", "bad", "--target", "0"], "above 0"),
    ],
)
def test_wrong_calls_are_answered_in_a_line(
    place: Path, call: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [one.format(m=place / "model", w=place / "words") for one in call]
    assert apps.main(filled) == 2
    error = capsys.readouterr().err.splitlines()
    assert expected in error[-1]


def test_confusable_names_near_words_and_replays(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Bead badge face! head")
    call = ["confusable", str(place / "model"), "bad", "--words", str(words)]
    assert apps.main(call) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "bad: 3 tokens\n  nearest words (letters that differ): badge (0), bead (1)"
    )
    assert "risk: short: 3 letters" in said
    assert "risk: fires on badge" in said
    if (place / "model.posteriors").is_dir():
        assert "false alarms per hour at" in said
    else:
        assert "No posteriors are stored beside the model" in said
