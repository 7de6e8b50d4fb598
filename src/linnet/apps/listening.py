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

from omegaconf import DictConfig, OmegaConf

from linnet import audio, data, sources
from linnet.apps import config
from linnet.errors import InputError
from linnet.evaluation.spotting import Heard, Recording, Span, listen
from linnet.runtime.windows import StepStream
from linnet.sources.streams import REVISION, Streams
from linnet.text import normalise


def hear(steps: StepStream, step_s: float, recordings: Iterable[Recording]) -> Iterator[Heard]:
    """Let a model listen to recordings, one after the other."""
    for recording in recordings:
        yield listen(steps, recording, step_s)


def made(settings: DictConfig, examined: sources.Corpus) -> Iterator[Recording]:
    """Make the streams that ``settings`` describe out of the clips of a split."""
    streams: Streams = config.build(settings.streams)
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
        "revision": REVISION,
        "split": settings.split,
        "clips": content,
    }


def read(paths: Sequence[Path], sample_rate: int) -> Iterator[Recording]:
    """Read recordings; what is said in one is known if it stands beside it in a .txt file."""
    for number, path in enumerate(paths):
        waveform = audio.read(path, sample_rate=sample_rate)
        text = _transcript(path)
        span = Span(path.name, "", text, 0.0, len(waveform) / sample_rate)
        name = f"{number:04d} {path.name}"
        yield Recording(name, waveform, sample_rate, (span,) if text else ())


def files(paths: Sequence[Path]) -> dict[str, Any]:
    """Give what the reading of recordings depends on, in plain values."""
    contents = []
    for path in paths:
        with path.open("rb") as file:
            contents.append((hashlib.file_digest(file, "sha256").hexdigest(), _transcript(path)))
    return {"files": contents}


def _transcript(recording: Path) -> str:
    """Give the text that stands beside a recording, normalised; "" if none does."""
    path = recording.with_suffix(".txt")
    try:
        return normalise(path.read_text(encoding="utf-8")) if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no transcript can be read ({error}); expected UTF-8") from error
