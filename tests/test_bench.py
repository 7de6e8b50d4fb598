"""The benchmarks: both sides do the same work, and what they say is written down. No times."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from linnet.errors import CorpusError
from linnet.frontend import FrontEnd

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture(autouse=True)
def _benchmarks() -> Iterator[None]:
    """Make the package beside ``scripts/bench`` importable, as that script does."""
    sys.path.insert(0, str(SCRIPTS))
    yield
    sys.path.remove(str(SCRIPTS))


def part(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


def comparison(ours: list[float], peer: list[float], *, more_is_better: bool) -> Any:
    return part("comparing").Comparison(
        "frontend", "task", "ours", "peer", "s", more_is_better, tuple(ours), tuple(peer), {}
    )


@pytest.mark.parametrize("number", range(4))
def test_every_library_gives_our_mfcc_as_far_as_its_definition_goes(number: int) -> None:
    frontend = part("frontend")
    settings = frontend.settings_of_training()
    peer = frontend.PEERS[number]
    found = frontend.deviation(FrontEnd(**settings), peer, peer.make(settings))
    # The mel triangles of torchaudio and librosa are straight in Hz, Kaldi's in mel.
    assert found < (1e-4 if peer.same else 0.03)


def test_the_plain_loop_has_our_steps_loss_and_gradients(tmp_path: Path) -> None:
    clips, train, plain_loop = part("clips"), part("train"), part("plain_loop")
    clips.make(tmp_path, 6)
    settings = train.settings_of(tmp_path, "none", 6)
    settings.model.dropout = 0.0
    training, batches, _ = train.assemble(settings)
    files = train.files_of(batches, training)
    loop = train.loop(settings, training, files, workers=0)
    # Ours is trained with normalised layers; without them it is the peer's.
    network = training.recogniser.network.plain()
    training.recogniser.network = network
    loop.network.load_state_dict(network.state_dict())
    theirs = plain_loop.collate([loop.loader.dataset[i] for i in range(6)])
    ours = next(iter(batches.train_dataloader()))
    features, steps = training.recogniser.front_end(ours.waveform, ours.samples)
    assert sorted(ids for _, ids in files) == sorted(
        row[:count].tolist() for row, count in zip(ours.ids, ours.tokens, strict=True)
    )
    assert steps.tolist() == theirs[1].tolist()
    assert features.shape == theirs[0].shape
    batch = (features, steps, ours.ids, ours.tokens)
    expected = training._loss(network(features, steps), steps, ours)
    got = loop.loss(batch)
    torch.testing.assert_close(got, expected)
    expected.backward()
    got.backward()
    for a, b in zip(loop.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seconds", [0.31, 1.0])
def test_both_sides_of_infer_answer_what_the_recogniser_answers(
    tmp_path: Path, seconds: float
) -> None:
    answering, clips = part("answering"), part("clips")
    model = part("models").recogniser(None)
    models = part("models").prepare(model, tmp_path)
    waveform = clips.tone(3, seconds)
    expected = model.log_probs(waveform)
    threads = torch.get_num_threads()
    np.testing.assert_allclose(answering.linnet(models.linnet)(waveform), expected, atol=2e-4)
    np.testing.assert_allclose(answering.torch_eager(models.torch)(waveform), expected, atol=1e-6)
    np.testing.assert_allclose(answering.openvino(models.linnet)(waveform), expected, atol=1e-3)
    torch.set_num_threads(threads)


def test_the_curve_of_lengths_is_drawn(tmp_path: Path) -> None:
    made, lengths = part("models"), part("lengths")
    models = made.prepare(made.recogniser(None), tmp_path)
    took = lengths.draw(models.linnet, (1, 2), tmp_path / "deep" / "curve.png")
    assert list(took) == [1, 2]
    assert min(took.values()) > 0
    assert (tmp_path / "deep" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_line_of_the_curve_goes_through_ten_seconds() -> None:
    rows = part("lengths").on_a_line({1: 0.004, 10: 0.02, 3600: 9.0})
    assert [row.task for row in rows] == ["1 s: cost", "10 s: cost", "3,600 s: cost"]
    assert [row.ratio.median for row in rows] == pytest.approx([0.5, 1.0, 0.8])
    assert {row.peer for row in rows} == {"in proportion to 10 s"}


def test_every_side_of_a_stream_hears_the_same(tmp_path: Path) -> None:
    hearing, sides, streaming = part("hearing"), part("sides"), part("streaming")
    model = part("models").streaming()
    made = part("models").prepare(model, tmp_path)
    # One of its tokens falls into the steps whose answers sherpa-onnx still owes at the end.
    waveform = part("clips").tones(6)[: 5 * 16000 + 1937]
    soundfile.write(tmp_path / "clip.wav", waveform, 16000, subtype="FLOAT")
    expected = model.log_probs(waveform)
    threads = torch.get_num_threads()
    ours = hearing.heard(hearing.Linnet(made.folder), waveform)
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    eager = hearing.heard(hearing.TorchEager(made.torch), waveform)
    assert streaming.differ(model, ours, eager, len(waveform)) < 1e-3
    torch.set_num_threads(threads)
    # sherpa-onnx ends the process if a graph breaks its contract.
    side = sides.Side("sherpa", made.stream, tmp_path / "clip.wav", tmp_path / "a.npy", "hearing")
    try:
        tokens = side.answer()
        figures = side.hear(40)
    finally:
        side.stop()
    assert len(tokens) > 5
    assert len(set(tokens.tolist())) > 3
    assert streaming.differ(model, ours, tokens, len(waveform)) == 0
    assert streaming.differ(model, ours, tokens[1:], len(waveform)) == 1
    assert len(figures) == len(hearing.FIGURES)
    assert 0 <= figures[0] <= figures[1] <= figures[2] <= figures[3]


class Deaf:
    """Hears nothing, and remembers how much."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def begin(self) -> None:
        self.sizes.clear()

    def push(self, chunk: np.ndarray) -> None:
        self.sizes.append(len(chunk))


def test_only_whole_chunks_are_timed_and_each_of_them() -> None:
    hearing, listener = part("hearing"), Deaf()
    took = hearing.latencies(listener, np.zeros(16000, np.float32), 160)
    assert listener.sizes == [2560] * 6
    assert len(took) == 6
    # 100 chunks of 40 ms that take 1 to 100 ms: 5.05 s of 4 s.
    found = hearing.figures([number / 1000 for number in range(1, 101)], 40)
    assert found == pytest.approx([50.5, 95.05, 99.01, 100.0, 5.05 / 4])


def test_peers_that_say_something_else_get_no_figure() -> None:
    sides = part("sides")
    log_probs = np.log(np.array([[0.1, 0.9], [0.8, 0.2]], np.float32))
    by_name = {peer.name: peer for peer in sides.PEERS}
    sherpa, torch_ = by_name["sherpa-onnx"], by_name["torch eager"]
    assert sherpa.differs(log_probs, np.array([1])) <= sherpa.limit
    assert sherpa.differs(log_probs, np.array([1, 1])) > sherpa.limit
    assert torch_.differs(log_probs, log_probs + 0.02) > torch_.limit


def test_the_command_prints_a_table_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "bench.json"
    assert part("__main__").main(["--quick", "--output", str(output)]) == 0
    written = json.loads(output.read_text())
    table = capsys.readouterr().out
    assert written["quick"]
    assert {"processor", "cores", "versions", "commit", "load_average"} <= set(written)
    assert {one["benchmark"] for one in written["comparisons"]} == set(part("__main__").ALONE)
    beside = {(one["task"], one["peer"]["name"]) for one in written["comparisons"]}
    for chunk_ms in (40, 80, 160, 320):
        for figure in part("hearing").FIGURES:
            task = f"stream, {chunk_ms} ms chunks: {figure}"
            assert (task, "torch eager, step by step") in beside
            assert (task, "sherpa-onnx, whole pieces") in beside
    for one in written["comparisons"]:
        ratio = one["ratio"]
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
        assert one["peer"]["name"] in table
        assert f"{ratio['median']:.2f} [" in table


def test_a_ratio_above_one_says_that_ours_is_better() -> None:
    speeds = comparison([4.0, 6.0], [2.0, 3.0], more_is_better=True)
    times = comparison([2.0, 3.0], [4.0, 6.0], more_is_better=False)
    assert speeds.ratio.median == times.ratio.median == 2.0


def test_quartiles_equal_numpys() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 9.0, 7.5]
    found = part("comparing").Quartiles.of(values)
    assert [found.low, found.median, found.high] == list(np.percentile(values, [25, 50, 75]))


def test_the_two_sides_take_turns() -> None:
    said: list[str] = []

    def turn(name: str) -> float:
        said.append(name)
        return float(len(said))

    took = part("comparing").alternate(lambda: turn("ours"), lambda: turn("peer"), 2)
    assert said == ["ours", "peer"] * 3
    assert took == ((3.0, 5.0), (4.0, 6.0))


def test_real_recordings_are_linked_not_copied(tmp_path: Path) -> None:
    clips = part("clips")
    for word in ("left", "right"):
        (tmp_path / "real" / word).mkdir(parents=True)
        for number in range(12):
            soundfile.write(tmp_path / "real" / word / f"a_{number}.wav", np.ones(160), 16000)
    clips.link(tmp_path / "real", tmp_path / "clips", 12)
    for split in ("train", "valid"):
        links = list((tmp_path / "clips" / split).glob("*/*.wav"))
        assert len(links) == 12
        assert all(link.resolve().parent.parent == tmp_path / "real" for link in links)
    with pytest.raises(CorpusError, match=r"holds 24 recordings .* 25 are needed"):
        clips.link(tmp_path / "real", tmp_path / "more", 13)


def test_memory_is_that_of_the_process_alone() -> None:
    grown = np.ones(2**26)  # 512 MB, which a process started from here must not count as its own
    code = (
        "import numpy as np\n"
        "from benchmarks.answering import peak_memory\n"
        "before = peak_memory()\n"
        "np.ones(2**23)\n"
        "print(before, peak_memory())"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    before, after = map(float, answer.stdout.split())
    assert before < grown.nbytes / 2**20
    assert after - before == pytest.approx(64, abs=8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frontent"], "there is no benchmark 'frontent'; known: frontend, train, infer"),
        (["infer", "--quick", "--model", "nowhere.ckpt"], "there is no such checkpoint"),
        (["infer", "--quick", "--model", "."], "no run folder of linnet train"),
    ],
)
def test_a_wrong_call_is_a_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = part("__main__").main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
