"""Recurrent layers put together in other ways: shortcuts, projections, directions summed.

    features -> [both directions, side by side or summed -> projection -> + input] x layers -> head

Around any cell. Each part is a plain operator of its own, so that what exports a cell exports
these too.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from linnet import cells, gates
from linnet import kernel as kernels
from linnet.model import CELLS, Layers, Network, ctc_head

DIRECTIONS = ("concatenated", "summed")


class StackedNetwork(Network):
    """A network whose layers are joined as the settings say.

    Args:
        features: width of the input.
        tokens: outputs a step, the CTC blank (id 0) among them.
        cell: as in ``Network``.
        layers: recurrent layers.
        hidden: units a layer and direction.
        bidirectional: read each clip in both directions.
        dropout: share of a layer's outputs that training sets to 0.
        residual: add a layer's input to its output wherever both are as wide (He et al. 2016).
        projection: width to which a matrix brings each layer's output (Sak et al. 2014, but not
            fed back); 0 leaves it as it is.
        directions: ``concatenated``, or ``summed`` (half as wide).
        kernel: as in ``Network``.
    """

    def __init__(
        self,
        *,
        features: int,
        tokens: int,
        cell: str,
        layers: int,
        hidden: int,
        bidirectional: bool,
        dropout: float,
        residual: bool,
        projection: int,
        directions: str,
        kernel: str = "auto",
    ) -> None:
        if directions not in DIRECTIONS:
            raise ValueError(
                f"model: directions={directions!r} must be one of {', '.join(DIRECTIONS)}"
            )
        if projection < 0:
            raise ValueError(f"model: projection={projection} must be at least 1, or 0 for none")
        super().__init__(
            features=features,
            tokens=tokens,
            cell=cell,
            layers=layers,
            hidden=hidden,
            bidirectional=bidirectional,
            dropout=dropout,
            kernel=kernel,
        )
        self.residual = residual
        self.summed = bidirectional and directions == "summed"
        own = {"residual": residual, "projection": projection, "directions": directions}
        self.settings = {"kind": "stacked", **self.settings, **own}
        joined = hidden * (2 if bidirectional and not self.summed else 1)
        width = projection or joined
        widths = [features, *[width] * (layers - 1)]
        one = {"num_layers": 1, "bidirectional": bidirectional, "batch_first": True, "dropout": 0.0}
        made = [CELLS[cell](before, hidden, **one) for before in widths]
        self.recurrent = Layers(made, hidden, bidirectional)
        self.projections = nn.ModuleList(
            nn.Linear(joined, projection) for _ in range(layers if projection else 0)
        )
        self.head = ctc_head(width, tokens)

    def forward(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Give log-probabilities; what stands beyond a clip's steps is no answer.

        Args:
            features: may hold anything beyond each clip's steps.
            steps: length of each clip, at least 1.
        """
        states = features
        for number, layer in enumerate(self.recurrent):
            given = self.dropout(states) if number else states
            states = self.joined(
                number, kernels.run(layer, given, steps, kernel=self.kernel), given
            )
        return torch.log_softmax(self.head(self.dropout(states)), dim=-1)

    def joined(
        self,
        number: int,
        states: Float[Tensor, "*batch directions_hidden"],
        given: Float[Tensor, "*batch width"],
    ) -> Float[Tensor, "*batch output"]:
        """Give what layer ``number`` hands on: its states joined, projected, with a shortcut.

        Args:
            number: from 0.
            states: of both directions, side by side.
            given: what the layer was fed.
        """
        if self.summed:
            states = sum(states.chunk(2, -1))  # type: ignore[assignment]
        if len(self.projections):
            states = self.projections[number](states)
        if self.shortcut(number):
            states = states + given
        return states

    def shortcut(self, number: int) -> bool:
        """Tell whether layer ``number`` adds its input: it must be as wide as its output."""
        return self.residual and (number > 0 or self.recurrent.input_size == self.head.in_features)

    @torch.no_grad()
    def replay(
        self, features: Float[Tensor, "steps features"]
    ) -> tuple[list[gates.Trace], Float[Tensor, "steps output"]]:
        """Replay every layer on a clip; give the traces and what the head is fed."""
        traces: list[gates.Trace] = []
        states = features
        for number, made in enumerate(self.recurrent):
            own = [
                gates.layer(gates.Direction(number, one.backward, one.cell, one.weights), states)
                for one in cells.directions(made, str(self.settings["cell"]))
            ]
            states = self.joined(number, torch.cat([one.states for one in own], dim=-1), states)
            traces += own
        return traces, states
