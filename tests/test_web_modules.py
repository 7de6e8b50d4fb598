"""The page's modules answer as Python does: run in node, on the same numbers."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch
from jaxtyping import Float32

import test_runtime_stream
from linnet import audio, decode, espeak
from linnet.apps import vendoring
from linnet.errors import MissingExtraError, TextError
from linnet.export import export
from linnet.keywords import Detection, Detector, Keyword, Scorer, detect
from linnet.runtime import Rules, Window, load
from linnet.runtime.windows import Windows
from linnet.text import Characters, Mixed, Phonemes, Words, described, normalise
from small_model import RECORD, SETTINGS, TOKENIZER, clips, exported, front_end, silent

REPOSITORY = Path(__file__).resolve().parent.parent
MODULES = REPOSITORY / "web" / "linnet"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


def ask(question: str, **given: Any) -> Any:
    """Let node answer a question with the page's modules."""
    done = subprocess.run(
        [str(NODE), str(REPOSITORY / "tests" / "page_modules.mjs"), str(MODULES)],
        input=json.dumps({"question": question, **given}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def posteriors(steps: int, tokens: int, seed: int) -> Float32[np.ndarray, "steps tokens"]:
    """Log-probabilities that jump between certain and unsure, with impossible tokens and ties."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((steps, tokens)) * random.uniform(0.5, 9.0, (steps, 1))
    logits[:, 0] += random.uniform(-4.0, 4.0, steps)
    logits[random.integers(steps, size=3)] = 0.0
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return log_probs.astype(np.float32)


def sent(log_probs: Float32[np.ndarray, "steps tokens"]) -> list[list[float | None]]:
    """Write log-probabilities so that JSON can carry an impossible token."""
    return [[float(v) if np.isfinite(v) else None for v in row] for row in log_probs]


@pytest.mark.parametrize(("steps", "seed"), [(1, 0), (2, 1), (61, 2), (397, 3)])
def test_the_text_its_times_and_confidences_are_pythons(steps: int, seed: int) -> None:
    log_probs = posteriors(steps, 7, seed)
    log_probs[-1, 3] = -np.inf
    found = ask("greedy", log_probs=sent(log_probs), chunks=[0, 1, steps // 2])
    expected = decode.greedy(log_probs)
    for tokens in (found["tokens"], found["chunked"]):
        assert [token["id"] for token in tokens] == list(expected.ids)
        assert [token["start"] for token in tokens] == list(expected.starts)
        assert [token["end"] for token in tokens] == list(expected.ends)
        np.testing.assert_allclose(
            [token["confidence"] for token in tokens], expected.confidences, rtol=1e-9
        )
    assert found["confidence"] == pytest.approx(expected.confidence, rel=1e-9)


def test_silence_is_no_text_with_the_confidence_of_its_blanks() -> None:
    log_probs = np.log(np.full((20, 4), [0.7, 0.1, 0.1, 0.1], np.float32))
    found = ask("greedy", log_probs=sent(log_probs), chunks=[3])
    assert found["tokens"] == []
    assert found["confidence"] == pytest.approx(decode.greedy(log_probs).confidence, rel=1e-9)


def told(detections: list[Detection]) -> list[dict[str, Any]]:
    """Write detections as the page does."""
    return [
        {
            "keyword": one.keyword,
            "start": one.start,
            "end": one.end,
            "score": pytest.approx(one.score, abs=1e-9),
            "decided": one.decided,
        }
        for one in detections
    ]


@pytest.mark.parametrize("refractory", [0, 1, 7, 40])
@pytest.mark.parametrize("longest", [9, 10_000])
def test_keyword_scores_and_detections_are_pythons(refractory: int, longest: int) -> None:
    log_probs = posteriors(311, 6, seed=refractory)
    log_probs[70:75, 2] = -np.inf
    words = [
        Keyword(text, ids, threshold)
        for text, ids, threshold in (
            ("a", (1,), 0.5),
            ("double", (2, 2), 0.05),
            ("phrase", (3, 1, 4, 1, 5), 0.2),
            ("prefix", (3, 1, 4), 0.9),
            ("ends in a repeat", (5, 2, 2), 1.0),
        )
    ]
    found = ask(
        "detect",
        log_probs=sent(log_probs),
        words=[{"text": w.text, "ids": w.ids, "threshold": w.threshold} for w in words],
        chunks=[1, 0, 17, 100],
        refractory=refractory,
        mark=0.03,
        longest=longest,
    )
    expected = Scorer([word.ids for word in words], longest).push(log_probs)
    np.testing.assert_allclose(
        np.reshape(found["scores"], expected.scores.shape), expected.scores, atol=1e-9
    )
    assert np.reshape(found["starts"], expected.starts.shape).tolist() == expected.starts.tolist()
    detector = Detector(words, refractory=refractory, mark=0.03, longest=longest)
    detections = detector.push(log_probs)
    misses = list(detector.near_misses)
    detections += detector.flush()
    misses += detector.near_misses
    assert detections == detect(log_probs, words, refractory=refractory, mark=0.03, longest=longest)
    assert len(detections) > 3
    assert len(misses) >= 3
    for kind, ours in (("detections", detections), ("near_misses", misses)):
        assert sorted(found[kind], key=when) == told(sorted(ours, key=lambda one: when(vars(one))))
    assert found["chunked"] == found["detections"]
    assert found["chunked_misses"] == found["near_misses"]
    assert found["chunked_scores"] == found["scores"]


def when(detection: dict[str, Any]) -> tuple[int, int, str]:
    """Order detections that become known at one step."""
    return detection["decided"], detection["end"], detection["keyword"]


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


TEXTS = [
    *("Turn LEFT!", "  don't  ", "rock \u2019n\u2019 roll", "naïve Café", "\uff21\uff22\uff23"),
    *("x1 2", "''", "", "--", "straße", "ab\u0301c", "a_b", "left\tright\nup", "½"),
    *("knave rite", "ɹaɪt left", "ɹaɪtx"),
]


def test_text_is_normalised_and_spelt_as_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    # A browser has no espeak-ng to ask for what a lexicon lacks.
    monkeypatch.setattr(espeak, "pronounce", raising(MissingExtraError("espeakng_loader", "synth")))
    characters = Characters("abcdefghijklmnopqrstuvwxyz'0123456789éï?*(")
    words = Words(["turn", "left", "don't", "naïve", "café", "up", "right"])
    mixed = Mixed("abcdefghijklmnopqrstuvwxyz'0123456789éï", ["turn", "left", "don't", "x1"])
    lexicon = {"turn": "tɜn", "left": "lɛft", "naïve": "nɑiv", "knave": "neɪv", "right": "ɹaɪt"}
    phonemes = Phonemes(
        [*"tɜnlɛfɑivɹbʌp", "aɪ", "eɪ"], lexicon | {"rite": "ɹaɪt", "up": "ʌp"}, "en-us"
    )
    for tokenizer in (characters, words, mixed, phonemes):
        found = ask("spell", description=described(tokenizer), texts=TEXTS)
        for text, answer in zip(TEXTS, found, strict=True):
            assert answer["normal"] == normalise(text), text
            try:
                ids = tokenizer.encode(text)
            except TextError:
                expected = "this model('s lexicon lacks| has no)"
                assert re.match(expected, answer["error"]), text
            else:
                assert answer["ids"] == ids, text
                assert answer["text"] == tokenizer.decode(ids), text


def test_a_keyword_that_the_model_cannot_spell_names_what_is_missing() -> None:
    (answer,) = ask("spell", description=described(Words(["left", "right"])), texts=["left rights"])
    assert answer["error"] == "this model has no word “rights”; it knows left, right"
    phonemes = described(
        Phonemes(["ɹ", "aɪ", "t", "l", "ɛ", "f"], {"right": "ɹaɪt", "rite": "ɹaɪt"}, "en-us")
    )
    left, said = ask("spell", description=phonemes, texts=["left right", "lɛft rite"])
    assert (
        left["error"] == "this model's lexicon lacks “left”; write it in its phonemes: ɹ aɪ t l ɛ f"
    )
    assert said["text"] == "lɛft right"


@pytest.mark.parametrize("number", [0, 2])
def test_the_spectrogram_is_the_front_ends_log_mel(number: int) -> None:
    clip = clips()[number]
    found = ask("log_mel", settings=SETTINGS, waveform=clip.tolist(), chunks=[1, 480, 3007, 160])
    made = front_end()
    expected = made.log_mel(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))[0].numpy()
    whole = np.reshape(found["whole"], (-1, made.settings["mels"]))
    assert whole.shape == expected.shape
    np.testing.assert_allclose(whole, expected, atol=2e-3)
    stream = np.reshape(found["stream"], (-1, made.settings["mels"]))
    # What comes after the last sample is not known yet: one or two frames wait for it.
    assert len(whole) - 2 <= len(stream) < len(whole)
    np.testing.assert_allclose(stream, whole[: len(stream)], atol=1e-6)


@pytest.mark.parametrize(("rate", "to"), [(48000, 16000), (44100, 16000), (8000, 16000)])
def test_the_microphone_is_resampled_as_soxr_does_whatever_the_chunks(rate: int, to: int) -> None:
    time = np.arange(rate // 2) / rate
    # Within what both rates carry, and (at 48 and 44.1 kHz) a tone above it, which must vanish.
    tones = sum(
        np.sin(2 * np.pi * hz * time) for hz in (90, 440, 1700, 3300, 15000)[: 4 + (rate > to)]
    )
    clip = (0.15 * np.hanning(len(time)) * tones).astype(np.float32)
    found = ask(
        "resample", waveform=clip.tolist(), **{"from": rate}, to=to, chunks=[1, 479, 480, 3]
    )
    assert found["stream"] == found["whole"]
    expected = soxr.resample(clip, rate, to, quality="VHQ")
    ours = np.array(found["whole"][: len(expected)])
    assert 0 <= len(found["whole"]) - len(expected) <= 1
    error = np.sqrt(np.mean((ours - expected) ** 2) / np.mean(expected**2))
    assert 20 * np.log10(error) < -70


def test_a_stream_is_windowed_as_in_python() -> None:
    step = 30
    waveform = np.random.default_rng(0).integers(-9, 9, 5003).astype(np.float32)

    def log_probs(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "steps two"]:
        padded = np.pad(samples, (0, -len(samples) % step)).reshape(-1, step)
        lengths = np.full(len(padded), len(samples))
        return np.stack([padded.sum(1), lengths], axis=1).astype(np.float32)

    for lengths in ({"left": 95, "read": 31, "right": 60}, {"left": 0, "read": 4000, "right": 0}):
        stream = Windows(log_probs, 2, step, **lengths)
        expected = np.concatenate([stream.push(waveform), stream.flush()])
        for chunks in ([], [1, 0, 700, 31]):
            found = ask(
                "windows",
                waveform=waveform.tolist(),
                chunks=chunks,
                step_samples=step,
                lengths=lengths,
            )
            assert np.reshape(found["found"], (-1, 2)).tolist() == expected.tolist()


def test_windows_and_rules_are_the_runtimes() -> None:
    found = ask("rules")
    window, rules = asdict(Window()), asdict(Rules())
    assert {f"{part}_s": length for part, length in found.pop("window_s").items()} == window
    assert found == rules


@pytest.mark.skipif(
    not vendoring.is_there(vendoring.runtime_folder()),
    reason="the browser's runtime is missing: run scripts/vendor-web",
)
@pytest.mark.parametrize("kind", ["bidirectional", "lookahead", "chunked"])
def test_a_model_gives_the_log_probabilities_that_it_gives_in_python(
    kind: str, recordings: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    if kind == "bidirectional":
        exported(folder)
    else:
        made, net = test_runtime_stream.small(kind)
        arguments = (TOKENIZER, RECORD, folder, clips())
        export(made, net, *arguments, longest_s=1.0, say=silent)
    real = sorted((recordings / "speech_commands_subset" / "zero").glob("*.flac"))[:4]
    waveform = np.concatenate([audio.read(path) for path in real])[:60013]
    model = load(folder)
    expected = model.log_probs(waveform)
    found = ask(
        "hear",
        folder=str(folder),
        vendor=str(vendoring.runtime_folder()),
        waveform=waveform.tolist(),
        chunks=[[], [1, 479, 16000, 2347]],
    )
    assert found["kind"] == ("Windows" if kind == "bidirectional" else "CausalStream")
    np.testing.assert_allclose(np.reshape(found["whole"], expected.shape), expected, atol=1e-4)
    stream = model.steps()
    streamed = np.concatenate([stream.push(waveform), stream.flush()])
    assert len(streamed) == len(expected)
    for ours in found["streamed"]:
        np.testing.assert_allclose(np.reshape(ours, streamed.shape), streamed, atol=1e-4)
