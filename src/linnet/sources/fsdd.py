"""The Free Spoken Digit Dataset: ``recordings/<digit>_<speaker>_<take>.wav``, 8 kHz, six speakers.

Two splits are customary. ``recordings`` tests on takes 0 to 4 of every speaker, as the authors do:
the voices are known. ``speakers`` tests on theo and jackson, whom training never hears. Either way
takes 5 to 9 of the training speakers validate, so validation always knows the voices.

Z. Jackson and others, "Free Spoken Digit Dataset", github.com/Jakobovski/free-spoken-digit-dataset.
"""

import os
import re
from pathlib import Path

from linnet import audio
from linnet.errors import ConfigError, CorpusError
from linnet.sources.base import Clip, Source
from linnet.sources.download import Archive, ensure

ARCHIVE = Archive(
    url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",
    # The host packs this archive anew when it likes, so its contents carry the checksum.
    sha256=None,
    inside="free-spoken-digit-dataset-1.0.10",
    contents_sha256="04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b",
)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAME = re.compile(r"(\d)_([^_]+)_(\d+)")
_TEST_SPEAKERS = frozenset({"theo", "jackson"})
_TEST_TAKES = range(5)
_VALID_TAKES = range(5, 10)


class Fsdd(Source):
    """The Free Spoken Digit Dataset.

    Args:
        root: the folder that holds ``recordings/``, or the recordings themselves.
        split: ``recordings`` or ``speakers``.
        download: fetch the corpus when the folder is missing (16 MB).
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        split: str,
        download: bool,
    ) -> None:
        if split not in ("recordings", "speakers"):
            raise ConfigError(f"split must be recordings or speakers, got {split!r}")
        self.root = Path(root)
        self.split = split
        self.download = download

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        """Validation shares its speakers with training; so does the test of ``recordings``."""
        shared = {frozenset({"train", "valid"})}
        if self.split == "recordings":
            shared |= {frozenset({"train", "test"}), frozenset({"valid", "test"})}
        return frozenset(shared)

    def clips(self) -> list[Clip]:
        """Give the digits, as words."""
        ensure(ARCHIVE, self.root, allowed=self.download, name="the Free Spoken Digit Dataset")
        inside = self.root / "recordings"
        clips = []
        for path in sorted((inside if inside.is_dir() else self.root).iterdir()):
            name = _NAME.fullmatch(path.stem)
            if name and audio.is_recording(path):
                digit, speaker, take = int(name[1]), name[2], int(name[3])
                split = self._split(speaker, take)
                clips.append(Clip(path.stem, path, DIGITS[digit], speaker, split))
        if not clips:
            raise CorpusError(
                f"{self.root} holds no <digit>_<speaker>_<take>.wav; expected FSDD's recordings"
            )
        return clips

    def _split(self, speaker: str, take: int) -> str:
        tested = take in _TEST_TAKES if self.split == "recordings" else speaker in _TEST_SPEAKERS
        return "test" if tested else "valid" if take in _VALID_TAKES else "train"
