"""The one way to a recurrent layer: through the fused operator where it helps, else as it is.

training a GRU on a CPU -> fused operator;  anything else -> the layer, packed if ragged
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from linnet.kernel.building import available, problem
from linnet.kernel.fused import fused, fusible

KERNELS = ("auto", "fused", "torch")


def run(
    layer: nn.Module,
    features: Float[Tensor, "batch steps features"],
    steps: Int[Tensor, " batch"],
    *,
    kernel: str,
) -> Float[Tensor, "batch steps outputs"]:
    """Give the outputs of a recurrent layer; what stands beyond a clip's steps is never read.

    Args:
        layer: with ``batch_first``.
        features: may hold anything beyond each clip's steps.
        steps: length of each clip, at least 1.
        kernel: ``auto`` trains a GRU on a CPU through the fused operator if that can be built,
            ``fused`` insists on it, ``torch`` never uses it.

    Raises:
        ValueError: ``fused`` is asked for and cannot be had.
    """
    counts = steps.cpu()
    if kernel != "torch" and torch.is_grad_enabled() and fusible(layer, features):
        if kernel == "fused" and (reason := problem()) is not None:
            raise ValueError(f"model: kernel=fused cannot be built ({reason}); take kernel=auto")
        if available():
            return fused(cast("nn.GRU", layer), features, counts)
    longest = features.shape[1]
    if bool((counts == longest).all()):
        return layer(features)[0]
    # Without packing, a third slower, the backward direction would start in the padding.
    packed = pack_padded_sequence(features, counts, batch_first=True, enforce_sorted=False)
    outputs, _ = pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=longest)
    return outputs
