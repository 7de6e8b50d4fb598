"""What all networks that stream share: a state, pieces, and the whole as one long piece.

features, state -> advance -> log-probabilities some steps late, new state
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from linnet.model import Network
from linnet.normalised import initialise


@dataclass(frozen=True)
class State:
    """All that a stream carries from one piece to the next.

    Args:
        hidden: state of each layer after the last step.
        pending: what the answers to come still need: outputs of the last layer, or features.
    """

    hidden: Float[Tensor, "layers batch hidden"]
    pending: Float[Tensor, "batch lookahead width"]


class StreamingNetwork(Network):
    """A network that can be run piece by piece.

    Args:
        kind: names the class in checkpoints.
        chunk: steps; a piece is a multiple of them.
        lookahead: steps by which answers come late.
        pending_width: width of what is kept of each of these steps.
        history: in training, most steps of another clip that each clip follows, unanswered.
        settings: those of ``Network``; gated recurrent units only.
    """

    def __init__(
        self,
        *,
        kind: str,
        chunk: int,
        lookahead: int,
        pending_width: int,
        history: int,
        settings: dict[str, Any],
    ) -> None:
        if settings["cell"] != "gru":
            raise ValueError(
                f"model: cell={settings['cell']!r}, but a network that streams is made of gru"
            )
        if chunk < 1 or lookahead < 1:
            raise ValueError(f"model: chunk={chunk} and lookahead={lookahead} must be at least 1")
        if history < 0:
            raise ValueError(f"model: history={history} must not be negative")
        super().__init__(**settings)
        initialise(self.recurrent)
        self.kind = kind
        self.chunk = chunk
        self.lookahead = lookahead
        self.pending_width = pending_width
        self.history = history

    def initial(self, batch: int) -> State:
        """Give the state before the first step of ``batch`` streams."""
        weight = self.head.weight
        layers, hidden = self.recurrent.num_layers, self.recurrent.hidden_size
        return State(
            weight.new_zeros(layers, batch, hidden),
            weight.new_zeros(batch, self.lookahead, self.pending_width),
        )

    @abstractmethod
    def advance(
        self, features: Float[Tensor, "batch steps features"], state: State
    ) -> tuple[Float[Tensor, "batch steps tokens"], State]:
        """Give log-probabilities, ``lookahead`` steps late, and the state after them.

        Args:
            features: the next steps, a multiple of ``chunk``.
            state: of the steps before; ``initial`` at the start of a stream.
        """

    def forward(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Give log-probabilities of whole clips; what stands beyond a clip's steps is no answer.

        Args:
            features: may hold anything beyond each clip's steps.
            steps: length of each clip, at least 1.
        """
        longest = features.shape[1]
        outside = torch.arange(longest, device=features.device) >= steps[:, None].to(
            features.device
        )
        followed = self._followed(features.masked_fill(outside[..., None], 0.0))
        given = followed.shape[1]
        unfilled = -(given + self.lookahead) % self.chunk
        late = self._whole(pad(followed, (0, 0, 0, self.lookahead + unfilled)))
        return late[:, self.lookahead + given - longest : self.lookahead + given]

    def _followed(
        self, features: Float[Tensor, "batch steps features"]
    ) -> Float[Tensor, "batch longer features"]:
        """Let each clip follow the end of another one, in training.

        A network that knows when a clip begins learns to answer at its first step, before it has
        heard anything, and to give there how frequent each token is; then it learns no more.
        """
        if not self.training or not self.history:
            return features
        most = min(self.history, features.shape[1])
        count = int(torch.randint(most + 1, ()))
        before = features.roll(1, dims=0)[:, features.shape[1] - count :]
        return torch.cat([before, features], dim=1)

    def _whole(
        self, features: Float[Tensor, "batch steps features"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Advance from the start."""
        return self.advance(features, self.initial(len(features)))[0]

    def _log_probs(
        self, outputs: Float[Tensor, "batch steps width"]
    ) -> Float[Tensor, "batch steps tokens"]:
        return torch.log_softmax(self.head(self.dropout(outputs)), dim=-1)
