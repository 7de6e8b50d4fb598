"""Networks that stream: in pieces equals whole, and each equals its definition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import small_model
from linnet import module
from linnet.apps import config
from linnet.errors import ConfigError
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.module import Recogniser
from linnet.streaming import ChunkedNetwork, LookaheadNetwork, Stream, StreamingNetwork
from linnet.streaming import network as build
from linnet.text import Words

SHARED: dict[str, Any] = {"features": 12, "tokens": 5, "cell": "gru", "layers": 2, "dropout": 0.3}
KINDS: dict[str, dict[str, Any]] = {
    "lookahead": {"kind": "lookahead", **SHARED, "hidden": 7, "lookahead": 3, "history": 9},
    "chunked": {"kind": "chunked", **SHARED, "hidden": 6, "chunk": 4, "lookahead": 3, "history": 9},
    "far-sighted": {
        "kind": "chunked",
        **SHARED,
        "hidden": 6,
        "chunk": 2,
        "lookahead": 5,
        "history": 9,
    },
}
STEPS = 37


def network(kind: str, **changes: Any) -> StreamingNetwork:
    torch.manual_seed(0)
    made = build(KINDS[kind] | changes).eval()
    assert isinstance(made, StreamingNetwork)
    return made


def pieces(features: Tensor, sizes: Iterator[int]) -> Iterator[Tensor]:
    start = 0
    for size in sizes:
        if start >= features.shape[1]:
            return
        yield features[:, start : start + size]
        start += size


def repeating(*sizes: int) -> Iterator[int]:
    while True:
        yield from sizes


def streamed(net: StreamingNetwork, features: Tensor, *sizes: int) -> Tensor:
    stream = Stream(net, len(features))
    answers = [stream.push(piece) for piece in pieces(features, repeating(*sizes))]
    return torch.cat([*answers, stream.flush()], dim=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1,), (4,), (3, 0, 8, 1), (2 * STEPS,)])
@pytest.mark.parametrize("steps", [1, 12, STEPS])
def test_in_pieces_of_any_size_equals_whole(kind: str, sizes: tuple[int, ...], steps: int) -> None:
    net, features = network(kind), torch.randn(2, steps, 12)
    whole = net(features, torch.full((2,), steps))
    torch.testing.assert_close(streamed(net, features, *sizes), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_alone_equals_batched_with_junk_in_the_padding(kind: str) -> None:
    net, steps = network(kind), torch.tensor([31, 1, 2, 17])
    features = 5.0 * torch.randn(4, 31, 12)
    features[3, 17:] = torch.nan
    together = net(features, steps)
    for row, count in enumerate(steps.tolist()):
        alone = net(features[row : row + 1, :count], steps[row : row + 1])
        torch.testing.assert_close(together[row, :count], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "sees"), [("lookahead", 3), ("chunked", 3 + 3)])
def test_an_answer_depends_on_the_promised_steps_and_no_others(kind: str, sees: int) -> None:
    """The chunks are counted from ``lookahead`` before the start: step 1 opens the second."""
    net, features = network(kind), torch.randn(1, STEPS, 12)
    counts, at = torch.tensor([STEPS]), 1
    before = net(features, counts)[0, at]
    for step in range(STEPS):
        changed = features.clone()
        changed[0, step] += 1.0
        differs = not torch.equal(net(changed, counts)[0, at], before)
        assert differs == (step <= at + sees), step


def test_the_lookahead_convolution_equals_its_sum() -> None:
    net = network("lookahead")
    features = torch.randn(1, STEPS, 12)
    after = nn.functional.pad(features, (0, 0, 0, 3))  # what follows a clip are zeros
    states, _ = net.recurrent(after)
    assert isinstance(net, LookaheadNetwork)
    weight = net.convolution.weight[:, 0]
    summed = torch.stack(
        [
            sum((weight[:, j] * states[0, t + j] for j in range(4)), torch.zeros(7))
            for t in range(STEPS)
        ]
    )
    expected = torch.log_softmax(net.head(summed), dim=-1)
    torch.testing.assert_close(net(features, torch.tensor([STEPS]))[0], expected)


def test_with_one_window_a_chunked_network_is_a_bidirectional_one() -> None:
    chunked = network("chunked", chunk=STEPS, lookahead=1)
    plain = Network(**SHARED, hidden=6, bidirectional=True).eval()
    plain.load_state_dict(chunked.state_dict())
    features = torch.randn(3, STEPS - 1, 12)
    # Its window is a zero before the clip, the clip, and a zero after it.
    surrounded = nn.functional.pad(features, (0, 0, 1, 1))
    expected = plain(surrounded, torch.full((3,), STEPS + 1))[:, 1:-1]
    got = chunked(features, torch.full((3,), STEPS - 1))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)


def test_layers_are_one_recurrence_over_all_chunks() -> None:
    """The forward direction knows the first step in the last chunk."""
    net, features = network("chunked"), torch.randn(1, STEPS, 12)
    changed = features.clone()
    changed[0, 0] += 10.0
    counts = torch.tensor([STEPS])
    assert not torch.equal(net(features, counts)[0, -1], net(changed, counts)[0, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_in_training_a_clip_follows_the_end_of_another(kind: str) -> None:
    """So that no network can tell where a clip begins; the answers are the clip's alone."""
    net, features = network(kind, dropout=0.0), torch.randn(3, STEPS, 12)
    steps = torch.full((3,), STEPS)
    for seed in range(3):
        torch.manual_seed(seed)
        trained = net.train()(features, steps)
        torch.manual_seed(seed)
        count = int(torch.randint(net.history + 1, ()))
        joined = torch.cat([features.roll(1, 0)[:, STEPS - count :], features], dim=1)
        alone = net.eval()(joined, steps + count)[:, count:]
        torch.testing.assert_close(trained, alone, atol=1e-5, rtol=0)
        assert torch.equal(trained, net(features, steps)) == (count == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: str) -> None:
    net = network(kind).train()
    net(torch.randn(2, STEPS, 12), torch.tensor([STEPS, 9])).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("option", ["gru_stream", "lcbigru"])
def test_the_configured_network_survives_its_checkpoint(option: str, tmp_path: Path) -> None:
    composed = config.compose("train", [f"model={option}"])
    front_end = FrontEnd(**{k: v for k, v in composed.frontend.items() if k != "_target_"})
    kinds = {"gru_stream": LookaheadNetwork, "lcbigru": ChunkedNetwork}
    settings = {k: v for k, v in composed.model.items() if k not in ("_target_", "stack")}
    net = kinds[option](features=front_end.features, tokens=3, **settings)
    model = Recogniser(front_end, net, Words(["left", "up"])).eval()
    front_end.set_statistics(torch.full((40,), 2.0), torch.full((40,), 3.0))
    small_model.saved(model, tmp_path / "a.ckpt", {})
    loaded, _ = module.load(tmp_path / "a.ckpt")
    assert type(loaded.network) is kinds[option]
    waveform = (0.1 * torch.randn(1, 16001), torch.tensor([16001]))
    assert not any("norm" in name for name in loaded.network.state_dict())
    torch.testing.assert_close(loaded(*waveform)[0], model(*waveform)[0], atol=1e-5, rtol=0)


def test_a_checkpoint_without_a_kind_reads_whole_clips() -> None:
    settings = {**SHARED, "hidden": 6, "bidirectional": True}
    assert type(build(settings)) is Network
    assert build(settings).settings == settings


def test_a_front_end_that_needs_the_whole_clip_is_refused() -> None:
    composed = config.compose("train", ["model=gru_stream", "frontend.normalisation=utterance"])
    front_end = FrontEnd(**{k: v for k, v in composed.frontend.items() if k != "_target_"})
    with pytest.raises(ConfigError, match="this model streams; use frontend=streaming"):
        Recogniser(front_end, network("lookahead"), Words(["left"]))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("lookahead", {"cell": "lstm"}, "cell='lstm', but a network that streams is made of gru"),
        ("lookahead", {"lookahead": 0}, "lookahead=0 must be at least 1"),
        ("chunked", {"chunk": 0}, "chunk=0 and lookahead=3 must be at least 1"),
        ("chunked", {"layers": 0}, "layers=0"),
        ("chunked", {"history": -1}, "history=-1 must not be negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        network(kind, **changes)
