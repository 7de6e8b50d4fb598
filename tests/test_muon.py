"""Muon: gates turn as a whole, everything else is AdamW's."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from linnet.errors import ConfigError
from linnet.muon import Muon, orthogonal
from linnet.normalised import NormalisedNetwork

SETTINGS = {"lr": 0.01, "weight_decay": 0.1}


def network() -> NormalisedNetwork:
    torch.manual_seed(0)
    return NormalisedNetwork(
        features=9,
        tokens=5,
        cell="gru",
        layers=2,
        hidden=8,
        bidirectional=True,
        dropout=0.0,
        momentum=0.1,
        kernel="torch",
    )


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int = 3) -> Iterator[Tensor]:
    draw = torch.Generator().manual_seed(1)
    for _ in range(count):
        features = torch.randn(4, 6, 9, generator=draw)
        loss = model(features, torch.tensor([6, 6, 5, 3]))[:, :3, 1].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()


def recurrent(name: str) -> bool:
    return "weight_ih" in name or "weight_hh" in name


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 8, 21), (1, 21, 8)])
def test_the_singular_vectors_stay_and_the_values_come_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(*shape, generator=torch.Generator().manual_seed(2))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonal(matrices)
    values = left.mT @ found @ right.mT
    diagonal = values.diagonal(dim1=1, dim2=2)
    assert torch.allclose(values, torch.diag_embed(diagonal), atol=1e-4)
    assert 0.6 < float(diagonal.min()) <= float(diagonal.max()) < 1.3


def test_a_matrix_of_zeros_stays_one() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4, 6)), torch.zeros(3, 4, 6))


def test_what_is_not_recurrent_moves_as_with_adamw() -> None:
    ours = network()
    theirs = copy.deepcopy(ours)
    # The first step: later ones see other gradients.
    next(steps(ours, Muon(ours.named_parameters(), momentum=0.95, **SETTINGS)))
    next(steps(theirs, torch.optim.AdamW(theirs.parameters(), **SETTINGS)))
    expected = dict(theirs.named_parameters())
    for name, values in ours.named_parameters():
        assert torch.equal(values, expected[name]) is not recurrent(name), name


def test_each_gate_is_made_orthogonal_by_itself() -> None:
    model = network()
    draw = torch.Generator().manual_seed(3)
    for values in model.parameters():
        values.grad = torch.randn(values.shape, generator=draw)
    before = copy.deepcopy(dict(model.named_parameters()))
    Muon(model.named_parameters(), lr=0.01, weight_decay=0.0, momentum=0.95).step()
    for name, values in model.named_parameters():
        if recurrent(name):
            for moved in (before[name] - values).detach().unflatten(0, (3, 8)):
                sizes = torch.linalg.svdvals(moved / (0.01 * 0.2 * max(moved.shape) ** 0.5))
                assert 0.6 < float(sizes[:-2].min()) <= float(sizes.max()) < 1.3, name


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    whole, parted = network(), network()
    settings = {"momentum": 0.95, **SETTINGS}
    first = Muon(whole.named_parameters(), **settings)
    begun = Muon(parted.named_parameters(), **settings)
    list(steps(whole, first))
    list(steps(parted, begun))
    resumed = Muon(parted.named_parameters(), **settings)
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    list(steps(whole, first))
    list(steps(parted, resumed))
    for (name, values), same in zip(whole.named_parameters(), parted.parameters(), strict=True):
        assert torch.equal(values, same), name


def test_parameters_without_names_are_refused() -> None:
    with pytest.raises(ValueError, match="named parameters"):
        Muon(network().parameters(), momentum=0.95, **SETTINGS)  # type: ignore[arg-type]


def test_a_momentum_out_of_its_range_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"optimizer\.momentum=1\.0 must be at least 0 and below 1"
    ):
        Muon(network().named_parameters(), momentum=1.0, **SETTINGS)
