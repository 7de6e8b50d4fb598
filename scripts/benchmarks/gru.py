"""The fused GRU against torch's nn.GRU and nn.LSTM: forward and backward of a stack, on all cores.

    same weights, same clips -> outputs -> gradients, ours and the peer's in turns

``agreement`` is the largest difference of a gradient from nn.GRU's, relative to that gradient's
largest value; and for the LSTM, which computes something else, how many weights each has.
"""

import os
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.comparing import Comparison, alternate, threads, timed
from benchmarks.options import Options
from linnet import kernel
from linnet.errors import LinnetError
from linnet.kernel import building

_LAYERS = 3
_PEERS: dict[str, type[nn.RNNBase]] = {"nn.GRU": nn.GRU, "nn.LSTM": nn.LSTM}
# Units, clips and steps; ragged: the last clip has half the steps.
_SHAPES = [(units, 32, steps, False) for units in (128, 256) for steps in (100, 300)] + [
    (128, 64, 33, False),
    (128, 32, 100, True),
]


def run(options: Options) -> list[Comparison]:
    """Compare at each shape.

    Raises:
        LinnetError: the fused operator cannot be built here.
    """
    if (reason := building.problem()) is not None:
        raise LinnetError(f"the fused GRU cannot be built: {reason}")
    shapes: Sequence[tuple[int, int, int, bool]] = (
        _SHAPES if options.turns > 1 else [(16, 2, 5, True)]
    )
    cores = options.threads or os.cpu_count() or 1
    with threads(cores):
        return [_comparison(peer, shape, options, cores) for shape in shapes for peer in _PEERS]


def _comparison(
    peer: str, shape: tuple[int, int, int, bool], options: Options, cores: int
) -> Comparison:
    units, clips, steps, ragged = shape
    torch.manual_seed(0)
    fused = nn.GRU(units, units, _LAYERS, bidirectional=True, batch_first=True)
    theirs = _PEERS[peer](units, units, _LAYERS, bidirectional=True, batch_first=True)
    if isinstance(theirs, nn.GRU):
        theirs.load_state_dict(fused.state_dict())
    lengths = torch.full((clips,), steps)
    if ragged:
        lengths = torch.linspace(steps // 2, steps, clips).round().long()
    features = torch.randn(clips, steps, units)
    ours = _training_step(fused, features, lengths, "fused")
    plain = _training_step(theirs, features, lengths, "torch")
    took = alternate(
        timed(ours, options.least_s), timed(plain, options.least_s), max(1, options.turns // 4)
    )
    return Comparison(
        benchmark="gru",
        task=f"{_LAYERS} x {units}, {clips} clips of {'up to ' if ragged else ''}{steps} steps, "
        f"forward and backward, {cores} threads",
        ours="fused GRU",
        peer=peer,
        unit="s",
        more_is_better=False,
        our_values=took[0],
        peer_values=took[1],
        agreement=_agreement(fused, theirs, ours, plain),
    )


def _training_step(
    layer: nn.RNNBase, features: Tensor, lengths: Tensor, choice: str
) -> Callable[[], None]:
    """Give what runs one forward and backward, leaving the weights' gradients."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(*features.shape[:2], 2 * layer.hidden_size, generator=generator)
    inputs = features.clone().requires_grad_()

    def step() -> None:
        layer.zero_grad()
        inputs.grad = None
        (kernel.run(layer, inputs, lengths, kernel=choice) * weights).sum().backward()

    return step


def _agreement(
    fused: nn.RNNBase,
    theirs: nn.RNNBase,
    ours: Callable[[], None],
    plain: Callable[[], None],
) -> dict[str, float]:
    if not isinstance(theirs, nn.GRU):
        counts = [float(sum(p.numel() for p in one.parameters())) for one in (fused, theirs)]
        return {"weights": counts[0], "peer_weights": counts[1]}
    ours()
    plain()
    return {
        "gradient_difference": max(
            float((one.grad - other.grad).abs().max() / other.grad.abs().max())
            for one, other in zip(fused.parameters(), theirs.parameters(), strict=True)
            if one.grad is not None and other.grad is not None
        )
    }
