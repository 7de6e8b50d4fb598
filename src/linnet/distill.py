"""Distillation: a network that streams, or a smaller one, learns what a better one hears.

    waveform -> teacher -> posteriors -> the student's steps -> shifted -> divergence -+-> loss
                                                       texts -> CTC loss --------------+

The teacher's posteriors are targets step by step (Kurata and Audhkhasi 2019 guide spikes likewise).
Two things keep that from working as it is: teacher and student may count time in steps of different
length, and a student that hears less of the future says the same thing later. So the posteriors are
brought to the student's steps, keeping each spike whole, and each clip is compared at the delay
that fits it best.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

# A delay may push no more than this of a clip's tokens beyond its end.
_LOST = 0.5


class Distillation:
    """Mixes the loss of the texts with the divergence from a teacher.

    Not a module: the teacher is no part of the student's weights or checkpoints.

    Args:
        teacher: waveforms and samples to log-probabilities and steps; it is not trained.
        teacher_step_s: length of its steps.
        student_step_s: length of the student's steps.
        weight: of the divergence, 0 to 1; the loss of the texts has the rest.
        latest_s: the longest delay of the student behind its teacher.
    """

    def __init__(
        self,
        *,
        teacher: torch.nn.Module,
        teacher_step_s: float,
        student_step_s: float,
        weight: float,
        latest_s: float,
    ) -> None:
        if not 0 <= weight <= 1 or latest_s < 0:
            raise ValueError(
                f"distillation: weight={weight} must lie between 0 and 1, latest_s={latest_s} must "
                "not be negative"
            )
        self._teacher = teacher.eval().requires_grad_(requires_grad=False)
        self._ratio = student_step_s / teacher_step_s
        self._weight = weight
        self._latest = round(latest_s / student_step_s)

    @torch.no_grad()
    def targets(
        self,
        waveform: Float[Tensor, "batch samples"],
        samples: Int[Tensor, " batch"],
        longest: int,
    ) -> Float[Tensor, "batch {longest} tokens"]:
        """Give what the teacher makes of the clips, in ``longest`` steps of the student."""
        log_probs, steps = self._teacher.to(waveform.device)(waveform, samples)
        return in_steps(log_probs.float().exp(), steps, longest, self._ratio)

    def __call__(
        self,
        loss: Float[Tensor, ""],
        log_probs: Float[Tensor, "batch steps tokens"],
        steps: Int[Tensor, " batch"],
        weights: Float[Tensor, " batch"],
        heard: tuple[Float[Tensor, "batch samples"], Int[Tensor, " batch"]],
    ) -> Float[Tensor, ""]:
        """Give the mixed loss.

        Args:
            loss: of the texts.
            log_probs: of the student.
            steps: of each clip.
            weights: of each clip's divergence, those that its text has in ``loss``.
            heard: waveforms and their samples, for the teacher.
        """
        targets = self.targets(*heard, log_probs.shape[1])
        divergences = divergence(log_probs.float(), steps, targets, self._latest)
        taught = (divergences * weights.to(divergences.device)).sum()
        return (1 - self._weight) * loss + self._weight * taught


def in_steps(
    posteriors: Float[Tensor, "batch steps tokens"],
    steps: Int[Tensor, " batch"],
    longest: int,
    ratio: float,
) -> Float[Tensor, "batch {longest} tokens"]:
    """Bring posteriors to steps of another length.

    A token takes the highest of its posteriors whose middles lie in the new step, so that a spike
    stays as sharp as it was; a new step without any takes those of the step it lies in. The blank
    has what remains. Beyond a clip's end all is blank.

    Args:
        posteriors: may hold anything beyond each clip's steps.
        steps: length of each clip.
        longest: new steps.
        ratio: length of a new step in old ones.
    """
    count, tokens = posteriors.shape[1:]
    device = posteriors.device
    outside = torch.arange(count, device=device) >= steps[:, None].to(device)
    spoken = posteriors.masked_fill(outside[..., None], 0.0)[..., 1:]
    places = [int((step + 0.5) / ratio) for step in range(count)]
    old = [step for step, place in enumerate(places) if place < longest]
    new = [place for place in places if place < longest]
    for place in sorted(set(range(longest)) - set(new)):
        if (step := int((place + 0.5) * ratio)) < count:
            old.append(step)
            new.append(place)
    index = torch.tensor(new, device=device)[None, :, None].expand(len(spoken), -1, tokens - 1)
    pooled = spoken.new_zeros(len(spoken), longest, tokens - 1)
    pooled = pooled.scatter_reduce(1, index, spoken[:, old], "amax")
    blank = (1 - pooled.sum(-1, keepdim=True)).clamp(min=0.0)
    joined = torch.cat([blank, pooled], dim=-1)
    return joined / joined.sum(-1, keepdim=True)


def divergence(
    log_probs: Float[Tensor, "batch steps tokens"],
    steps: Int[Tensor, " batch"],
    targets: Float[Tensor, "batch steps tokens"],
    latest: int,
) -> Float[Tensor, " batch"]:
    """Give the Kullback-Leibler divergence of each clip, summed over its steps, at its best delay.

    Args:
        log_probs: of the student; may hold anything beyond each clip's steps.
        steps: length of each clip.
        targets: posteriors of the teacher in the student's steps.
        latest: most steps that a clip may be late.
    """
    longest, tokens = log_probs.shape[1:]
    device = log_probs.device
    inside = torch.arange(longest, device=device) < steps[:, None].to(device)
    log_probs = log_probs.masked_fill(~inside[..., None], 0.0)
    blank = one_hot(torch.tensor(0, device=device), tokens).to(targets.dtype)
    targets = torch.where(inside[..., None], targets, blank)
    spoken = ((1 - targets[..., 0]) * inside).sum(1)
    found = []
    for delay in range(min(latest, longest - 1) + 1):
        late = torch.cat([blank.expand(len(targets), delay, -1), targets], dim=1)[:, :longest]
        terms = torch.special.xlogy(late, late) - late * log_probs
        kept = ((1 - late[..., 0]) * inside).sum(1)
        lost = spoken - kept > _LOST
        found.append((terms.sum(-1) * inside).sum(1).masked_fill(lost, torch.inf))
    return torch.stack(found).amin(0)
