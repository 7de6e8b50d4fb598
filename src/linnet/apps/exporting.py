"""linnet export: a checkpoint becomes a model folder that runs without PyTorch.

checkpoint, real clips -> graphs -> parity gate -> model.onnx, model.int8.onnx, ..., model.json
"""

import sys
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from linnet import export, module
from linnet.apps import config, corpus
from linnet.evaluation import Utterance


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet export``."""
    config.check_targets(settings)
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
        ),
        longest_s=settings.longest_s,
    )
    sys.stdout.write(f"{output}\n")


def _recordings(settings: DictConfig) -> list[Utterance]:
    """Give recordings of the split, evenly drawn."""
    if settings.clips == 0:
        return []
    most = max(settings.clips, settings.texts if settings.int8 else 0)
    examined = corpus.examined(settings.examine, instantiate(settings.data), (settings.split,))
    cuts = list(examined.splits[settings.split])
    kept = {cuts[i].id for i in _evenly(len(cuts), most)}
    read = corpus.utterances(examined, settings.split)
    return [one for one in read if one.id in kept]


def _evenly(present: int, most: int) -> list[int]:
    """Give the places of at most ``most`` of ``present`` things, evenly drawn."""
    return [int(i) for i in np.linspace(0, present - 1, min(most, present)).round()]
