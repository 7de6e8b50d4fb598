"""Networks that stream, trained with normalised layers: in use they are what they always were."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from linnet import kernel
from linnet.convolved import batch_norm
from linnet.streaming import LookaheadNetwork, Stream, StreamingNetwork
from linnet.streaming import network as build
from linnet.streaming.piecewise import normalise

SHARED: dict[str, Any] = {
    "features": 7,
    "tokens": 5,
    "cell": "gru",
    "layers": 3,
    "hidden": 6,
    "dropout": 0.5,
    "history": 9,
    "momentum": 0.3,
}
KINDS: dict[str, dict[str, Any]] = {
    "lookahead": {"kind": "lookahead", **SHARED, "lookahead": 3},
    "chunked": {"kind": "chunked", **SHARED, "chunk": 4, "lookahead": 3},
    "far-sighted": {"kind": "chunked", **SHARED, "chunk": 2, "lookahead": 5},
}
STEPS = torch.tensor([11, 4, 1, 8])


def network(kind: str, **changes: Any) -> StreamingNetwork:
    torch.manual_seed(3)
    made = build(KINDS[kind] | changes)
    assert isinstance(made, StreamingNetwork)
    return made


def clips() -> Tensor:
    """Give clips far from mean 0 and variance 1, with junk beyond their ends."""
    features = 4.0 + 2.0 * torch.randn(4, 11, 7)
    for row, count in zip(features, STEPS.tolist(), strict=True):
        row[count:] = torch.nan
    return features


def trained(kind: str, **changes: Any) -> StreamingNetwork:
    """Give a network whose statistics and scales are no longer those of the start."""
    net = network(kind, **changes)
    for _ in range(3):
        net(clips(), STEPS)
    for norm in net.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
        torch.nn.init.normal_(norm.bias)
    return net.eval()


def plain(net: StreamingNetwork) -> StreamingNetwork:
    made = net.plain()
    assert type(made) is type(net)
    return made


def inside(rows: Tensor) -> Tensor:
    return torch.cat([row[:count] for row, count in zip(rows, STEPS.tolist(), strict=True)])


def history_of(net: StreamingNetwork, seed: int) -> int:
    torch.manual_seed(seed)
    return int(torch.randint(net.history + 1, ()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_network_computes_the_same(kind: str) -> None:
    net = trained(kind)
    simple, features = plain(net), clips()
    assert not any("norm" in name for name in simple.state_dict())
    assert not simple.training
    assert simple.plain() is simple
    expected, found = inside(net(features, STEPS)), inside(simple(features, STEPS))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["trained", "plain"])
def test_settings_rebuild_it(kind: str, form: str) -> None:
    net = trained(kind) if form == "trained" else plain(trained(kind))
    again = build(net.settings).eval()
    again.load_state_dict(net.state_dict())
    features = torch.randn(2, 11, 7)
    counts = torch.tensor([11, 11])
    assert torch.equal(again(features, counts), net(features, counts))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["trained", "plain"])
def test_in_pieces_and_alone_equals_batched_with_junk_in_the_padding(kind: str, form: str) -> None:
    """Zeros beyond a clip's end are zeros before the normalisation, in every form."""
    trained_ = trained(kind)
    net = trained_ if form == "trained" else plain(trained_)
    features = clips()
    together = trained_(features, STEPS)
    for row, answers, count in zip(features, together, STEPS.tolist(), strict=True):
        alone = net(row[None, :count], torch.tensor([count]))[0]
        torch.testing.assert_close(alone, answers[:count], atol=1e-5, rtol=0)
        for size in (1, 3, 11):
            stream = Stream(net)
            said = [
                stream.push(row[None, at : at + size][:, : count - at])
                for at in range(0, count, size)
            ]
            got = torch.cat([*said, stream.flush()], dim=1)[0]
            torch.testing.assert_close(got, answers[:count], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_of_the_clips_counts_once_in_the_statistics(kind: str) -> None:
    """Whatever precedes a clip, follows it, or is read again by a window that looks ahead."""
    net = network(kind, layers=2, momentum=1.0, dropout=0.0)
    below = network(kind, layers=1, momentum=1.0, dropout=0.0)
    if isinstance(net, LookaheadNetwork):  # what the head reads are the layer's own outputs
        with torch.no_grad():
            net.convolution.weight.zero_()[..., 0] = 1.0
    below.load_state_dict({k: v for k, v in net.state_dict().items() if k in below.state_dict()})
    said: list[Tensor] = []
    below.head.register_forward_pre_hook(lambda _, given: said.append(given[0]))
    features = clips()
    for one in (below, net):
        torch.manual_seed(1)  # the same history
        one(features, STEPS)
    first = inside(features)
    torch.testing.assert_close(net.norms[0].running_mean, first.mean(0))
    torch.testing.assert_close(net.norms[0].running_var, first.var(0))
    ends = said[0].shape[1] - features.shape[1]
    history = history_of(net, seed=1)
    assert 0 < history <= ends
    second = inside(said[0][:, net.lookahead + history :])
    torch.testing.assert_close(net.norms[1].running_mean, second.mean(0))
    torch.testing.assert_close(net.norms[1].running_var, second.var(0))


@pytest.mark.parametrize("kind", KINDS)
def test_what_counts_not_is_normalised_as_in_use(kind: str) -> None:
    """With the batch's statistics for the running ones, training and use give the same answers."""
    net, features = network(kind, momentum=1.0, dropout=0.0, history=0), clips()
    expected = inside(net.train()(features, STEPS))
    count = int(STEPS.sum())
    for norm in net.norms:
        norm.running_var *= (count - 1) / count
    torch.testing.assert_close(inside(net.eval()(features, STEPS)), expected, atol=1e-5, rtol=0)


def test_over_all_steps_it_is_torchs_batch_normalisation() -> None:
    torch.manual_seed(0)
    states, weights = 3.0 + torch.randn(4, 9, 6), torch.randn(4, 9, 6)
    found = []
    everything = torch.ones(4, 9, dtype=torch.bool)
    for own in (True, False):
        norm = nn.BatchNorm1d(6, momentum=0.3)
        nn.init.uniform_(norm.weight, 0.5, 2.0, generator=torch.Generator().manual_seed(0))
        given = states.clone().requires_grad_()
        made = (normalise if own else batch_norm)(norm, given, everything)
        (made * weights).sum().backward()
        found.append((made, given.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()))
    # The last buffer counts the batches, for a cumulative mean that nobody asks for.
    for one, other in zip(found[0][:-1], found[1][:-1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: str) -> None:
    net = network(kind, dropout=0.1)
    weights = torch.randn(len(STEPS), 11, 5)
    inside(net(clips(), STEPS) * weights).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_stands_before_each_layer_but_the_first_and_before_the_head(kind: str) -> None:
    net = network(kind)
    widths: list[int] = []
    net.dropout.register_forward_pre_hook(lambda _, given: widths.append(given[0].shape[-1]))
    net(clips(), STEPS)
    assert widths == [net.head.in_features] * 3


def test_in_training_each_layer_runs_through_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = kernel.run, []

    def run(layer: nn.GRU, *given: Any, **asked: Any) -> Tensor:
        seen.append((layer.num_layers, asked["kernel"]))
        return real(layer, *given, **asked)

    monkeypatch.setattr(kernel, "run", run)
    network("lookahead", kernel="torch")(clips(), STEPS)
    assert seen == [(1, "torch")] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_plain_asks_for_the_same_kernel(kind: str) -> None:
    net = trained(kind)
    net.kernel = "torch"
    assert plain(net).kernel == "torch"


def test_a_clip_follows_the_end_of_another_even_where_that_one_is_shorter() -> None:
    net, features = network("lookahead", momentum=None), torch.randn(2, 11, 7)
    steps = torch.tensor([11, 4])
    features[1, 4:] = 0.0
    seeds = [seed for seed in range(30) if history_of(net, seed) == 6]
    torch.manual_seed(seeds[0])
    followed = net.train()._followed(features, steps)
    assert torch.equal(followed[:, 6:], features)
    assert torch.equal(followed[1, :6], features[0, 5:11])
    assert torch.equal(followed[0, 2:6], features[1, :4])
    assert not followed[0, :2].any()
