"""Runs that are over, gathered for a comparison.

    folders -> run folders -> judged if need be -> read -> groups that differ in more than the seed

A group is named by what sets it apart. Sizes are told in short, layers x hidden units / frames that
make a step; where much else differs, the folder's name says it better than a list.
"""

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet import apps
from linnet.errors import InputError, LinnetError

# Figures of a report that can stand for accuracy, the most telling first.
_FIGURES = ("closed_set_accuracy", "accuracy_with_rejection", "sentence_accuracy")
# What chooses the best epoch, and whether it counts errors.
_MONITORED = {"valid/accuracy": False, "valid/wer": True, "valid/cer": True}
_NO_DIFFERENCE = ("seed", "resume")
_LAYERS, _HIDDEN = "model.layers", "model.hidden"
_STACKS = ("model.stack", "frontend.stack")
_SIZES = (_LAYERS, _HIDDEN, *_STACKS)
_LONG = 40  # letters; longer names make a table hard to read


@dataclass(frozen=True)
class Run:
    """A training that is over.

    Attributes:
        folder: of the run.
        settings: of the training by their dotted names.
        epoch_s: time of an epoch.
        accuracy: share that was right.
        measured_on: and of what.
        answers: that the share was counted on; None where nobody counted.
    """

    folder: Path
    settings: Mapping[str, Any]
    epoch_s: float
    accuracy: float
    measured_on: str
    answers: int | None


def find(folder: Path) -> list[Path]:
    """Give the run folders at or below ``folder``.

    Raises:
        InputError: there is no finished run.
    """
    found = sorted(path.parent for path in folder.rglob("record.json"))
    ready = [path for path in found if (path / "checkpoints" / "best.ckpt").is_file()]
    if not ready:
        raise InputError(
            f"{folder}: there is no finished run in it; expected record.json and "
            "checkpoints/best.ckpt as linnet train leaves them"
        )
    return ready


def judge(folder: Path) -> None:
    """Evaluate a run that has no report; what the verb prints is progress here."""
    if (folder / "report" / "report.json").is_file():
        return
    best = folder / "checkpoints" / "best.ckpt"
    with contextlib.redirect_stdout(sys.stderr):
        status = apps.main(["evaluate", f"model={best}", f"output={folder / 'report'}"])
    if status:
        raise LinnetError(f"{folder}: linnet evaluate ended with status {status}")


def read(folder: Path) -> Run:
    """Read what a run left behind.

    Raises:
        InputError: it says no result.
    """
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        result, settings = record["result"], record["settings"]
        epoch_s = result["seconds"] / max(result["epochs"], 1)
        report = folder / "report" / "report.json"
        if report.is_file():
            figures = json.loads(report.read_text(encoding="utf-8"))["figures"]
            name = next(name for name in _FIGURES if name in figures)
            accuracy, measured_on = figures[name]["value"], f"{name.replace('_', ' ')}, test"
            answers = figures[name].get("count")
        else:
            monitor = settings["checkpoints"]["monitor"]
            best = float(result["best"])
            if monitor not in _MONITORED:
                raise InputError(
                    f"{folder}: its best epoch was chosen by {monitor}, which is no accuracy; run "
                    f"linnet evaluate model={folder / 'checkpoints' / 'best.ckpt'} "
                    f"output={folder / 'report'}"
                )
            accuracy = max(0.0, 1 - best) if _MONITORED[monitor] else best
            measured_on, answers = f"{monitor.replace('/', ' ')}, best epoch", None
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise InputError(
            f"{folder}: its record.json or report.json says no result ({error!r}); let its "
            "training end, or leave it out"
        ) from error
    return Run(folder, _flat(settings), epoch_s, float(accuracy), measured_on, answers)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def differing(found: Sequence[Run]) -> list[str]:
    """Give the settings in which runs differ, the seed apart."""
    keys = dict.fromkeys(key for run in found for key in run.settings)
    return [
        key
        for key in keys
        if key not in _NO_DIFFERENCE and len({repr(run.settings.get(key)) for run in found}) > 1
    ]


def groups(found: Sequence[Run]) -> dict[str, list[Run]]:
    """Put runs that differ in the seed alone together, named by what sets them apart."""
    keys = differing(found)
    together: dict[tuple[str, ...], list[Run]] = {}
    for run in found:
        together.setdefault(tuple(repr(run.settings.get(key)) for key in keys), []).append(run)
    sized = any(key in _SIZES for key in keys) and all(_size(run) for run in found)
    others = [key for key in keys if not (sized and key in _SIZES)]
    named: dict[str, list[Run]] = {}
    for own in together.values():
        name = _name(own[0], others, sized=sized)
        named[f"{name} ({own[0].folder})" if name in named else name] = own
    return named


def _name(run: Run, others: Sequence[str], *, sized: bool) -> str:
    """Name a run by its size, where sizes differ, and by its other settings."""
    values = [(key.rpartition(".")[2], run.settings.get(key)) for key in others]
    said = [f"{key}={value}" for key, value in values]
    if len(values) == 1 and isinstance(values[0][1], str):
        said = [values[0][1]]
    if sum(map(len, said)) > _LONG:
        said = [run.folder.name]
    return ", ".join([_size(run)] * sized + said) or run.folder.name


def _size(run: Run) -> str:
    """Give layers x hidden units / stacked frames; nothing where the settings do not say them."""
    sizes = [run.settings.get(key) for key in (_LAYERS, _HIDDEN)]
    sizes.append(next((run.settings[key] for key in _STACKS if key in run.settings), None))
    return "" if None in sizes else "{}x{}/{}".format(*sizes)
