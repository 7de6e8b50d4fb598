"""linnet calibrate: a threshold for each keyword from a rate of false alarms.

negatives -> posteriors (stored, or computed once and stored) -> thresholds -> model.json, a table
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from linnet import audio, runtime, sources
from linnet.apps import checking, config, corpus, listening
from linnet.errors import ConfigError, ModelError
from linnet.evaluation import progress
from linnet.evaluation.spotting import Heard, calibration, posteriors
from linnet.evaluation.spotting.calibration import Calibration
from linnet.evaluation.spotting.posteriors import Stored
from linnet.metrics.spotting import hours_needed


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet calibrate``."""
    checking.check_targets(settings)
    folder = Path(settings.model.path)
    if not folder.is_dir():
        raise ModelError(
            f"model={folder} is no exported folder, and thresholds are kept in its model.json; "
            f"make one with: linnet export checkpoint={folder} output=DIR"
        )
    if not settings.keywords:
        raise ConfigError("keywords=[WORD,...] is missing; see: linnet calibrate --help")
    target = float(settings.target)
    hours_needed(target)
    model = runtime.load(folder)
    keywords = model.keywords([str(word) for word in settings.keywords])
    stored = (
        _recordings(settings, folder, model)
        if settings.negatives
        else _streams(settings, folder, model)
    )
    found = calibration.calibrate(
        stored.heard, keywords, target=target, lowest=float(settings.lowest)
    )
    calibration.write(folder, found, stored.negatives)
    console = Console()
    for one in found:
        for warning in one.warnings():
            console.print(Text(warning, style="yellow"), soft_wrap=True)
    console.print(_table(found))
    console.print(f"written: {folder / runtime.DESCRIPTION}", soft_wrap=True)


def _recordings(settings: DictConfig, folder: Path, model: runtime.Model) -> Stored:
    """Give the posteriors of the recordings that ``negatives`` names."""
    paths = audio.find([Path(settings.negatives)])

    def heard() -> Iterator[Heard]:
        recordings = listening.read(paths, model.sample_rate)
        return listening.hear(
            model.steps(),
            model.seconds(1),
            progress(recordings, total=len(paths), doing="listening"),
        )

    return _stored(folder, listening.files(paths), str(settings.negatives), heard)


def _streams(settings: DictConfig, folder: Path, model: runtime.Model) -> Stored:
    """Give the posteriors of the streams that are made of the corpus."""
    source: sources.Source = config.build(settings.data)

    def heard() -> Iterator[Heard]:
        examined = corpus.examined(settings.examine, source, (settings.split,))
        return listening.hear(
            model.steps(),
            model.seconds(1),
            progress(listening.made(settings, examined), total=None, doing="listening"),
        )

    name = f"streams of {settings.data._target_.rpartition('.')[2]}, {settings.split}"
    return _stored(folder, listening.description(settings, source), name, heard)


def _stored(
    folder: Path, described: dict[str, Any], negatives: str, heard: Callable[[], Iterator[Heard]]
) -> Stored:
    """Give stored posteriors; computed now, and stored, if they are not there."""
    key = posteriors.key(folder, described)
    path = posteriors.folder(folder) / f"{key}.npz"
    if path.is_file():
        return posteriors.load(path)
    stored = Stored(tuple(heard()), negatives, posteriors.model_key(folder), key)
    posteriors.save(stored, folder)
    return stored


def _table(found: list[Calibration]) -> Table:
    table = Table()
    table.add_column("keyword")
    for heading in ("threshold", "false alarms", "hours", "per hour", "95 % interval"):
        table.add_column(heading, justify="right")
    for one in found:
        rate = one.false_alarms
        table.add_row(
            one.keyword.text,
            f"{one.keyword.threshold:.4f}",
            str(rate.count),
            f"{one.hours:.2f}",
            f"{rate.value:.2f}",
            f"{rate.low:.2f} to {rate.high:.2f}",
        )
    return table
