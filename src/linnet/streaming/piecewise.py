"""What all networks that stream share: a state, pieces, and the whole as one long piece.

features, state -> advance -> log-probabilities some steps late, new state

In training, what each layer reads is batch-normalised (``normalised``), and ``plain`` gives the
network that needs no normalisation. All that a layer reads is brought to the same scale: the steps
of the clips, what stands before and after them, what a window reads ahead. But each step counts
once in the statistics, where its clip is answered. Zeros beyond a clip's end are zeros before the
normalisation, as in use, where the weights have absorbed it.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from linnet.convolved import inside, scale_and_offset
from linnet.model import Network
from linnet.normalised import absorbed, initialise, plain_settings, separated


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
        momentum: share of the newest batch in the statistics that normalise a layer's input; None
            for a network without normalisations (``plain``).
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
        momentum: float | None,
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
        self.norms = nn.ModuleList()
        if momentum is None:
            initialise(self.recurrent)
        else:
            self.recurrent, self.norms = separated(self.recurrent, momentum)
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
        self,
        features: Float[Tensor, "batch steps features"],
        state: State,
        counted: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps tokens"], State]:
        """Give log-probabilities, ``lookahead`` steps late, and the state after them.

        Args:
            features: the next steps, a multiple of ``chunk``.
            state: of the steps before; ``initial`` at the start of a stream.
            counted: in training, the steps whose statistics normalise; without it the running ones.
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
        within = inside(features, steps)
        followed = self._followed(features.masked_fill(~within[..., None], 0.0), steps)
        given = followed.shape[1]
        after = self.lookahead + -(given + self.lookahead) % self.chunk
        counted = pad(within, (given - longest, after)) if self.training else None
        late = self._whole(pad(followed, (0, 0, 0, after)), counted)
        return late[:, self.lookahead + given - longest : self.lookahead + given]

    @torch.no_grad()
    def plain(self) -> Network:
        """Give the network without normalisations that computes the same in use."""
        if not len(self.norms):
            return self
        made = cast("Callable[..., Network]", type(self))
        network = made(**plain_settings(self.settings))
        network.kernel = self.kernel
        own = ("recurrent.", "norms.")
        kept = {k: v for k, v in self.state_dict().items() if not k.startswith(own)}
        weights = absorbed(self.norms, self.recurrent)
        network.load_state_dict(kept | {f"recurrent.{k}": v for k, v in weights.items()})
        return network.train(self.training)

    def _followed(
        self, features: Float[Tensor, "batch steps features"], steps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch longer features"]:
        """Let each clip follow the end of another one, in training.

        A network that knows when a clip begins learns to answer at its first step, before it has
        heard anything, and to give there how frequent each token is; then it learns no more.
        """
        if not self.training or not self.history:
            return features
        most = min(self.history, features.shape[1])
        count = int(torch.randint(most + 1, ()))
        ends = steps.to(features.device).roll(1)[:, None]
        places = ends + torch.arange(-count, 0, device=features.device)
        rows = torch.arange(len(features), device=features.device).roll(1)[:, None]
        before = features[rows, places.clamp(min=0)].masked_fill(places[..., None] < 0, 0.0)
        return torch.cat([before, features], dim=1)

    def _whole(
        self,
        features: Float[Tensor, "batch steps features"],
        counted: Bool[Tensor, "batch steps"] | None,
    ) -> Float[Tensor, "batch steps tokens"]:
        """Advance from the start."""
        return self.advance(features, self.initial(len(features)), counted)[0]

    def _read(
        self,
        layer: int,
        states: Float[Tensor, "*batch width"],
        counted: Bool[Tensor, "*batch"] | None,
    ) -> Float[Tensor, "*batch width"]:
        """Give what a layer reads of what stands below it."""
        if len(self.norms):
            states = normalise(cast("nn.BatchNorm1d", self.norms[layer]), states, counted)
        return self.dropout(states) if layer else states

    def _log_probs(
        self, outputs: Float[Tensor, "batch steps width"]
    ) -> Float[Tensor, "batch steps tokens"]:
        return torch.log_softmax(self.head(self.dropout(outputs)), dim=-1)


def normalise(
    norm: nn.BatchNorm1d,
    states: Float[Tensor, "*batch width"],
    counted: Bool[Tensor, "*batch"] | None,
) -> Float[Tensor, "*batch width"]:
    """Normalise everything by the statistics of what counts, or by the running ones.

    Args:
        norm: its scale and offset are learnt; its running statistics move towards these.
        states: all are answered, for they are read, whether they count or not.
        counted: which states the statistics are taken from; None takes the running ones.
    """
    if counted is None:
        scale, offset = scale_and_offset(norm)
        return torch.addcmul(offset, states, scale)
    rows = states.flatten(0, -2).index_select(0, counted.flatten().nonzero()[:, 0])
    variance, mean = torch.var_mean(rows, 0, correction=0)
    with torch.no_grad():
        running = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
        unbiased = variance * (len(rows) / max(len(rows) - 1, 1))
        for kept, newest in zip(running, (mean, unbiased), strict=True):
            kept.lerp_(newest, cast("float", norm.momentum))
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias - mean * scale, states, scale)
