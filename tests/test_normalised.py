"""Batch normalisation of the inputs of recurrent layers, and its absorption by their weights."""

import pytest
import torch

from linnet.model import Network
from linnet.normalised import NormalisedNetwork
from linnet.streaming import network as build

SETTINGS = {
    "features": 7,
    "tokens": 5,
    "layers": 3,
    "hidden": 6,
    "dropout": 0.5,
    "momentum": 0.3,
}


def trained(cell: str, bidirectional: bool) -> NormalisedNetwork:
    """Give a network whose statistics and scales are no longer those of the start."""
    torch.manual_seed(3)
    network = NormalisedNetwork(cell=cell, bidirectional=bidirectional, **SETTINGS)
    for _ in range(3):
        network(4.0 + 2.0 * torch.randn(4, 9, 7), torch.tensor([9, 4, 1, 7]))
    for norm in network.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
        torch.nn.init.normal_(norm.bias)
    return network.eval()


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_the_plain_network_computes_the_same(cell: str, bidirectional: bool) -> None:
    network = trained(cell, bidirectional)
    features, steps = 4.0 + torch.randn(4, 9, 7), torch.tensor([9, 4, 1, 7])
    plain = network.plain()
    assert type(plain) is Network
    assert not any("norm" in name for name in plain.state_dict())
    expected, found = network(features, steps), plain(features, steps)
    for row, other, count in zip(expected, found, steps, strict=True):
        torch.testing.assert_close(row[:count], other[:count], rtol=0, atol=1e-5)


def test_statistics_are_those_of_the_steps_inside_the_clips() -> None:
    torch.manual_seed(0)
    network = NormalisedNetwork(cell="gru", bidirectional=True, **{**SETTINGS, "momentum": 1.0})
    features, steps = torch.randn(3, 8, 7), torch.tensor([8, 2, 5])
    inside = torch.cat([row[:count] for row, count in zip(features, steps, strict=True)])
    for row, count in zip(features, steps, strict=True):
        row[count:] = 1e6
    network(features, steps)
    first = network.norms[0]
    torch.testing.assert_close(first.running_mean, inside.mean(0))
    torch.testing.assert_close(first.running_var, inside.var(0))


def test_alone_equals_batched_in_use() -> None:
    network = trained("gru", bidirectional=True)
    features, steps = torch.randn(3, 8, 7), torch.tensor([8, 2, 5])
    together = network(features, steps)
    for row, answer, count in zip(features, together, steps, strict=True):
        alone = network(row[None, :count], torch.tensor([count]))[0]
        torch.testing.assert_close(alone, answer[:count], rtol=0, atol=1e-6)


def test_settings_rebuild_it() -> None:
    network = trained("gru", bidirectional=True)
    again = build(network.settings)
    again.load_state_dict(network.state_dict())
    features, steps = torch.randn(1, 8, 7), torch.tensor([8])
    torch.testing.assert_close(again.eval()(features, steps), network(features, steps))


def test_a_cell_that_cannot_absorb_it_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="model=stacked"):
        NormalisedNetwork(cell="gru_minimal", bidirectional=True, **SETTINGS)
