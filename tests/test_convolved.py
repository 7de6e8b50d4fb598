"""Convolutions before the recurrent layers: their steps, their edges, their plain form."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from linnet.convolved import Convolutions
from linnet.errors import ConfigError
from linnet.model import Network
from linnet.module import Recogniser
from linnet.normalised import NormalisedNetwork
from linnet.streaming import network as build
from small_model import TOKENIZER, front_end

SETTINGS: dict[str, Any] = {
    "features": 4 * 10,
    "tokens": 5,
    "cell": "gru",
    "layers": 2,
    "hidden": 6,
    "bidirectional": True,
    "dropout": 0.5,
    "momentum": 0.3,
    "channels": [3, 5],
    "strides": [2, 2],
}
STEPS = torch.tensor([9, 4, 1, 7])


def trained() -> NormalisedNetwork:
    """Give a network whose statistics and scales are no longer those of the start."""
    torch.manual_seed(3)
    network = NormalisedNetwork(**SETTINGS)
    for _ in range(3):
        network(4.0 + 2.0 * torch.randn(4, 9, 40), STEPS)
    assert network.stem is not None
    for norm in [*network.norms, *network.stem.norms]:
        torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
        torch.nn.init.normal_(norm.bias)
    return network.eval()


def test_they_equal_scipys_correlation() -> None:
    torch.manual_seed(0)
    stem = Convolutions(features=12, channels=[2], strides=[3])
    features = torch.randn(1, 4, 12)
    found = stem(features, torch.tensor([4]))[0].detach().numpy()
    frames = features[0].reshape(12, 4).numpy()
    kernel, bias = (p.detach().numpy() for p in stem.convolutions[0].parameters())
    whole = [correlate2d(np.pad(frames, 1), one[0], "valid") for one in kernel]
    expected = np.maximum(np.stack(whole, -1)[::3, ::2] + bias, 0)
    assert found.shape == (4, stem.width)
    np.testing.assert_allclose(found, expected.reshape(4, -1), atol=1e-5)


@pytest.mark.parametrize("strides", [[1], [3, 1], [2, 2, 1], [1, 4], [2, 1, 3]], ids=str)
def test_steps_stay_what_they_were(strides: list[int]) -> None:
    stack = int(np.prod(strides))
    stem = Convolutions(features=stack * 7, channels=[2] * len(strides), strides=strides)
    for steps in range(1, 6):
        read = stem(torch.randn(1, steps, stack * 7), torch.tensor([steps]))
        assert read.shape == (1, steps, stem.width)


def test_alone_equals_batched_with_junk_in_the_padding() -> None:
    network = trained()
    features = torch.randn(4, 9, 40)
    clean = [row[:count].clone() for row, count in zip(features, STEPS.tolist(), strict=True)]
    for row, count in zip(features, STEPS.tolist(), strict=True):
        row[count:] = float("nan")
    for net in (network, network.plain()):
        together = net(features, STEPS)
        for row, one in zip(together, clean, strict=True):
            alone = net(one[None], torch.tensor([len(one)]))[0]
            torch.testing.assert_close(row[: len(one)], alone, atol=1e-5, rtol=0)


def test_statistics_are_those_of_the_frames_inside_the_clips() -> None:
    torch.manual_seed(0)
    network = NormalisedNetwork(**{**SETTINGS, "momentum": 1.0})
    stem = network.stem
    assert stem is not None
    features = torch.randn(4, 9, 40)
    network(features, STEPS)
    read = [
        stem.convolutions[0](row[:count].reshape(1, 1, 4 * count, 10))[0]
        for row, count in zip(features, STEPS.tolist(), strict=True)
    ]
    inside = torch.cat([one.flatten(1) for one in read], dim=1)
    torch.testing.assert_close(stem.norms[0].running_mean, inside.mean(1))
    torch.testing.assert_close(stem.norms[0].running_var, inside.var(1))


def test_the_plain_network_computes_the_same() -> None:
    network = trained()
    features = 4.0 + torch.randn(4, 9, 40)
    plain = network.plain()
    assert type(plain) is Network
    assert not any("norm" in name for name in plain.state_dict())
    expected, found = network(features, STEPS), plain(features, STEPS)
    for row, other, count in zip(expected, found, STEPS, strict=True):
        torch.testing.assert_close(row[:count], other[:count], rtol=0, atol=1e-5)


@pytest.mark.parametrize("make_plain", [False, True])
def test_settings_rebuild_it(make_plain: bool) -> None:
    network = trained().plain() if make_plain else trained()
    other = build(network.settings).eval()
    other.load_state_dict(network.state_dict())
    features = torch.randn(4, 9, 40)
    assert torch.equal(network(features, STEPS)[0], other(features, STEPS)[0])


@pytest.mark.parametrize(
    "changes",
    [{"strides": [2]}, {"strides": [2, 3]}, {"channels": [3, 0]}, {"strides": [0, 2]}],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"the frames of a step, model\.stack"):
        NormalisedNetwork(**{**SETTINGS, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cepstra": 40}, r"read neighbouring mel bands; use frontend=log_mel"),
        ({"stack": 2}, r"model\.strides=\[2, 2\] multiply to 4; make them equal"),
    ],
)
def test_a_front_end_that_gives_something_else_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    made = front_end(**{"stack": 4, "cepstra": 0, **changes})
    sizes = {**SETTINGS, "features": made.features, "tokens": len(TOKENIZER.tokens)}
    with pytest.raises(ConfigError, match=message):
        Recogniser(made, NormalisedNetwork(**sizes), TOKENIZER)
