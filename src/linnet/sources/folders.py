"""A folder a word: the simplest corpus, and the way to train on one's own recordings.

<word>/<anything>.wav    turn_left/anna_03.flac -> text "turn left", speaker "anna"
_silence_/*.wav          clips in which nobody speaks
_background_noise_/*.wav long noise for augmentation
"""

import os
from collections.abc import Iterator
from pathlib import Path

from lhotse import CutSet, MonoCut

from linnet import audio
from linnet.errors import ConfigError, CorpusError
from linnet.sources import base
from linnet.sources.base import SPLITS, Clip, Source
from linnet.text import normalise

NOISE = "_background_noise_"
SILENCE = "_silence_"


class Folders(Source):
    """A folder a word.

    Args:
        root: the folder with the words; with ``folders``, with ``train``, ``valid``, ``test``.
        split_by: ``speakers`` holds out shares of the speakers, ``folders`` takes what is there.
        speaker_separator: the speaker is what comes before it in a file's name; None if the names
            do not tell speakers (then single clips are held out).
        valid_share: the share of the speakers for validation.
        test_share: the share of the speakers for the test.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        split_by: str,
        speaker_separator: str | None,
        valid_share: float,
        test_share: float,
    ) -> None:
        if split_by not in ("speakers", "folders"):
            raise ConfigError(f"split_by must be speakers or folders, got {split_by!r}")
        self.root = Path(root)
        self.split_by = split_by
        self.speaker_separator = speaker_separator
        self.shares = (valid_share, test_share)

    def clips(self) -> list[Clip]:
        """Give the recordings in the word folders."""
        base.folder(self.root, expected="a folder a word")
        parts = [split for split in SPLITS if (self.root / split).is_dir()]
        if self.split_by == "folders":
            if not parts:
                raise CorpusError(
                    f"{self.root} has none of the folders {', '.join(SPLITS)}; add them, or hold "
                    "speakers out with data.split_by=speakers"
                )
            return [clip for part in parts for clip in self._words(self.root / part, part)]
        if len(parts) > 1:
            raise CorpusError(
                f"{self.root} has the folders {' and '.join(parts)}, which are no words; "
                "set data.split_by=folders"
            )
        valid_share, test_share = self.shares
        clips = list(self._words(self.root, "train"))
        return base.split_by_speaker(clips, valid_share=valid_share, test_share=test_share)

    def noise(self) -> CutSet | None:
        """Give the recordings in ``_background_noise_``; below ``train`` if there are parts."""
        inside = self.root / "train" if self.split_by == "folders" else self.root
        if not (inside / NOISE).is_dir():
            return None
        cuts = []
        for path in audio.find([inside / NOISE]):
            header = audio.header(path)
            recording = base.recording_of(path, path.stem, header)
            name = f"noise_{path.stem}"
            cuts.append(MonoCut(name, 0.0, header.duration_s, 0, recording=recording))
        return CutSet.from_cuts(cuts)

    def _words(self, root: Path, split: str) -> Iterator[Clip]:
        folders = [path for path in sorted(root.iterdir()) if path.is_dir()]
        words = [path for path in folders if path.name != NOISE and not path.name.startswith(".")]
        if not words:
            raise CorpusError(f"{root} holds no folders; expected a folder a word with recordings")
        for word in words:
            text = "" if word.name == SILENCE else normalise(word.name)
            for path in sorted(word.rglob("*")):
                if audio.is_recording(path):
                    yield Clip(
                        id="_".join(path.relative_to(self.root).with_suffix("").parts),
                        path=path,
                        text=text,
                        speaker=self._speaker(path),
                        split=split,
                    )

    def _speaker(self, path: Path) -> str | None:
        if self.speaker_separator is None:
            return None
        return path.stem.partition(self.speaker_separator)[0]
