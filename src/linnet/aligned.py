"""The CTC loss where it is known when each piece of a stream speaks.

    stream        |  pause  |  left  |  pause  |  turn it up  | pause |
    CTC loss of               "left"             "turn it up"              over its own steps
    -log P(blank)  over all other steps

Over a whole stream the CTC loss (Graves et al. 2006) sums the paths that tell the words anywhere in
the right order. A bidirectional network has no reason to tell them when they are said: trained so,
one told most words of a window in its first step, another in its last. Here a piece is told where
it speaks.

Averaged over the tokens of its piece, as is usual among clips of one kind, a letter of a sentence
counts a thirtieth of a keyword that is a token of its own, and so does a keyword that is heard
where the sentence has none. Summed, every token counts alike, and long sentences the most.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Pieces(NamedTuple):
    """Where the pieces of a batch speak, in the order of the batch and of each stream.

    Attributes:
        rows: the stream of each piece.
        first: the sample that its tokens may be told from.
        end: one past the last.
        tokens: how many of its stream's tokens are its own.
    """

    rows: Int[Tensor, " pieces"]
    first: Int[Tensor, " pieces"]
    end: Int[Tensor, " pieces"]
    tokens: Int[Tensor, " pieces"]


def aligned_loss(
    log_probs: Float[Tensor, "batch steps tokens"],
    steps: Int[Tensor, " batch"],
    pieces: Pieces,
    targets: Int[Tensor, " all_tokens"],
    samples_a_step: Float[Tensor, " batch"],
    *,
    evenness: float = 0.0,
) -> Float[Tensor, ""]:
    """Give the negative log-likelihood of what pieces tell, averaged over pieces, in nats.

    Args:
        log_probs: of every step; what stands beyond a stream's steps does not count.
        steps: of each stream.
        pieces: where they speak.
        targets: the tokens of all pieces, one behind the other.
        samples_a_step: of each stream as its pieces count samples.
        evenness: 0 averages over the tokens of a piece, so that every piece counts alike; 1 sums
            over them, so that every token does; between, a piece's weight is that power of its
            number of tokens.
    """
    scale = samples_a_step[pieces.rows]
    limit = steps[pieces.rows]
    first = torch.minimum((pieces.first / scale).floor().long().clamp(min=0), limit - 1)
    end = torch.minimum((pieces.end / scale).ceil().long(), limit).maximum(first + 1)
    counts = end - first
    reach = torch.arange(int(counts.max()), device=steps.device)
    places = (first[:, None] + reach).clamp(max=log_probs.shape[1] - 1)
    told = nn.functional.ctc_loss(
        log_probs[pieces.rows[:, None], places].float().transpose(0, 1),
        targets,
        counts,
        pieces.tokens,
        reduction="none",
        # A faster speed can leave fewer steps than the target needs.
        zero_infinity=True,
    )
    step = torch.arange(log_probs.shape[1], device=steps.device)
    outside = step < steps[:, None]
    inside = (step >= first[:, None]) & (step < end[:, None])
    covered = torch.zeros_like(outside, dtype=torch.long).index_add(0, pieces.rows, inside.long())
    silent = -(log_probs[..., 0].float() * (outside & (covered == 0))).sum()
    weights = pieces.tokens.clamp(min=1) ** (evenness - 1)
    return ((told * weights).sum() + silent) / len(pieces.rows)


def stream_weights(
    tokens: Int[Tensor, " batch"], pieces: Pieces | None, *, evenness: float
) -> Float[Tensor, " batch"]:
    """Give what each stream weighs in ``aligned_loss``, as if its pieces were equally long.

    Args:
        tokens: of each stream.
        pieces: where they speak; None for clips, each of which weighs what it does in the mean of
            the CTC loss per token.
        evenness: as in ``aligned_loss``.
    """
    if pieces is None:
        return 1 / (len(tokens) * tokens.clamp(min=1))
    counts = torch.bincount(pieces.rows, minlength=len(tokens)).clamp(min=1)
    return (tokens / counts).clamp(min=1) ** (evenness - 1) / len(pieces.rows)
