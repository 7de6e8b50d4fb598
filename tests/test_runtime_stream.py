"""A stream in the runtime equals the whole recording, and refuses what would spoil it."""

import copy
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

import small_model
from linnet import runtime
from linnet.errors import InputError, ModelError
from linnet.export import export
from linnet.export.describing import describe
from linnet.frontend import FrontEnd
from linnet.runtime import fingerprint
from linnet.runtime.log_mel import LogMel
from linnet.runtime.stream import Stream
from linnet.streaming import StreamingNetwork
from linnet.streaming import network as build

SETTINGS: dict[str, dict[str, Any]] = {
    "lookahead": {"kind": "lookahead", "lookahead": 3, "history": 0},
    "chunked": {"kind": "chunked", "chunk": 4, "lookahead": 3, "history": 0},
}
SHARED = {"cell": "gru", "layers": 2, "hidden": 24, "dropout": 0.1}
FRONT_END: dict[str, Any] = {"normalisation": "training", "normalise_waveform": False, "stack": 4}
LENGTHS = (1, 399, 400, 640, 641, 5003, 16000, 37117)
SIZES = (1, 160, 1601, 8000)


def small(kind: str) -> tuple[FrontEnd, StreamingNetwork]:
    front_end = small_model.front_end(**FRONT_END)
    torch.manual_seed(3)
    settings = {**SETTINGS[kind], **SHARED, "features": front_end.features}
    net = build({**settings, "tokens": len(small_model.TOKENIZER.tokens)}).eval()
    assert isinstance(net, StreamingNetwork)
    with torch.no_grad():
        net.head.weight *= 12.0
        net.head.bias[0] = 0.0  # the start that training wants says the blank too often
    return front_end, net


@pytest.fixture(scope="module", params=SETTINGS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("models") / request.param
    front_end, net = small(request.param)
    export(
        front_end,
        net,
        small_model.TOKENIZER,
        small_model.RECORD,
        output,
        small_model.clips(),
        longest_s=1.0,
        say=small_model.silent,
    )
    return output


def opened(folder: Path) -> Stream:
    stream = runtime.load(folder).steps()
    assert isinstance(stream, Stream)
    return stream


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def pieces(waveform: np.ndarray, size: int) -> list[np.ndarray]:
    return [waveform[start : start + size] for start in range(0, len(waveform), size)]


def heard(stream: Stream, waveform: np.ndarray, size: int) -> np.ndarray:
    answers = [stream.push(piece) for piece in pieces(waveform, size)]
    return np.concatenate([*answers, stream.flush()])


@pytest.mark.parametrize(
    ("samples", "size"),
    [(samples, size) for samples in LENGTHS for size in SIZES if samples < 100 * size],
)
def test_log_mel_in_pieces_equals_the_front_end(samples: int, size: int) -> None:
    front_end = small_model.front_end(**FRONT_END)
    ours, waveform = LogMel(front_end.settings), noise(samples)
    frames = [ours.push(piece) for piece in pieces(waveform, size)]
    exact = copy.deepcopy(front_end).double()
    whole = exact.log_mel(torch.from_numpy(waveform).double()[None], torch.tensor([samples]))[0]
    np.testing.assert_allclose(np.concatenate([*frames, ours.flush()]), whole, atol=1e-4)


def test_log_mel_equals_the_front_end_on_real_recordings(recordings: Path) -> None:
    front_end = small_model.front_end(**FRONT_END)
    ours = LogMel(front_end.settings)
    for path in sorted((recordings / "speech_commands_subset" / "right").iterdir())[:10]:
        waveform, _ = soundfile.read(path, dtype="float32")
        frames = [ours.push(piece) for piece in pieces(waveform, 1234)]
        samples = torch.tensor([len(waveform)])
        exact = copy.deepcopy(front_end).double()
        whole = exact.log_mel(torch.from_numpy(waveform).double()[None], samples)[0]
        np.testing.assert_allclose(np.concatenate([*frames, ours.flush()]), whole, atol=1e-4)


@pytest.mark.parametrize("size", [777, 16000, 40000])
def test_a_stream_in_pieces_equals_the_waveform_graph(folder: Path, size: int) -> None:
    stream, model = opened(folder), runtime.load(folder)
    # The same stream again and again: after a flush another recording begins.
    for samples in LENGTHS:
        waveform = noise(samples, seed=samples)
        got, whole = heard(stream, waveform, size), model.log_probs(waveform)
        np.testing.assert_allclose(got, whole, atol=1e-4)


def test_no_step_comes_later_than_the_promised_delay(folder: Path) -> None:
    """A sample's step is given once ``delay`` samples have come after it, and not always before."""
    stream, waveform = opened(folder), noise(20000)
    step_samples, given, latest = 640, 0, 0
    for start in range(0, len(waveform), 40):
        before = given
        given += len(stream.push(waveform[start : start + 40]))
        latest = max(latest, start + 40 - before * step_samples if given > before else 0)
        assert start + 40 - given * step_samples <= stream.delay + 40
    assert latest == pytest.approx(stream.delay, abs=40)


def test_an_empty_stream_says_nothing(folder: Path) -> None:
    stream = opened(folder)
    assert len(stream.push(noise(0))) == 0
    assert stream.flush().shape == (0, len(small_model.TOKENIZER.tokens))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.array([0.1, np.nan], np.float32), "NaN or infinity"),
        (np.zeros(10, np.int16), "int16; expected float32"),
        (np.zeros((2, 10), np.float32), "expected one axis"),
    ],
)
def test_a_wrong_piece_is_refused_and_the_stream_goes_on(
    folder: Path, wrong: np.ndarray, message: str
) -> None:
    stream, waveform = opened(folder), noise(9000)
    first = stream.push(waveform[:5000])
    with pytest.raises(InputError, match=message):
        stream.push(wrong)
    got = np.concatenate([first, stream.push(waveform[5000:]), stream.flush()])
    whole = runtime.load(folder).log_probs(waveform)
    np.testing.assert_allclose(got, whole, atol=1e-4)


class Waiting:
    """A session in which one thread stays until it is let go."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.entered, self.released = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, *arguments: Any) -> Any:
        self.entered.set()
        assert self.released.wait(10)
        return self.session.run(*arguments)


def test_two_threads_on_one_stream_are_refused(folder: Path) -> None:
    stream = opened(folder)
    waiting = Waiting(stream._graph._session)
    stream._graph._session = waiting  # type: ignore[assignment]
    thread = threading.Thread(target=stream.push, args=(noise(16000),))
    thread.start()
    try:
        assert waiting.entered.wait(10)
        with pytest.raises(InputError, match="two threads use one stream"):
            stream.push(noise(10))
        with pytest.raises(InputError, match="two threads use one stream"):
            stream.flush()
    finally:
        waiting.released.set()
        thread.join()
    stream.flush()


def test_two_streams_of_one_model_do_not_mix(folder: Path) -> None:
    model = runtime.load(folder)
    first, second = model.steps(), model.steps()
    waveforms = noise(9000, seed=1), noise(9000, seed=2)
    answers: list[list[np.ndarray]] = [[], []]
    for halves in zip(*(pieces(waveform, 4500) for waveform in waveforms), strict=True):
        for kept, stream, half in zip(answers, (first, second), halves, strict=True):
            kept.append(stream.push(half))
    for kept, stream, waveform in zip(answers, (first, second), waveforms, strict=True):
        whole = runtime.load(folder).log_probs(waveform)
        np.testing.assert_allclose(np.concatenate([*kept, stream.flush()]), whole, atol=1e-4)


@pytest.mark.parametrize("change", ["preemphasis", "low_hz", "window_ms"])
def test_other_features_than_the_models_are_refused(change: str) -> None:
    front_end, net = small("lookahead")
    described = describe(front_end, net, small_model.TOKENIZER, {})
    fingerprint.check(described, "small")
    described["front_end"] = {**front_end.settings, change: 0.9 * front_end.settings[change]}
    with pytest.raises(ModelError, match=r"features computed here differ from the model's by"):
        fingerprint.check(described, "small")


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({}, "lacks or spoils something"),
        ({"waveform": {"rule": "another"}}, "a waveform that this Linnet does not know"),
    ],
)
def test_a_spoilt_fingerprint_is_refused(spoilt: dict[str, Any], message: str) -> None:
    front_end, net = small("lookahead")
    described = describe(front_end, net, small_model.TOKENIZER, {})
    described["fingerprint"] = {**described["fingerprint"], **spoilt} if spoilt else {}
    with pytest.raises(ModelError, match=message):
        fingerprint.check(described, "small")


def test_a_model_of_whole_recordings_has_no_stream_of_its_own(tmp_path: Path) -> None:
    model = runtime.load(small_model.exported(tmp_path / "model"))
    assert not isinstance(model.steps(), Stream)
    with pytest.raises(ModelError, match="needs the whole recording and cannot stream"):
        Stream(model._session, model.description, model.name)


def test_a_changed_stream_graph_is_refused_once_a_stream_is_opened(
    folder: Path, tmp_path: Path
) -> None:
    graph = Path(shutil.copytree(folder, tmp_path / "model")) / runtime.STREAM_GRAPH
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    model = runtime.load(tmp_path / "model")
    assert len(model.log_probs(noise(4000)))
    for opened in (model.steps, lambda: model.stream(16000, ["a"])):
        with pytest.raises(ModelError, match=r"stream\.onnx: the file is not the one") as raised:
            opened()
        assert len(str(raised.value).splitlines()) == 1
    graph.unlink()
    with pytest.raises(ModelError, match=r"lacks stream\.onnx; copy the whole folder again"):
        model.steps()


def test_a_stream_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys, numpy; from linnet import runtime;"
        f"stream = runtime.load({str(folder)!r}).steps();"
        "print(len(stream.push(numpy.zeros(16000, numpy.float32))) + len(stream.flush()),"
        "'torch' in sys.modules, 'onnx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["25", "False", "False"]
