"""The causal network: a forward recurrence under a lookahead convolution.

features -> [recurrent layer, state carried] x n -> convolution over the next few steps -> head
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from linnet import kernel as kernels
from linnet.streaming.piecewise import State, StreamingNetwork


class LookaheadNetwork(StreamingNetwork):
    """Unidirectional recurrent layers under a lookahead convolution.

        r[t, i] = sum over j = 0 ... lookahead of W[i, j] h[t + j, i]

    so that each unit is convolved by itself, and the answer at a step sees ``lookahead`` more.
    It starts at random: that learns faster than from the identity, which lets one step through.

    Args:
        features: width of the input.
        tokens: outputs a step, the CTC blank (id 0) among them.
        cell: ``gru``.
        layers: recurrent layers.
        hidden: units a layer.
        lookahead: steps that an answer sees beyond its own.
        history: in training, most steps of another clip that each clip follows, unanswered.
        dropout: share of a layer's outputs that training sets to 0.
        momentum: share of the newest batch in the statistics that normalise a layer's input; None
            for a network without normalisations (``plain``).
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
        history: int,
        dropout: float,
        momentum: float | None = None,
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
            history=history,
            pending_width=hidden,
            momentum=momentum,
            settings={**settings, "bidirectional": False, "kernel": kernel},
        )
        self.settings = {"kind": self.kind, **settings, "lookahead": lookahead, "history": history}
        if momentum is not None:
            self.settings["momentum"] = momentum
        self.convolution = nn.Conv1d(hidden, hidden, lookahead + 1, groups=hidden, bias=False)

    def advance(
        self,
        features: Float[Tensor, "batch steps features"],
        state: State,
        counted: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps tokens"], State]:
        """Give log-probabilities, ``lookahead`` steps late, and the state after them."""
        outputs, ends = features, []
        for number, part in enumerate(self._parts()):
            before = state.hidden[number : number + part.num_layers]
            outputs, end = part(self._read(number, outputs, counted), before)
            ends.append(end)
        log_probs, pending = self._convolved(outputs, state.pending)
        return log_probs, State(torch.cat(ends), pending)

    def _whole(
        self,
        features: Float[Tensor, "batch steps features"],
        counted: Bool[Tensor, "batch steps"] | None,
    ) -> Float[Tensor, "batch steps tokens"]:
        # Without a state to start from, there is a faster way in training.
        batch, longest = features.shape[:2]
        steps = torch.full((batch,), longest)
        outputs = features
        for number, part in enumerate(self._parts()):
            given = self._read(number, outputs, counted)
            outputs = kernels.run(part, given, steps, kernel=self.kernel)
        return self._convolved(outputs, self.initial(batch).pending)[0]

    def _parts(self) -> list[nn.GRU]:
        """Give the layers with a normalisation before each, or all at once without any."""
        return list(self.recurrent) if len(self.norms) else [self.recurrent]

    def _convolved(
        self,
        outputs: Float[Tensor, "batch steps hidden"],
        pending: Float[Tensor, "batch lookahead hidden"],
    ) -> tuple[Float[Tensor, "batch steps tokens"], Float[Tensor, "batch lookahead hidden"]]:
        """Give the answers that have become possible, and the outputs that wait for theirs."""
        joined = torch.cat([pending, outputs], dim=1)
        convolved = self.convolution(joined.transpose(1, 2)).transpose(1, 2)
        return self._log_probs(convolved), joined[:, -self.lookahead :]
