"""Recurrent layers that are easier to train: what each one reads is batch-normalised.

    features -> (convolutions) -> [batch norm -> dropout -> recurrent layer] x layers -> head

Only what comes from the layer below is normalised, over all steps of all clips (Laurent et al.
2016, "Batch normalized recurrent neural networks"; Amodei et al. 2016, section 3.2), never the
recurrence. After training a normalisation is a scale and an offset for each input, and these are
absorbed by the input weights: ``plain`` gives the same function as a ``Network``, so that nothing
of it reaches a device. ``separated`` and ``absorbed`` do the same for the networks that stream.
"""

from collections.abc import Callable, Mapping, Sequence
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
        self.settings = {"kind": "normalised", **self.settings, "momentum": momentum}
        if self.stem is not None:
            self.stem = Convolutions(
                features=features, channels=channels, strides=strides, momentum=momentum
            )
        self.recurrent, self.norms = separated(self.recurrent, momentum)

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
        for number, (norm, layer) in enumerate(_pairs(self.norms, self.recurrent)):
            given = batch_norm(norm, states, within)
            if number:
                given = self.dropout(given)
            states = kernels.run(layer, given, steps, kernel=self.kernel)
        return torch.log_softmax(self.head(self.dropout(states)), dim=-1)

    @torch.no_grad()
    def plain(self) -> Network:
        """Give the network without normalisations that computes the same in use."""
        network = Network(**plain_settings(self.settings), kernel=self.kernel)
        network.head.load_state_dict(self.head.state_dict())
        network.stem = None if self.stem is None else self.stem.plain()
        network.recurrent.load_state_dict(absorbed(self.norms, self.recurrent))
        return network.train(self.training)


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a network's plain form: all but its kind and its normalisation."""
    return {name: settings[name] for name in settings if name not in ("kind", "momentum")}


def separated(stack: nn.RNNBase, momentum: float) -> tuple[Layers, nn.ModuleList]:
    """Give fresh layers like those of a stack, one by one, and a normalisation before each.

    Args:
        stack: of torch's own layers.
        momentum: share of the newest batch in the running mean and variance.
    """
    hidden, bidirectional = stack.hidden_size, stack.bidirectional
    above = hidden * (2 if bidirectional else 1)
    widths = [stack.input_size, *[above] * (stack.num_layers - 1)]
    maker = _TORCH_CELLS[stack.mode.partition("_")[0].lower()]
    made = [maker(width, hidden, bidirectional=bidirectional, batch_first=True) for width in widths]
    for layer in made:
        initialise(layer)
    norms = nn.ModuleList(nn.BatchNorm1d(width, momentum=momentum) for width in widths)
    return Layers(list(made), hidden, bidirectional), norms


@torch.no_grad()
def absorbed(norms: nn.ModuleList, layers: Layers) -> dict[str, Tensor]:
    """Give the weights of the stack that computes what normalisations and layers do in use.

    From ``W (scale * x + offset) + b`` follow the weights ``W * scale`` and the bias
    ``W offset + b``.

    Args:
        norms: one before each layer.
        layers: single ones.
    """
    found: dict[str, Tensor] = {}
    for number, (norm, layer) in enumerate(_pairs(norms, layers)):
        scale, offset = scale_and_offset(norm)
        weights = dict(layer.named_parameters())
        for name, values in weights.items():
            kind, _, direction = name.partition("_l0")
            stacked = f"{kind}_l{number}{direction}"
            if kind == "weight_ih":
                found[stacked] = values * scale
            elif kind == "bias_ih":
                found[stacked] = values + weights[f"weight_ih_l0{direction}"] @ offset
            else:
                found[stacked] = values
    return found


def _pairs(norms: nn.ModuleList, layers: Layers) -> list[tuple[nn.BatchNorm1d, nn.RNNBase]]:
    """Give each normalisation and the layer that it feeds."""
    pairs = zip(norms, layers, strict=True)
    return cast("list[tuple[nn.BatchNorm1d, nn.RNNBase]]", list(pairs))


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
