"""What every corpus shares: clips, how they become lhotse cuts, and splits by speaker.

    Clip (id, file, text, speaker, split) -> Recording + SupervisionSegment -> MonoCut -> CutSet

A clip is what a corpus says about an utterance before any file is opened. Cuts are sorted by id and
their ids never depend on where the corpus lies, so the same corpus gives the same batches anywhere.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from lhotse import AudioSource, CutSet, MonoCut, MultiCut, Recording, SupervisionSegment
from lhotse.cut import Cut

from linnet import audio
from linnet.errors import ConfigError, CorpusError

SPLITS = ("train", "valid", "test")
_SHOWN = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Clip:
    """One utterance as its corpus describes it.

    Attributes:
        id: unique in the corpus, independent of where it lies.
        path: the recording.
        text: what is said, normalised; empty for silence and noise.
        speaker: who says it, None if nobody knows or nobody speaks.
        split: ``train``, ``valid`` or ``test``.
        start_s: where the clip begins in the recording.
        duration_s: how long it is; to the end of the recording if None.
    """

    id: str
    path: Path
    text: str
    speaker: str | None
    split: str
    start_s: float = 0.0
    duration_s: float | None = None

    def span_s(self, header: audio.Header) -> tuple[float, float]:
        """Give start and duration in seconds within a recording with this header."""
        end_s = header.duration_s
        if self.duration_s is not None:
            end_s = min(end_s, self.start_s + self.duration_s)
        return self.start_s, end_s - self.start_s


class Source(ABC):
    """A corpus. Subclasses take keywords without defaults and say which clips there are."""

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        """The pairs of splits that share speakers by definition of the chosen split."""
        return frozenset()

    @abstractmethod
    def clips(self) -> list[Clip]:
        """Give the clips of all splits.

        Raises:
            CorpusError: the corpus is missing or not laid out as expected.
        """

    def splits(self) -> dict[str, CutSet]:
        """Give the cuts of each split, sorted by id, after reading the headers of all files.

        Raises:
            AudioError: a file cannot be opened. ``examine`` skips such files instead.
        """
        clips = self.clips()
        paths = sorted({clip.path for clip in clips})
        with progress("reading headers", len(paths)) as advance:
            headers = dict(zip(paths, parallel(audio.header, paths, advance), strict=True))
        return {
            split: cuts([clip for clip in clips if clip.split == split], headers)
            for split in SPLITS
            if any(clip.split == split for clip in clips)
        }

    def noise(self) -> CutSet | None:
        """Give long noise recordings for augmentation, only what training may hear."""
        return None


def cuts(clips: Iterable[Clip], headers: Mapping[Path, audio.Header]) -> CutSet:
    """Give one cut a clip, sorted by id, each with one supervision."""
    ordered = sorted(clips, key=lambda clip: clip.id)
    return CutSet.from_cuts(_cut(clip, headers[clip.path]) for clip in ordered)


def _cut(clip: Clip, header: audio.Header) -> Cut:
    start_s, duration_s = clip.span_s(header)
    whole = clip.start_s == 0.0 and clip.duration_s is None
    recording = recording_of(clip.path, clip.id if whole else clip.path.stem, header)
    several = header.channels > 1
    channel = list(range(header.channels)) if several else 0
    return (MultiCut if several else MonoCut)(
        id=clip.id,
        start=start_s,
        duration=duration_s,
        channel=channel,
        recording=recording,
        supervisions=[
            SupervisionSegment(
                id=clip.id,
                recording_id=recording.id,
                start=0.0,
                duration=duration_s,
                channel=channel,
                text=clip.text,
                speaker=clip.speaker,
            )
        ],
    )


def recording_of(path: Path, recording_id: str, header: audio.Header) -> Recording:
    """Give lhotse's description of a file."""
    channels = list(range(header.channels))
    return Recording(
        id=recording_id,
        sources=[AudioSource(type="file", channels=channels, source=str(path.absolute()))],
        sampling_rate=header.sample_rate,
        num_samples=header.samples,
        duration=header.duration_s,
        channel_ids=channels,
    )


def split_by_speaker(clips: Sequence[Clip], *, valid_share: float, test_share: float) -> list[Clip]:
    """Give the clips with their splits: shares of the speakers are held out.

    The speakers are ranked by a hash of their name, so the choice is random, the same on every
    machine, and exact in number. A clip without a speaker counts as a speaker of its own.

    Raises:
        ConfigError: the shares are not shares.
        CorpusError: there are too few speakers.
    """
    if min(valid_share, test_share) < 0 or valid_share + test_share >= 1:
        raise ConfigError(
            f"valid_share and test_share must be 0 or more and leave something for training, "
            f"got {valid_share} and {test_share}"
        )
    speakers = {_voice(clip) for clip in clips}
    ranked = sorted(speakers, key=lambda name: hashlib.sha256(name.encode()).digest())
    test = _count(test_share, len(ranked))
    held_out = test + _count(valid_share, len(ranked))
    if held_out >= len(ranked):
        raise CorpusError(
            f"{len(ranked)} speakers ({some(sorted(speakers))}) are too few to hold {held_out} out "
            "for validation and test; record more, set a share to 0, or make the splits by folder"
        )
    split = {
        name: "test" if rank < test else "valid" if rank < held_out else "train"
        for rank, name in enumerate(ranked)
    }
    return [replace(clip, split=split[_voice(clip)]) for clip in clips]


def _voice(clip: Clip) -> str:
    return f"clip {clip.id}" if clip.speaker is None else clip.speaker


def _count(share: float, speakers: int) -> int:
    return max(1, round(share * speakers)) if share > 0 else 0


def some(names: Sequence[str]) -> str:
    """Give the first few of ``names`` as text, and how many there are beyond."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def folder(root: str | os.PathLike[str], *, expected: str) -> Path:
    """Give ``root`` as a path.

    Raises:
        CorpusError: there is no such folder.
    """
    path = Path(root)
    if not path.is_dir():
        raise CorpusError(
            f"there is no folder {path.absolute()}; expected {expected}; set data.root"
        )
    return path


def parallel(
    work: Callable[[Item], Result], items: Sequence[Item], advance: Callable[[], None]
) -> list[Result]:
    """Give ``work`` of every item, in order, computed by several threads."""
    results = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for result in threads.map(work, items):
            results.append(result)
            advance()
    return results


class Advance(Protocol):
    """Moves a progress bar on by ``steps``."""

    def __call__(self, steps: int = 1) -> None:
        """Advance."""
        ...


@contextmanager
def progress(description: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Advance]:
    """Show a progress bar on standard error while the block runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    counted = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(description, total=total)

        def advance(steps: int = 1) -> None:
            bars.advance(task, steps)

        yield advance
