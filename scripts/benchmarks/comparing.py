"""Two sides taking turns, and what comes of it.

    ours, peer, ours, peer, ... -> a ratio for each pair of turns -> median and quartiles

Whatever else runs on the machine slows two neighbouring turns alike, so that their ratio says more
than the ratio of two medians.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, TypeVar

import torch
from threadpoolctl import threadpool_limits

Turn = Callable[[], float]
Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Quartiles:
    """Half of the values lie between ``low`` and ``high``."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quartiles":
        """Give the quartiles of ``values``, at least one."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*quantiles(values, n=4, method="inclusive"))

    def record(self) -> dict[str, float]:
        """Give the three as plain values."""
        return {"low": self.low, "median": self.median, "high": self.high}


@dataclass(frozen=True)
class Comparison:
    """What two sides reached on one task.

    Attributes:
        benchmark: the name on the command line.
        task: what both did.
        ours: Linnet's side, by name.
        peer: the other side, by name.
        unit: of the values.
        more_is_better: a speed, not a duration or a size.
        our_values: one for each turn.
        peer_values: one for each turn.
        agreement: how near the two sides' results are, and other facts, by name.
    """

    benchmark: str
    task: str
    ours: str
    peer: str
    unit: str
    more_is_better: bool
    our_values: tuple[float, ...]
    peer_values: tuple[float, ...]
    agreement: dict[str, float]

    @property
    def ratio(self) -> Quartiles:
        """How many times better ours is, turn by turn; above 1 ours is ahead."""
        pairs = list(zip(self.our_values, self.peer_values, strict=True))
        if self.more_is_better:
            return Quartiles.of([ours / peer for ours, peer in pairs])
        return Quartiles.of([peer / ours for ours, peer in pairs])

    def record(self) -> dict[str, Any]:
        """Give everything as plain values, for JSON."""
        return {
            "benchmark": self.benchmark,
            "task": self.task,
            "unit": self.unit,
            "more_is_better": self.more_is_better,
            "turns": len(self.our_values),
            "ours": {"name": self.ours, **Quartiles.of(self.our_values).record()},
            "peer": {"name": self.peer, **Quartiles.of(self.peer_values).record()},
            "ratio": self.ratio.record(),
            "agreement": self.agreement,
        }


def alternate(
    ours: Callable[[], Measured], peer: Callable[[], Measured], turns: int
) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    """Let the two sides take turns, after one turn each to warm up; give what they measured."""
    ours()
    peer()
    pairs = [(ours(), peer()) for _ in range(turns)]
    our_values, peer_values = zip(*pairs, strict=True)
    return our_values, peer_values


def timed(call: Callable[[], object], least_s: float) -> Turn:
    """Give a turn that measures seconds a call, over as many calls as fill ``least_s``."""
    call()
    started = time.perf_counter()
    call()
    calls = max(1, round(least_s / max(time.perf_counter() - started, 1e-9)))

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - started) / calls

    return turn


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch, and what numpy and scipy call, use ``count`` threads."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
