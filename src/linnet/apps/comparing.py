"""linnet compare: what runs have in common is left out, what tells them apart becomes a table.

    run folders -> groups that differ in more than the seed -> a row each -> table, JSON, picture

A row holds what can be measured here and now (weights, inference, reach of the gradient) and what
the run left behind (time per epoch, accuracy). The interval is Student's over the seeds; with one
seed it is Wilson's over the answers that were counted.
"""

import functools
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from linnet import gates, metrics, module, runtime, streaming
from linnet.apps import compared, costs, gathering
from linnet.apps.gathering import Run
from linnet.errors import ModelError
from linnet.export.graphs import waveform_graph
from linnet.gates.reach import Reach
from linnet.model import Network
from linnet.module import Recogniser

_CONFIDENCE = 0.95
# Steps and answers of the gradient's reach; turns of which inference takes the median.
_STEPS, _ANSWERS, _TURNS = 100, 6, 51
_HEADS = (
    *("", "seeds", "weights", "MB", "s an epoch", "ms for 1 s", "right", "95 % interval"),
    "gradient reaches back",
)

# Megabytes of a graph, and milliseconds that it takes; None where there is no graph.
Cost = tuple[float | None, float | None]


@dataclass(frozen=True)
class Row:
    """What is told of one group of runs.

    Attributes:
        name: what sets it apart.
        seeds: runs that differ in nothing else.
        weights: that training adjusts.
        megabytes: of the waveform graph; None where ONNX cannot hold it.
        epoch_s: time of an epoch of training, the median.
        inference_ms: of the graph, for a second of audio on one thread.
        accuracy: mean over the seeds.
        low: where its interval over the seeds begins; None with one seed.
        high: where it ends.
        answers_low: where the interval over the answers of a single seed begins.
        answers_high: where it ends; None with several seeds, or where nobody counted.
        measured_on: what accuracy was measured on.
        reach_s: how far back the gradient of the first run reaches; None if all the way.
        untrained_reach_s: the same before training.
    """

    name: str
    seeds: int
    weights: int
    megabytes: float | None
    epoch_s: float
    inference_ms: float | None
    accuracy: float
    low: float | None
    high: float | None
    answers_low: float | None
    answers_high: float | None
    measured_on: str
    reach_s: float | None
    untrained_reach_s: float | None


def compare(
    folders: Sequence[Path], output: Path, *, evaluate: bool, against_costs: bool = False
) -> str:
    """Compare runs, write the files, and give the table as Markdown.

    Args:
        folders: runs, or folders of runs.
        output: folder for the files.
        evaluate: judge runs without a report first.
        against_costs: draw accuracy against weights and time too, and list published models.

    Raises:
        InputError: there is no finished run in a folder.
    """
    found = list(dict.fromkeys(path for folder in folders for path in gathering.find(folder)))
    if evaluate:
        for path in found:
            gathering.judge(path)
    rows, curves, step_s = [], {}, 0.0
    groups = gathering.groups([gathering.read(path) for path in found])
    models = {
        name: module.load(own[0].folder / "checkpoints" / "best.ckpt")[0]
        for name, own in groups.items()
    }
    costs_of = _inference(models)
    for name, own in groups.items():
        sys.stderr.write(f"compare: {name}\n")
        row, reaches, step_s = _row(name, own, models[name], costs_of[name])
        rows.append(row)
        curves[name] = reaches
    if against_costs:
        rows.sort(key=lambda row: row.weights)
    text = _markdown(rows)
    content: dict[str, object] = {"rows": [asdict(row) for row in rows]}
    output.mkdir(parents=True, exist_ok=True)
    bars = [(row.name, row.accuracy, row.low, row.high) for row in rows]
    for theme, ending in compared.THEMES.items():
        picture = compared.runs(bars, curves, step_s, theme=theme)
        (output / f"compared{ending}.png").write_bytes(picture)
    if against_costs:
        text += costs.markdown()
        content |= costs.content()
        costs.write([_point(row) for row in rows], _measured_on(rows), output)
    (output / "compared.md").write_text(text, encoding="utf-8")
    (output / "compared.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return text


def _row(
    name: str, own: Sequence[Run], model: Recogniser, cost: Cost
) -> tuple[Row, tuple[Reach, Reach], float]:
    """Measure a group; give its row, the reach before and after training, and its step."""
    megabytes, inference_ms = cost
    accuracies = [run.accuracy for run in own]
    low, high = interval(accuracies)
    answers_low, answers_high = counted(own)
    torch.manual_seed(0)
    fresh = streaming.network(model.network.settings)
    before, after = (_reach(one.double().eval()) for one in (fresh, model.network))
    step_s = model.seconds(1)
    row = Row(
        name=name,
        seeds=len(own),
        weights=model.network.weights,
        megabytes=megabytes,
        epoch_s=statistics.median(run.epoch_s for run in own),
        inference_ms=inference_ms,
        accuracy=statistics.fmean(accuracies),
        low=low,
        high=high,
        answers_low=answers_low,
        answers_high=answers_high,
        measured_on=own[0].measured_on,
        reach_s=_seconds(after, step_s),
        untrained_reach_s=_seconds(before, step_s),
    )
    return row, (before, after), step_s


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Give Student's interval of the mean; none of a single value."""
    from scipy import stats

    if len(values) < 2:
        return None, None
    error = statistics.stdev(values) / len(values) ** 0.5
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1)) * error
    mean = statistics.fmean(values)
    return max(0.0, mean - half), min(1.0, mean + half)


def counted(own: Sequence[Run]) -> tuple[float | None, float | None]:
    """Give Wilson's interval over the answers of a single run; none of several, or uncounted."""
    if len(own) > 1 or not own[0].answers:
        return None, None
    figure = metrics.proportion(round(own[0].accuracy * own[0].answers), own[0].answers)
    return figure.low, figure.high


def _point(row: Row) -> costs.Point:
    """Give what is drawn of a row."""
    ends = (row.answers_low, row.answers_high) if row.low is None else (row.low, row.high)
    return costs.Point(row.name, row.weights, row.inference_ms, row.accuracy, *ends)


def _inference(models: Mapping[str, Recogniser]) -> dict[str, Cost]:
    """Give size and time of each waveform graph; nothing where ONNX cannot hold the network.

    They take turns, so that whatever else runs on the machine slows all alike.
    """
    sizes, calls = {}, {}
    for name, model in models.items():
        try:
            content = waveform_graph(model.front_end, model.network, {}).SerializeToString()
        except ModelError:
            continue
        session = runtime.session(content, "compare", 1)
        noise = np.random.default_rng(0).standard_normal((1, model.sample_rate)).astype(np.float32)
        given = {session.get_inputs()[0].name: 0.1 * noise}
        sizes[name] = len(content) / 1e6
        calls[name] = functools.partial(session.run, None, given)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_TURNS):
        for name, call in calls.items():
            call()  # What the one before has left in the caches is no business of this one.
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    unknown: dict[str, Cost] = dict.fromkeys(models, (None, None))
    return unknown | {
        name: (sizes[name], 1000 * statistics.median(took)) for name, took in times.items()
    }


def _reach(network: Network) -> Reach:
    """Follow the gradient on noise, which normalised features of speech are alike in size."""
    random = torch.Generator().manual_seed(0)
    width = network.settings["features"]
    features = torch.randn(_STEPS, width, generator=random, dtype=torch.float64)

    def of_one(given: torch.Tensor) -> torch.Tensor:
        return network(given[None], torch.tensor([len(given)]))[0]

    with torch.no_grad():
        log_probs = of_one(features).numpy()
    return gates.reach(of_one, features, gates.targets(log_probs, [], _ANSWERS))


def _seconds(reach: Reach, step_s: float) -> float | None:
    steps, _ = reach.steps()
    return None if steps is None else steps * step_s


def _markdown(rows: Sequence[Row]) -> str:
    """Give the table, and what one must know to read it."""
    lines = [f"| {' | '.join(_HEADS)} |", f"|---|{'---:|' * (len(_HEADS) - 1)}"]
    for row in rows:
        cells = [
            *(row.name, str(row.seeds), f"{row.weights:,}", _maybe(row.megabytes, ".2f")),
            *(f"{row.epoch_s:.1f}", _maybe(row.inference_ms, ".2f"), f"{row.accuracy:.1%}"),
            *(_told(row), f"{_far(row.untrained_reach_s)}, trained {_far(row.reach_s)}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + (
        f"\n\nRight: {_measured_on(rows)}. Interval: Student's, over the seeds; of one seed "
        "Wilson's, over its answers. Time of an epoch: on the "
        "machine of each run, all that a run does divided by its epochs. Time for a second of "
        "audio: onnxruntime, one thread, here. Gradient: above 1 % of its largest, on noise, "
        "before training and after.\n"
    )


def _measured_on(rows: Sequence[Row]) -> str:
    return "; ".join(dict.fromkeys(row.measured_on for row in rows))


def _told(row: Row) -> str:
    """Say the interval."""
    if row.low is not None:
        return f"{row.low:.1%} to {row.high:.1%}"
    if row.answers_low is not None:
        return f"{row.answers_low:.1%} to {row.answers_high:.1%}, one seed"
    return "one seed"


def _maybe(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _far(seconds: float | None) -> str:
    return f"over {_STEPS} steps" if seconds is None else f"{seconds:.2f} s"
