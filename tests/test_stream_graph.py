"""The graph that streams equals its network, and sherpa-onnx runs it as it is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import torch

import small_model
from linnet import runtime
from linnet.decode import greedy
from linnet.export import export
from linnet.export.graphs import features_graph
from linnet.export.shapes import junk_padded
from linnet.export.stream import described, stream_graph
from linnet.frontend import FrontEnd
from linnet.runtime.stream import GraphStream, Steps
from linnet.streaming import StreamingNetwork
from linnet.streaming import network as build

HOST = Path(__file__).parent / "sherpa_host.py"
KINDS: dict[str, dict[str, Any]] = {
    "lookahead": {"kind": "lookahead", "lookahead": 5, "history": 0},
    "chunked": {"kind": "chunked", "chunk": 8, "lookahead": 4, "history": 0},
    "far-sighted": {"kind": "chunked", "chunk": 3, "lookahead": 5, "history": 0},
}
FRAMES = 4 * 31 + 2


def small(kind: str) -> tuple[FrontEnd, StreamingNetwork]:
    front_end = small_model.front_end(normalisation="training", normalise_waveform=False, stack=4)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        settings = {"cell": "gru", "layers": 3, "hidden": 24, "dropout": 0.1, **KINDS[kind]}
        tokens = len(small_model.TOKENIZER.tokens)
        net = build({**settings, "features": front_end.features, "tokens": tokens}).eval()
    assert isinstance(net, StreamingNetwork)
    with torch.no_grad():  # outputs that are not flat, so that a mistake shows
        net.head.weight *= 12.0
        net.head.bias[0] = 0.0  # the start that training wants says the blank too often
    return front_end, net


def opened(graph: onnx.ModelProto) -> Any:
    return runtime.session(graph.SerializeToString(), graph.graph.name)


def steps_of(front_end: FrontEnd, net: StreamingNetwork) -> Steps:
    subsampling = {"frames": front_end.stack}
    return Steps.of({"subsampling": subsampling, "stream": described(front_end, net)}, "small")


def log_mels(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(-5, 5, (count, FRAMES, 80)).astype(np.float32)


@torch.no_grad()
def whole(front_end: FrontEnd, net: StreamingNetwork, log_mel: np.ndarray) -> np.ndarray:
    lengths = torch.full((len(log_mel),), log_mel.shape[1])
    return net(*front_end.from_log_mel(torch.from_numpy(log_mel), lengths)).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4, 33, 96, 200])
def test_the_stream_graph_equals_the_network_on_the_whole(kind: str, size: int) -> None:
    front_end, net = small(kind)
    stream = GraphStream(
        opened(stream_graph(front_end, net, {})), steps_of(front_end, net), batch=3
    )
    log_mel = log_mels(3)
    answers = [stream.push(log_mel[:, at : at + size]) for at in range(0, FRAMES, size)]
    got = np.concatenate([*answers, stream.flush()], axis=1)
    np.testing.assert_allclose(got, whole(front_end, net, log_mel), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_clips_in_a_batch_with_junk_equal_the_network_alone(kind: str) -> None:
    front_end, net = small(kind)
    clips = [log_mels(1)[0, :frames] for frames in (FRAMES, 5, 1, 77)]
    batch, lengths = junk_padded(clips)
    session = opened(features_graph(front_end, net, {}))
    answers, counts = session.run(None, {"x": batch, "x_lens": lengths})
    for clip, got, count in zip(clips, answers, counts, strict=True):
        np.testing.assert_allclose(got[:count], whole(front_end, net, clip[None])[0], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_to_steps_before_the_first_are_blanks(kind: str) -> None:
    front_end, net = small(kind)
    session = opened(stream_graph(front_end, net, {}))
    states = {
        state.name: np.zeros(
            [size if isinstance(size, int) else 1 for size in state.shape],
            np.int64 if "int64" in state.type else np.float32,
        )
        for state in session.get_inputs()[1:]
    }
    frames = 2 * net.chunk * net.lookahead * front_end.stack
    log_probs = session.run(None, {"x": log_mels(1)[:, :1].repeat(frames, 1), **states})[0][0]
    assert greedy(log_probs[: net.lookahead]).ids == ()
    assert np.exp(log_probs[: net.lookahead, 0]).min() == 1.0
    assert np.exp(log_probs[net.lookahead :, 0]).max() < 1.0


def test_what_follows_a_stream_gives_features_of_zero() -> None:
    front_end, net = small("lookahead")
    filling = torch.tensor(described(front_end, net)["filling"])
    features, _ = front_end.from_log_mel(filling.expand(1, 8, 80).clone(), torch.tensor([8]))
    torch.testing.assert_close(features, torch.zeros_like(features), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_have_the_sizes_that_the_host_makes_of_the_metadata(kind: str) -> None:
    front_end, net = small(kind)
    graph = stream_graph(front_end, net, {})
    said = {one.key: one.value for one in graph.metadata_props}
    encoder, left, kernel = (
        int(said[key]) for key in ("encoder_dims", "left_context_len", "cnn_module_kernels")
    )
    key, value = (
        int(said[f"{name}_head_dims"]) * int(said["num_heads"]) for name in ("query", "value")
    )
    cache = (1, encoder, kernel // 2)
    expected = [
        (left, 1, key),
        (1, 1, left, 3 * encoder // 4),
        (left, 1, value),
        (left, 1, value),
        cache,
        cache,
        (1, 128, 3, 19),
        (1,),
    ]
    states = opened(graph).get_inputs()[1:]
    shapes = [tuple(size if isinstance(size, int) else 1 for size in s.shape) for s in states]
    assert shapes == expected
    assert int(said["T"]) % described(front_end, net)["chunk_frames"] == 0


@pytest.mark.parametrize("kind", ["lookahead", "chunked"])
def test_sherpa_onnx_streams_the_tokens_of_our_greedy_decoding(
    kind: str, recordings: Path, tmp_path: Path
) -> None:
    front_end, net = small(kind)
    with torch.no_grad():  # several tokens a clip
        for name, values in net.recurrent.named_parameters():
            values *= 3.0 if name.startswith("weight_ih") else 1.0
    corpus = recordings / "speech_commands_subset"
    sources = [path for word in ("happy", "zero") for path in sorted((corpus / word).iterdir())[:4]]
    clips = [soundfile.read(path, dtype="float32")[0] for path in sources]
    # Statistics near those of speech, so that the network hears differences.
    samples = torch.tensor([len(clips[0])])
    cepstra = front_end.log_mel(torch.from_numpy(clips[0])[None], samples)[0] @ front_end.dct
    front_end.set_statistics(cepstra.mean(0), cepstra.std(0))
    arguments = (front_end, net, small_model.TOKENIZER, small_model.RECORD, tmp_path / "model")
    export(*arguments, clips, longest_s=1.0, say=small_model.silent)
    paths = [tmp_path / f"{i}.wav" for i in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        soundfile.write(path, clip, 16000, "PCM_16")
    request = {
        "host": "online",
        "loader": "from_zipformer2_ctc",
        "arguments": {
            "model": str(tmp_path / "model" / runtime.STREAM_GRAPH),
            "tokens": str(tmp_path / "model" / "tokens.txt"),
            "num_threads": 1,
            "feature_dim": 80,
        },
        "files": [str(path) for path in paths],
        "silence_s": 1.0,
    }
    done = subprocess.run(
        [sys.executable, str(HOST)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    model = runtime.load(tmp_path / "model")
    for path, answer in zip(paths, json.loads(done.stdout)["answers"], strict=True):
        clip, _ = soundfile.read(path, dtype="float32")
        log_probs = model.log_probs(np.append(clip, np.zeros(16000, np.float32)))
        # The host leaves the last chunk that is not followed by another frame.
        frames = (len(clip) + 16000 + 80) // 160
        answered = (frames - 1) // 32 * 8 - net.lookahead
        expected = greedy(log_probs[:answered])
        assert len(expected.ids) > 1
        symbols = [model.tokenizer.tokens[i].replace("\u2581", " ") for i in expected.ids]
        assert answer["tokens"] == symbols
        late = [(start + net.lookahead) * 0.04 for start in expected.starts]
        np.testing.assert_allclose(answer["times"], late, atol=0.011)
