"""Judging, with a small but real recogniser: each letter is a tone, and it hears tones."""

import io
import itertools
import json
import math
import re
import resource
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from linnet import decode, evaluation
from linnet.errors import ConfigError, InputError, LinnetError, TextError
from linnet.evaluation import SILENCE, UNKNOWN, Utterance
from linnet.evaluation.commands import NONE, best_threshold, decide
from linnet.metrics import proportion
from linnet.text import Characters

RATE, STEP_S = 8000, 0.02
LETTERS = "abcdefghijklmnopqrstuvwxyz"
COMMANDS = ["up", "cup", "left", "lift", "go"]
HERTZ = 200.0 + 100.0 * np.arange(1 + len(LETTERS))  # Of the space and the letters.
_STEP = round(RATE * STEP_S)


class ToneRecogniser:
    """Hears which of the tones is loud; nothing loud is a blank."""

    def __init__(self) -> None:
        self.tokenizer = Characters(LETTERS)
        self.sample_rate = RATE
        self.calls = 0

    def log_probs(self, waveform: np.ndarray) -> np.ndarray:
        self.calls += 1
        steps = len(waveform) // _STEP
        frames = waveform[: steps * _STEP].reshape(steps, _STEP)
        phases = np.exp(-2j * np.pi * HERTZ * np.arange(_STEP)[:, None] / RATE)
        loudness = np.abs(frames @ phases) * 2 / _STEP
        logits = 12 * np.concatenate([np.full((steps, 1), 0.5), loudness], axis=1)
        return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)

    def seconds(self, step: int) -> float:
        return step * STEP_S


def sing(text: str, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Two steps a letter and a pause after each, with white noise."""
    ids = [" abcdefghijklmnopqrstuvwxyz".index(letter) for letter in text]
    time_s = np.arange(2 * _STEP) / RATE
    parts = [np.zeros(3 * _STEP)]
    for i in ids:
        parts += [np.sin(2 * np.pi * HERTZ[i] * time_s), np.zeros(_STEP)]
    waveform = np.concatenate([*parts, np.zeros(3 * _STEP)])
    waveform += noise * np.random.default_rng(seed).normal(size=len(waveform))
    return waveform.astype(np.float32)


def choir(texts: list[str], *noises: float) -> list[Utterance]:
    """Ten voices; the noises take turns."""
    levels = itertools.cycle(noises or [0.0])
    return [
        Utterance(f"{i}-{text}", sing(text, noise, seed=i), text, f"speaker {i % 10}")
        for i, (text, noise) in enumerate(zip(texts, levels, strict=False))
    ]


MIXED = [*COMMANDS * 8, *["yes", "stop", "bird", ""] * 6]


@pytest.fixture(scope="module")
def noisy() -> list[Utterance]:
    return choir(MIXED, 1.0, 1.2, 2.6)


@pytest.fixture(scope="module")
def report(noisy: list[Utterance]) -> evaluation.Report:
    threshold = evaluation.fit_rejection_threshold(ToneRecogniser(), noisy, COMMANDS)
    return evaluation.evaluate(
        ToneRecogniser(),
        noisy,
        commands=COMMANDS,
        threshold=threshold,
        worst=2,
        training_speakers={"speaker 3", "speaker 11"},
        model={"name": "tones <1>", "network": {"hidden": 0, "cells": ["a", "b"]}},
        data={"name": "choir"},
        record={"commit": "abc"},
    )


@pytest.fixture(scope="module")
def written(report: evaluation.Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "new" / "report"
    evaluation.write(report, folder)
    return folder


def test_clean_tones_are_all_understood() -> None:
    found = evaluation.evaluate(ToneRecogniser(), choir(MIXED), commands=COMMANDS, threshold=0.5)
    assert {name: figure.value for name, figure in found.figures.items()} == {
        "wer": 0.0,
        "cer": 0.0,
        "sentence_accuracy": 1.0,
        "closed_set_accuracy": 1.0,
        "accuracy_with_rejection": 1.0,
    }
    assert found.figures["closed_set_accuracy"] == proportion(40, 40)
    assert found.figures["accuracy_with_rejection"].count == 64
    assert found.figures["wer"].count == 58  # The words; silence has none.
    assert found.worst == found.warnings == found.notes == ()
    classes = (*COMMANDS, UNKNOWN, SILENCE)
    assert found.confusion["with_rejection"].classes == classes
    assert found.confusion["with_rejection"].matrix.diagonal().tolist() == [8] * 5 + [18, 6]


def test_the_figures_are_those_of_each_utterance_by_hand(
    report: evaluation.Report, noisy: list[Utterance]
) -> None:
    recogniser = ToneRecogniser()
    texts, closed, with_rejection, scores = [], 0, 0, {}
    assert report.threshold is not None
    for one in noisy:
        log_probs = recogniser.log_probs(one.waveform)
        best_path = decode.greedy(log_probs)
        texts.append(recogniser.tokenizer.decode(best_path.ids))
        likelihoods = {
            command: decode.log_likelihood(log_probs, recogniser.tokenizer.encode(command))
            for command in COMMANDS
        }
        best = max(likelihoods, key=likelihoods.__getitem__)
        closed += best == one.text
        surplus = likelihoods[best] - float(log_probs.astype(float).max(axis=1).sum())
        scores[one.id] = math.exp(min(surplus / len(best), 0))
        decided = best if scores[one.id] >= report.threshold else None
        decided = decided or (UNKNOWN if texts[-1] else SILENCE)
        expected = one.text if one.text in COMMANDS else UNKNOWN if one.text else SILENCE
        with_rejection += decided == expected
    references = [one.text for one in noisy]
    assert report.figures["closed_set_accuracy"] == proportion(closed, 40)
    assert report.figures["accuracy_with_rejection"] == proportion(with_rejection, 64)
    theirs = jiwer.process_words(references, texts)
    assert report.figures["wer"].value == pytest.approx(theirs.wer)
    assert report.figures["cer"].value == pytest.approx(jiwer.cer(references, texts))
    assert report.counts["words"].substitutions == theirs.substitutions
    assert report.counts["words"].insertions == theirs.insertions
    assert report.counts["words"].deletions == theirs.deletions
    right = sum(a == b for a, b in zip(references, texts, strict=True))
    assert report.figures["sentence_accuracy"] == proportion(right, 64)
    for mistake in report.worst:
        assert mistake.score == pytest.approx(scores[mistake.id])
    # The noise is such that there is something to find.
    assert 0.5 < closed / 40 < 1
    assert 0.5 < with_rejection / 64 < 1
    for figure in report.figures.values():
        assert figure.low <= figure.value <= figure.high


def test_each_utterance_is_heard_once_and_a_stream_is_enough(noisy: list[Utterance]) -> None:
    def stream() -> Iterator[Utterance]:
        yield from noisy

    recogniser = ToneRecogniser()
    streamed = evaluation.evaluate(
        recogniser, evaluation.progress(stream(), len(noisy)), commands=COMMANDS, threshold=0.5
    )
    listed = evaluation.evaluate(ToneRecogniser(), noisy, commands=COMMANDS, threshold=0.5)
    assert recogniser.calls == len(noisy)
    assert streamed.figures == listed.figures


def test_a_beam_is_judged_by_its_own_text(noisy: list[Utterance]) -> None:
    recogniser = ToneRecogniser()
    found = evaluation.evaluate(recogniser, noisy, beam=5)
    texts = [
        recogniser.tokenizer.decode(decode.beam(recogniser.log_probs(one.waveform), 5).ids)
        for one in noisy
    ]
    assert found.figures["wer"].value == pytest.approx(jiwer.wer([u.text for u in noisy], texts))
    assert set(found.figures) == {"wer", "cer", "sentence_accuracy"}


def test_what_is_heard_in_silence_is_an_insertion_and_silence_alone_has_no_rate() -> None:
    liar = [Utterance("hum", sing("go"), "", "nobody"), Utterance("quiet", sing(""), "", "nobody")]
    found = evaluation.evaluate(ToneRecogniser(), liar)
    assert "wer" not in found.figures
    assert found.counts["words"].insertions == 1
    assert found.figures["sentence_accuracy"].value == 0.5
    assert [mistake.id for mistake in found.worst] == ["hum"]


def accuracy_at(threshold: float, scores: np.ndarray, taken: np.ndarray, cut: np.ndarray) -> float:
    return float(np.where(scores >= threshold, taken, cut).mean())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.9, 1.0]), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    ).filter(lambda clips: any(rejected for _, _, rejected in clips))
)
def test_no_threshold_is_better_than_the_fitted_one(clips: list[tuple[float, bool, bool]]) -> None:
    scores, taken, rejected = (np.array(column) for column in zip(*clips, strict=True))
    threshold = best_threshold(scores, taken, rejected)
    tried = [accuracy_at(t, scores, taken, rejected) for t in np.linspace(0, 1, 1001)]
    assert accuracy_at(threshold, scores, taken, rejected) == max(tried)
    order = np.random.default_rng(0).permutation(len(clips))
    assert best_threshold(scores[order], taken[order], rejected[order]) == threshold


def test_a_command_is_taken_from_the_threshold_on() -> None:
    assert decide("go", 0.5, 0.5, silent=False) == "go"
    assert decide("go", 0.4999, 0.5, silent=False) == UNKNOWN
    assert decide("go", 0.4999, 0.5, silent=True) == SILENCE


def test_the_threshold_lies_in_the_middle_of_the_widest_gap() -> None:
    scores = np.array([0.1, 0.2, 0.6, 0.9])
    is_command = np.array([False, False, True, True])
    is_odd = np.array([False, True, False, True])
    assert best_threshold(scores, is_command, ~is_command) == pytest.approx(0.4)
    assert best_threshold(np.array([0.1, 0.3, 0.4, 0.9]), is_odd, ~is_odd) == pytest.approx(0.65)
    with pytest.raises(InputError, match="clips of other words or of silence"):
        best_threshold(scores, is_command, np.zeros(4, bool))


def test_the_fitted_threshold_is_the_best_of_a_grid(
    noisy: list[Utterance], report: evaluation.Report
) -> None:
    grid = [
        evaluation.evaluate(ToneRecogniser(), noisy, commands=COMMANDS, threshold=t, worst=0)
        for t in (0.0, 0.05, 0.2, 0.5, 1.0)
    ]
    tried = [found.figures["accuracy_with_rejection"].value for found in grid]
    assert report.figures["accuracy_with_rejection"].value >= max(tried)
    assert max(tried) > min(tried)


def test_without_a_threshold_what_is_no_command_is_said_to_be_left_out() -> None:
    found = evaluation.evaluate(ToneRecogniser(), choir(MIXED), commands=COMMANDS)
    assert "accuracy_with_rejection" not in found.figures
    assert found.notes == ("24 utterances of other words or silence were not judged: no threshold",)


def test_a_clip_too_short_for_any_command_is_none_of_them() -> None:
    short = [*choir(["go"]), Utterance("short", np.zeros(_STEP, np.float32), "up", "a")]
    found = evaluation.evaluate(ToneRecogniser(), short, commands=["up", "go"])
    assert found.figures["closed_set_accuracy"].value == 0.5
    assert found.confusion["closed_set"].classes == ("up", "go", NONE)
    assert found.confusion["closed_set"].matrix.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_the_worst_are_wrong_classes_first_then_the_surest_and_longest_errors() -> None:
    false = [
        Utterance("one word", sing("up go"), "up left", "a"),
        Utterance("right", sing("go"), "go", "a"),
        Utterance("two words", sing("up go"), "left right", "a"),
        Utterance("wrong class", sing("left"), "go", "a"),
        Utterance("spelt wrongly", sing("xylophone"), "stop", "a"),
    ]
    found = evaluation.evaluate(ToneRecogniser(), false)
    assert [m.id for m in found.worst][:2] == ["two words", "wrong class"]
    assert len(found.worst) == 4
    words = ["up", "left", "right", "go"]
    found = evaluation.evaluate(ToneRecogniser(), false, commands=words, threshold=0.5, worst=2)
    assert [m.id for m in found.worst] == ["wrong class"]  # Other words need no right spelling.
    assert (found.worst[0].expected, found.worst[0].decided) == ("go", "left")
    assert found.worst[0].confidence > 0.9


def printed(report: evaluation.Report) -> str:
    lines = io.StringIO()
    Console(file=lines, width=100, force_terminal=True).print(evaluation.table(report))
    return lines.getvalue()


def test_speakers_of_the_training_are_named_in_red(
    report: evaluation.Report, written: Path
) -> None:
    (warning,) = report.warnings
    assert "1 of the 10 speakers judged here were also heard in training (speaker 3)" in warning
    assert 'class="warning" role="alert">1 of the 10' in (written / "report.html").read_text()
    assert "\x1b[1;31m1 of the 10 speakers" in printed(report)
    nameless = [Utterance("a", sing("go"), "go", "")]
    found = evaluation.evaluate(ToneRecogniser(), nameless, training_speakers={"nobody", ""})
    assert found.warnings == ()
    assert found.speakers == 0


def test_the_table_shows_every_figure(report: evaluation.Report) -> None:
    text = printed(report)
    for figure in report.figures.values():
        assert f"{100 * figure.value:.1f} %" in text
        assert f"{100 * figure.low:.1f} to {100 * figure.high:.1f} %" in text
    assert "64 utterances, 10 speakers" in text


def test_wrong_calls_say_what_came_and_what_to_do() -> None:
    recogniser, utterances = ToneRecogniser(), choir(["go"])
    with pytest.raises(InputError, match="no utterance to judge"):
        evaluation.evaluate(recogniser, [])
    with pytest.raises(InputError, match="none of 1 utterances is one of the commands up, left"):
        evaluation.evaluate(recogniser, utterances, commands=["up", "left"])
    with pytest.raises(ConfigError, match=r"got \['up', 'Up!'\]; name each once"):
        evaluation.evaluate(recogniser, utterances, commands=["up", "Up!"])
    with pytest.raises(TextError, match="'7', which the token set lacks"):
        evaluation.evaluate(recogniser, utterances, commands=["go", "7"])
    with pytest.raises(InputError, match="there are none among 1"):
        evaluation.fit_rejection_threshold(recogniser, utterances, ["go"])


# The two files.


def test_the_json_holds_the_figures_and_where_they_come_from(
    report: evaluation.Report, written: Path
) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["report.html", "report.json"]
    document = json.loads((written / "report.json").read_text())
    for name, figure in report.figures.items():
        assert document["figures"][name] == {
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "count": figure.count,
        }
    assert document["model"]["network"] == {"hidden": 0, "cells": ["a", "b"]}
    assert document["data"] == {"name": "choir"}
    assert document["record"]["commit"] == "abc"
    seconds = sum(len(sing(text)) for text in MIXED) / RATE
    assert document["record"]["timing"]["audio_s"] == pytest.approx(seconds, abs=1e-3)
    assert document["confusion"]["closed_set"]["classes"] == COMMANDS
    assert np.sum(document["confusion"]["with_rejection"]["matrix"]) == 64
    assert len(document["worst"]) == 2
    assert document["worst"][0]["decided"] != document["worst"][0]["expected"]


def test_the_same_recordings_give_the_same_bytes_but_for_the_time_taken(tmp_path: Path) -> None:
    for name in ("one", "two"):
        found = evaluation.evaluate(ToneRecogniser(), choir(["go", "up"], 3.0), worst=1)
        evaluation.write(found, tmp_path / name)
        evaluation.write(found, tmp_path / f"{name} again")
        for file in ("report.json", "report.html"):
            again = (tmp_path / f"{name} again" / file).read_bytes()
            assert (tmp_path / name / file).read_bytes() == again
    one, two = (json.loads((tmp_path / n / "report.json").read_text()) for n in ("one", "two"))
    assert one["record"].pop("timing")["audio_s"] == two["record"].pop("timing")["audio_s"]
    assert one == two
    pages = [(tmp_path / name / "report.html").read_text() for name in ("one", "two")]
    assert re.findall("data:[^\"']*", pages[0]) == re.findall("data:[^\"']*", pages[1])


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]


def test_the_page_asks_nobody_for_anything(written: Path) -> None:
    page = (written / "report.html").read_text()
    parser = _Links()
    parser.feed(page)
    # Two confusion matrices and two mistakes in two themes, two sounds, and an empty icon.
    assert len(parser.links) == 2 * 2 + 2 * 2 + 2 + 1
    assert all(link.startswith("data:") for link in parser.links)
    assert "url(" not in page
    assert "@import" not in page
    assert "script" not in parser.tags
    assert "default-src 'none'" in page


def test_the_page_escapes_whatever_a_text_holds(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    utterance = Utterance(evil, sing("go"), "up", evil)
    found = evaluation.evaluate(
        ToneRecogniser(), [utterance], training_speakers={evil}, record={evil: evil}
    )
    evaluation.write(found, tmp_path)
    page = (tmp_path / "report.html").read_text()
    parser = _Links()
    parser.feed(page)
    assert "script" not in parser.tags
    assert page.count("&lt;script&gt;") >= 4


def test_a_name_that_is_no_unicode_can_still_be_written(tmp_path: Path) -> None:
    utterance = Utterance("clip\udce9.wav", sing("go"), "up", "a")
    evaluation.write(evaluation.evaluate(ToneRecogniser(), [utterance]), tmp_path)
    written = json.loads((tmp_path / "report.json").read_bytes())
    assert written["worst"][0]["id"] == "clip\udce9.wav"


def test_a_full_disk_leaves_the_earlier_report_as_it_was(
    report: evaluation.Report, tmp_path: Path
) -> None:
    earlier = evaluation.evaluate(ToneRecogniser(), choir(["go"]))
    evaluation.write(earlier, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(LinnetError, match=r"cannot be written to .*; free some space or name"):
            evaluation.write(report, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_is_a_file_is_a_clear_error(
    report: evaluation.Report, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LinnetError, match=r"cannot be written to .*file"):
        evaluation.write(report, tmp_path / "file")
