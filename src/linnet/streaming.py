"""Networks that answer while somebody is still speaking, a few steps late.

    gru_stream  features -> recurrent layers, state carried -> lookahead convolution -+
    lcbigru     features -> windows -> [forward carried, backward in the window] x n -+-> head

The first is a unidirectional stack whose answer at a step sees a few steps more: the lookahead
convolution (Wang et al. 2016), which Deep Speech 2 (Amodei et al. 2016, section 3.7) calls row
convolution. The second is latency-controlled (Zhang et al. 2016, for LSTM): time is cut into
chunks, a window is a chunk and the steps after it, and the backward direction starts anew at the
end of each window, while the forward direction hands its state on from chunk to chunk.

A network is trained as it will run: ``forward`` is ``advance`` over the whole clip. Steps beyond a
clip's end count as zeros, the mean of the training set; so an answer never depends on the batch.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from linnet import kernel as kernels
from linnet.model import Network
from linnet.stacked import StackedNetwork


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
        settings: those of ``Network``; gated recurrent units only.
    """

    def __init__(
        self, *, kind: str, chunk: int, lookahead: int, pending_width: int, settings: dict[str, Any]
    ) -> None:
        if settings["cell"] != "gru":
            raise ValueError(
                f"model: cell={settings['cell']!r}, but a network that streams is made of gru"
            )
        if chunk < 1 or lookahead < 1:
            raise ValueError(f"model: chunk={chunk} and lookahead={lookahead} must be at least 1")
        super().__init__(**settings)
        self.kind = kind
        self.chunk = chunk
        self.lookahead = lookahead
        self.pending_width = pending_width

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
        cleared = features.masked_fill(outside[..., None], 0.0)
        unfilled = -(longest + self.lookahead) % self.chunk
        late = self._whole(pad(cleared, (0, 0, 0, self.lookahead + unfilled)))
        return late[:, self.lookahead : self.lookahead + longest]

    def _whole(
        self, features: Float[Tensor, "batch steps features"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Advance from the start."""
        return self.advance(features, self.initial(len(features)))[0]

    def _log_probs(
        self, outputs: Float[Tensor, "batch steps width"]
    ) -> Float[Tensor, "batch steps tokens"]:
        return torch.log_softmax(self.head(self.dropout(outputs)), dim=-1)


class LookaheadNetwork(StreamingNetwork):
    """Unidirectional recurrent layers under a lookahead convolution.

        r[t, i] = sum over j = 0 ... lookahead of W[i, j] h[t + j, i]

    so that each unit is convolved by itself, and the answer at a step sees ``lookahead`` more.

    Args:
        features: width of the input.
        tokens: outputs a step, the CTC blank (id 0) among them.
        cell: ``gru``.
        layers: recurrent layers.
        hidden: units a layer.
        lookahead: steps that an answer sees beyond its own.
        dropout: share of a layer's outputs that training sets to 0.
        kernel: what computes the layers in training, as in ``Network``.
    """

    def __init__(
        self,
        *,
        features: int,
        tokens: int,
        cell: str,
        layers: int,
        hidden: int,
        lookahead: int,
        dropout: float,
        kernel: str = "auto",
    ) -> None:
        settings = {
            "features": features,
            "tokens": tokens,
            "cell": cell,
            "layers": layers,
            "hidden": hidden,
            "dropout": dropout,
        }
        super().__init__(
            kind="lookahead",
            chunk=1,
            lookahead=lookahead,
            pending_width=hidden,
            settings={**settings, "bidirectional": False, "kernel": kernel},
        )
        self.settings = {"kind": self.kind, **settings, "lookahead": lookahead}
        self.convolution = nn.Conv1d(hidden, hidden, lookahead + 1, groups=hidden, bias=False)

    def advance(
        self, features: Float[Tensor, "batch steps features"], state: State
    ) -> tuple[Float[Tensor, "batch steps tokens"], State]:
        """Give log-probabilities, ``lookahead`` steps late, and the state after them."""
        outputs, hidden = self.recurrent(features, state.hidden)
        log_probs, pending = self._convolved(outputs, state.pending)
        return log_probs, State(hidden, pending)

    def _whole(
        self, features: Float[Tensor, "batch steps features"]
    ) -> Float[Tensor, "batch steps tokens"]:
        # Without a state to start from, there is a faster way in training.
        batch, longest = features.shape[:2]
        steps = torch.full((batch,), longest)
        outputs = kernels.run(self.recurrent, features, steps, kernel=self.kernel)
        return self._convolved(outputs, self.initial(batch).pending)[0]

    def _convolved(
        self,
        outputs: Float[Tensor, "batch steps hidden"],
        pending: Float[Tensor, "batch lookahead hidden"],
    ) -> tuple[Float[Tensor, "batch steps tokens"], Float[Tensor, "batch lookahead hidden"]]:
        """Give the answers that have become possible, and the outputs that wait for theirs."""
        joined = torch.cat([pending, outputs], dim=1)
        convolved = self.convolution(joined.transpose(1, 2)).transpose(1, 2)
        return self._log_probs(convolved), joined[:, -self.lookahead :]


class ChunkedNetwork(StreamingNetwork):
    """Bidirectional recurrent layers of controlled latency.

    Every layer reads windows of a chunk and its lookahead. Forward, it runs on from the end of the
    chunk before, and on through the lookahead without keeping that state; backward, it starts at
    the end of the window. A clip begins ``lookahead`` zeros before its first step, so that a stream
    is ready to answer whenever a whole chunk has come in.

    Args:
        features: width of the input.
        tokens: outputs a step, the CTC blank (id 0) among them.
        cell: ``gru``.
        layers: recurrent layers.
        hidden: units a layer and direction.
        chunk: steps that are answered at once.
        lookahead: steps that the answers to a chunk see beyond it.
        dropout: share of a layer's outputs that training sets to 0.
    """

    def __init__(
        self,
        *,
        features: int,
        tokens: int,
        cell: str,
        layers: int,
        hidden: int,
        chunk: int,
        lookahead: int,
        dropout: float,
    ) -> None:
        settings = {
            "features": features,
            "tokens": tokens,
            "cell": cell,
            "layers": layers,
            "hidden": hidden,
            "dropout": dropout,
        }
        super().__init__(
            kind="chunked",
            chunk=chunk,
            lookahead=lookahead,
            pending_width=features,
            settings={**settings, "bidirectional": True},
        )
        self.settings = {"kind": self.kind, **settings, "chunk": chunk, "lookahead": lookahead}

    def advance(
        self, features: Float[Tensor, "batch steps features"], state: State
    ) -> tuple[Float[Tensor, "batch steps tokens"], State]:
        """Give log-probabilities, ``lookahead`` steps late, and the state after them.

        All windows run side by side but for the forward direction, which needs their order.
        """
        batch, steps = features.shape[:2]
        joined = torch.cat([state.pending, features], dim=1)
        windows = joined.unfold(1, self.chunk + self.lookahead, self.chunk).transpose(2, 3)
        hidden = []
        for layer, before in enumerate(state.hidden):
            windows, after = self._layer(layer, windows, before)
            hidden.append(after)
            if layer + 1 < len(state.hidden):
                windows = self.dropout(windows)
        answered = windows[:, :, : self.chunk].reshape(batch, steps, -1)
        pending = joined[:, -self.lookahead :]
        return self._log_probs(answered), State(torch.cat(hidden), pending)

    def _layer(
        self,
        layer: int,
        windows: Float[Tensor, "batch windows window width"],
        before: Float[Tensor, "batch hidden"],
    ) -> tuple[
        Float[Tensor, "batch windows window both"],
        Float[Tensor, "1 batch hidden"],
    ]:
        """Run one layer over windows in order; give its outputs and its state after the chunks."""
        batch, count = windows.shape[:2]
        chunks, ahead = windows.split([self.chunk, self.lookahead], dim=2)
        forward, after = self._direction(f"l{layer}", chunks.flatten(1, 2), before[None])
        forward = forward.unflatten(1, (count, self.chunk))
        ends = forward[:, :, -1].flatten(0, 1)[None]
        beyond, _ = self._direction(f"l{layer}", ahead.flatten(0, 1), ends)
        ahead_too = torch.cat([forward, beyond.unflatten(0, (batch, count))], dim=2)
        reversed_ = windows.flip(2).flatten(0, 1)
        backward, _ = self._direction(f"l{layer}_reverse", reversed_, torch.zeros_like(ends))
        return torch.cat([ahead_too, backward.unflatten(0, (batch, count)).flip(2)], dim=3), after

    def _direction(
        self,
        suffix: str,
        features: Float[Tensor, "rows steps width"],
        state: Float[Tensor, "1 rows hidden"],
    ) -> tuple[Float[Tensor, "rows steps hidden"], Float[Tensor, "1 rows hidden"]]:
        """Run one direction of a layer; ``suffix`` is how torch names its weights."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.recurrent, f"{kind}_{suffix}") for kind in kinds]
        return torch.gru(
            features,
            state,
            weights,
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )


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


KINDS: dict[str, type[Network]] = {
    "whole": Network,
    "stacked": StackedNetwork,
    "lookahead": LookaheadNetwork,
    "chunked": ChunkedNetwork,
}


def network(settings: Mapping[str, Any]) -> Network:
    """Build the network that ``settings`` describe, with fresh weights.

    Args:
        settings: as in a network's ``settings``; without a ``kind`` it reads whole clips.
    """
    arguments = dict(settings)
    return KINDS[arguments.pop("kind", "whole")](**arguments)
