"""A stream through a network: pieces of any size in, the answers they make possible out.

features -> whole chunks -> advance, state carried -> log-probabilities of steps 0, 1, 2, ...
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from linnet.streaming.piecewise import StreamingNetwork


class Stream:
    """One stream, or several side by side, through a network in pieces of any size.

    Args:
        network: in evaluation mode.
        batch: streams.
    """

    def __init__(self, network: StreamingNetwork, batch: int = 1) -> None:
        self._network = network
        self._state = network.initial(batch)
        self._waiting = network.head.weight.new_zeros(batch, 0, network.recurrent.input_size)
        self._given = 0
        self._answered = -network.lookahead

    @torch.no_grad()
    def push(
        self, features: Float[Tensor, "batch steps features"]
    ) -> Float[Tensor, "batch answers tokens"]:
        """Give the answers that ``features`` make possible, maybe none."""
        self._given += features.shape[1]
        return self._advance(torch.cat([self._waiting, features], dim=1))

    @torch.no_grad()
    def flush(self) -> Float[Tensor, "batch answers tokens"]:
        """Give the answers still due, for no more features will come."""
        due = self._given - self._answered
        missing = -(-due // self._network.chunk) * self._network.chunk - self._waiting.shape[1]
        return self._advance(pad(self._waiting, (0, 0, 0, max(0, missing))))

    def _advance(
        self, features: Float[Tensor, "batch steps features"]
    ) -> Float[Tensor, "batch answers tokens"]:
        """Run the whole chunks in ``features``, keep the rest, drop what precedes step 0."""
        steps = features.shape[1] // self._network.chunk * self._network.chunk
        ready, self._waiting = features[:, :steps], features[:, steps:]
        if not steps:
            return features.new_zeros(len(features), 0, self._network.head.out_features)
        log_probs, self._state = self._network.advance(ready, self._state)
        first, last = max(0, -self._answered), min(steps, self._given - self._answered)
        self._answered += steps
        return log_probs[:, first : max(first, last)]
