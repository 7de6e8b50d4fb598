"""Posteriors with planted words through listening, judging, calibration, reports, confusion."""

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32
from PIL import Image

from linnet import runtime
from linnet.errors import CorpusError, InputError, ModelError
from linnet.evaluation import spotting
from linnet.evaluation.spotting import (
    Cost,
    Heard,
    Recording,
    Span,
    SpottingReport,
    posteriors,
)
from linnet.evaluation.spotting.calibration import calibrate, write
from linnet.evaluation.spotting.confusion import Vocabulary, risk, suggestions
from linnet.evaluation.spotting.det import draw
from linnet.keywords import Keyword, keyword
from linnet.metrics.matching import Trials, match
from linnet.metrics.spotting import at_rate, hours_needed
from linnet.runtime import Window
from linnet.runtime.windows import Windows
from linnet.text import Characters, Phonemes, Words, everyday_words
from small_model import clips, exported

TOKENS = Characters("abcdefghijklmnopqrstuvwxyz'")
STEP_S = 0.04


def planted(
    words: Sequence[tuple[float, str, float]], *, duration_s: float, seed: int = 0
) -> Float32[np.ndarray, "steps tokens"]:
    """Give log-probabilities of blanks with words planted: at a time, with a score."""
    random = np.random.default_rng(seed)
    log_probs = -60.0 + random.random((round(duration_s / STEP_S), len(TOKENS.tokens)))
    log_probs[:, 0] = 0.0
    for at_s, text, score in words:
        for place, token in enumerate(TOKENS.encode(text)):
            log_probs[round(at_s / STEP_S) + 2 * place, token] = np.log(score)
    return log_probs.astype(np.float32)


def heard(
    words: Sequence[tuple[float, str, float]],
    spans: Sequence[tuple[float, float, str]],
    *,
    duration_s: float = 3600.0,
    name: str = "a",
) -> Heard:
    log_probs = planted(words, duration_s=duration_s).astype(np.float16)
    return Heard(
        name,
        duration_s,
        tuple(Span(f"clip{i}", f"s{i}", text, *times) for i, (*times, text) in enumerate(spans)),
        STEP_S,
        log_probs,
        (np.arange(len(log_probs)) * STEP_S + 0.3).astype(np.float32),
    )


def spelt(text: str, threshold: float = 0.5) -> Keyword:
    return keyword(text, TOKENS, threshold)


def judged(
    *forms: Heard,
    calibrated: bool = True,
    texts: Sequence[str] = ("go",),
    accent: str | None = None,
) -> SpottingReport:
    return spotting.evaluate(
        {f"form {i}": [one] for i, one in enumerate(forms)},
        [spelt(text) for text in texts],
        calibrated=calibrated,
        rates=[0.1, 5.0],
        worst=3,
        costs={"form 0": Cost("model.onnx", 1.5, 0.01, 80.0)},
        training_speakers={"s1"},
        model={"path": "here"},
        data={"split": "test"},
        record={"seed": 0},
        accent=accent,
    )


SAID = [(10.0, 10.6, "go"), (20.0, 20.6, "go"), (30.0, 33.0, "we go home"), (40.0, 40.5, "stop")]
RAISED = [(10.2, "go", 0.9), (20.2, "go", 0.3), (31.0, "go", 1.0), (40.2, "go", 0.6)]


def test_alarms_have_the_planted_times_and_scores() -> None:
    found = spotting.alarms([heard(RAISED, SAID)], [spelt("go")])
    assert [round(one.start_s, 2) for one in found] == [10.2, 20.2, 31.0, 40.2]
    assert [one.score for one in found] == pytest.approx([0.9, 0.3, 1.0, 0.6], rel=2e-3)
    for one in found:
        assert one.end_s - one.start_s == pytest.approx(3 * STEP_S)
        assert one.decided_s - one.end_s == pytest.approx(0.2 + 0.3 - STEP_S, abs=STEP_S)


def test_what_sounds_like_a_keyword_is_not_judged_where_an_accent_is_given() -> None:
    raised = [
        (10.2, "eight", 0.9),
        (21.0, "eight", 0.8),
        (30.2, "eight", 0.7),
        (50.0, "eight", 0.6),
    ]
    said = [(10.0, 10.6, "eight"), (20.0, 23.0, "he ate it"), (30.0, 30.5, "ate")]
    said.append((40.0, 41.0, "hate"))
    heard_it = heard(raised, said)
    strict = judged(heard_it, texts=["eight"])
    fair = judged(heard_it, texts=["eight"], accent="en-us")
    trials = [report.forms[0].trials["eight"] for report in (strict, fair)]
    assert [one.false_alarms(0.5) for one in trials] == [3, 1]
    assert [len(one.true_scores) for one in trials] == [1, 1]
    # The clip and the sentence, widened by half a second on both sides.
    assert trials[0].hours - trials[1].hours == pytest.approx((4.0 + 1.5) / 3600)
    assert not any("sounds like" in note for note in strict.notes)
    assert any(note.startswith("ate: sounds like a keyword") for note in fair.notes)
    with pytest.raises(CorpusError, match="no accent 'xx'"):
        judged(heard_it, texts=["eight"], accent="xx")


def test_keywords_are_also_judged_each_at_its_own_rate() -> None:
    loud, quiet = [(10.0 * i, "no", 0.9) for i in range(1, 7)], [(100.0, "go", 0.3)]
    said = [(100.0, 100.6, "go"), (200.0, 200.6, "no")]
    one = heard([*loud, *quiet, (200.2, "no", 0.95)], said)
    figures = judged(one, texts=("go", "no")).forms[0].figures
    # Six false "no" in an hour: under one threshold at five an hour the quiet "go" is lost.
    assert (figures["frr_at_5"].value, figures["frr_at_5"].count) == (0.5, 2)
    assert (figures["frr_each_at_5"].value, figures["frr_each_at_5"].count) == (0.0, 2)
    assert figures["frr_each_at_0.1"].bound
    assert "frr_each_at_5" not in judged(one).forms[0].figures


def test_a_keyword_within_a_sentence_is_neither_said_nor_negative() -> None:
    one = heard(RAISED, SAID)
    placed, somewhere = spotting.occurrences([one], "go")
    assert ([each.start_s for each in placed], [each.start_s for each in somewhere]) == (
        [10.0, 20.0],
        [30.0],
    )
    assert spotting.occurrences([one], "we go")[1][0].end_s == 33.0
    assert spotting.occurrences([one], "o") == ([], [])


def test_the_report_has_the_planted_misses_and_false_alarms(tmp_path: Path) -> None:
    report = judged(heard(RAISED, SAID), heard(RAISED[:2], SAID))
    spotting.write(report, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    figures, other = (document["forms"][f"form {i}"]["figures"] for i in (0, 1))
    assert figures["frr"]["value"] == 0.5
    assert figures["false_alarms_per_hour"]["count"] == 1
    assert other["false_alarms_per_hour"]["count"] == 0
    assert figures["frr_at_5"] == figures["go/frr_at_5"]
    assert figures["frr_at_5"]["value"] == 0.0
    # An hour bears no claim about a tenth: a bound, at the lowest rate that it bears.
    assert figures["frr_at_0.1"]["bound"]
    assert any("bear no claim about 0.1 false alarms" in note for note in document["notes"])
    # One false alarm of 0.6 and commands of 0.9 and 0.3: what 1 to 10 of them would let through.
    assert any(
        "at 5 false alarms per hour 4 of them set the threshold" in note
        and "hold 1 to 10 (95 %), and with thresholds so set 0.0 to 0.0 % are missed" in note
        for note in document["notes"]
    )
    assert figures["atwv"]["value"] == pytest.approx(1 - 0.5 - 999.9 / 3598)
    # One threshold below both is better: a miss weighs more than a false alarm in an hour.
    assert figures["mtwv"]["value"] == pytest.approx(1 - 999.9 / 3598)
    assert figures["delay_median_s"]["value"] == pytest.approx(10.32 + 0.2 + 0.3 - 10.6, abs=0.06)
    worst = document["forms"]["form 0"]["worst"]
    assert [one["said"] for one in worst] == ["stop"]
    assert "1 of the 4 speakers judged here were also heard" in document["warnings"][0]
    assert any("within a sentence" in note for note in document["notes"])
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png") == 4
    assert 'role="alert"' in page
    assert "at least" in page


def test_the_report_says_how_far_the_misses_hang_on_chance() -> None:
    # At 5 an hour 1 to 10 may be allowed: one leaves out the command of 0.3, ten leave out nothing.
    raised = [*RAISED[:2], (50.2, "go", 0.95), (60.2, "go", 0.5)]
    notes = judged(heard(raised, SAID)).notes
    assert any("1 to 10 (95 %), and with thresholds so set 0.0 to 50.0 %" in note for note in notes)


def test_without_chosen_thresholds_there_is_no_chosen_point() -> None:
    report = judged(heard(RAISED, SAID), calibrated=False)
    figures = report.forms[0].figures
    assert not {"frr", "atwv", "false_alarms_per_hour"} & set(figures)
    assert any("linnet calibrate" in note for note in report.notes)


def test_a_keyword_that_is_never_said_is_judged_by_its_false_alarms_only() -> None:
    report = judged(heard(RAISED, SAID), texts=("go", "zebra"))
    assert "frr" not in report.forms[0].by_keyword["zebra"]
    assert any("zebra" in note for note in report.notes)
    with pytest.raises(InputError, match="none of the keywords zebra is said in 1 recordings"):
        judged(heard(RAISED, SAID), texts=("zebra",))


def test_the_threshold_lets_through_what_the_target_allows() -> None:
    false = [(100.0 * i, "go", 0.3 + 0.05 * i) for i in range(1, 11)]
    one = heard(false, [], duration_s=7200.0)
    for target, allowed in [(0.4, 0), (0.5, 1), (1.7, 3)]:
        found = calibrate([one], [spelt("go")], target=target, lowest=0.1)[0]
        assert found.false_alarms.count == allowed
        trials = match("go", [], spotting.alarms([one], [spelt("go")]), {"a": 7200.0})
        # Lower by the last decimal, and one more would come through.
        assert trials.false_alarms(found.keyword.threshold - 2e-4) == allowed + 1
        assert found.keyword.threshold == round(found.keyword.threshold, 4)
        assert found.claimable == (target >= 1.5)


def test_too_few_hours_say_how_many_are_needed_and_what_they_prove() -> None:
    found = calibrate([heard([], [])], [spelt("go")], target=0.5, lowest=0.2)[0]
    assert found.keyword.threshold == 0.2
    assert hours_needed(0.5) == 6
    assert found.warnings() == [
        "'go': 1.00 hours are too few to claim 0.5 false alarms per hour, which takes 6 hours; "
        "what was heard proves at most 3.7 per hour"
    ]


def test_negatives_that_hold_the_keyword_are_named_and_left_out() -> None:
    found = calibrate([heard(RAISED, SAID)], [spelt("go")], target=3.0, lowest=0.1)[0]
    assert found.containing == ("clip0", "clip1", "clip2")
    assert (
        "3 clips of the negative audio hold it and were left out (clip0, clip1, clip2)"
        in (found.warnings()[0])
    )
    assert found.hours == pytest.approx((3600 - 1.6 - 1.6 - 4.0) / 3600)
    assert found.false_alarms.count == 1


def test_a_word_that_the_model_hears_outright_cannot_be_calibrated() -> None:
    false = [(100.0 * i, "go", 1.0) for i in range(1, 6)]
    found = calibrate([heard(false, [])], [spelt("go")], target=1.0, lowest=0.1)[0]
    assert not found.reached
    assert found.keyword.threshold == 1.0
    assert "no threshold reaches 1 false alarms per hour; 5 false alarms" in found.warnings()[0]


def test_calibration_of_nothing_or_for_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="there is no negative audio to calibrate on"):
        calibrate([], [spelt("go")], target=0.5, lowest=0.1)
    with pytest.raises(InputError, match="must be above 0, got 0"):
        calibrate([heard([], [])], [spelt("go")], target=0.0, lowest=0.1)
    all_of_it = heard([], [(0.0, 100.0, "go")], duration_s=100.0)
    with pytest.raises(InputError, match="all of the negative audio holds 'go'"):
        calibrate([all_of_it], [spelt("go")], target=0.5, lowest=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("model") / "model", layers=1, hidden=8)


def test_thresholds_stand_in_model_json_and_the_model_still_loads(
    folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(folder, tmp_path / "model"))
    before = json.loads((model / "model.json").read_text())
    first = calibrate([heard([], [])], [Keyword("bad", (3, 2, 5), 0.5)], target=5.0, lowest=0.25)
    second = calibrate([heard([], [])], [Keyword("cab", (4, 2, 3), 0.5)], target=5.0, lowest=0.35)
    write(model, first, "an hour of nothing")
    write(model, second, "an hour of nothing")
    after = json.loads((model / "model.json").read_text())
    assert {name: one["threshold"] for name, one in after["keywords"].items()} == {
        "bad": 0.25,
        "cab": 0.35,
    }
    assert after["keywords"]["bad"]["evidence"]["hours"] == 1.0
    assert {**after, "keywords": {}} == {**before, "keywords": {}}
    loaded = runtime.load(model)
    assert [one.threshold for one in loaded.keywords(["cab", "bad", "bad cab"])][:2] == [0.35, 0.25]


def test_posteriors_are_found_again_by_their_model_and_audio_only(
    folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(folder, tmp_path / "model"))
    key = posteriors.key(model, {"files": ["a.wav"]})
    assert key != posteriors.key(model, {"files": ["b.wav"]})
    one = heard(RAISED, SAID, duration_s=60.0)
    stored = posteriors.Stored(
        (one, heard([], [], duration_s=30.0, name="b")), "words", posteriors.model_key(model), key
    )
    path = posteriors.save(stored, model)
    assert path.parent == tmp_path / "model.posteriors"
    again = posteriors.find(model)[0]
    assert (again.key, again.negatives, again.hours) == (key, "words", 90 / 3600)
    for mine, theirs in zip(stored.heard, again.heard, strict=True):
        assert (mine.id, mine.spans, mine.step_s) == (theirs.id, theirs.spans, theirs.step_s)
        assert mine.log_probs.tobytes() == theirs.log_probs.tobytes()
        assert mine.known_s.tobytes() == theirs.known_s.tobytes()
    assert spotting.alarms(again.heard, [spelt("go")]) == spotting.alarms(
        stored.heard, [spelt("go")]
    )
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"damaged .* delete the file"):
        posteriors.load(path)
    with pytest.raises(ModelError, match="this is no model folder"):
        posteriors.key(tmp_path, {})


def test_listening_in_blocks_gives_the_steps_of_the_runtimes_stream(folder: Path) -> None:
    model = runtime.load(folder)
    waveform = np.concatenate(clips(12))
    recording = Recording("a", waveform, model.sample_rate, ())
    found = spotting.listen(model.steps(), recording, model.seconds(1))
    steps = model.steps()
    whole = np.concatenate([steps.push(waveform), steps.flush()])
    assert found.log_probs.shape == whole.shape
    np.testing.assert_allclose(found.log_probs, whole, rtol=1e-3, atol=1e-3)
    # A step is known once its window is full: no sooner than its own samples, no later than the
    # window's read part and right context allow. The first window is read from its beginning.
    window = Window()
    ends_s = np.arange(1, len(whole) + 1) * model.seconds(1)
    assert (found.known_s >= np.minimum(ends_s, recording.duration_s) - 1e-3).all()
    late_s = (found.known_s - ends_s)[ends_s > window.left_s]
    assert (late_s <= window.read_s + window.right_s + 0.15).all()
    whole_windows = (found.known_s < recording.duration_s)[ends_s > window.left_s]
    assert late_s[whole_windows].min() >= window.right_s - 1e-3


def test_a_causal_model_heard_at_once_tells_no_delay(folder: Path) -> None:
    model = runtime.load(folder)
    recording = Recording("a", clips(1)[0], model.sample_rate, ())
    found = spotting.listen_at_once(model.log_probs, recording, model.seconds(1))
    assert np.isnan(found.known_s).all()
    assert len(found.log_probs) == len(model.log_probs(recording.waveform))
    report = judged(
        Heard(
            "a",
            3600.0,
            heard([], SAID).spans,
            STEP_S,
            heard(RAISED, SAID).log_probs,
            np.full(90000, np.nan, np.float32),
        )
    )
    assert "delay_median_s" not in report.forms[0].figures


def test_windows_are_those_of_the_runtime(folder: Path) -> None:
    model = runtime.load(folder)
    window, rate = Window(), model.sample_rate
    ours = Windows(
        model.log_probs,
        len(model.tokenizer.tokens),
        round(model.seconds(1) * rate),
        left=round(window.left_s * rate),
        read=round(window.read_s * rate),
        right=round(window.right_s * rate),
    )
    waveform = np.concatenate(clips(9))
    theirs = model.steps()
    first, second = (
        np.concatenate([steps.push(waveform), steps.flush()]) for steps in (ours, theirs)
    )
    assert first.tobytes() == second.tobytes()


def substring_distance(pattern: str, text: str) -> int:
    def edits(a: str, b: str) -> int:
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, 1):
            diagonal, row[0] = row[0], i
            for j, y in enumerate(b, 1):
                diagonal, row[j] = row[j], min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
        return row[-1]

    parts = {text[i:j] for i in range(len(text) + 1) for j in range(i, len(text) + 1)}
    return min(edits(pattern, part) for part in parts)


def test_the_distance_is_the_fewest_changes_to_any_part_of_a_word() -> None:
    words = ["cup", "supper", "linen", "a", "minute", "they"]
    vocabulary = Vocabulary(words)
    for text in ("up", "linnet", "hey", "b", "supper"):
        ours = vocabulary.distances(text).tolist()
        assert ours == [substring_distance(text, word) for word in words]


def test_a_short_word_inside_others_is_called_risky_and_a_call_is_suggested() -> None:
    vocabulary = Vocabulary(everyday_words())
    found = risk(spelt("up"), vocabulary, [], target=0.5, lowest=0.1, most=3)
    assert found.nearest[0][1] == 0
    assert any("short: 2 letters" in reason for reason in found.reasons())
    assert any(reason.startswith("fires on ") for reason in found.reasons())
    long = risk(spelt("hey linnet"), vocabulary, [], target=0.5, lowest=0.1, most=1)
    assert len(long.nearest[0][0].split()) == 2
    better = suggestions(spelt("linnet"), vocabulary, TOKENS, [], target=0.5, lowest=0.1, most=4)
    assert all(one.closeness > found.closeness for one in better)
    assert all(len(one.keyword.text) >= 8 for one in better)


def test_the_replay_counts_the_false_alarms_that_were_planted() -> None:
    one = heard([(50.0 * i, "linnet", 0.6) for i in range(1, 5)], [])
    vocabulary = Vocabulary(["minute"])
    found = risk(spelt("linnet"), vocabulary, [one], target=2.0, lowest=0.1, most=3)
    assert found.false_alarms is not None
    assert found.false_alarms.count == 4
    assert found.calibration is not None
    assert found.calibration.keyword.threshold == pytest.approx(0.6, abs=2e-3)
    ranked = suggestions(spelt("linnet"), vocabulary, TOKENS, [one], target=2.0, lowest=0.1, most=2)
    assert [each.calibration.keyword.threshold for each in ranked if each.calibration] == [0.1, 0.1]


def test_a_word_with_a_token_of_its_own_is_compared_by_its_letters() -> None:
    words = Words(["left", "right"])
    vocabulary = Vocabulary(["lift", "zoo"])
    found = risk(keyword("left", words, 0.5), vocabulary, [], target=0.5, lowest=0.1, most=3)
    assert found.nearest == (("lift", 1),)
    assert "sounds like lift: 1 of 4 differ" in found.reasons()
    assert not suggestions(found.keyword, vocabulary, words, [], target=0.5, lowest=0.1, most=3)


def test_phonemes_are_compared_as_words_are_said() -> None:
    lexicon = {"right": "ɹaɪt", "write": "ɹaɪt", "night": "naɪt", "big": "bɪɡ"}
    phonemes = Phonemes([*"ɹtnbɪɡ", "aɪ"], lexicon, "en-us")
    vocabulary = Vocabulary(["big", "night", "write"], phonemes)
    found = risk(keyword("right", phonemes, 0.5), vocabulary, [], target=0.5, lowest=0.1, most=2)
    assert found.nearest == (("write", 0), ("night", 1))
    assert found.letters == 3
    assert "fires on write, which hold all of its phonemes" in found.reasons()
    assert any("short: 3 phonemes" in reason for reason in found.reasons())


def test_the_det_picture_has_the_colours_of_its_curves_and_the_same_bytes() -> None:
    random = np.random.default_rng(0)

    def trials() -> Trials:
        return Trials(random.random(40), np.zeros(40), random.random(30) * 0.7, 3.0)

    curves = {"go": trials(), "stop": trials()}
    first = draw(curves, {"go": 0.5}, rates=[1.0])
    assert draw(curves, {"go": 0.5}, rates=[1.0]) == first
    assert first != draw(curves, {"go": 0.5}, rates=[1.0], theme="dark")
    image = Image.open(io.BytesIO(first)).convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 20) or []}
    for wanted in [(0, 114, 178), (213, 94, 0)]:
        assert min(max(abs(a - b) for a, b in zip(wanted, c, strict=True)) for c in colours) < 12
    assert at_rate(curves["go"], 1.0).frr is not None
