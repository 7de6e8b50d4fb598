"""Streams: what a spotter hears in chunks is what the recording holds."""

import itertools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float32

from linnet import audio, decode
from linnet.errors import ConfigError, InputError, KeywordError, ModelError
from linnet.export import export
from linnet.keywords import Detector, Keyword
from linnet.runtime import Model, NearMiss, Rules, Spotted, Spotter, Window, load
from linnet.runtime.windows import StepStream, Windows
from small_model import RECORD, TOKENIZER, clips, exported, front_end, network, silent

WINDOW = Window(left_s=0.3, read_s=0.2, right_s=0.25)
RULES = Rules(refractory_s=0.1, mark=0.05, longest_s=1.0)
STEP = 320  # samples, of the small model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(exported(tmp_path_factory.mktemp("exported") / "model"))


@pytest.fixture(scope="module")
def waveform() -> Float32[np.ndarray, " samples"]:
    """A few seconds, so that many windows fit in."""
    return np.concatenate([*clips(5), *clips(4, seed=7)])[:70001]


@pytest.fixture(scope="module")
def wanted(model: Model, waveform: Float32[np.ndarray, " samples"]) -> tuple[Keyword, ...]:
    """What the model happens to hear in that waveform, and some that it does not."""
    text = TOKENIZER.decode(decode.greedy(in_windows(model, waveform)).ids)
    heard = {text[i : i + length] for length in (1, 2, 3) for i in range(0, len(text) - 3, 4)}
    typed = sorted(each for each in heard if each.isalpha())
    return model.keywords([f"{each}:0.6" for each in [*typed, "abcd", "hag"]])


def in_windows(
    model: Model, waveform: Float32[np.ndarray, " samples"], window: Window = WINDOW
) -> Float32[np.ndarray, "steps tokens"]:
    steps = model.steps(window)
    return np.concatenate([steps.push(waveform), steps.flush()])


def streamed(
    spotter: Spotter, waveform: Float32[np.ndarray, " samples"], sizes: Sequence[int]
) -> tuple[list[Spotted], list[NearMiss]]:
    """Feed a spotter in chunks of ``sizes``, over and over."""
    found, missed, begin, turn = [], [], 0, 0
    while begin < len(waveform):
        chunk = waveform[begin : begin + sizes[turn % len(sizes)]]
        found += spotter.push(chunk)
        missed += spotter.near_misses
        begin += len(chunk)
        turn += 1
    found += spotter.flush()
    missed += spotter.near_misses
    return found, missed


@pytest.mark.parametrize("sizes", [(1600,), (1, 7, 4099, 0, 331), (70000,)])
@pytest.mark.parametrize("sample_rate", [16000, 8000, 44100])
def test_chunks_of_any_size_at_any_rate_give_the_detections_of_the_recording(
    model: Model,
    waveform: Float32[np.ndarray, " samples"],
    wanted: tuple[Keyword, ...],
    sizes: tuple[int, ...],
    sample_rate: int,
) -> None:
    at_rate = audio.resample(waveform, 16000, sample_rate)
    whole = model.spot(at_rate, sample_rate, wanted, window=WINDOW, rules=RULES)
    spotter = model.stream(sample_rate, wanted, window=WINDOW, rules=RULES)
    missed = []
    for _ in range(2):  # a second stream through the same spotter
        found, missed = streamed(spotter, at_rate, sizes)
        assert tuple(found) == whole
    assert len(whole) > 5
    assert len(missed) > 5
    assert len({one.keyword for one in whole}) > 2


def test_a_spotter_is_the_detector_on_the_steps_of_the_windows(
    model: Model, waveform: Float32[np.ndarray, " samples"], wanted: tuple[Keyword, ...]
) -> None:
    log_probs = in_windows(model, waveform)
    detector = Detector(wanted, refractory=5, mark=0.05, longest=50)
    expected = detector.push(log_probs)
    near = detector.near_misses
    expected += detector.flush()
    near += detector.near_misses
    found, missed = streamed(
        model.stream(16000, wanted, window=WINDOW, rules=RULES), waveform, [777]
    )
    assert [(f.keyword, f.score) for f in found] == [(e.keyword, e.score) for e in expected]
    assert [(f.start, f.end) for f in found] == [(e.start / 50, e.end / 50) for e in expected]
    assert [(m.keyword, m.start, m.end) for m in missed] == [
        (e.keyword, e.start / 50, e.end / 50) for e in near
    ]
    for one in missed:
        around = slice(max(0, round(50 * one.start) - 5), round(50 * one.end) + 5)
        assert one.heard == TOKENIZER.decode(decode.greedy(log_probs[around]).ids)
    assert any(one.heard for one in missed)


def test_a_recording_that_fits_into_a_window_is_heard_as_a_whole(model: Model) -> None:
    window = Window(left_s=0.5, read_s=0.1, right_s=0.2)
    for samples in (1, 400, 5003, 12799):
        waveform = np.resize(clips(1)[0], samples)
        assert np.array_equal(in_windows(model, waveform, window), model.log_probs(waveform))
    assert len(in_windows(model, np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("samples", [12800, 12801, 16000, 19199, 19200, 40000])
def test_each_step_comes_once_from_a_window_with_its_context_around(
    model: Model, waveform: Float32[np.ndarray, " samples"], samples: int
) -> None:
    window = Window(left_s=0.5, read_s=0.1, right_s=0.2)
    cut = waveform[:samples]
    found = in_windows(model, cut, window)
    assert len(found) == len(model.log_probs(cut))
    for first in range(0, len(found), 5):  # 0.1 s are five steps
        begin = max(0, first - 25)
        end = first + 15 if begin else 40
        while end * STEP > samples and begin > 0 and (begin - 5 + 40) * STEP > samples:
            begin -= 5  # the last window reaches to the end of the recording
        heard = model.log_probs(cut[begin * STEP : end * STEP])
        assert np.array_equal(found[first : first + 5], heard[first - begin :][:5])


def test_steps_come_no_later_than_the_stated_delay(
    model: Model, waveform: Float32[np.ndarray, " samples"]
) -> None:
    steps = model.steps(WINDOW)
    assert isinstance(steps, StepStream)
    assert steps.delay == round((0.2 + 0.25 + 0.01) * 16000 // STEP * STEP)
    known = 0
    for end in range(100, len(waveform), 100):
        known += len(steps.push(waveform[end - 100 : end]))
        if end >= 0.8 * 16000:  # the first window must be full
            assert end - known * STEP <= steps.delay
    spotter = model.stream(16000, ["a"], window=WINDOW, rules=RULES)
    assert spotter.delay_s == steps.delay / 16000 + 0.1


def test_a_stream_keeps_no_more_than_a_window_and_what_near_misses_need(
    model: Model, waveform: Float32[np.ndarray, " samples"], wanted: tuple[Keyword, ...]
) -> None:
    spotter = model.stream(16000, wanted, window=WINDOW, rules=RULES)

    def held(thing: object) -> int:
        arrays = [v for v in vars(thing).values() if isinstance(v, np.ndarray)]
        return sum(v.nbytes if v.base is None else v.base.nbytes for v in arrays)

    sizes = []
    for _ in range(5):
        for begin in range(0, len(waveform), 1600):
            spotter.push(waveform[begin : begin + 1600])
        detector = spotter._detector
        sizes.append(sum(map(held, (spotter, spotter._hearing.steps, detector, detector._scorer))))
    assert max(sizes) < 1.1 * sizes[0] < 100_000


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose memory is shorter than a window's context, on features of any length."""
    made = front_end(normalisation="training", normalise_waveform=False)
    net = network(made.features)
    with torch.no_grad():
        for name, weights in net.named_parameters():
            if "bias_ih" in name:  # of the gates r, z and n; z keeps the old state
                weights[len(weights) // 3 : 2 * len(weights) // 3] -= 3.0
    folder = tmp_path_factory.mktemp("forgetful") / "model"
    export(made, net, TOKENIZER, RECORD, folder, clips(), longest_s=1.0, say=silent)
    return load(folder)


def test_a_long_recording_in_windows_gives_the_detections_of_one_pass(
    forgetful: Model, recordings: Path
) -> None:
    paths = sorted((recordings / "speech_commands_subset" / "right").glob("*.flac"))[:40]
    noise = np.random.default_rng(0)
    pieces = [
        part
        for path in paths
        for part in (
            audio.read(path),
            1e-3 * noise.standard_normal(noise.integers(1000, 20000)).astype(np.float32),
        )
    ]
    waveform = np.concatenate(pieces)
    pairs = map("".join, itertools.product("abcdefgh", repeat=2))
    wanted = forgetful.keywords([f"{pair}:0.3" for pair in pairs])
    found = forgetful.spot(waveform, 16000, wanted, rules=RULES)
    detector = Detector(wanted, refractory=5, mark=1.0, longest=50)
    log_probs = forgetful.log_probs(waveform)
    expected = detector.push(log_probs) + detector.flush()
    ours = {(f.keyword, round(f.end * 50)) for f in found}
    theirs = {(e.keyword, e.end) for e in expected}
    assert len(theirs) > 200
    for these, those in ((ours, theirs), (theirs, ours)):
        near = sum(any((text, end + off) in those for off in (-1, 0, 1)) for text, end in these)
        assert near >= 0.99 * len(these)


def test_threads_share_a_model_but_not_a_spotter(
    model: Model, waveform: Float32[np.ndarray, " samples"], wanted: tuple[Keyword, ...]
) -> None:
    expected = model.spot(waveform, 16000, wanted, window=WINDOW, rules=RULES)
    results: dict[int, Any] = {}

    def alone(number: int) -> None:
        spotter = model.stream(16000, wanted, window=WINDOW, rules=RULES)
        results[number] = tuple(streamed(spotter, waveform, [1000 + number])[0])

    threads = [threading.Thread(target=alone, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] for number in range(4)] == [expected] * 4

    entered, leave = threading.Event(), threading.Event()

    class Slow(Windows):
        def push(self, waveform: Any) -> Any:
            entered.set()
            leave.wait(10)
            return super().push(waveform)

    shared = model.stream(16000, wanted, window=WINDOW, rules=RULES)
    steps = shared._hearing.steps
    steps.__class__ = Slow
    first = threading.Thread(target=shared.push, args=(waveform[:100],))
    first.start()
    entered.wait(10)
    for call in (lambda: shared.push(waveform[:100]), shared.flush):
        with pytest.raises(InputError, match=r"two threads use one spotter .* for each stream"):
            call()
    leave.set()
    first.join()
    assert tuple(streamed(shared, waveform[100:], [999])[0]) == expected


def test_what_is_no_chunk_is_refused_and_the_stream_goes_on(
    model: Model, waveform: Float32[np.ndarray, " samples"], wanted: tuple[Keyword, ...]
) -> None:
    spotter = model.stream(16000, wanted, window=WINDOW, rules=RULES)
    found = spotter.push(waveform[:30000])
    for bad, text in (
        (np.zeros((1, 100), np.float32), r"shape \(1, 100\); expected one axis"),
        (np.zeros(100), "the waveform is float64; expected float32"),
        (np.zeros(100, np.int16), "divide 16-bit integers by 32768"),
        (np.full(100, np.nan, np.float32), "holds NaN or infinity"),
    ):
        with pytest.raises(InputError, match=text):
            spotter.push(bad)
        with pytest.raises(InputError, match=text):
            model.spot(bad, 16000, wanted)
    found += spotter.push(waveform[30000:]) + spotter.flush()
    assert found == model.spot(waveform, 16000, wanted, window=WINDOW, rules=RULES)


def test_nothing_and_next_to_nothing_hold_no_keyword(model: Model) -> None:
    for samples in (0, 1, 100):
        assert model.spot(np.zeros(samples, np.float32), 16000, ["abcdefgh"]) == ()
    spotter = model.stream(16000, ["abcdefgh"])
    assert spotter.flush() == ()
    assert spotter.steps == 0
    spotter.push(np.zeros(1000, np.float32))
    spotter.flush()
    assert spotter.steps == len(model.log_probs(np.zeros(1000, np.float32)))


def test_wrong_settings_of_a_stream_are_named(model: Model) -> None:
    with pytest.raises(InputError, match="sample_rate=12 Hz is no rate"):
        model.stream(12, ["a"])
    with pytest.raises(KeywordError, match="no keyword to listen for"):
        model.stream(16000, [])
    with pytest.raises(KeywordError, match="holds 'z', which this model cannot spell"):
        model.spot(np.zeros(100, np.float32), 16000, ["abz"])
    with pytest.raises(ConfigError, match="reads nothing; expected contexts of at least 0"):
        model.stream(16000, ["a"], window=Window(read_s=0.0))
    with pytest.raises(ConfigError, match="refractory_s=-1 must be at least 0"):
        model.stream(16000, ["a"], rules=Rules(refractory_s=-1.0))
    with pytest.raises(KeywordError, match="the mark of near misses is 2"):
        model.stream(16000, ["a"], rules=Rules(mark=2.0))


def test_calibrated_thresholds_are_taken_from_the_model(model: Model) -> None:
    calibrated = Model(
        model._session,
        {**model.description, "keywords": {"abc": {"threshold": 0.83, "evidence": {}}}},
        "here",
    )
    found = calibrated.keywords(["abc", "cab", "ABC"], 0.4)
    assert [(each.text, each.threshold) for each in found] == [("abc", 0.83), ("cab", 0.4)]
    assert calibrated.stream(16000, ["abc:0.2"]).keywords[0].threshold == 0.2
    spoilt = Model(model._session, {**model.description, "keywords": {"abc": 0.83}}, "here")
    with pytest.raises(ModelError, match="here: its calibrated keywords are damaged"):
        spoilt.keywords(["abc"])
