"""The model card: what it says was measured, and every command in it runs as it stands."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import soundfile
import yaml

from linnet import audio
from linnet.errors import ConfigError
from linnet.export import Contents, check_report, export, matching
from linnet.export.hosts import hosts
from linnet.runtime import load, session
from linnet.text import Mixed, Phonemes, Tokenizer, Words
from small_model import TOKENIZER, clips, front_end, network, silent

RECORD = {
    "seed": 0,
    "commit": "0123456789abcdef",
    "manifest": "fedcba9876543210",
    "linnet": "0.1.0",
    "settings": {"data": {"_target_": "linnet.sources.folders.Folders", "words": ["a", "b"]}},
    "training_speakers": ["ann", "bob", "cy"],
}
REPORT: dict[str, Any] = {
    "figures": {
        "wer": {"value": 0.0506, "low": 0.0219, "high": 0.0767, "count": 553},
        "closed_set_accuracy": {"value": 0.949, "low": 0.928, "high": 0.965, "count": 553},
    },
    "data": {"source": "linnet.sources.folders.Folders", "split": "test", "clips": 553}
    | {"hours": 0.15, "speakers": 118},
    "record": {key: RECORD[key] for key in ("seed", "commit", "manifest", "settings")},
}


# Of as many tokens as the small network has.
MIXED = Mixed("ab", ["down", "go", "happy", "left", "no", "right", "up", "yes"])
PHONEMES = Phonemes([*"nmstɹdɡp", "aɪ", "oʊ"], {"night": "naɪt", "go": "ɡoʊ"}, "en-us")
WORDS = Words(["down", "go", "happy", "i", "left", "no", "on", "right", "stop", "up", "yes"])


def speaking(output: Path, tokens: Tokenizer, rarity: float = 1.0) -> Path:
    """Make a model folder with a recording in it that the commands of its card read."""
    made = front_end()
    record = {**RECORD, "settings": {**RECORD["settings"], "rarity": rarity}}
    report = {**REPORT, "record": {**REPORT["record"], "settings": record["settings"]}}
    parts = (made, network(made.features), tokens, record, output, clips())
    export(*parts, contents=Contents(report=report), longest_s=0.5, say=silent)
    soundfile.write(output / "speech.wav", np.concatenate(clips(4)), 16000, subtype="PCM_16")
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking(tmp_path_factory.mktemp("card") / "my_model", TOKENIZER)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking(tmp_path_factory.mktemp("card") / "mixed", MIXED, rarity=5000.0)


@pytest.fixture(scope="module")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking(tmp_path_factory.mktemp("card") / "worded", WORDS)


@pytest.fixture(scope="module")
def phonetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking(tmp_path_factory.mktemp("card") / "phonetic", PHONEMES, rarity=30.0)


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_hub_reads_what_stands_between_the_dashes(folder: Path) -> None:
    _, head, text = card(folder).split("---\n", 2)
    content = yaml.safe_load(head)
    assert content["library_name"] == "onnx"
    (entry,) = content["model-index"]
    assert entry["name"] == "my_model"
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "folders", "type": "folders", "split": "test"}
    assert [one["value"] for one in result["metrics"]] == [0.0506, 0.949]
    assert text.startswith("\n# my_model\n")


def test_the_card_says_what_was_measured(folder: Path) -> None:
    text = card(folder)
    assert "| Word error rate | 5.1% | 2.2% to 7.7% | 553 |" in text
    assert "553 recordings, 0.15 h, 118 speakers" in text
    assert "Trained on Folders (2 words: a, b), 3 speakers" in text
    size = (folder / "model.onnx").stat().st_size / 1e6
    assert re.search(rf"`model\.onnx` \| waveform in.* \| {size:.2f} MB \| 0\.0\d+ \|", text)
    assert "The times that sherpa-onnx prints with `model.onnx` are right." in text
    assert "with `features.onnx` are to be multiplied by 0.5." in text
    reported = json.loads((folder / "parity.json").read_text())["sherpa_onnx"]
    assert reported["model.onnx"]["multiply_its_times_by"] == 1
    assert "\n\n\n" not in text
    assert re.search(r"\n\|[^\n]*\n[^|\n]", text) is None, "a line is glued to a table"


def test_a_model_without_a_report_says_so(tmp_path: Path) -> None:
    made = front_end()
    parts = (made, network(made.features), TOKENIZER, {}, tmp_path / "model", clips())
    export(*parts, longest_s=0.5, say=silent)
    text = card(tmp_path / "model")
    assert "No figures: the model had not been evaluated" in text
    assert "model-index" not in text
    assert "does not say what it was trained on" in text


def test_a_report_about_another_model_is_refused() -> None:
    path = Path("report.json")
    assert check_report(REPORT, RECORD, path) is REPORT
    other = {**RECORD, "seed": 1}
    assert not matching(REPORT, other)
    assert not matching(REPORT, {})
    with pytest.raises(ConfigError, match=r"report=report.json judges another model"):
        check_report(REPORT, other, path)
    with pytest.raises(ConfigError, match=r"is no report.json of linnet evaluate"):
        check_report({"wer": 1}, RECORD, path)


def test_only_the_features_that_a_host_computes_are_promised_to_it() -> None:
    described: dict[str, Any] = {
        "front_end": front_end().settings,
        "subsampling": {"seconds": 0.03},
    }
    assert hosts(described)["model.onnx"]["multiply_its_times_by"] == 1.5
    assert hosts(described)["features.onnx"]["multiply_its_times_by"] == 0.75
    narrow = described | {"front_end": front_end(high_hz=7000.0).settings}
    assert sorted(hosts(narrow)) == ["model.onnx"]
    unlevelled = described | {"front_end": front_end(normalise_waveform=False).settings}
    assert sorted(hosts(unlevelled)) == ["features.onnx"]
    assert "stream.onnx" in hosts(unlevelled | {"stream": {}})


def node_modules() -> Path:
    """Give the folder of npm packages that the JavaScript of the card needs."""
    known = os.environ.get("LINNET_NODE_MODULES")
    if not known or not shutil.which("node"):
        pytest.skip("set LINNET_NODE_MODULES to a node_modules with onnxruntime-web, sherpa-onnx")
    return Path(known)


def blocks(folder: Path) -> list[tuple[str, str]]:
    return re.findall(r"```(bash|python|javascript)\n(.*?)```", card(folder), re.DOTALL)


def answered(folder: Path, kind: str, code: str) -> str:
    """Run a block of the card in the folder; give what it printed."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    if kind == "javascript":
        environment["NODE_PATH"] = str(node_modules())
        command = ["node", "-e", code]
    elif kind == "python":
        command = [sys.executable, "-c", code]
    else:
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        program = code.splitlines()[-1].split()[0]
        if not shutil.which(program, path=environment["PATH"]):
            pytest.skip(f"{program} is not installed")
        command = ["bash", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # sherpa-onnx writes JSON among other lines, to either stream.
    said = re.search(r'"text": "(.*?)"', done.stdout + done.stderr)
    if kind == "bash" and said:
        return said[1].strip()
    return done.stdout.splitlines()[-1].removeprefix("speech.wav").strip(" :\t")


def heard(folder: Path) -> str:
    return load(folder).transcribe(audio.read(folder / "speech.wav"), 16000).text


@pytest.mark.parametrize("number", range(9))
def test_every_command_of_the_card_says_the_same(folder: Path, number: int) -> None:
    found = blocks(folder)
    assert len(found) == 8 + 1
    expected = heard(folder)
    assert len(expected) > 5
    assert answered(folder, *found[number]) == expected


def programs(folder: Path) -> list[tuple[str, str]]:
    return [(kind, code) for kind, code in blocks(folder) if kind != "bash"]


@pytest.mark.parametrize("number", range(6))
def test_every_program_of_the_card_sets_whole_words_off_from_what_is_spelt(
    mixed: Path, number: int
) -> None:
    found = programs(mixed)
    assert len(found) == 6
    expected = heard(mixed)
    whole = [word in MIXED.tokens[4:] for word in expected.split()]
    assert {*itertools.pairwise(whole)} >= {(True, True), (True, False), (False, True)}
    assert answered(mixed, *found[number]) == expected


def test_the_card_of_a_closed_vocabulary_has_spaces_between_words(worded: Path) -> None:
    expected = heard(worded)
    assert len(expected.split()) > 2
    onnxruntime_block = next(one for one in programs(worded) if "onnxruntime" in one[1])
    assert answered(worded, *onnxruntime_block) == expected


def test_every_program_of_the_card_prints_phonemes(phonetic: Path) -> None:
    found = programs(phonetic)
    said = heard(phonetic)
    assert len(said) > 5
    # None of the words that Linnet looks up happens to be heard, so that both print the same.
    assert not PHONEMES.lexicon.keys() & said.split()
    for program in (found[0], found[2], found[3]):
        assert answered(phonetic, *program) == said


def test_the_card_names_what_a_model_can_say(
    folder: Path, mixed: Path, worded: Path, phonetic: Path
) -> None:
    assert "with CTC on 11 phonemes." in card(phonetic)
    assert "other runtimes print what was heard" in card(phonetic)
    assert "with CTC on 11 characters." in card(folder)
    assert "with CTC on 3 characters and 8 words (down, go, happy," in card(mixed)
    assert "with CTC on 11 words (down, go, happy, i, left" in card(worded)
    assert "takes a whole word to be 5,000 times rarer than in its training" in card(mixed)
    assert "takes whatever is said to be 30 times rarer than in its training" in card(phonetic)
    assert "trained to spot" not in card(worded)
    glued = "the `text` that sherpa-onnx prints has no space beside it"
    assert [glued in card(one) for one in (folder, mixed, worded)] == [False, True, True]


def test_openvino_gives_the_same_logits(folder: Path, recordings: Path) -> None:
    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    happy = sorted((recordings / "speech_commands_subset" / "happy").glob("*"))[:3]
    for name in ("model.onnx", "model.int8.onnx"):
        compiled = core.compile_model(str(folder / name), "CPU", exact)
        ours = session((folder / name).read_bytes(), name)
        for waveform in [*map(audio.read, happy), *clips()]:
            expected = ours.run(None, {"x": waveform[None]})[0]
            assert np.abs(compiled(waveform[None])[0] - expected).max() < 1e-3
        # It computes in float32 alone, which shows where all features of a clip are one number.
        nothing = compiled(np.zeros((1, 0), np.float32))[0]
        assert nothing.shape == (1, 1, 12)
        assert np.isfinite(nothing).all()
    compiled = core.compile_model(str(folder / "features.onnx"), "CPU", exact)
    ours = session((folder / "features.onnx").read_bytes(), "features.onnx")
    random = np.random.default_rng(0)
    log_mel = random.normal(-8, 3, (3, 77, 80)).astype(np.float32)
    inputs = {"x": log_mel, "x_lens": np.array([77, 40, 3])}
    expected, steps = ours.run(None, inputs)
    got = list(compiled(inputs).values())
    assert got[1].tolist() == steps.tolist()
    for one, other, count in zip(got[0], expected, steps, strict=True):
        assert np.abs(one[:count] - other[:count]).max() < 1e-3
