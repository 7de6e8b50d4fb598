"""What the verbs that judge keywords share: hours of audio, and a model that listens to them.

settings, corpus -> streams of a split -> Recording ...     made as they are listened to
file or folder   -> Recording ...
model            -> StepStream -> Heard of each recording
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from linnet import audio, data, sources
from linnet.evaluation.spotting import Heard, Recording, listen
from linnet.runtime.windows import StepStream
from linnet.sources.streams import Streams


def hear(steps: StepStream, step_s: float, recordings: Iterable[Recording]) -> Iterator[Heard]:
    """Let a model listen to recordings, one after the other."""
    for recording in recordings:
        yield listen(steps, recording, step_s)


def made(settings: DictConfig, examined: sources.Corpus) -> Iterator[Recording]:
    """Make the streams that ``settings`` describe out of the clips of a split."""
    streams: Streams = instantiate(settings.streams)
    return streams.build(examined.splits[settings.split], data.waveform_of)


def description(settings: DictConfig, source: sources.Source) -> dict[str, Any]:
    """Give what the streams depend on in plain values, without reading a recording."""
    clips = [
        (clip.id, clip.text, clip.start_s, clip.duration_s)
        for clip in source.clips()
        if clip.split == settings.split
    ]
    content = hashlib.sha256(json.dumps(sorted(clips, key=str)).encode()).hexdigest()
    return {
        "streams": OmegaConf.to_container(settings.streams, resolve=True),
        "split": settings.split,
        "clips": content,
    }


def read(paths: Sequence[Path], sample_rate: int) -> Iterator[Recording]:
    """Read recordings of which nothing is known."""
    for number, path in enumerate(paths):
        waveform = audio.read(path, sample_rate=sample_rate)
        yield Recording(f"{number:04d} {path.name}", waveform, sample_rate, ())
