"""A stack of GRU layers through the fused operator, with its gradients.

    x -> [ W_ih x + b for all steps and directions -> recurrence -> dropout ] x layers

All tensors lie step by step (steps, clips, directions x units), so that both directions' input
products are one matrix product, and a layer's outputs are the next one's input as they are.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.functional import dropout, pad

# Units are filled up to the widest vector, in float32; what is filled in stays 0.
_UNITS = 16


def fusible(layer: nn.Module, features: Tensor) -> bool:
    """Tell whether the operator computes what ``layer`` does with these features."""
    return (
        isinstance(layer, nn.GRU)
        and layer.batch_first
        and layer.bias
        and features.device.type == "cpu"
        and features.dtype == layer.weight_ih_l0.dtype == torch.float32
    )


def fused(
    layer: nn.GRU,
    features: Float[Tensor, "batch steps features"],
    steps: Int[Tensor, " batch"],
) -> Float[Tensor, "batch steps outputs"]:
    """Give the outputs of ``layer``; those beyond a clip's steps are 0, as after packing."""
    outputs = features.transpose(0, 1)
    for number in range(layer.num_layers):
        outputs = _layer(layer, number, outputs.contiguous(), steps)
        if number + 1 < layer.num_layers:
            outputs = dropout(outputs, layer.dropout, layer.training)
    return outputs.transpose(0, 1)


def _layer(
    layer: nn.GRU,
    number: int,
    features: Float[Tensor, "steps batch features"],
    lengths: Int[Tensor, " batch"],
) -> Float[Tensor, "steps batch outputs"]:
    """Run one layer in its directions."""
    ends = ["", "_reverse"] if layer.bidirectional else [""]
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weight_ih, weight_hh, bias_ih, bias_hh = (
        torch.stack([getattr(layer, f"{name}_l{number}{end}") for end in ends]) for name in names
    )
    units = layer.hidden_size
    missing = -units % _UNITS
    if missing:
        # A unit without weights stays at 0: its candidate is tanh(0).
        weight_ih = _gates(weight_ih, (0, 0, 0, missing))
        weight_hh = _gates(weight_hh, (0, missing, 0, missing))
        bias_ih, bias_hh = (
            _gates(bias[..., None], (0, 0, 0, missing))[..., 0] for bias in (bias_ih, bias_hh)
        )
    wide = units + missing
    # The candidate's bias of the state stands inside the reset gate's product, the others do not.
    bias = bias_ih + torch.cat([bias_hh[:, : 2 * wide], torch.zeros_like(bias_hh[:, :wide])], 1)
    inputs = torch.addmm(bias.flatten(), features.flatten(0, 1), weight_ih.flatten(0, 1).T)
    inputs = inputs.view(*features.shape[:2], -1)
    outputs = cast("Tensor", _Recurrence.apply(inputs, weight_hh, bias_hh[:, 2 * wide :], lengths))
    if missing:
        outputs = outputs.unflatten(-1, (len(ends), wide))[..., :units].flatten(-2)
    return outputs


def _gates(weights: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Fill up the units of each of the three gates."""
    return pad(weights.unflatten(1, (3, -1)), widths).flatten(1, 2)


class _Recurrence(torch.autograd.Function):
    """The operator and its gradient; the weights' gradients are one matrix product each."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        inputs: Float[Tensor, "steps batch gates"],
        weights: Float[Tensor, "directions gate_units units"],
        bias: Float[Tensor, "directions units"],
        lengths: Int[Tensor, " batch"],
    ) -> Float[Tensor, "steps batch outputs"]:
        weights = weights.contiguous()
        outputs, inner = torch.ops.linnet.gru_forward(inputs, weights, bias.contiguous(), lengths)
        # The operator has put the gates where the input products were, which nobody reads again.
        ctx.save_for_backward(weights, outputs, inputs, inner, lengths)
        return cast("Tensor", outputs)

    @staticmethod
    def backward(
        ctx: FunctionCtx, arriving: Float[Tensor, "steps batch outputs"]
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        weights, outputs, gates, inner, lengths = ctx.saved_tensors  # type: ignore[attr-defined]
        products, candidates = torch.ops.linnet.gru_backward(
            arriving.contiguous(), weights, outputs, gates, inner, lengths
        )
        steps, batch, _ = outputs.shape
        directions, _, units = weights.shape
        by_direction = products.view(steps, batch, directions, 3 * units)
        states = outputs.view(steps, batch, directions, units)
        of_weights = torch.stack(
            [
                # The state before a step: the output of the step before, in reading order.
                _product(by_direction[1:, :, 0], states[:-1, :, 0])
                if direction == 0
                else _product(by_direction[:-1, :, 1], states[1:, :, 1])
                for direction in range(directions)
            ]
        )
        of_bias = by_direction[..., 2 * units :].sum((0, 1))
        # The input products see the candidate's sum itself, not what the reset gate lets through.
        by_direction[..., 2 * units :] = candidates.view(steps, batch, directions, units)
        return products, of_weights, of_bias, None


def _product(
    gradients: Float[Tensor, "steps batch gates"], states: Float[Tensor, "steps batch units"]
) -> Float[Tensor, "gates units"]:
    return gradients.reshape(-1, gradients.shape[-1]).T @ states.reshape(-1, states.shape[-1])
