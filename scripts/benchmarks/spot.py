"""Keyword scoring: the shared tree of Linnet against a plain lattice of all keywords in numpy.

    log-probabilities of an hour -> score and start of every keyword at every step, in seconds

The peer is what one writes first and well: a row of states a keyword, blanks between, one step of
Viterbi for all rows at once, starts carried along. Both give the same scores, or there is no
figure. Then what Linnet costs is drawn against the number of keywords, and a stream of ten hours is
pushed in small pieces: the process must be no larger at its end than after its first minutes.
"""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from benchmarks.comparing import Comparison, alternate, threads
from benchmarks.options import Options
from linnet.errors import LinnetError
from linnet.keywords import Detector, Keyword, Scorer, detect

_TOKENS = 30
_KEYWORD_TOKENS = 8
_STEP_S = 0.04
_HOUR = round(3600 / _STEP_S)
_SIZES = (10, 1000)
_CURVE = (1, 3, 10, 30, 100, 300, 1000, 3000)
_TURNS = 3
_STREAM_HOURS = 10
_PIECE = 25  # steps: a second
_AGREEMENT = 1e-6
_RULES = {"refractory": 13, "mark": 0.1, "longest": 125}  # 0.5 s and 5 s
_PICTURE = Path("bench/spot.png")


def run(options: Options) -> list[Comparison]:
    """Compare at both sizes, draw the curve, and measure a long stream."""
    quick = options.turns == 1
    steps = 500 if quick else _HOUR
    with threads(1):
        found = [_sides(count, steps, 1 if quick else _TURNS) for count in _SIZES]
        costs = [(count, _cost(count, min(steps, _HOUR // 20))) for count in _CURVE]
        draw(costs, _PICTURE)
        found.append(_stream(steps if quick else _STREAM_HOURS * _HOUR))
    return found


def posteriors(steps: int, seed: int = 0) -> Float32[np.ndarray, "steps tokens"]:
    """Give log-probabilities as a trained CTC network's are: mostly blank, and peaks."""
    random = np.random.default_rng(seed)
    logits = 3 * random.standard_normal((steps, _TOKENS), np.float32)
    logits[:, 0] += np.where(random.random(steps) < 0.7, 9, 0)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def keywords(count: int) -> list[tuple[int, ...]]:
    """Give ``count`` different keywords."""
    random = np.random.default_rng(1)
    made: dict[tuple[int, ...], None] = {}
    while len(made) < count:
        made[tuple(random.integers(1, _TOKENS, _KEYWORD_TOKENS).tolist())] = None
    return list(made)


def plain(
    log_probs: Float32[np.ndarray, "steps tokens"], wanted: Sequence[Sequence[int]]
) -> Float64[np.ndarray, "steps keywords"]:
    """Give the scores as the peer does, for keywords of one length."""
    tokens = np.zeros((len(wanted), 2 * len(wanted[0]) - 1), np.intp)
    tokens[:, ::2] = wanted
    skips = np.zeros(tokens.shape, bool)
    skips[:, 2:] = (tokens[:, 2:] != 0) & (tokens[:, 2:] != tokens[:, :-2])
    value, start = np.full(tokens.shape, -1e30), np.zeros(tokens.shape, np.int64)
    scores = np.zeros((len(log_probs), len(wanted)))
    for step, row in enumerate(log_probs.astype(np.float64)):
        best, began = value.copy(), start.copy()
        for shift in (1, 2):
            ahead, first = value[:, :-shift], start[:, :-shift]
            better = ahead > best[:, shift:]
            if shift == 2:
                better &= skips[:, shift:]
            np.copyto(best[:, shift:], ahead, where=better)
            np.copyto(began[:, shift:], first, where=better)
        best[:, 0], began[:, 0] = 0.0, step
        value, start = best + row[tokens], began
        scores[step] = value[:, -1]
    return np.exp(scores / len(wanted[0]))


def _sides(count: int, steps: int, turns: int) -> Comparison:
    """Let both sides score the same hour; of many keywords the peer reads a part of it."""
    wanted = keywords(count)
    log_probs = posteriors(steps)
    made = [Keyword(str(number), ids, 0.5) for number, ids in enumerate(wanted)]
    part = log_probs[: max(200, steps * _SIZES[0] // count)]
    ours = Scorer(wanted).push(part[:2000]).scores
    difference = float(np.abs(ours - plain(part[:2000], wanted)).max())
    if difference > _AGREEMENT:
        raise LinnetError(f"spot: the two sides differ by {difference:.2g}")

    def our_turn() -> float:
        begin = time.process_time()
        detect(log_probs, made, **_RULES)
        return (time.process_time() - begin) * _HOUR / len(log_probs)

    def peer_turn() -> float:
        begin = time.process_time()
        plain(part, wanted)
        return (time.process_time() - begin) * _HOUR / len(part)

    our_values, peer_values = alternate(our_turn, peer_turn, turns)
    return Comparison(
        benchmark="spot",
        task=f"{count:,} keywords of {_KEYWORD_TOKENS} tokens, an hour of {_HOUR:,} steps",
        ours="tree, with detections",
        peer="lattice in numpy, scores only",
        unit="s",
        more_is_better=False,
        our_values=our_values,
        peer_values=peer_values,
        agreement={"largest_difference": difference},
    )


def _cost(count: int, steps: int) -> float:
    """Give the seconds that an hour takes with ``count`` keywords."""
    made = [Keyword(str(number), ids, 0.5) for number, ids in enumerate(keywords(count))]
    log_probs = posteriors(steps)
    begin = time.process_time()
    detect(log_probs, made, **_RULES)
    return (time.process_time() - begin) * _HOUR / steps


def draw(costs: Sequence[tuple[int, float]], path: Path) -> None:
    """Draw seconds for an hour against the number of keywords."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.loglog(*zip(*costs, strict=True), marker="o", color="#0072B2")
    for count, seconds in costs:
        axes.annotate(f"{seconds:.2g}", (count, seconds), xytext=(0, 6), textcoords="offset points")
    axes.set_xlabel(f"keywords of {_KEYWORD_TOKENS} tokens")
    axes.set_ylabel("seconds for an hour, one core")
    axes.grid(visible=True, which="both", alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _stream(steps: int) -> Comparison:
    """Push a stream in pieces; compare the process at its end with what it was early on."""
    made = [Keyword(str(number), ids, 0.5) for number, ids in enumerate(keywords(10))]
    detector = Detector(made, **_RULES)
    pieces = np.split(posteriors(40 * _PIECE), 40)
    early = 0.0
    for number, piece in zip(range(steps // _PIECE), itertools.cycle(pieces), strict=False):
        detector.push(piece)
        if number == steps // _PIECE // 60:
            early = _resident()
    return Comparison(
        benchmark="spot",
        task=f"memory of a stream of {steps * _STEP_S / 3600:.2g} hours",
        ours="at its end",
        peer="after a sixtieth of it",
        unit="MB",
        more_is_better=False,
        our_values=(_resident(),),
        peer_values=(early,),
        agreement={},
    )


def _resident() -> float:
    """Give the memory that this process holds now, in MB."""
    import psutil

    return float(psutil.Process().memory_info().rss) / 2**20
