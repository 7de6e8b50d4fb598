"""The network: stacked recurrent layers and a linear CTC head.

    features -> (convolutions) -> [recurrent layer -> dropout] x layers -> linear -> log-softmax

The gated recurrent unit (Cho et al. 2014) steers one state by two gates. As cuDNN, PyTorch and ONNX
(with ``linear_before_reset=1``) compute it:

    r = sigmoid(W_r x + b_r + R_r h + c_r)              reset gate
    z = sigmoid(W_z x + b_z + R_z h + c_z)              update gate
    n = tanh(W_n x + b_n + r * (R_n h + c_n))           candidate
    h' = (1 - z) * n + z * h                            interpolation

In the paper the reset gate acts on h before the product (``R_n (r * h)``), and z and 1 - z change
places; the form above lets all three products with h be one matrix product.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from linnet import cells
from linnet import kernel as kernels
from linnet.convolved import Convolutions

CELLS: dict[str, Callable[..., Any]] = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn": nn.RNN,
    **cells.makers(),
}

# How often a fresh network answers with the blank; almost all steps of a clip want it.
_BLANK = 0.9


class Layers(nn.ModuleList):
    """Single recurrent layers, with what others ask torch's stacks for."""

    def __init__(self, made: list[nn.Module], hidden: int, bidirectional: bool) -> None:
        super().__init__(made)
        self.input_size = int(made[0].input_size)  # type: ignore[arg-type]
        self.hidden_size, self.num_layers, self.bidirectional = hidden, len(made), bidirectional


class Network(nn.Module):
    """Stacked (bidirectional) recurrent layers with a linear CTC head.

    Args:
        features: width of the input.
        tokens: outputs a step, the CTC blank (id 0) among them.
        cell: ``gru``, ``lstm`` or ``rnn`` (Elman, tanh); or a relative of the GRU (``cells``).
        layers: recurrent layers.
        hidden: units a layer and direction.
        bidirectional: read each clip in both directions.
        dropout: share of a layer's outputs that training sets to 0.
        channels: of convolutions that read the features before the layers do (``convolved``); none
            without.
        strides: of these in time.
        kernel: ``auto``, ``fused`` or ``torch``: what computes the layers in training
            (``linnet.kernel.run``); it changes the time, not the answers.
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
        channels: Sequence[int] = (),
        strides: Sequence[int] = (),
        kernel: str = "auto",
    ) -> None:
        super().__init__()
        if kernel not in kernels.KERNELS:
            raise ValueError(
                f"model: kernel={kernel!r} must be one of {', '.join(kernels.KERNELS)}"
            )
        self.kernel = kernel
        if cell not in CELLS:
            raise ValueError(f"model: cell={cell!r} must be one of {', '.join(CELLS)}")
        if min(features, layers, hidden) < 1 or tokens < 2:
            raise ValueError(
                f"model: features={features}, layers={layers}, hidden={hidden} must be at least 1 "
                f"and tokens={tokens} at least 2 (the blank and one more)"
            )
        self.settings: dict[str, Any] = {
            "features": features,
            "tokens": tokens,
            "cell": cell,
            "layers": layers,
            "hidden": hidden,
            "bidirectional": bidirectional,
            "dropout": dropout,
        }
        self.stem: Convolutions | None = None
        if channels:
            self.settings |= {"channels": list(channels), "strides": list(strides)}
            self.stem = Convolutions(features=features, channels=channels, strides=strides)
        self.recurrent = CELLS[cell](
            self.stem.width if self.stem is not None else features,
            hidden,
            num_layers=layers,
            bidirectional=bidirectional,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = ctc_head(hidden * (2 if bidirectional else 1), tokens)

    @property
    def weights(self) -> int:
        """How many numbers training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    def plain(self) -> "Network":
        """Give the network that computes the same in use, without what only training needs."""
        return self

    def read(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps width"]:
        """Give what the first recurrent layer reads: the features, or what the stem made of it."""
        return features if self.stem is None else self.stem(features, steps)

    def forward(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Give log-probabilities; what stands beyond a clip's steps is no answer.

        Args:
            features: may hold anything beyond each clip's steps.
            steps: length of each clip, at least 1.
        """
        given = self.read(features, steps)
        states = kernels.run(self.recurrent, given, steps, kernel=self.kernel)
        return torch.log_softmax(self.head(self.dropout(states)), dim=-1)


def ctc_head(width: int, tokens: int) -> nn.Linear:
    """Give a fresh linear layer that answers with the blank (id 0) at most steps.

    Without that start training spends its first epochs on finding out that tokens are rare, with
    gradients that are clipped.
    """
    head = nn.Linear(width, tokens)
    with torch.no_grad():
        head.bias[0] = math.log(_BLANK / (1 - _BLANK) * (tokens - 1))
    return head
