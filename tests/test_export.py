"""Export: the graphs compute what the checkpoint computes, and a folder is whole or not there."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import kaldi_native_fbank
import numpy as np
import onnx
import onnxruntime
import pytest
import scipy.fft
import torch
from jaxtyping import Float32
from onnx import numpy_helper

from linnet import audio
from linnet.errors import ConfigError, LinnetError, ModelError, ParityError
from linnet.evaluation import Utterance
from linnet.export import Contents, describing, export, fingerprint, int8, parity, reading
from linnet.export.spectrum import bin_order
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import load, session
from linnet.streaming import network as build_network
from linnet.text import Characters, Mixed
from small_model import RECORD, TOKENIZER, clips, exported, front_end, network, silent

VARIANTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({}, {"cell": "lstm"}),
    ({}, {"cell": "rnn"}),
    ({}, {"bidirectional": False, "layers": 1}),
    ({}, {"cell": "lstm", "bidirectional": False, "layers": 3, "hidden": 17}),
    ({"normalisation": "training"}, {}),
    ({"normalise_waveform": False}, {}),
    ({"stack": 1}, {}),
    ({"stack": 4, "cepstra": 13, "mels": 41}, {"layers": 1}),
    ({"sample_rate": 8000, "high_hz": 3800.0, "window_ms": 30.0, "stack": 3}, {}),
    ({"window_ms": 20.0, "shift_ms": 7.5}, {}),
    ({"cepstra": 0}, {}),
    ({"cepstra": 0, "stack": 4}, {"channels": [4, 6, 5], "strides": [2, 2, 1]}),
    ({"cepstra": 0, "normalisation": "training"}, {"channels": [4], "strides": [2]}),
]


def built(made: FrontEnd, net: Network) -> dict[str, onnx.ModelProto]:
    graphs = describing.build(made, net, describing.describe(made, net, TOKENIZER, RECORD))
    return graphs | {int8.int8_name(n): int8.stored_as_int8(g) for n, g in graphs.items()}


def checked(
    graphs: dict[str, onnx.ModelProto], made: FrontEnd, net: Network, longest_s: float = 2.0
) -> dict[str, Any]:
    named = {f"clip {i}": clip for i, clip in enumerate(clips())}
    return parity.check(made, net, graphs, named, longest_s=longest_s, say=silent)


@pytest.mark.parametrize(("front", "net"), VARIANTS, ids=[f"{a} {b}" for a, b in VARIANTS])
def test_both_graphs_equal_the_checkpoint(front: dict[str, Any], net: dict[str, Any]) -> None:
    made = front_end(**front)
    net_ = network(made.features, **net)
    found = checked(built(made, net_), made, net_)
    for record in found["files"].values():
        assert record["largest_error"] < parity.LIMIT
        assert record["comparisons"] > 20


STREAMING: list[dict[str, Any]] = [
    {"kind": "lookahead", "lookahead": 3, "history": 0},
    {"kind": "chunked", "chunk": 4, "lookahead": 3, "history": 0},
    {"kind": "chunked", "chunk": 2, "lookahead": 5, "history": 0},
    {"kind": "lookahead", "lookahead": 3, "history": 9, "momentum": 0.3},
    {"kind": "chunked", "chunk": 4, "lookahead": 3, "history": 9, "momentum": 0.3},
]


def streaming(settings: dict[str, Any]) -> tuple[FrontEnd, Network]:
    made = front_end(normalisation="training", normalise_waveform=False)
    shared = {"tokens": len(TOKENIZER.tokens), "cell": "gru", "layers": 2, "hidden": 24}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = build_network({**shared, "features": made.features, "dropout": 0.1, **settings})
        net.head.reset_parameters()  # the start that training wants says the blank too often
        for _ in range(3):  # statistics of something, where the network keeps them
            net(1.0 + 2.0 * torch.randn(4, 20, made.features), torch.tensor([20, 3, 11, 20]))
    with torch.no_grad():
        net.head.weight *= 12.0
    return made, net.eval().plain()


@pytest.mark.parametrize("settings", STREAMING, ids=str)
def test_a_stream_in_pieces_equals_the_whole_clip(settings: dict[str, Any]) -> None:
    made, net = streaming(settings)
    found = checked(built(made, net), made, net)
    assert sorted(found["files"]) == sorted(
        f"{name}{ending}"
        for name in ("model", "features", "stream")
        for ending in (".onnx", ".int8.onnx")
    )
    for record in found["files"].values():
        assert record["largest_error"] < parity.LIMIT


STACKED: list[dict[str, Any]] = [
    {"cell": "gru", "residual": True, "projection": 16, "directions": "concatenated"},
    {"cell": "ligru", "residual": False, "projection": 0, "directions": "summed"},
]


@pytest.mark.parametrize("settings", STACKED, ids=str)
def test_relatives_of_the_network_pass_with_int8_weights_too(settings: dict[str, Any]) -> None:
    made = front_end()
    sizes = {"tokens": len(TOKENIZER.tokens), "layers": 2, "hidden": 24, "bidirectional": True}
    shared = {"kind": "stacked", "features": made.features, "dropout": 0.1, **sizes}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = build_network(shared | settings).eval()
    for record in checked(built(made, net), made, net)["files"].values():
        assert record["largest_error"] < parity.LIMIT


def test_a_streaming_network_wants_a_front_end_that_streams(tmp_path: Path) -> None:
    made, net = streaming(STREAMING[0])
    for changes in ({}, {"normalisation": "training"}):
        with pytest.raises(ModelError, match=r"needs the whole clip .* frontend=streaming"):
            export(front_end(**changes), net, TOKENIZER, RECORD, tmp_path / "m", clips())
    output = tmp_path / "model"
    export(made, net, TOKENIZER, RECORD, output, clips(), longest_s=1.0, say=silent)
    described = json.loads((output / "model.json").read_text())
    assert described["stream"]["delay_steps"] == 3


def test_the_graphs_equal_the_checkpoint_on_real_recordings(recordings: Path) -> None:
    words = recordings / "speech_commands_subset"
    chosen = [p for word in ("happy", "zero", "one") for p in sorted((words / word).glob("*"))[:4]]
    made = front_end()
    net = network(made.features)
    named = {path.name: audio.read(path) for path in chosen}
    found = parity.check(made, net, built(made, net), named, longest_s=3.0, say=silent)
    assert all(record["greedy_tokens"] == "identical" for record in found["files"].values())


@pytest.mark.slow
def test_the_graphs_equal_the_checkpoint_over_ten_minutes() -> None:
    made = front_end()
    net = network(made.features)
    assert (
        "600 s" in checked(built(made, net), made, net, longest_s=parity.LONGEST_S)["hard_shapes"]
    )


def test_a_hosts_own_normalisation_and_any_gain_change_nothing() -> None:
    made = front_end()
    net = network(made.features)
    graph = session(built(made, net)["model.onnx"].SerializeToString(), "model.onnx")
    for clip in clips():
        expected = graph.run(None, {"x": clip[None]})[0]
        host = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-5)
        assert np.abs(graph.run(None, {"x": host[None]})[0] - expected).max() < 2e-3
        for gain in (0.01, 0.5, 30.0):
            louder = graph.run(None, {"x": (np.float32(gain) * clip)[None]})[0]
            assert np.abs(louder - expected).max() < 2e-3


def kaldi_log_mel(waveform: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames mels"]:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = 80
    options.mel_opts.high_freq = 7600.0
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(16000, waveform.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])


def test_the_features_graph_reads_the_log_mel_of_another_program() -> None:
    made = front_end()
    net = network(made.features)
    graphs = {n: session(g.SerializeToString(), n) for n, g in built(made, net).items()}
    for clip in clips():
        levelled = (clip - clip.mean()) / clip.std()
        log_mel = kaldi_log_mel(levelled)[None]
        lengths = np.array([log_mel.shape[1]])
        got, steps = graphs["features.onnx"].run(None, {"x": log_mel, "x_lens": lengths})
        expected = graphs["model.onnx"].run(None, {"x": clip[None]})[0]
        assert got.shape == expected.shape
        assert steps.tolist() == [expected.shape[1]]
        assert np.abs(got - expected).max() < 0.02


def test_the_fingerprint_can_be_recomputed_by_another_program() -> None:
    made = front_end()
    mark = fingerprint.fingerprint(made)
    waveform = fingerprint.fixed_waveform()
    assert len(waveform) == 4000
    states = [1103527590, (1103515245 * 1103527590 + 12345) % 2**31]  # the first by hand
    assert waveform[:2].tolist() == [(state >> 15) / 32768 - 1 for state in states]
    levelled = (waveform - waveform.mean()) / waveform.std()
    cepstra = scipy.fft.dct(kaldi_log_mel(levelled), norm="ortho")
    shown = np.array(mark["cepstra"])
    frames = np.array(mark["frames"])
    assert np.abs(cepstra[frames, : shown.shape[1]] - shown).max() < mark["tolerance"]


def test_the_spectrum_holds_every_bin() -> None:
    for length in (128, 256, 512, 1024):
        assert set(bin_order(length)) == set(range(length // 2 + 1))


def test_the_graphs_are_plain_small_and_open_in_batch_and_time(tmp_path: Path) -> None:
    output = exported(tmp_path / "model")
    reported = json.loads((output / "parity.json").read_text())
    shapes = {
        "model.onnx": [["x", "N", "S"], ["logits", "N", "T_out", 12]],
        "features.onnx": [
            ["x", "N", "T", 80],
            ["x_lens", "N"],
            ["log_probs", "N", "T_out", 12],
            ["log_probs_len", "N"],
        ],
    }
    shapes |= {int8.int8_name(name): expected for name, expected in shapes.items()}
    for name, expected in shapes.items():
        model = onnx.load(output / name)
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version == 8
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
        values = [*model.graph.input, *model.graph.output]
        assert expected == [
            [v.name, *(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim)]
            for v in values
        ]
        assert all(node.name for node in model.graph.node)
        assert len(model.graph.node) == reported["files"][name]["nodes"] < 170
        assert (output / name).stat().st_size == reported["files"][name]["bytes"]


def test_the_description_stands_in_the_folder_and_in_each_graph(tmp_path: Path) -> None:
    output = exported(tmp_path / "model")
    described = json.loads((output / "model.json").read_text())
    files = described.pop("files")
    cuts = {"model": "waveform", "features": "log_mel"}
    for name, cut in [(f"{n}{e}", c) for n, c in cuts.items() for e in (".onnx", ".int8.onnx")]:
        metadata = {p.key: p.value for p in onnx.load(output / name).metadata_props}
        assert json.loads(metadata.pop("linnet")) == described
        assert metadata.pop("model_type")
        assert metadata == {
            "linnet_cut": cut,
            "sample_rate": "16000",
            "subsampling_factor": "2",
            "version": "1",
            "vocab_size": "12",
        }
    assert described["subsampling"] == {"frames": 2, "samples": 320, "seconds": 0.02}
    assert described["tokenizer"] == {"kind": "characters", "tokens": TOKENIZER.tokens}
    assert described["record"] == RECORD
    assert described["keywords"] == {}
    assert FrontEnd(**described["front_end"]).settings == front_end().settings
    assert sorted(files) == [
        "features.int8.onnx",
        "features.onnx",
        "model.int8.onnx",
        "model.onnx",
        "parity.json",
        "tokens.txt",
    ]
    for name, identity in files.items():
        content = (output / name).read_bytes()
        assert identity == {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert (output / "tokens.txt").read_text(encoding="utf-8").splitlines()[:3] == [
        "<blk> 0",
        "\u2581 1",
        "a 2",
    ]


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = exported(tmp_path / "one"), exported(tmp_path / "other")
    assert [p.name for p in sorted(one.iterdir())] == [p.name for p in sorted(other.iterdir())]
    for path in one.iterdir():
        if path.name != "README.md":  # it says how long this machine took
            assert path.read_bytes() == (other / path.name).read_bytes(), path.name


# Faults, planted in a graph that is right.


def constant(graph: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(c for c in graph.graph.initializer if c.name == name)


def change(graph: onnx.ModelProto, name: str, values: np.ndarray[Any, Any]) -> None:
    constant(graph, name).CopyFrom(numpy_helper.from_array(values, name))


def values_of(graph: onnx.ModelProto, name: str) -> np.ndarray[Any, Any]:
    return numpy_helper.to_array(constant(graph, name)).copy()


def node(graph: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(n for n in graph.graph.node if n.name == name)


def matrix(graph: onnx.ModelProto, name: str) -> str:
    """Give the name under which a matrix is stored, in float32 or int8."""
    names = {constant.name for constant in graph.graph.initializer}
    return name if name in names else f"{name}/int8"


def plant_weight(graph: onnx.ModelProto) -> None:
    name = matrix(graph, "layer_1/backward/state_weight")
    values = values_of(graph, name)
    values[0, 5, 7] = values[0, 5, 7] // 2 if name.endswith("int8") else values[0, 5, 7] + 0.05
    change(graph, name, values)


def plant_scale(graph: onnx.ModelProto) -> None:
    values = values_of(graph, "layer_0/forward/input_weight/scale")
    values[0, 3] *= 1.01
    change(graph, "layer_0/forward/input_weight/scale", values)


def plant_window(graph: onnx.ModelProto) -> None:
    change(graph, "frames/window", np.hanning(400))


def plant_mel(graph: onnx.ModelProto) -> None:
    change(graph, "mel/filters", np.roll(values_of(graph, "mel/filters"), 1, axis=1))


def plant_gates(graph: onnx.ModelProto) -> None:
    name = matrix(graph, "layer_0/forward/input_weight")
    z, r, n = np.split(values_of(graph, name), 3, axis=1)
    change(graph, name, np.concatenate([r, z, n], axis=1))


def plant_reset(graph: onnx.ModelProto) -> None:
    attributes = node(graph, "layer_0/forward/states").attribute
    next(a for a in attributes if a.name == "linear_before_reset").i = 0


def plant_floor(graph: onnx.ModelProto) -> None:
    node(graph, "mel/log_mel").input[0] = "mel/banks"


def plant_padding(graph: onnx.ModelProto) -> None:
    node(graph, "cepstra/kept").input[0] = "clip/padded"


def plant_filling(graph: onnx.ModelProto) -> None:
    """Fill a clip shorter than a step with what follows it in the batch."""
    node(graph, "clip/clipped").input[2] = "clip/padded"


def plant_reversal(graph: onnx.ModelProto) -> None:
    for which in ("reversed", "restored"):
        turned = node(graph, f"layer_0/backward/{which}")
        turned.op_type = "Slice"
        del turned.attribute[:], turned.input[1:]
        turned.input.extend(["ints/-1", "start", "ints/0", "ints/-1"])
    minus = numpy_helper.from_array(np.array([-(2**63)]), "start")
    graph.graph.initializer.append(minus)
    if not any(c.name == "ints/-1" for c in graph.graph.initializer):
        graph.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "ints/-1"))


# A graph from the log-mel has neither window nor mel matrix; one of clips alone has no padding.
WAVEFORM = ("model.onnx", "model.int8.onnx")
FEATURES = ("features.onnx", "features.int8.onnx")
FAULTS = [
    *((plant_weight, file) for file in (*WAVEFORM, *FEATURES)),
    *((plant_gates, file) for file in (*WAVEFORM, *FEATURES)),
    *((plant_scale, file) for file in ("model.int8.onnx", "features.int8.onnx")),
    *((plant_window, file) for file in WAVEFORM),
    *((plant_mel, file) for file in WAVEFORM),
    *((plant_padding, file) for file in FEATURES),
    *((plant_filling, file) for file in FEATURES),
    (plant_reset, "model.onnx"),
    (plant_floor, "model.onnx"),
    (plant_reversal, "features.onnx"),
]


@pytest.mark.parametrize(("plant", "file"), FAULTS, ids=lambda v: getattr(v, "__name__", v))
def test_the_gate_finds_a_planted_fault(plant: Any, file: str) -> None:
    made = front_end()
    net = network(made.features)
    graph = built(made, net)[file]
    plant(graph)
    with pytest.raises(ParityError, match=rf"^{file}: on .*(log-probability|tokens)") as raised:
        checked({file: graph}, made, net, longest_s=1.0)
    assert "nothing was exported" in str(raised.value)


def plant_weight_of_a_stream(graph: onnx.ModelProto) -> None:
    name = matrix(graph, "layer_1/forward/state_weight")
    change(graph, name, np.roll(values_of(graph, name), 1, axis=1))


def plant_state(graph: onnx.ModelProto) -> None:
    """Start every piece of a stream from the state before the last."""
    node(graph, "new_cached_key_0").op_type = "Identity"
    node(graph, "new_cached_key_0").input[:] = ["cached_key_0"]
    del node(graph, "new_cached_key_0").attribute[:]


def plant_pending(graph: onnx.ModelProto) -> None:
    node(graph, "new_cached_conv1_0").input[0] = "cached_conv1_0"


@pytest.mark.parametrize("plant", [plant_weight_of_a_stream, plant_state, plant_pending])
@pytest.mark.parametrize("file", ["stream.onnx", "stream.int8.onnx"])
def test_the_gate_finds_a_fault_planted_in_a_stream(plant: Any, file: str) -> None:
    made, net = streaming(STREAMING[1])
    graph = built(made, net)[file]
    plant(graph)
    with pytest.raises(ParityError, match=rf"^{file}: on .*(log-probability|tokens)"):
        checked({file: graph}, made, net, longest_s=1.0)


def heard() -> list[Utterance]:
    return [Utterance(f"clip {i}", clip, "a b", "") for i, clip in enumerate(clips())]


def test_int8_weights_are_within_half_a_step_of_the_weights() -> None:
    weight = np.random.default_rng(0).standard_normal((3, 5, 7)).astype(np.float32)
    weight[1, 2] = 0.0
    for axis in (-1, 0):
        values, scale = int8.rounded(weight, axis)
        assert values.dtype == np.int8
        assert np.abs(values).max() == 127
        assert (np.abs(values * scale - weight) <= 0.5001 * scale).all()
    assert not values[1, 2].any()


def test_onnxruntime_folds_the_int8_weights_when_it_loads_them(tmp_path: Path) -> None:
    made = front_end()
    graphs = built(made, network(made.features))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    content = graphs["features.int8.onnx"].SerializeToString()
    assert len(content) < 0.5 * len(graphs["features.onnx"].SerializeToString())
    onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    folded = onnx.load(tmp_path / "folded.onnx").graph
    assert not any(c.data_type == onnx.TensorProto.INT8 for c in folded.initializer)
    assert not any(node.name.endswith("/wide") for node in folded.node)


def test_int8_weights_that_change_the_text_are_refused() -> None:
    made = front_end()
    net = network(made.features)
    graphs = built(made, net)
    lines: list[str] = []
    found = reading.check(graphs, TOKENIZER, heard(), lines.append)
    assert found["recordings"] == 3
    assert found["identical_text"] == 1.0
    rate = found["word_error_rate"]
    assert isinstance(rate, dict)
    assert rate["change"] == rate["int8"] - rate["float32"] == 0.0
    assert "the word error rate goes from" in lines[0]
    plant_gates(graphs["model.int8.onnx"])
    with pytest.raises(ParityError, match=r"3 of 3 texts change .*clip 0: .*int8=false"):
        reading.check(graphs, TOKENIZER, heard(), silent)
    silence = [Utterance("hum", clips()[0], "", "")]
    assert "word_error_rate" not in reading.check(built(made, net), TOKENIZER, silence, silent)


def test_of_a_model_for_keywords_int8_weights_may_change_no_keyword() -> None:
    made = front_end()
    net = network(made.features)
    tokenizer = Mixed("abcdefgh'", ["left"])
    assert len(tokenizer.tokens) == len(TOKENIZER.tokens)
    for bias, keyword in ((-99.0, "never heard"), (99.0, "always heard")):
        with torch.no_grad():
            net.head.bias[-1] = bias
        graphs = built(made, net)
        plant_gates(graphs["model.int8.onnx"])
        found = reading.check(graphs, tokenizer, heard(), silent, ["left"])
        assert found["identical_text"] == 1.0, keyword
    graphs["model.onnx"] = built(made, network(made.features))["model.onnx"]
    with pytest.raises(ParityError, match=r"3 of 3 texts change .*clip 0: '', .* 'left'"):
        reading.check(graphs, tokenizer, heard(), silent, ["left"])


def test_int8_graphs_can_be_left_out(tmp_path: Path) -> None:
    made = front_end()
    parts = (made, network(made.features), TOKENIZER, RECORD, tmp_path / "model", clips())
    wanted = Contents(int8=False)
    found = export(*parts, contents=wanted, longest_s=1.0, say=silent)
    assert sorted(found["files"]) == ["features.onnx", "model.onnx"]
    assert not list(tmp_path.rglob("*.int8.onnx"))


def test_the_gate_names_the_clip_and_both_numbers() -> None:
    finding = parity.Finding("model.onnx", frozenset(["a.wav"]))
    right = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]))
    wrong = right.copy()
    wrong[1, 2] += 0.5
    with pytest.raises(
        ParityError, match=r"model.onnx: on a.wav .* -1.80\d* .* -2.30\d*, .* 0.0001"
    ):
        finding.compare("a.wav", right, wrong)
    with pytest.raises(ParityError, match="1 steps of 3 tokens, the checkpoint 2 of 3"):
        finding.compare("a.wav", right, right[:1])
    with pytest.raises(ParityError, match="nan"):
        finding.compare("a.wav", right, right * np.nan)
    near = np.log(np.array([[0.400001, 0.4, 0.199999]]))
    flipped = near[:, [1, 0, 2]]
    with pytest.raises(ParityError, match=r"reads the tokens \[1\], the checkpoint \[\]"):
        finding.compare("a.wav", near, flipped)
    finding.compare("5 samples", near, flipped)
    assert finding.tied_steps == 1


def test_the_gate_lets_a_graph_be_off_by_what_the_checkpoint_is_off_by_in_float32() -> None:
    finding = parity.Finding("model.onnx", frozenset(["a.wav"]))
    right = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]))

    def off(by: float) -> np.ndarray:
        return right + by * np.eye(2, 3)

    finding.compare("10 min", right, off(2e-4), lambda: 3e-4)
    assert finding.beyond_float32.keys() == {"10 min"}
    assert finding.record()["beyond_float32"] == {
        "10 min": {
            "error": pytest.approx(2e-4, rel=1e-6),
            "checkpoint_in_float32": 3e-4,
        }
    }
    with pytest.raises(ParityError, match=r"limit is 0.0003"):
        finding.compare("a.wav", right, off(4e-4), lambda: 3e-4)
    with pytest.raises(ParityError, match=r"limit is 0.0001"):
        finding.compare("a.wav", right, off(2e-4), lambda: 1e-5)
    with pytest.raises(ParityError, match=r"limit is 0.0001"):
        finding.compare("a.wav", right, off(2e-4), lambda: np.nan)
    with pytest.raises(ParityError, match="nan"):
        finding.compare("a.wav", right, off(np.nan), lambda: 3e-4)


def test_a_failed_export_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    output = exported(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    made = front_end()
    broken = network(made.features)
    with torch.no_grad():
        broken.head.weight *= 1e38  # float32 overflows, float64 does not
    for place in (output, tmp_path / "new"):
        with pytest.raises(ParityError, match="nan"):
            export(made, broken, TOKENIZER, RECORD, place, clips(), longest_s=1.0, say=silent)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert list(tmp_path.iterdir()) == [output]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = exported(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if "unfinished" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(LinnetError, match="cannot be written: No space left on device"):
        exported(output, hidden=16)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert list(tmp_path.iterdir()) == [output]


def test_without_recordings_glides_take_their_place(tmp_path: Path) -> None:
    made = front_end()
    net = network(made.features)
    found = export(made, net, TOKENIZER, RECORD, tmp_path / "m", [], longest_s=1.0, say=silent)
    assert found["recordings"] == []
    assert load(tmp_path / "m").sample_rate == 16000


def test_an_export_replaces_an_older_one_and_nothing_else(tmp_path: Path) -> None:
    output = exported(tmp_path / "model")
    before = (output / "model.onnx").read_bytes()
    exported(output, hidden=16)
    assert (output / "model.onnx").read_bytes() != before
    assert load(output).description["network"]["hidden"] == 16
    assert list(tmp_path.iterdir()) == [output]
    (output / "notes.md").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds 'notes\.md', which no export wrote"):
        exported(output)
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "model.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds 'model\.json', which no export wrote"):
        exported(foreign)
    with pytest.raises(ConfigError, match="is a file"):
        exported(output / "tokens.txt")
    with pytest.raises(LinnetError, match="cannot be written: Not a directory") as raised:
        exported(output / "tokens.txt" / "deeper")
    assert raised.value.exit_status == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    assert load(exported(empty)).sample_rate == 16000


def test_parts_of_different_checkpoints_are_refused(tmp_path: Path) -> None:
    made = front_end()
    net = network(made.features)
    with pytest.raises(ModelError, match="gives 120 features a step, the network takes 80"):
        export(front_end(stack=3), net, TOKENIZER, RECORD, tmp_path / "m", clips())
    with pytest.raises(ModelError, match="the tokenizer has 4 tokens, the network 12"):
        export(made, net, Characters("ab"), RECORD, tmp_path / "m", clips())
    with torch.no_grad():
        net.head.bias[3] = torch.nan
    with pytest.raises(ModelError, match=r"head\.bias holds NaN or infinity"):
        export(made, net, TOKENIZER, RECORD, tmp_path / "m", clips())
    with pytest.raises(LinnetError, match=r"record .* cannot be written as JSON"):
        export(made, network(80), TOKENIZER, {"path": tmp_path}, tmp_path / "m", clips())
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_is_left_as_it_was(tmp_path: Path) -> None:
    made = front_end()
    net = network(made.features).train()
    before = copy.deepcopy(net.state_dict())
    lines: list[str] = []
    export(made, net, TOKENIZER, RECORD, tmp_path / "m", clips(), longest_s=1.0, say=lines.append)
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert made.window.dtype == torch.float32
    assert lines[-1] == f"exported: {tmp_path / 'm'}"
