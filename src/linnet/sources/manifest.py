"""JSON lines, one utterance each, as NeMo and others write them.

    {"audio_filepath": "a/1.wav", "text": "go", "offset": 2.5, "duration": 1.0, "speaker": "a"}

``offset``, ``duration`` and ``speaker`` may be missing. Paths are absolute or relative to the
folder of the manifest.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linnet.errors import ConfigError, CorpusError
from linnet.sources import base
from linnet.sources.base import SPLITS, Clip, Source
from linnet.text import normalise


class Manifest(Source):
    """One manifest, or one a split.

    Args:
        root: the folder; it holds ``train.jsonl`` and, with ``files``, ``valid.jsonl`` and
            ``test.jsonl``.
        split_by: ``speakers`` holds out shares of the speakers, ``files`` takes what is there.
        valid_share: the share of the speakers for validation.
        test_share: the share of the speakers for the test.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        split_by: str,
        valid_share: float,
        test_share: float,
    ) -> None:
        if split_by not in ("speakers", "files"):
            raise ConfigError(f"split_by must be speakers or files, got {split_by!r}")
        self.root = Path(root)
        self.split_by = split_by
        self.shares = (valid_share, test_share)

    def clips(self) -> list[Clip]:
        """Give the utterances of the manifests."""
        base.folder(self.root, expected="a folder with train.jsonl")
        if self.split_by == "files":
            present = [split for split in SPLITS if (self.root / f"{split}.jsonl").is_file()]
            if not present:
                raise CorpusError(f"{self.root} has no {', '.join(f'{s}.jsonl' for s in SPLITS)}")
            return [clip for split in present for clip in self._lines(split)]
        if not (self.root / "train.jsonl").is_file():
            raise CorpusError(
                f"{self.root / 'train.jsonl'} is missing; expected a JSON lines manifest"
            )
        valid_share, test_share = self.shares
        clips = list(self._lines("train"))
        return base.split_by_speaker(clips, valid_share=valid_share, test_share=test_share)

    def _lines(self, split: str) -> Iterator[Clip]:
        path = self.root / f"{split}.jsonl"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                yield self._clip(_entry(line, f"{path}, line {number}"), split)

    def _clip(self, entry: dict[str, Any], split: str) -> Clip:
        name: str = entry["audio_filepath"]
        start_s, duration_s = float(entry.get("offset") or 0.0), entry.get("duration")
        return Clip(
            id=f"{name}@{start_s:.3f}" if start_s else name,
            path=self.root / name,
            text=normalise(entry["text"]),
            speaker=None if entry.get("speaker") is None else str(entry["speaker"]),
            split=split,
            start_s=start_s,
            duration_s=None if duration_s is None else float(duration_s),
        )


def _entry(line: str, where: str) -> dict[str, Any]:
    """Read one line; raise CorpusError where it is not of the form."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"{where}: this is no JSON ({error}); expected one object a line"
        ) from error
    if not isinstance(entry, dict):
        raise CorpusError(f"{where}: expected an object with audio_filepath and text, got {line!r}")
    for key in ("audio_filepath", "text"):
        if not isinstance(entry.get(key), str):
            raise CorpusError(f"{where}: {key} must be a text, got {entry.get(key)!r}")
    for key in ("offset", "duration"):
        value = entry.get(key)
        if value is not None and (not isinstance(value, int | float) or value < 0):
            raise CorpusError(f"{where}: {key} must be seconds, 0 or more, got {value!r}")
    return entry
