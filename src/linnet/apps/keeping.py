"""Clips worth keeping from a stream: what nearly fired, and what fired wrongly.

    pieces of sound -> the last seconds -> DIR/0001_near_miss_left.wav, a line in DIR/clips.jsonl

They are what a better model learns from. A line holds ``file``, ``kind``, ``keyword``, ``start``
and ``end`` (seconds in the clip), ``score``, and ``heard`` for a near miss.
"""

import json
import re
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from linnet.errors import ConfigError
from linnet.runtime import NearMiss, Spotted

LINES = "clips.jsonl"
NEAR_MISS, WRONG = "near_miss", "wrong"
_MARGIN_S = 0.5  # before and after what is kept
_DECIMALS = 6
_NUMBERED = re.compile(r"(\d+)_.*\.wav")


class Keeper:
    """Keeps clips of a stream in a folder, beside those of earlier streams.

    Args:
        folder: made if it is missing.
        sample_rate: of the stream, in Hz.
        remembered_s: how far back a clip may begin.

    Raises:
        ConfigError: the folder cannot be written.
    """

    def __init__(self, folder: Path, sample_rate: int, remembered_s: float) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = [path.name for path in folder.iterdir()]
        except OSError as error:
            raise ConfigError(
                f"{folder}: clips cannot be kept there: {error.strerror}; give another folder"
            ) from error
        numbers = [int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))]
        self._folder = folder
        self._sample_rate = sample_rate
        self._number = max(numbers, default=0)
        self._past = np.zeros(0, np.float32)
        self._most = round(remembered_s * sample_rate)
        self._seen = 0  # samples of the stream so far
        self._waiting: list[tuple[Spotted, str]] = []

    def hear(self, piece: Float32[np.ndarray, " samples"]) -> None:
        """Take the next piece of the stream; write the clips that it completes."""
        self._past = np.concatenate([self._past, piece])[-self._most :]
        self._seen += len(piece)
        ready = [each for each in self._waiting if self._end(each[0]) <= self._seen]
        self._waiting = [each for each in self._waiting if self._end(each[0]) > self._seen]
        for found, kind in ready:
            self._write(found, kind)

    def keep(self, found: Spotted, kind: str) -> None:
        """Write the clip of a detection or near miss as soon as all of it has been heard."""
        self._waiting.append((found, kind))
        self.hear(self._past[:0])

    def close(self) -> None:
        """End the stream; write what is there of the clips that still wait."""
        waiting, self._waiting = self._waiting, []
        for found, kind in waiting:
            self._write(found, kind)

    def _end(self, found: Spotted) -> int:
        return round((found.end + _MARGIN_S) * self._sample_rate)

    def _write(self, found: Spotted, kind: str) -> None:
        """Write a clip and its line; nothing if it is no longer remembered."""
        begin = self._seen - len(self._past)
        first = max(begin, round((found.start - _MARGIN_S) * self._sample_rate))
        clip = self._past[first - begin : max(0, self._end(found) - begin)]
        if not len(clip):
            return
        self._number += 1
        word = re.sub(r"\W+", "_", found.keyword)
        name = f"{self._number:04}_{kind}_{word}.wav"
        soundfile.write(self._folder / name, clip, self._sample_rate)
        line = {
            "file": name,
            "kind": kind,
            "keyword": found.keyword,
            "start": round(found.start - first / self._sample_rate, _DECIMALS),
            "end": round(found.end - first / self._sample_rate, _DECIMALS),
            "score": round(found.score, _DECIMALS),
        }
        if isinstance(found, NearMiss):
            line["heard"] = found.heard
        with (self._folder / LINES).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
