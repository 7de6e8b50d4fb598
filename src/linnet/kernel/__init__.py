"""The recurrence of training on a CPU, faster than nn.GRU's: an operator in C++.

    features -> input products of all steps and directions -> fused recurrence -> next layer

nn.LSTM has a oneDNN path on a CPU and nn.GRU has none, so that the unit with fewer weights is the
slower one. Here everything but the recurrence is one large matrix product a layer, and the
recurrence is an operator (``fused_gru.cpp``) that is compiled on first use, where there is a
compiler, and kept. ``run`` is the one way to a recurrent layer: it takes the operator where that
helps, and otherwise the layer itself, with the same weights and the same answers to rounding.
"""

from linnet.kernel.building import available
from linnet.kernel.fused import fused, fusible
from linnet.kernel.running import KERNELS, run

__all__ = ["KERNELS", "available", "fused", "fusible", "run"]
