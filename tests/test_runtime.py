"""The runtime: an exported model answers as its checkpoint does, or says why it cannot."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from linnet import audio, decode
from linnet.errors import InputError, ModelError
from linnet.runtime import Model, Transcript, load
from small_model import TOKENIZER, clips, exported, front_end, network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_a_folder_a_lone_graph_and_the_checkpoint_answer_alike(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    lone = load(shutil.copy(folder / "model.onnx", tmp_path / "renamed.onnx"))
    made = front_end()
    net = network(made.features)
    for waveform in clips():
        with torch.no_grad():
            batch, samples = torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
            expected = net(*made(batch, samples))[0].numpy()
        assert np.abs(model.log_probs(waveform) - expected).max() < 1e-3
        assert np.array_equal(model.log_probs(waveform), lone.log_probs(waveform))
        assert model.transcribe(waveform, 16000) == lone.transcribe(waveform, 16000)
    assert model.tokenizer.tokens == lone.tokenizer.tokens == TOKENIZER.tokens
    assert model.sample_rate == lone.sample_rate == 16000
    assert [model.seconds(step) for step in range(90)] == [made.seconds(s) for s in range(90)]


def test_a_transcript_is_what_the_decoder_finds_in_the_log_probabilities(model: Model) -> None:
    read = 0
    for waveform in clips(5):
        log_probs = model.log_probs(waveform)
        for beam, found in ((1, decode.greedy(log_probs)), (4, decode.beam(log_probs, 4))):
            transcript = model.transcribe(waveform, 16000, beam=beam)
            assert transcript.text == TOKENIZER.decode(found.ids)
            assert transcript.confidence == found.confidence
            assert [t.token for t in transcript.tokens] == [TOKENIZER.tokens[i] for i in found.ids]
            assert [t.start for t in transcript.tokens] == [
                model.seconds(step) for step in found.starts
            ]
            assert [t.end for t in transcript.tokens] == [
                model.seconds(step) for step in found.ends
            ]
            assert [t.confidence for t in transcript.tokens] == list(found.confidences)
            read += len(found.ids)
    assert read > 10


def test_another_sample_rate_is_resampled(model: Model) -> None:
    waveform = clips(1)[0]
    slow = audio.resample(waveform, 16000, 8000)
    expected = model.transcribe(audio.resample(slow, 8000, 16000), 16000)
    assert model.transcribe(slow, 8000) == expected


def test_the_shortest_clips_have_an_answer(model: Model) -> None:
    for samples in (0, 1, 2, 399, 400):
        waveform = np.zeros(samples, np.float32)
        assert model.log_probs(waveform).shape == (1, len(TOKENIZER.tokens))
        assert len(model.transcribe(waveform, 16000).tokens) <= min(samples, 1)
    assert model.transcribe(np.zeros(0, np.float32), 16000) == Transcript("", 1.0, ())


def test_threads_share_one_model_and_agree(folder: Path, model: Model) -> None:
    waveforms = clips(6) * 3
    expected = [model.log_probs(waveform) for waveform in waveforms]
    with ThreadPoolExecutor(8) as pool:
        for got, right in zip(pool.map(model.log_probs, waveforms), expected, strict=True):
            assert np.array_equal(got, right)
    wide = load(folder, threads=2)
    assert np.abs(wide.log_probs(waveforms[0]) - expected[0]).max() < 1e-4


@pytest.mark.parametrize(
    ("waveform", "text"),
    [
        (np.zeros((2, 160), np.float32), r"the shape \(2, 160\); expected one axis"),
        (np.zeros((), np.float32), r"the shape \(\); expected one axis"),
        (np.zeros(160, np.int16), "the waveform is int16; expected float32 .* 32768"),
        (np.zeros(160), "the waveform is float64; expected float32"),
        (np.array([0, np.nan], np.float32), "holds NaN or infinity"),
        (np.array([0, -np.inf], np.float32), "holds NaN or infinity"),
    ],
)
def test_what_is_no_waveform_is_refused(model: Model, waveform: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        model.log_probs(waveform)
    with pytest.raises(InputError, match=text):
        model.transcribe(waveform, 16000)


def test_a_wrong_rate_beam_or_number_of_threads_is_refused(model: Model, folder: Path) -> None:
    waveform = clips(1)[0]
    with pytest.raises(InputError, match=r"sample_rate=0 Hz is no rate .* 1000 to 768000"):
        model.transcribe(waveform, 0)
    with pytest.raises(InputError, match="beam=0 must be at least 1"):
        model.transcribe(waveform, 16000, beam=0)
    with pytest.raises(InputError, match="threads=0 must be at least 1"):
        load(folder, threads=0)


def refused(path: Path, text: str) -> None:
    with pytest.raises(ModelError, match=text) as raised:
        load(path)
    assert raised.value.exit_status == 2
    assert len(str(raised.value).splitlines()) == 1


def test_what_is_no_model_is_named(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere: there is no such model; check the path")
    refused(tmp_path, r"this is no model folder, for it lacks model\.json")
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.write_bytes(b"PK")
    refused(checkpoint, "is a checkpoint; export it first: linnet export checkpoint=.*best.ckpt")
    text = tmp_path / "notes.onnx"
    text.write_text("no graph")
    refused(text, r"notes\.onnx: onnxruntime cannot load it as a graph")
    refused(folder / "tokens.txt", "cannot load it as a graph")
    refused(folder / "features.onnx", r"takes log_mel, not a waveform; give the model folder")
    identity = helper.make_node("Identity", ["x"], ["y"])
    value = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N"]) for n in "xy"]
    graph = helper.make_graph([identity], "other", value[:1], value[1:])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "other.onnx")
    refused(tmp_path / "other.onnx", "was not written by 'linnet export'")


def rewrite(folder: Path, **changes: Any) -> None:
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    described.update(changes)
    (folder / "model.json").write_text(json.dumps(described), encoding="utf-8")


def change_a_byte(path: Path) -> None:
    """Change one in the middle, so that the size says nothing."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_folder_is_named(copied: Path) -> None:
    whole = (copied / "model.onnx").read_bytes()
    (copied / "model.onnx").write_bytes(whole[:-1000])
    refused(copied, r"model\.onnx: the file is not the one that was exported: .* sha256")
    (copied / "model.onnx").unlink()
    refused(copied, r"this model folder lacks model\.onnx; copy the whole folder again, or export")
    (copied / "model.onnx").write_bytes(whole)
    assert load(copied).sample_rate == 16000
    rewrite(copied, files={})
    refused(copied, r"tokens\.txt: the file is not the one .*: model\.json does not name it")
    (copied / "model.json").write_text('{"format": "linnet", ')
    refused(copied, r"model\.json is damaged .*; export it again")
    (copied / "model.json").write_text("[]")
    refused(copied, "does not describe a Linnet model")


@pytest.mark.parametrize("file", ["tokens.txt", "model.onnx"])
def test_a_folder_with_a_changed_byte_in_what_it_opens_is_refused(copied: Path, file: str) -> None:
    said = rf"{file}: the file is not the one that was exported: model\.json says sha256 \w{{12}}"
    change_a_byte(copied / file)
    refused(copied, rf"{said}\.\.\., it has \w{{12}}\.\.\.; copy the folder again, or export")
    (copied / file).unlink()
    refused(copied, f"lacks {file}; copy the whole folder again")


@pytest.mark.parametrize(
    "file", ["model.onnx", "model.int8.onnx", "features.onnx", "features.int8.onnx"]
)
def test_a_graph_with_a_changed_byte_is_refused_where_its_folder_names_it(
    copied: Path, file: str
) -> None:
    change_a_byte(copied / file)
    said = r"the file is not the one that was exported: model\.json says sha256"
    refused(copied / file, rf"{file}: {said}")
    if file != "model.onnx":
        assert load(copied).sample_rate == 16000, "what nobody opens costs nothing"


def test_a_graph_beside_another_description_needs_none(folder: Path, tmp_path: Path) -> None:
    graph = Path(shutil.copy(folder / "model.onnx", tmp_path / "model.onnx"))
    foreign = ('{"files": {"model.onnx": {}}}', "[]", '{"format": "linnet"}', "{", "\xff")
    for content in foreign:
        (tmp_path / "model.json").write_text(content, encoding="latin-1")
        assert load(graph).sample_rate == 16000


def test_a_model_of_another_version_or_kind_is_named(copied: Path) -> None:
    rewrite(copied, version=7)
    refused(copied, "has format version 7, this Linnet reads 1; export it again")
    rewrite(copied, version=1, tokenizer={"kind": "phones", "tokens": ["<blk>", "a"]})
    refused(copied, "lacks or spoils something .*there is no tokenizer 'phones'")
    rewrite(copied, tokenizer={"kind": "words", "tokens": ["<blk>", "a"]})
    refused(copied, r"one output of 2 tokens, this has .*'N', 'T_out', 12")
    rewrite(copied, subsampling={})
    refused(copied, "lacks or spoils something .*'samples'")
