"""What a benchmark is told, and how large it is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Sizes of a run.

    Attributes:
        batch: clips of a batch, in ``frontend`` and ``train``.
        turns: measurements of each side.
        least_s: shortest time that a measurement of ``frontend`` takes.
        blocks: measurements of each side of ``train``.
        steps: training steps in one of them.
        threads: that ``train`` uses; None takes all cores.
        starts: processes that each side of ``infer`` starts for each length.
        compared_s: lengths of the recordings on which ``infer`` compares.
        int8_peers: whether ``infer`` compares the files with int8 weights, too.
        lengths_s: of the recordings on the curve of ``infer``; none, no curve.
        passes: measurements of each side of a stream in ``infer``.
        streamed_s: length of the recording that ``infer`` streams.
        chunks_ms: lengths of the chunks in which it comes.
        streams: long recordings that ``spotting`` listens to.
        recordings: a folder a word to train on; None makes clips.
        sentences: a Kaldi data directory, other speech for ``spotting``.
        model: a checkpoint or a run folder for ``infer``; None takes random weights.
    """

    batch: int
    turns: int
    least_s: float
    blocks: int
    steps: int
    threads: int | None
    starts: int
    compared_s: tuple[int, ...]
    int8_peers: bool
    lengths_s: tuple[int, ...]
    passes: int
    streamed_s: int
    chunks_ms: tuple[int, ...]
    streams: int
    recordings: Path | None = None
    sentences: Path | None = None
    model: Path | None = None


FULL = Options(
    batch=64,
    turns=21,
    least_s=0.05,
    blocks=7,
    steps=10,
    threads=None,
    starts=5,
    compared_s=(1, 10),
    int8_peers=True,
    lengths_s=(1, 3, 10, 30, 100, 300, 1000, 3600),
    passes=7,
    streamed_s=60,
    chunks_ms=(40, 80, 160, 320),
    streams=1000,
)
QUICK = Options(
    batch=4,
    turns=1,
    least_s=0.0,
    blocks=1,
    steps=1,
    threads=1,
    starts=1,
    compared_s=(1,),
    int8_peers=False,
    lengths_s=(),
    passes=1,
    streamed_s=5,
    chunks_ms=(40, 80, 160, 320),
    streams=2,
)
