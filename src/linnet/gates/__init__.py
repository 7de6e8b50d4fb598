"""Gates laid open: what a recurrent layer forgets, reads and carries, replayed from its weights.

equations.py   each cell's equations, a step
replay.py      a layer, a stack: every gate of every unit at every step
graph.py       the same for an exported graph
scales.py      time scales in seconds, openness, which unit answers to which token
reach.py       how far back the gradient of an answer goes
pictures.py    all that as pictures
page.py        and as one page
"""

from linnet.gates.equations import EQUATIONS, Weights
from linnet.gates.reach import Reach, reach, targets
from linnet.gates.replay import Direction, Trace, layer, plain, stack
from linnet.gates.scales import answers, labels, openness, overwritten, time_scales_s

__all__ = [
    "EQUATIONS",
    "Direction",
    "Reach",
    "Trace",
    "Weights",
    "answers",
    "labels",
    "layer",
    "openness",
    "overwritten",
    "plain",
    "reach",
    "stack",
    "targets",
    "time_scales_s",
]
