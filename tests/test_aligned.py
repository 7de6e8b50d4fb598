"""The loss of streams: the CTC loss of each piece over its own steps, blanks outside."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from linnet.aligned import Pieces, aligned_loss, stream_weights

STEP = 640.0  # samples


def log_probs(batch: int, steps: int, tokens: int = 5) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(batch, steps, tokens).log_softmax(2)


def pieces(*rows: tuple[int, float, float, int]) -> Pieces:
    """Pieces whose places are given in steps."""
    in_samples = [(row, int(a * STEP), int(b * STEP), n) for row, a, b, n in rows]
    return Pieces(*(torch.tensor(column) for column in zip(*in_samples, strict=True)))


def ctc(one: Tensor, target: list[int]) -> Tensor:
    count, length = torch.tensor([len(one)]), torch.tensor([len(target)])
    loss: Tensor = nn.functional.ctc_loss(
        one[:, None], torch.tensor(target), count, length, reduction="sum"
    )
    return loss


def test_one_piece_over_all_steps_has_the_ctc_loss() -> None:
    emitted = log_probs(2, 9)
    made = aligned_loss(
        emitted,
        torch.tensor([9, 6]),
        pieces((0, 0, 9, 2), (1, -3, 40, 3)),
        torch.tensor([1, 2, 3, 3, 4]),
        torch.full((2,), STEP),
    )
    expected = ctc(emitted[0], [1, 2]) / 2 + ctc(emitted[1, :6], [3, 3, 4]) / 3
    torch.testing.assert_close(made, expected / 2)


def test_pieces_are_told_in_their_steps_and_blanks_outside() -> None:
    emitted = log_probs(1, 6, 3)
    made = aligned_loss(
        emitted,
        torch.tensor([6]),
        pieces((0, 1, 3, 1), (0, 4, 5, 1)),
        torch.tensor([1, 2]),
        torch.full((1,), STEP),
    )
    # Every path that says 1 in steps 1 and 2, says 2 in step 4 and nothing in the others.
    paths = [
        path
        for path in itertools.product(range(3), repeat=6)
        if path[0] == path[3] == path[5] == 0
        and path[4] == 2
        and [token for token, _ in itertools.groupby(path[1:3]) if token] == [1]
    ]
    assert len(paths) == 3
    total = torch.stack(
        [sum((emitted[0, t, k] for t, k in enumerate(path)), torch.tensor(0.0)) for path in paths]
    ).logsumexp(0)
    torch.testing.assert_close(made, -total / 2)


@pytest.mark.parametrize(("evenness", "sentence"), [(0.0, 1 / 10), (0.5, 10**-0.5), (1.0, 1.0)])
def test_a_token_of_a_sentence_counts_what_is_asked_for(evenness: float, sentence: float) -> None:
    """A doubt about one token of ten, and the same doubt about one that is said alone."""
    emitted = torch.full((1, 24, 3), -20.0)
    emitted[..., 0] = 0.0
    told = [1, 2] * 6
    for place, token in enumerate(told):
        emitted[0, 2 * place] = torch.tensor([-20.0, -20.0, -20.0])
        emitted[0, 2 * place, token] = 0.0
    emitted = emitted.log_softmax(2)
    where = pieces((0, 0, 20, 10), (0, 20, 22, 1), (0, 22, 24, 1))
    arguments = (torch.tensor([24]), where, torch.tensor(told), torch.full((1,), STEP))
    doubts = []
    for step in (4, 20):  # in the sentence, and alone
        doubtful = emitted.clone()
        doubtful[0, step] = torch.tensor([0.5, 0.5, 1e-9]).log()
        doubts.append(aligned_loss(doubtful, *arguments, evenness=evenness))
    alone = torch.tensor(2.0).log() / 3
    torch.testing.assert_close(doubts[0], alone * sentence, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(doubts[1], alone, rtol=1e-4, atol=1e-5)


def test_a_speed_moves_the_pieces_with_the_steps() -> None:
    emitted = log_probs(1, 8)
    arguments = (emitted, torch.tensor([8]))
    target = torch.tensor([1])
    slow = aligned_loss(*arguments, pieces((0, 2, 4, 1)), target, torch.full((1,), STEP / 2))
    plain = aligned_loss(*arguments, pieces((0, 4, 8, 1)), target, torch.full((1,), STEP))
    torch.testing.assert_close(slow, plain)


@pytest.mark.parametrize("place", [(7.0, 9.0), (-5.0, -2.0), (20.0, 30.0)])
def test_a_piece_that_leaves_the_stream_keeps_a_step_and_a_finite_loss(
    place: tuple[float, float],
) -> None:
    emitted = log_probs(1, 8).requires_grad_()
    made = aligned_loss(
        emitted,
        torch.tensor([8]),
        pieces((0, *place, 3)),
        torch.tensor([1, 2, 3]),
        torch.full((1,), STEP),
    )
    made.backward()
    assert torch.isfinite(made)
    assert emitted.grad is not None
    assert torch.isfinite(emitted.grad).all()


@pytest.mark.parametrize("evenness", [0.0, 0.5, 1.0])
def test_a_stream_weighs_what_its_pieces_of_equal_length_do(evenness: float) -> None:
    emitted, steps = log_probs(2, 6).requires_grad_(), torch.tensor([6, 6])
    # Without a step between them nothing but pieces is counted, each with a path alone.
    strung = pieces((0, 0, 3, 3), (0, 3, 6, 3), (1, 0, 6, 6))
    targets = torch.tensor([1, 2, 3, 4, 2, 1, 3, 4, 3, 2, 1, 4])
    made = aligned_loss(emitted, steps, strung, targets, torch.full((2,), STEP), evenness=evenness)
    rows = targets.view(2, 6)
    losses = -emitted.gather(2, rows[..., None]).sum((1, 2))
    weights = stream_weights(torch.tensor([6, 6]), strung, evenness=evenness)
    torch.testing.assert_close(made, (weights * losses).sum())


def test_a_clip_weighs_what_it_does_in_the_mean_of_the_ctc_loss() -> None:
    emitted, tokens = log_probs(2, 9), torch.tensor([2, 3])
    targets = torch.tensor([[1, 2, 0], [3, 3, 4]])
    made = nn.functional.ctc_loss(emitted.transpose(0, 1), targets, torch.tensor([9, 9]), tokens)
    each = torch.stack([ctc(emitted[0], [1, 2]), ctc(emitted[1], [3, 3, 4])])
    weights = stream_weights(tokens, None, evenness=1.0)
    torch.testing.assert_close(made, (weights * each).sum())
