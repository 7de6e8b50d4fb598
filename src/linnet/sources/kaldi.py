"""A Kaldi data directory: ``wav.scp``, ``text``, ``utt2spk`` and perhaps ``segments``.

    wav.scp   <recording> <path>           text     <utterance> <words>
    utt2spk   <utterance> <speaker>        segments <utterance> <recording> <start> <end>

Paths are absolute or relative to the directory. lhotse's ``load_kaldi_data_dir`` takes them
relative to the working directory and drops broken files unnamed, so the tables are read here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from linnet.errors import ConfigError, CorpusError
from linnet.sources import base
from linnet.sources.base import SPLITS, Clip, Source
from linnet.text import normalise

_TO_THE_END = -1.0  # an end time in segments: the end of the recording


class Kaldi(Source):
    """One Kaldi data directory, or one a split.

    Args:
        root: the directory; with ``folders``, the one that holds ``train``, ``valid``, ``test``.
        split_by: ``speakers`` holds out shares of the speakers, ``folders`` takes what is there.
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
        if split_by not in ("speakers", "folders"):
            raise ConfigError(f"split_by must be speakers or folders, got {split_by!r}")
        self.root = Path(root)
        self.split_by = split_by
        self.shares = (valid_share, test_share)

    def clips(self) -> list[Clip]:
        """Give the utterances that ``text`` lists."""
        base.folder(self.root, expected="a Kaldi data directory")
        if self.split_by == "folders":
            parts = [split for split in SPLITS if (self.root / split).is_dir()]
            if not parts:
                raise CorpusError(
                    f"{self.root} has none of the folders {', '.join(SPLITS)}; add them, or hold "
                    "speakers out with data.split_by=speakers"
                )
            return [clip for part in parts for clip in _directory(self.root / part, part)]
        valid_share, test_share = self.shares
        clips = list(_directory(self.root, "train"))
        return base.split_by_speaker(clips, valid_share=valid_share, test_share=test_share)


def _directory(directory: Path, split: str) -> Iterator[Clip]:
    """Give the utterances of one data directory."""
    recordings = {
        name: _recording(directory, name, entry)
        for name, entry in _table(directory / "wav.scp").items()
    }
    texts = _table(directory / "text", may_be_empty=True)
    speakers = _table(directory / "utt2spk")
    segmented = (directory / "segments").is_file()
    segments = _table(directory / "segments") if segmented else {name: name for name in texts}
    for name, text in sorted(texts.items()):
        if name not in segments:
            raise CorpusError(f"{directory}: the utterance {name} is in text but not in segments")
        recording, start_s, duration_s = _span(directory, name, segments[name])
        if recording not in recordings:
            raise CorpusError(f"{directory}: the recording {recording} of {name} is not in wav.scp")
        if name not in speakers:
            raise CorpusError(f"{directory}: the utterance {name} is not in utt2spk")
        path = recordings[recording]
        yield Clip(name, path, normalise(text), speakers[name], split, start_s, duration_s)


def _recording(directory: Path, name: str, entry: str) -> Path:
    if entry.endswith("|"):
        raise CorpusError(
            f"{directory / 'wav.scp'}: the entry of {name} is a command, and a corpus may not run "
            "commands; write its output to a file and name that instead"
        )
    return directory / entry


def _span(directory: Path, name: str, segment: str) -> tuple[str, float, float | None]:
    """Give recording, start and duration of a line of ``segments``, or of a whole recording."""
    recording, *times = segment.split()
    if not times:
        return recording, 0.0, None
    try:
        start_s, end_s = map(float, times)
    except ValueError:
        start_s = end_s = -1.0
    if start_s < 0 or (end_s <= start_s and end_s != _TO_THE_END):
        raise CorpusError(
            f"{directory / 'segments'}: expected '{name} recording start end' in seconds, "
            f"got '{name} {segment}'"
        )
    return recording, start_s, None if end_s == _TO_THE_END else end_s - start_s


def _table(path: Path, *, may_be_empty: bool = False) -> dict[str, str]:
    """Read a Kaldi table: a key and, after white space, a value in each line."""
    if not path.is_file():
        raise CorpusError(
            f"{path} is missing; a Kaldi data directory has wav.scp, text and utt2spk"
        )
    table: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        key, *rest = line.strip().split(maxsplit=1)[:2] or [""]
        if not key:
            continue
        if key in table or not (rest or may_be_empty):
            fault = "a second line for" if key in table else "no value for"
            raise CorpusError(f"{path}, line {number}: {fault} {key!r}")
        table[key] = rest[0] if rest else ""
    return table
