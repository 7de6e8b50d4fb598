"""Recurrent layers that are easier to train: what each one reads is batch-normalised.

    features -> [batch norm -> dropout -> recurrent layer] x layers -> linear -> log-softmax

Only what comes from the layer below is normalised, over all steps of all clips (Laurent et al.
2016, "Batch normalized recurrent neural networks"; Amodei et al. 2016, section 3.2), never the
recurrence. After training a normalisation is a scale and an offset for each input, and these are
absorbed by the input weights: ``plain`` gives the same function as a ``Network``, so that nothing
of it reaches a device.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from linnet import kernel as kernels
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
            kernel=kernel,
        )
        self._plain_settings: dict[str, Any] = self.settings
        self.settings = {"kind": "normalised", **self.settings, "momentum": momentum}
        widths = [features, *[hidden * (2 if bidirectional else 1)] * (layers - 1)]
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
        order = torch.arange(features.shape[1], device=features.device)
        inside = order < steps[:, None].to(features.device)
        states = features
        for number, (norm, layer) in enumerate(self._pairs()):
            given = _normalised(norm, states, inside)
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
        for number, (norm, layer) in enumerate(self._pairs()):
            mean, variance = (cast("Tensor", one) for one in (norm.running_mean, norm.running_var))
            scale = norm.weight / torch.sqrt(variance + norm.eps)
            offset = norm.bias - scale * mean
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


def _normalised(
    norm: nn.BatchNorm1d,
    features: Float[Tensor, "batch steps width"],
    inside: Bool[Tensor, "batch steps"],
) -> Float[Tensor, "batch steps width"]:
    """Normalise the steps inside the clips; what stands beyond them counts for nothing."""
    if bool(inside.all()):
        return norm(features.flatten(0, 1)).view_as(features)
    result = torch.zeros_like(features)
    result[inside] = norm(features[inside]).to(result.dtype)
    return result


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
