"""Google Speech Commands: a folder a word, and two lists that say which clips are held out.

    <word>/<speaker>_nohash_<take>.wav    validation_list.txt    testing_list.txt
    _background_noise_/*.wav -> one-second clips without text; what training may hear of it

P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv 1804.03209.
The lists name ``.wav`` files; a copy of the corpus may hold ``.flac`` files instead.
"""

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lhotse import CutSet, MonoCut

from linnet import audio
from linnet.errors import ConfigError, CorpusError
from linnet.sources import base
from linnet.sources.base import SPLITS, Clip, Source
from linnet.sources.download import Archive, ensure
from linnet.text import normalise

ARCHIVE = Archive(
    url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    inside=".",
    contents_sha256=None,
)
NOISE = "_background_noise_"
_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


class SpeechCommands(Source):
    """Speech Commands, with its own lists.

    Args:
        root: the folder with the words.
        words: the commands; None takes all words.
        unknown: what becomes of other words: None drops them, ``text`` keeps them with their text.
        silence_s: length of the clips that are cut from the noise recordings, with an empty text;
            None for none.
        noise_valid_share: the share of each noise recording that only validation hears.
        noise_test_share: the same for the test: the end of each recording.
        download: fetch the corpus when the folder is missing (2.4 GB).
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        words: Sequence[str] | None,
        unknown: str | None,
        silence_s: float | None,
        noise_valid_share: float,
        noise_test_share: float,
        download: bool,
    ) -> None:
        if unknown not in (None, "text"):
            raise ConfigError(f"unknown must be null (drop other words) or text, got {unknown!r}")
        if silence_s is not None and silence_s <= 0:
            raise ConfigError(f"silence_s must be null or more than 0, got {silence_s}")
        if min(noise_valid_share, noise_test_share) < 0 or noise_valid_share + noise_test_share > 1:
            raise ConfigError(
                "noise_valid_share and noise_test_share must be 0 or more and at most 1 together, "
                f"got {noise_valid_share} and {noise_test_share}"
            )
        self.root = Path(root)
        self.words = None if words is None else list(words)
        self.unknown = unknown
        self.silence_s = silence_s
        self.noise_shares = (noise_valid_share, noise_test_share)
        self.download = download

    def clips(self) -> list[Clip]:
        """Give the clips of the chosen words, and those of silence."""
        ensure(ARCHIVE, self.root, allowed=self.download, name="Speech Commands")
        held_out = self._held_out()
        clips = [
            Clip(
                id=f"{word}_{path.stem}",
                path=path,
                text=normalise(word),
                speaker=path.stem.partition("_nohash_")[0],
                split=held_out.get(f"{word}/{path.stem}", "train"),
            )
            for word in self._chosen()
            for path in _recordings(self.root / word)
        ]
        if self.silence_s is not None:
            clips.extend(self._silence(self.silence_s))
        return clips

    def noise(self) -> CutSet | None:
        """Give the part of each noise recording that no validation or test clip comes from."""
        cuts = []
        for path in _recordings(self.root / NOISE):
            header = audio.header(path)
            end_s = self._borders_s(header)[0]
            if end_s > 0:
                recording = base.recording_of(path, path.stem, header)
                cuts.append(MonoCut(f"noise_{path.stem}", 0.0, end_s, 0, recording=recording))
        return CutSet.from_cuts(cuts) if cuts else None

    def _held_out(self) -> dict[str, str]:
        """Give the split of each clip that a list names, by ``word/stem``."""
        held_out: dict[str, str] = {}
        for split, name in _LISTS.items():
            path = self.root / name
            if not path.is_file():
                raise CorpusError(
                    f"{path}: the list is missing; expected the layout of Speech Commands: "
                    f"a folder a word, {' and '.join(_LISTS.values())}"
                )
            lines = path.read_text(encoding="utf-8").split()
            held_out.update((line.rpartition(".")[0], split) for line in lines)
        return held_out

    def _chosen(self) -> list[str]:
        present = sorted(
            path.name for path in self.root.iterdir() if path.is_dir() and path.name[0] not in "_."
        )
        if self.words is None:
            return present
        for word in self.words:
            if word not in present:
                near = difflib.get_close_matches(word, present, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise CorpusError(
                    f"{self.root} has no word {word!r}{hint} It has {', '.join(present)}"
                )
        return present if self.unknown == "text" else sorted(self.words)

    def _silence(self, length_s: float) -> Iterator[Clip]:
        """Cut the noise recordings into clips; none reaches over the border of two splits."""
        for path in _recordings(self.root / NOISE):
            header = audio.header(path)
            borders_s = (0.0, *self._borders_s(header), header.duration_s)
            for split, start_s, end_s in zip(SPLITS, borders_s, borders_s[1:], strict=False):
                for i in range(int((end_s - start_s) / length_s + 1e-6)):
                    yield Clip(
                        id=f"silence_{path.stem}_{split}_{i:04d}",
                        path=path,
                        text="",
                        speaker=None,
                        split=split,
                        start_s=start_s + i * length_s,
                        duration_s=length_s,
                    )

    def _borders_s(self, header: audio.Header) -> tuple[float, float]:
        """Give where a noise recording passes from train to valid and from valid to test."""
        valid_share, test_share = self.noise_shares
        test_s = float(int(header.duration_s * (1 - test_share)))
        return float(int(header.duration_s * (1 - test_share - valid_share))), test_s


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if audio.is_recording(path)]
