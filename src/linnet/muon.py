"""Muon: an optimizer that turns the matrix of every gate as a whole, for recurrent layers.

    gradient -> momentum -> gate by gate the nearest orthogonal matrix -> step    recurrent matrices
    gradient -> AdamW                                                             all other weights

The gradient of a gate's matrix has few strong directions, the same ones from step to step, and many
weak ones that matter as well. Made orthogonal, all of them count alike (Jordan et al. 2024, "Muon:
an optimizer for hidden layers in neural networks"). A GRU keeps the matrices of its three gates in
one, 384 x 128, say; they do different things, so each is made orthogonal by itself. Multiplied with
0.2 times the root of its longer side a step is about as large as one of AdamW's, so that both take
one learning rate (Liu et al. 2025, "Muon is scalable for LLM training", equation 4).

torch has a Muon of its own, which takes whole matrices, computes in bfloat16, which few CPUs do
fast, and leaves what is no matrix to a second optimizer.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linnet.errors import ConfigError

_STATE, _INPUT = "weight_hh", "weight_ih"  # as torch and linnet.cells name recurrent matrices
# The quintic of Jordan et al., chosen to be steep at 0: singular values end between 0.7 and 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_RMS_OF_ADAMW = 0.2
_SMALLEST = 1e-7


class Muon(torch.optim.AdamW):
    """Muon for the matrices of recurrent layers, AdamW for all other weights.

    Args:
        params: named, as ``Module.named_parameters`` gives them; the names tell what is recurrent.
        lr: of both.
        weight_decay: of both, decoupled.
        momentum: share of the past in what is made orthogonal (Nesterov's).

    Raises:
        ConfigError: the momentum is out of its range.
        ValueError: the parameters have no names.
    """

    def __init__(
        self,
        params: Iterable[tuple[str, Tensor]],
        *,
        lr: float,
        weight_decay: float,
        momentum: float,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ConfigError(
                f"optimizer.momentum={momentum} must be at least 0 and below 1; 0.95 is usual"
            )
        named = list(params)
        if not all(isinstance(one, tuple) for one in named):
            raise ValueError("Muon needs named parameters: module.named_parameters()")
        shapes = {name: values.shape for name, values in named}
        groups: dict[int, list[tuple[str, Tensor]]] = {0: []}
        for name, values in named:
            groups.setdefault(_gates(name, shapes), []).append((name, values))
        super().__init__(
            [
                {"params": members, "gates": gates, "momentum": momentum}
                for gates, members in groups.items()
                if members
            ],
            lr=lr,
            weight_decay=weight_decay,
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # noqa: ANN401 - as the closure says
        """Take a step; ``closure`` gives the loss again, if it is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        for group in groups:
            if group["gates"]:
                self._turn(group)
        # AdamW's own step, for what has no gates.
        self.param_groups = [group for group in groups if not group["gates"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        return loss

    def _turn(self, group: dict[str, Any]) -> None:
        """Take the step of recurrent matrices."""
        rate, gates = group["lr"], group["gates"]
        for values in group["params"]:
            if values.grad is None:
                continue
            state = self.state[values]
            if not state:
                # AdamW restores no state that does not count its steps.
                state |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(values)}
            state["step"] += 1
            past = state["momentum"]
            past.lerp_(values.grad, 1 - group["momentum"])
            ahead = values.grad.lerp(past, group["momentum"]).unflatten(0, (gates, -1))
            turned = orthogonal(ahead) * (_RMS_OF_ADAMW * max(ahead.shape[1:]) ** 0.5)
            values.mul_(1 - rate * group["weight_decay"]).sub_(turned.flatten(0, 1), alpha=rate)


def orthogonal(
    matrices: Float[Tensor, "gates rows columns"],
) -> Float[Tensor, "gates rows columns"]:
    """Give about the nearest matrix with orthogonal rows or columns of each (Newton-Schulz).

    The singular vectors stay, the singular values come to lie between about 0.7 and 1.2.
    """
    upright = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if upright else matrices
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=_SMALLEST)
    first, third, fifth = _QUINTIC
    for _ in range(_ROUNDS):
        squares = found @ found.mT
        weights = torch.baddbmm(squares, squares, squares, beta=third, alpha=fifth)
        found = torch.baddbmm(found, weights, found, beta=first)
    return found.mT if upright else found


def _gates(name: str, shapes: dict[str, torch.Size]) -> int:
    """Give of how many gates a parameter holds the matrices; 0 if it is not recurrent."""
    state = name.replace(_INPUT, _STATE)
    if _STATE not in state or len(shapes.get(state, ())) != 2:
        return 0
    rows, units = shapes[state]
    return rows // units
