"""What is known about a model and a recording once its gates are laid open.

    traces of one clip or more, tokens heard -> Inspection -> pictures, words, page

The first clip is drawn; time scales and the answers of units are taken from all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from linnet.gates.reach import Reach
from linnet.gates.replay import Trace
from linnet.gates.scales import answers, labels, time_scales_s


@dataclass(frozen=True)
class Clip:
    """A recording and what a model heard in it.

    Attributes:
        name: of its file.
        waveform: its samples.
        sample_rate: in Hz.
        step_s: duration of a step.
        text: what was heard.
        heard: id, first step and one past the last step of each token.
        traces: the replay of each layer and direction.
    """

    name: str
    waveform: Float32[np.ndarray, " samples"]
    sample_rate: int
    step_s: float
    text: str
    heard: Sequence[tuple[int, int, int]]
    traces: Sequence[Trace]

    @property
    def steps(self) -> int:
        """How many steps the network made of it."""
        return len(self.traces[0].states)

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.waveform) / self.sample_rate

    @property
    def marked(self) -> Int[np.ndarray, " steps"]:
        """The token of each step."""
        return labels(self.heard, self.steps)


@dataclass(frozen=True)
class Inspection:
    """A model seen at work.

    Attributes:
        model: what people call it.
        cell: of its recurrent layers.
        facts: what it is, line by line.
        symbols: of its tokens, the blank first.
        clips: at least one; the first is drawn.
        reaches: decay curves by name, that of this model first; may be empty.
        remarks: what could not be shown, and why.
        difference: largest difference between replayed states and the model's own.
    """

    model: str
    cell: str
    facts: Mapping[str, str]
    symbols: Sequence[str]
    clips: Sequence[Clip]
    reaches: Mapping[str, Reach]
    remarks: Sequence[str]
    difference: float

    @property
    def clip(self) -> Clip:
        """The one that is drawn."""
        return self.clips[0]

    def scales_s(self) -> list[Float64[np.ndarray, " hidden"] | None]:
        """Give the time scale of each unit, a layer and direction after the other.

        None for a cell without a gate that carries.
        """
        found: list[Float64[np.ndarray, " hidden"] | None] = []
        for i in range(len(self.clip.traces)):
            carries = [clip.traces[i].carry for clip in self.clips]
            known = [carry for carry in carries if carry is not None]
            found.append(time_scales_s(known, self.clip.step_s) if known else None)
        return found

    def answers(self) -> list[Mapping[int, Float64[np.ndarray, " hidden"]]]:
        """Give how far each unit stands out at each token, for each layer and direction."""
        marked = np.concatenate([clip.marked for clip in self.clips])
        return [
            answers(np.concatenate([_states(clip, i) for clip in self.clips]), marked)
            for i in range(len(self.clip.traces))
        ]


def _states(clip: Clip, index: int) -> Float64[np.ndarray, "steps hidden"]:
    return np.asarray(clip.traces[index].states.detach().double().numpy())
