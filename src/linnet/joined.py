"""Several networks that answer as one: the mean of their posteriors.

    features -+-> network -> posteriors -+-> mean -> log
              +-> network -> posteriors -+

Networks that were trained on the same recordings from other beginnings are mistaken in other
places. Averaged, what only one of them hears has little left of its posterior, and what all hear
keeps it (Hansen and Salamon 1990, "Neural network ensembles"). They cost the sum of their costs;
one network can learn from them what they hear together (``distill``).
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from linnet.model import Network

_FEWEST = 2
_SHARED = ("features", "tokens", "bidirectional")


class JoinedNetwork(Network):
    """Networks of the same features and tokens, their posteriors averaged.

    Args:
        networks: at least two, each of whole clips; one that is joined stands for its parts, so
            that all count alike.

    Raises:
        ValueError: there are too few, or they differ in what they read or tell.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        nn.Module.__init__(self)
        networks = [part for one in networks for part in _parts(one)]
        if len(networks) < _FEWEST:
            raise ValueError(f"expected at least {_FEWEST} networks to join, got {len(networks)}")
        shared = {name: networks[0].settings[name] for name in _SHARED}
        for one in networks:
            for name, expected in shared.items():
                if (found := one.settings[name]) != expected:
                    raise ValueError(
                        f"networks that are joined need the same {name}, got {expected} and {found}"
                    )
        self.stem = None  # each network has its own
        self.networks = nn.ModuleList(networks)
        parts = [one.settings for one in networks]
        self.settings = {"kind": "joined", **shared, "networks": parts}

    @property
    def parts(self) -> list[Network]:
        """The networks."""
        return cast("list[Network]", list(self.networks))

    def plain(self) -> "JoinedNetwork":
        """Give the network that computes the same in use, without what only training needs."""
        return JoinedNetwork([one.plain() for one in self.parts]).train(self.training)

    def forward(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Give log-probabilities; what stands beyond a clip's steps is no answer.

        Args:
            features: may hold anything beyond each clip's steps.
            steps: length of each clip, at least 1.
        """
        told = torch.stack([one(features, steps) for one in self.parts])
        return torch.logsumexp(told, dim=0) - math.log(len(told))


def _parts(network: Network) -> list[Network]:
    return network.parts if isinstance(network, JoinedNetwork) else [network]
