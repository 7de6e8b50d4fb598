"""linnet inspect: what it says of models and recordings, and the page it draws."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from linnet import streaming
from linnet.apps import main
from linnet.export.describing import build, describe
from linnet.gates import words
from linnet.module import Recogniser
from small_model import RECORD, TOKENIZER, clips, front_end, saved

SMALL = {"layers": 1, "hidden": 10, "bidirectional": True, "dropout": 0.0}
JOINED = {"residual": True, "projection": 0, "directions": "summed"}


def recogniser(settings: dict[str, Any]) -> Recogniser:
    ends = front_end(cepstra=0 if "channels" in settings else 40)
    torch.manual_seed(4)
    sizes = {"features": ends.features, "tokens": len(TOKENIZER.tokens)}
    network = streaming.network({**sizes, **SMALL, **settings}).eval()
    with torch.no_grad():
        network.head.weight *= 20.0
        network.head.bias[0] -= 1.0  # Less of the blank, so that tokens are heard.
    return Recogniser(ends, network, TOKENIZER)


def checkpoint(path: Path, **settings: Any) -> Path:
    return saved(recogniser(settings), path, RECORD)


def graph(path: Path, **settings: Any) -> Path:
    model = recogniser(settings)
    described = describe(model.front_end, model.network, TOKENIZER, RECORD)
    graphs = build(model.front_end, model.network, described)
    path.write_bytes(graphs["model.onnx"].SerializeToString())
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "a < b & c.wav"
    soundfile.write(path, clips()[0], 16000)
    return path


def inspected(model: Path, recording: Path, output: Path) -> str:
    assert main(["inspect", str(model), "--audio", str(recording), "--output", str(output)]) == 0
    return (output / "gates.html").read_text()


def test_a_grus_page_shows_both_gates_of_every_layer_and_direction(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = checkpoint(tmp_path / "gru.ckpt", cell="gru", layers=2)
    page = inspected(model, recording, tmp_path / "gates")
    assert capsys.readouterr().out == f"{tmp_path / 'gates' / 'gates.html'}\n"
    for direction in ("1 forward", "1 backward", "2 forward", "2 backward"):
        assert f"Layer {direction}" in page
    assert "update gate interpolates" in page
    assert "Each unit lives on its own time scale" in page
    assert "vanishing gradient" in page
    assert "untrained LSTM" in page
    assert "a &lt; b &amp; c.wav" in page  # Whatever a file is called, it is text.
    names = {path.name for path in (tmp_path / "gates").iterdir()}
    for name in ("heard", "carried", "openness", "time_scales", "reach", "layer_2_backward"):
        assert {f"{name}.png", f"{name}_dark.png"} <= names
    # Nothing is loaded from anywhere.
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<img") == page.count("data:image/png") / 2


SAID = {
    "lstm": "An LSTM has no reset gate and no update gate",
    "rnn": "An Elman cell has no gates",
    "mgu": "A minimal gated unit has one gate",
    "ligru": "A light GRU has no reset gate",
}


@pytest.mark.parametrize("cell", SAID)
def test_what_a_cell_lacks_is_said_and_the_rest_is_shown(
    cell: str, recording: Path, tmp_path: Path
) -> None:
    page = inspected(graph(tmp_path / "model.onnx", cell=cell), recording, tmp_path / "gates")
    assert SAID[cell] in page
    assert words.kind(cell) in page
    assert ("How long units remember" in page) == (cell != "rnn")
    assert (tmp_path / "gates" / "layer_1_forward.png").is_file()


def test_convolutions_are_passed_by_to_what_the_layers_read(
    recording: Path, tmp_path: Path
) -> None:
    settings = {"cell": "gru", "layers": 2, "channels": [3, 4], "strides": [2, 1]}
    for model in (
        checkpoint(tmp_path / "c.ckpt", **settings),
        graph(tmp_path / "c.onnx", **settings),
    ):
        page = inspected(model, recording, tmp_path / model.suffix[1:])
        assert "Layer 2 backward" in page
        assert "untrained GRU" in page


def test_a_stack_with_shortcuts_is_replayed_from_checkpoint_and_graph(
    recording: Path, tmp_path: Path
) -> None:
    settings = {"kind": "stacked", "cell": "gru", "layers": 2, **JOINED}
    page = inspected(checkpoint(tmp_path / "s.ckpt", **settings), recording, tmp_path / "a")
    assert "untrained GRU" in page
    page = inspected(graph(tmp_path / "s.onnx", **settings), recording, tmp_path / "b")
    assert "How far back an answer depends is not shown" in page
    assert "Layer 2 backward" in page


def test_more_recordings_count_for_the_statistics(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(recording, folder / "1.wav")
    soundfile.write(folder / "2.wav", clips()[1], 16000)
    soundfile.write(folder / "3.wav", np.zeros(500), 16000)
    page = inspected(checkpoint(tmp_path / "m.ckpt", cell="gru"), folder, tmp_path / "gates")
    assert "and 1 more for the statistics" in page
    assert "3.wav: 500 samples are too short to draw" in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["inspect", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("linnet: ")
    assert said.count("\n") == 1
    return said


def test_what_cannot_be_shown_is_refused_in_a_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = checkpoint(tmp_path / "m.ckpt", cell="rnn")
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(700), 16000)
    said = refused(capsys, str(model), "--audio", str(short))
    assert "700 samples are too short to draw; expected at least 3 steps, 960 samples" in said
    said = refused(capsys, str(recording), "--audio", str(recording))
    assert "is a recording; expected a model first" in said
    said = refused(capsys, str(tmp_path / "nowhere.ckpt"))
    assert "there is no such checkpoint" in said
    chunked = {"kind": "chunked", "cell": "gru", "layers": 1, "hidden": 8, "chunk": 4, "history": 0}
    ends = front_end(normalisation="training", normalise_waveform=False)
    sizes = {"features": ends.features, "tokens": len(TOKENIZER.tokens), "dropout": 0.0}
    network = streaming.network({**chunked, **sizes, "lookahead": 2})
    made = Recogniser(ends, network, TOKENIZER)
    stream = saved(made, tmp_path / "stream.ckpt", {})
    said = refused(capsys, str(stream), "--audio", str(recording))
    assert "reads in chunks" in said


def test_a_model_and_a_recording_say_what_they_are(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in (
        checkpoint(tmp_path / "m.ckpt", cell="mgu"),
        graph(tmp_path / "m.onnx", cell="mgu"),
    ):
        assert main(["inspect", str(model)]) == 0
        said = capsys.readouterr().out
        assert "cell mgu, layers 1, hidden 10, bidirectional yes" in said
        assert "11 (characters): <blk>" in said or "(characters): <blk>" in said
        assert "seed" in said
        count = recogniser({"cell": "mgu"}).network.weights
        assert f"{count:,}" in said
    assert main(["inspect", str(recording)]) == 0
    said = capsys.readouterr().out
    assert f"{len(clips()[0])} samples" in said
    assert "16000 Hz" in said
