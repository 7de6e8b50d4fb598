"""linnet export: a checkpoint becomes a model folder that runs without PyTorch.

checkpoint, real clips -> graphs -> parity gate -> model.onnx, model.int8.onnx, ..., model.json
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from linnet import export, module
from linnet.apps import checking, config, corpus
from linnet.errors import ConfigError
from linnet.evaluation import Utterance

_REPORT = "report.json"


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet export``."""
    checking.check_targets(settings)
    model, record = module.load(Path(settings.checkpoint))
    heard = _recordings(settings)
    chosen = [heard[i] for i in _evenly(len(heard), settings.clips)]
    output = Path(settings.output)
    export.export(
        model.front_end,
        model.network,
        model.tokenizer,
        record,
        output,
        [one.waveform for one in chosen],
        names=[one.id for one in chosen],
        utterances=heard,
        contents=export.Contents(
            int8=settings.int8,
            transducer=settings.transducer,
            commands=list(settings.commands),
            report=_report(settings, record),
        ),
        longest_s=settings.longest_s,
    )
    sys.stdout.write(f"{output}\n")


def _report(settings: DictConfig, record: dict[str, Any]) -> Mapping[str, Any] | None:
    """Give the report named, or that of the checkpoint's run if it is about this checkpoint."""
    named = settings.report
    run = Path(settings.checkpoint).resolve().parent.parent
    path = Path(named) if named is not None else run / "report" / _REPORT
    path = path / _REPORT if path.is_dir() else path
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if named is None:
            return None
        raise ConfigError(
            f"report={path} cannot be read ({error}); give a report.json of linnet evaluate"
        ) from error
    if named is None and not export.matching(report, record):
        return None
    return export.check_report(report, record, path)


def _recordings(settings: DictConfig) -> list[Utterance]:
    """Give recordings of the split, evenly drawn."""
    if settings.clips == 0:
        return []
    most = max(settings.clips, settings.texts if settings.int8 else 0)
    examined = corpus.examined(settings.examine, config.build(settings.data), (settings.split,))
    cuts = list(examined.splits[settings.split])
    kept = {cuts[i].id for i in _evenly(len(cuts), most)}
    read = corpus.utterances(examined, settings.split)
    return [one for one in read if one.id in kept]


def _evenly(present: int, most: int) -> list[int]:
    """Give the places of at most ``most`` of ``present`` things, evenly drawn."""
    return [int(i) for i in np.linspace(0, present - 1, min(most, present)).round()]
