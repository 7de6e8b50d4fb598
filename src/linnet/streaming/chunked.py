"""The latency-controlled network: both directions, chunk by chunk.

features -> windows of a chunk and its lookahead -> [forward carried, backward within] x layers
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from linnet.streaming.piecewise import State, StreamingNetwork


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
        history: in training, most steps of another clip that each clip follows, unanswered.
        dropout: share of a layer's outputs that training sets to 0.
        momentum: share of the newest batch in the statistics that normalise a layer's input; None
            for a network without normalisations (``plain``).
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
        history: int,
        dropout: float,
        momentum: float | None = None,
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
            history=history,
            pending_width=features,
            momentum=momentum,
            settings={**settings, "bidirectional": True},
        )
        self.settings = {
            "kind": self.kind,
            **settings,
            "chunk": chunk,
            "lookahead": lookahead,
            "history": history,
        }
        if momentum is not None:
            self.settings["momentum"] = momentum

    def advance(
        self,
        features: Float[Tensor, "batch steps features"],
        state: State,
        counted: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps tokens"], State]:
        """Give log-probabilities, ``lookahead`` steps late, and the state after them.

        All windows run side by side but for the forward direction, which needs their order.
        """
        batch, steps = features.shape[:2]
        joined = torch.cat([state.pending, features], dim=1)
        windows = joined.unfold(1, self.chunk + self.lookahead, self.chunk).transpose(2, 3)
        if counted is not None:
            # A step counts in its own chunk, not again in the window that looks ahead to it.
            late = pad(counted, (self.lookahead, 0))[:, :steps]
            counted = pad(late.unflatten(1, (-1, self.chunk)), (0, self.lookahead))
        ends = []
        for layer, before in enumerate(state.hidden):
            windows, end = self._layer(layer, self._read(layer, windows, counted), before)
            ends.append(end)
        answered = windows[:, :, : self.chunk].reshape(batch, steps, -1)
        pending = joined[:, -self.lookahead :]
        return self._log_probs(answered), State(torch.cat(ends), pending)

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
        forward, after = self._direction(layer, "", chunks.flatten(1, 2), before[None])
        forward = forward.unflatten(1, (count, self.chunk))
        ends = forward[:, :, -1].flatten(0, 1)[None]
        beyond, _ = self._direction(layer, "", ahead.flatten(0, 1), ends)
        ahead_too = torch.cat([forward, beyond.unflatten(0, (batch, count))], dim=2)
        reversed_ = windows.flip(2).flatten(0, 1)
        backward, _ = self._direction(layer, "_reverse", reversed_, torch.zeros_like(ends))
        return torch.cat([ahead_too, backward.unflatten(0, (batch, count)).flip(2)], dim=3), after

    def _direction(
        self,
        layer: int,
        ending: str,
        features: Float[Tensor, "rows steps width"],
        state: Float[Tensor, "1 rows hidden"],
    ) -> tuple[Float[Tensor, "rows steps hidden"], Float[Tensor, "1 rows hidden"]]:
        """Run one direction of a layer; with ``ending`` end torch's names of its weights."""
        stack, number = (self.recurrent[layer], 0) if len(self.norms) else (self.recurrent, layer)
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(stack, f"{kind}_l{number}{ending}") for kind in kinds]
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
