"""Convolutions in front of the recurrent layers: near in time and near in pitch is read together.

    log-mel, stacked -> frames -> [3 x 3 convolution -> batch norm -> relu] x n -> bands x channels

Another voice says a word a little higher or slower; weights that are shared along the mel axis and
along time need not learn each height and place anew (Arik et al. 2017, "Convolutional recurrent
neural networks for small-footprint keyword spotting"). Each convolution halves the bands; their
strides in time multiply to the frames of a step, so that the steps stay what they were.

What stands beyond a clip's end is taken for zeros before each convolution, and counts for nothing
in the statistics: a clip alone gives what it gives in a batch.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

_KERNEL = 3


class Convolutions(nn.Module):
    """Convolutions over time and mel bands.

    Args:
        features: width of a step: its frames' bands, frame after frame.
        channels: of each convolution.
        strides: in time, of each; multiplied they are the frames of a step.
        momentum: of the batch normalisations' running statistics; None for convolutions that have
            a bias instead (``plain``).

    Raises:
        ValueError: no such convolutions are possible.
    """

    def __init__(
        self,
        *,
        features: int,
        channels: Sequence[int],
        strides: Sequence[int],
        momentum: float | None = None,
    ) -> None:
        super().__init__()
        stack = math.prod(strides)
        if len(channels) != len(strides) or min(*channels, *strides) < 1 or features % stack:
            raise ValueError(
                f"model: channels={list(channels)} and strides={list(strides)} must be as many, "
                f"at least 1 each, and the strides' product divide the {features} features of a "
                "step: it is the frames of a step, model.stack"
            )
        self.channels, self.strides, self.features = list(channels), list(strides), features
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                before,
                after,
                _KERNEL,
                stride=(stride, 2),
                padding=_KERNEL // 2,
                bias=momentum is None,
            )
            for before, after, stride in zip([1, *channels], channels, strides, strict=False)
        )
        bands = features // stack
        for _ in channels:
            bands = (bands + 1) // 2
        self.width = channels[-1] * bands
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(count, momentum=momentum) for count in channels if momentum is not None
        )

    def forward(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps width"]:
        """Give what the recurrent layers read; what stands beyond a clip's steps is no answer.

        Args:
            features: may hold anything beyond each clip's steps.
            steps: length of each clip.
        """
        scale = math.prod(self.strides)
        batch, longest, width = features.shape
        # The channels stand last: rows that are picked, normalised and put back lie together.
        states = features.reshape(batch, longest * scale, width // scale, 1)
        within = inside(states, steps * scale)
        for number, convolution in enumerate(self.convolutions):
            clear = _clear(states, within)
            states = convolution(clear.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            scale //= self.strides[number]
            within = inside(states, steps * scale)
            if len(self.norms):
                states = batch_norm(cast("nn.BatchNorm1d", self.norms[number]), states, within)
            states = torch.relu(states)
        return states.flatten(2)

    @torch.no_grad()
    def plain(self) -> "Convolutions":
        """Give convolutions with a bias that compute the same in use."""
        found = Convolutions(features=self.features, channels=self.channels, strides=self.strides)
        pairs = zip(self.convolutions, found.convolutions, strict=True)
        for norm, pair in zip(self.norms, pairs, strict=True):
            trained, own = (cast("nn.Conv2d", one) for one in pair)
            scale, offset = scale_and_offset(cast("nn.BatchNorm1d", norm))
            own.weight.copy_(trained.weight * scale[:, None, None, None])
            cast("Tensor", own.bias).copy_(offset)
        return found


def inside(
    states: Float[Tensor, "batch time *width"], lengths: Int[Tensor, " batch"]
) -> Bool[Tensor, "batch time"]:
    """Tell which times belong to a clip."""
    order = torch.arange(states.shape[1], device=states.device)
    return order < lengths[:, None].to(states.device)


def batch_norm(
    norm: nn.BatchNorm1d,
    states: Float[Tensor, "batch time *width"],
    within: Bool[Tensor, "batch time"],
) -> Float[Tensor, "batch time *width"]:
    """Normalise what lies inside the clips; what stands beyond them counts for nothing."""
    if bool(within.all()):
        return norm(states.flatten(0, -2)).view_as(states)
    # Whole rows by their numbers: four times as fast as by a mask.
    rows = within.flatten().nonzero()[:, 0]
    chosen = states.flatten(0, 1).index_select(0, rows)
    normal = norm(chosen.flatten(0, -2)).view_as(chosen)
    result = normal.new_zeros(within.numel(), *states.shape[2:])
    return result.index_copy(0, rows, normal).view_as(states)


def scale_and_offset(
    norm: nn.BatchNorm1d,
) -> tuple[Float[Tensor, " width"], Float[Tensor, " width"]]:
    """Give what a normalisation multiplies by and adds once training is over."""
    mean, variance = (cast("Tensor", one) for one in (norm.running_mean, norm.running_var))
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - scale * mean


def _clear(
    states: Float[Tensor, "batch time bands channels"], within: Bool[Tensor, "batch time"]
) -> Float[Tensor, "batch time bands channels"]:
    return states if bool(within.all()) else states.masked_fill(~within[:, :, None, None], 0.0)
