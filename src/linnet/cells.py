"""Relatives of the GRU that torch does not have, made of the equations in ``gates``.

    inputs of all steps -> one product (normalised, if the cell does so) -> equations, step by step

The equations stand in ``linnet.gates.equations`` and are what the replay uses too. In plain torch,
step by step: right and slow, for finding out whether a cell is worth more.
"""

import functools
from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from linnet.gates.equations import EQUATIONS, Weights, run
from linnet.gates.replay import Direction, suffixes

VARIANTS = ("gru_reset_before", "gru_layernorm", "mgu", "ligru")
# What ONNX has no operator for, and why.
NO_OPERATOR = {
    "gru_layernorm": "ONNX's GRU operator has no normalisation between the product and the gate"
}
# As in Ravanelli et al. 2018, section III: the statistics of a batch count for 5 % of the running.
_MOMENTUM = 0.05


class Recurrent(nn.Module):
    """Stacked layers of one cell, used like nn.GRU with ``batch_first``.

    Args:
        input_size: width of the input.
        hidden_size: units a layer and direction.
        cell: of ``VARIANTS``.
        num_layers: that feed one another.
        bidirectional: read each clip in both directions.
        batch_first: must be true.
        dropout: share of a layer's outputs that training sets to 0, but for the last layer.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: str,
        num_layers: int,
        bidirectional: bool,
        batch_first: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        if not batch_first:
            raise ValueError(f"{cell}: batch_first must be true")
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.num_layers, self.bidirectional = num_layers, bidirectional
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleDict()
        width = input_size
        for layer in range(num_layers):
            for suffix in [f"l{layer}", f"l{layer}_reverse"][: 2 if bidirectional else 1]:
                self._add_direction(suffix, width)
            width = hidden_size * (2 if bidirectional else 1)

    def _add_direction(self, suffix: str, width: int) -> None:
        """Make the weights of a direction, named as torch names them."""
        rows = EQUATIONS[self.cell][1] * self.hidden_size
        bound = self.hidden_size**-0.5

        def parameter(kind: str, *shape: int) -> nn.Parameter:
            made = nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
            self.register_parameter(f"{kind}_{suffix}", made)
            return made

        parameter("weight_ih", rows, width)
        state_weight = parameter("weight_hh", rows, self.hidden_size)
        if self.cell == "ligru":
            # No biases: the normalisation shifts. Orthogonal, because a ReLU bounds nothing.
            for block in state_weight.detach().chunk(EQUATIONS[self.cell][1]):
                nn.init.orthogonal_(block)
            self.norms[suffix] = nn.BatchNorm1d(rows, momentum=_MOMENTUM)
            return
        for kind in ("bias_ih", "bias_hh"):
            parameter(kind, rows)
        if self.cell == "gru_layernorm":
            for kind in ("gain_ih", "gain_hh"):
                nn.init.ones_(parameter(kind, rows))

    def weights(self, suffix: str) -> Weights:
        """Give the weights of a direction as its equations take them.

        Batch normalisation with its running statistics is part of them: it is linear then.

        Args:
            suffix: ``l0``, ``l0_reverse``, ``l1``, ...
        """
        input_weight = getattr(self, f"weight_ih_{suffix}")
        state_weight = getattr(self, f"weight_hh_{suffix}")
        if self.cell != "ligru":
            kinds = ("bias_ih", "bias_hh", "gain_ih", "gain_hh")
            given: list[Any] = [getattr(self, f"{k}_{suffix}", None) for k in kinds]
            return Weights(input_weight, state_weight, *given)
        norm = cast("nn.BatchNorm1d", self.norms[suffix])
        mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        bias = norm.bias - scale * mean
        return Weights(scale[:, None] * input_weight, state_weight, bias, torch.zeros_like(bias))

    def forward(
        self, features: Float[Tensor, "batch steps features"] | PackedSequence
    ) -> tuple[Float[Tensor, "batch steps outputs"] | PackedSequence, None]:
        """Give the outputs of the last layer; of a packed batch no padding is read.

        Args:
            features: clips of one length, or packed.
        """
        if not isinstance(features, PackedSequence):
            steps = torch.full((len(features),), features.shape[1])
            return self._outputs(features, steps), None
        padded, steps = pad_packed_sequence(features, batch_first=True)
        outputs = self._outputs(padded, steps)
        return pack_padded_sequence(outputs, steps, batch_first=True, enforce_sorted=False), None

    def _outputs(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps outputs"]:
        places = torch.arange(features.shape[1])[None]
        inside = (places < steps[:, None]).to(features.device)
        # Each clip turned round within its own length; what is padding stays where it is.
        turned = torch.where(places < steps[:, None], steps[:, None] - 1 - places, places)
        turned = turned.to(features.device)
        states = features
        for layer in range(self.num_layers):
            if layer:
                states = self.dropout(states)
            both = [self._direction(f"l{layer}", states, inside)]
            if self.bidirectional:
                both.append(
                    _reordered(
                        self._direction(f"l{layer}_reverse", _reordered(states, turned), inside),
                        turned,
                    )
                )
            states = torch.cat(both, dim=-1)
        return states

    def _direction(
        self,
        suffix: str,
        inputs: Float[Tensor, "batch steps width"],
        inside: Bool[Tensor, "batch steps"],
    ) -> Float[Tensor, "batch steps hidden"]:
        weights = self.weights(suffix)
        if self.cell == "ligru" and self.training:
            plain = inputs @ getattr(self, f"weight_ih_{suffix}").T
            products = torch.zeros_like(plain)
            # The statistics are those of the clips, never of the padding.
            products[inside] = self.norms[suffix](plain[inside])
        else:
            products = weights.of_inputs(inputs)
        steps = run(self.cell, weights, products.transpose(0, 1))
        return torch.stack([step.state for step in steps], dim=1)


def _reordered(
    states: Float[Tensor, "batch steps width"], order: Int[Tensor, "batch steps"]
) -> Float[Tensor, "batch steps width"]:
    return states.gather(1, order[..., None].expand_as(states))


def makers() -> dict[str, Callable[..., nn.Module]]:
    """Give what makes each variant, with the arguments of nn.GRU."""
    return {cell: functools.partial(Recurrent, cell=cell) for cell in VARIANTS}


def weights_of(recurrent: nn.Module, suffix: str) -> Weights:
    """Give the weights of one direction of torch's own layers or of these.

    Args:
        recurrent: nn.GRU, nn.LSTM, nn.RNN or ``Recurrent``.
        suffix: ``l0``, ``l0_reverse``, ``l1``, ...
    """
    if isinstance(recurrent, Recurrent):
        return recurrent.weights(suffix)
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return Weights(*(getattr(recurrent, f"{kind}_{suffix}") for kind in kinds))


def directions(recurrent: nn.Module, cell: str) -> list[Direction]:
    """Give the directions of layers for a replay, detached, in float64 on the CPU."""
    return [
        Direction(layer, backward, cell, weights_of(recurrent, suffix).detached())
        for layer, backward, suffix in suffixes(recurrent.state_dict())
    ]
