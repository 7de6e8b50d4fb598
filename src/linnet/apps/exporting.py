"""linnet export: a checkpoint becomes a model folder that runs without PyTorch.

checkpoint, real clips -> graphs -> parity gate -> model.onnx, features.onnx, model.json, ...
"""

import sys
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from jaxtyping import Float32
from omegaconf import DictConfig

from linnet import export, module
from linnet.apps import config, corpus

_Clip = Float32[np.ndarray, " samples"]


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet export``."""
    config.check_targets(settings)
    model, record = module.load(Path(settings.checkpoint))
    clips = _clips(settings)
    output = Path(settings.output)
    export.export(
        model.front_end,
        model.network,
        model.tokenizer,
        record,
        output,
        list(clips.values()),
        names=list(clips),
        longest_s=settings.longest_s,
    )
    sys.stdout.write(f"{output}\n")


def _clips(settings: DictConfig) -> dict[str, _Clip]:
    """Give some recordings, evenly drawn from the split."""
    if settings.clips == 0:
        return {}
    examined = corpus.examined(settings.examine, instantiate(settings.data), (settings.split,))
    cuts = list(examined.splits[settings.split])
    chosen = np.linspace(0, len(cuts) - 1, min(settings.clips, len(cuts))).round().astype(int)
    kept = {cuts[i].id for i in chosen}
    read = corpus.utterances(examined, settings.split)
    return {one.id: one.waveform for one in read if one.id in kept}
