"""Recurrent layers that are easier to train: what each one reads is batch-normalised.

    features -> (convolutions) -> [batch norm -> dropout -> recurrent layer] x layers -> head

Only what comes from the layer below is normalised, over all steps of all clips (Laurent et al.
2016, "Batch normalized recurrent neural networks"; Amodei et al. 2016, section 3.2), never the
recurrence. After training a normalisation is a scale and an offset for each input, and these are
absorbed by the input weights: ``plain`` gives the same function as a ``Network``, so that nothing
of it reaches a device.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from linnet import kernel as kernels
from linnet.convolved import Convolutions, batch_norm, inside, scale_and_offset
from linnet.model import Layers, Network

_TORCH_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class NormalisedNetwork(Network):
    """A ``Network`` that is trained with batch normalisation between its layers.

    Args:
        features: width of the input.
        tokens: outputs a step, the CTC blank (id 0) among them.
        cell: ``gru``, ``lstm`` or ``rnn``: what has input weights to absorb a normalisation.
        layers: recurrent layers.
        hidden: units a layer and direction.
        bidirectional: read each clip in both directions.
        dropout: share of a layer's inputs (but the first's) that training sets to 0.
        momentum: share of the newest batch in the running mean and variance.
        channels: of convolutions before the layers, normalised too; none without.
        strides: of these in time.
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
        momentum: float,
        channels: Sequence[int] = (),
        strides: Sequence[int] = (),
        kernel: str = "auto",
    ) -> None:
        if cell not in _TORCH_CELLS:
            raise ValueError(
                f"model: cell={cell!r} has no input weights that absorb a batch normalisation; "
                f"take one of {', '.join(_TORCH_CELLS)}, or model=stacked"
            )
        super().__init__(
            features=features,
            tokens=tokens,
            cell=cell,
            layers=layers,
            hidden=hidden,
            bidirectional=bidirectional,
            dropout=dropout,
            channels=channels,
            strides=strides,
            kernel=kernel,
        )
        self._plain_settings: dict[str, Any] = self.settings
        self.settings = {"kind": "normalised", **self.settings, "momentum": momentum}
        if self.stem is not None:
            self.stem = Convolutions(
                features=features, channels=channels, strides=strides, momentum=momentum
            )
        read = self.recurrent.input_size
        widths = [read, *[hidden * (2 if bidirectional else 1)] * (layers - 1)]
        made = [
            _TORCH_CELLS[cell](width, hidden, bidirectional=bidirectional, batch_first=True)
            for width in widths
        ]
        for layer in made:
            initialise(layer)
        self.recurrent = Layers(list(made), hidden, bidirectional)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, momentum=momentum) for width in widths)

    def forward(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Give log-probabilities; what stands beyond a clip's steps is no answer.

        Args:
            features: may hold anything beyond each clip's steps.
            steps: length of each clip, at least 1.
        """
        states = self.read(features, steps)
        within = inside(states, steps)
        for number, (norm, layer) in enumerate(self._pairs()):
            given = batch_norm(norm, states, within)
            if number:
                given = self.dropout(given)
            states = kernels.run(layer, given, steps, kernel=self.kernel)
        return torch.log_softmax(self.head(self.dropout(states)), dim=-1)

    def _pairs(self) -> list[tuple[nn.BatchNorm1d, nn.RNNBase]]:
        """Give each normalisation and the layer that it feeds."""
        pairs = zip(self.norms, self.recurrent, strict=True)
        return cast("list[tuple[nn.BatchNorm1d, nn.RNNBase]]", list(pairs))

    @torch.no_grad()
    def plain(self) -> Network:
        """Give the network without normalisations that computes the same in use.

        From ``W (scale * x + offset) + b`` follow the weights ``W * scale`` and the bias
        ``W offset + b``.
        """
        network = Network(**self._plain_settings, kernel=self.kernel)
        network.head.load_state_dict(self.head.state_dict())
        network.stem = None if self.stem is None else self.stem.plain()
        for number, (norm, layer) in enumerate(self._pairs()):
            scale, offset = scale_and_offset(norm)
            for name, values in layer.named_parameters():
                kind, _, direction = name.partition("_l0")
                if kind == "weight_ih":
                    found = values * scale
                elif kind == "bias_ih":
                    found = values + getattr(layer, f"weight_ih_l0{direction}") @ offset
                else:
                    found = values
                getattr(network.recurrent, f"{kind}_l{number}{direction}").copy_(found)
        return network.train(self.training)


def initialise(layer: nn.RNNBase) -> None:
    """Start with a recurrence that neither grows nor fades (Saxe et al. 2014)."""
    with torch.no_grad():
        for name, values in layer.named_parameters():
            gates = values.shape[0] // layer.hidden_size
            for part in values.chunk(gates):
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(part)
                elif name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(part)
                else:
                    part.zero_()
