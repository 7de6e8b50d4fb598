"""Check a corpus before anything is trained on it.

    clips -> ids, speakers, spelling -> decode every file once -> lengths -> cuts, rejects, summary

What is wrong with the corpus as a whole (an id twice, a test speaker in training, a character that
the tokens lack, an empty split) stops at once. What is wrong with one clip (a broken file, a text
too long for its recording) makes it a reject, counted and named; or stops too, as one likes.
"""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from lhotse import CutSet

from linnet import audio
from linnet.errors import AudioError, ConfigError, CorpusError, TextError
from linnet.files import beside
from linnet.sources import base
from linnet.sources.base import SPLITS, Clip, Source
from linnet.text import shortest_path

UNREADABLE = "unreadable"
OUTSIDE = "outside its recording"
TOO_LONG = "text longer than its steps"


@dataclass(frozen=True)
class Reject:
    """A clip that cannot be used: ``kind`` to count by, ``reason`` in full, with the numbers."""

    id: str
    path: Path
    split: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """What one split holds."""

    clips: int
    hours: float
    speakers: int
    words: int
    texts: int
    rejects: int


@dataclass(frozen=True)
class Corpus:
    """A corpus that was looked at: only what can be used, and what was left out.

    Attributes:
        splits: cuts by split, sorted by id.
        rejects: the clips left out, sorted by split and id.
        summaries: the figures by split.
        overlap: speakers that two splits share, by the pair of splits; empty if none do.
        manifest_hash: SHA-256 of what was kept, independent of where the corpus lies.
    """

    splits: dict[str, CutSet]
    rejects: list[Reject]
    summaries: dict[str, Summary]
    overlap: dict[tuple[str, str], tuple[str, ...]]
    manifest_hash: str

    def rejects_by_kind(self) -> dict[str, int]:
        """Give how many clips were left out for which kind of reason, the most frequent first."""
        return dict(Counter(reject.kind for reject in self.rejects).most_common())

    def write(self, target: Path) -> list[Path]:
        """Write ``cuts_<split>.jsonl.gz`` into a folder, the same bytes every time."""
        target.mkdir(parents=True, exist_ok=True)
        written = []
        for split, kept in self.splits.items():
            path = target / f"cuts_{split}.jsonl.gz"
            lines = (json.dumps(cut.to_dict(), ensure_ascii=False) + "\n" for cut in kept)
            # Neither a name nor a time in the header: they would change the bytes.
            with (
                beside(path) as draft,
                draft.open("wb") as file,
                gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            ):
                packed.writelines(line.encode() for line in lines)
            written.append(path)
        return written


def examine(
    source: Source,
    *,
    splits: Sequence[str] | None = None,
    on_reject: str,
    allow_speaker_overlap: bool,
    encode: Callable[[str], list[int]] | None,
    steps: Callable[[int], int] | None,
) -> Corpus:
    """Read every recording of a corpus once and keep what can be used.

    Args:
        source: the corpus.
        splits: the splits that are needed, the others are not read; None for all there are.
        on_reject: what to do about a clip that cannot be used: ``skip`` or ``stop``.
        allow_speaker_overlap: accept speakers in two splits, beyond what the source declares.
        encode: gives the token ids of a text; None skips the spelling.
        steps: gives the CTC steps of so many samples at 16 kHz; None skips the comparison.

    Raises:
        ConfigError: ``on_reject`` is something else.
        CorpusError: the corpus is not usable, or ``on_reject`` is ``stop`` and a clip is not.
        TextError: a text holds a character that the tokens lack; the message names the utterance.
    """
    if on_reject not in ("skip", "stop"):
        raise ConfigError(f"on_reject must be skip or stop, got {on_reject!r}")
    clips = source.clips()
    _refuse_duplicates(clips)
    overlap = _overlap(clips)
    if not allow_speaker_overlap:
        _refuse_overlap(overlap, source.shared_speakers)
    if splits is None:
        splits = [split for split in SPLITS if any(clip.split == split for clip in clips)]
    needed = [clip for clip in clips if clip.split in splits]
    lengths = {} if encode is None else _lengths(needed, encode)
    read = _read(needed)
    faults = {
        clip: _fault(clip, read[clip.path], lengths.get(clip.text, 0), steps)
        for clip in sorted(needed, key=lambda clip: (clip.split, clip.id))
    }
    kept = [clip for clip, fault in faults.items() if fault is None]
    rejects = [fault for fault in faults.values() if fault is not None]
    if rejects and on_reject == "stop":
        first = rejects[0]
        raise CorpusError(
            f"{len(rejects)} clips cannot be used, the first is {first.id}: {first.reason}; "
            "on_reject=skip leaves such clips out"
        )
    _refuse_empty(kept, rejects, splits)
    headers = {path: found for path, found in read.items() if isinstance(found, audio.Header)}
    return _corpus(kept, rejects, headers, overlap)


def _refuse_duplicates(clips: Sequence[Clip]) -> None:
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise CorpusError(
            f"{len(twice)} ids occur more than once: {base.some(sorted(twice))}; "
            "each utterance needs its own"
        )


def _overlap(clips: Sequence[Clip]) -> dict[tuple[str, str], tuple[str, ...]]:
    speakers = {
        split: {clip.speaker for clip in clips if clip.split == split and clip.speaker is not None}
        for split in SPLITS
    }
    shared = {(a, b): tuple(sorted(speakers[a] & speakers[b])) for a, b in combinations(SPLITS, 2)}
    return {pair: names for pair, names in shared.items() if names}


def _refuse_overlap(
    overlap: dict[tuple[str, str], tuple[str, ...]], declared: frozenset[frozenset[str]]
) -> None:
    for (a, b), names in overlap.items():
        if frozenset((a, b)) not in declared:
            raise CorpusError(
                f"{len(names)} speakers are in {a} and in {b}: {base.some(names)}; a model judged "
                "on voices it has heard looks better than it is. Split by speaker, or set "
                "allow_speaker_overlap=true"
            )


def _lengths(clips: Sequence[Clip], encode: Callable[[str], list[int]]) -> dict[str, int]:
    """Give the fewest steps that each text needs."""
    lengths: dict[str, int] = {}
    for clip in clips:
        if clip.text not in lengths:
            try:
                lengths[clip.text] = shortest_path(encode(clip.text))
            except TextError as error:
                raise TextError(f"utterance {clip.id} ({clip.path}): {error}") from error
    return lengths


def _read(clips: Sequence[Clip]) -> dict[Path, audio.Header | AudioError]:
    """Decode each file once; give what it holds or what is wrong with it."""
    paths = sorted({clip.path for clip in clips})
    with base.progress("reading recordings", len(paths)) as advance:
        return dict(zip(paths, base.parallel(_check, paths, advance), strict=True))


def _check(path: Path) -> audio.Header | AudioError:
    try:
        return audio.check(path)
    except AudioError as error:
        return error


def _fault(
    clip: Clip,
    found: audio.Header | AudioError,
    length: int,
    steps: Callable[[int], int] | None,
) -> Reject | None:
    """Give why a clip cannot be used, None if it can."""
    if isinstance(found, AudioError):
        return Reject(clip.id, clip.path, clip.split, UNREADABLE, str(found))
    start_s, duration_s = clip.span_s(found)
    rate = found.sample_rate
    begin, end = round(start_s * rate), round((start_s + duration_s) * rate)
    samples = audio.resampled(end, rate) - audio.resampled(begin, rate)
    if samples <= 0 or begin < 0:
        reason = (
            f"{clip.path}: there is nothing from {start_s:.3f} s on; "
            f"the recording is {found.duration_s:.3f} s long"
        )
        return Reject(clip.id, clip.path, clip.split, OUTSIDE, reason)
    if steps is not None and steps(samples) < length:
        reason = (
            f"{clip.path}: {clip.text!r} needs {length} steps, "
            f"{duration_s:.3f} s give {steps(samples)}; stack fewer frames or check the text"
        )
        return Reject(clip.id, clip.path, clip.split, TOO_LONG, reason)
    return None


def _refuse_empty(kept: Sequence[Clip], rejects: Sequence[Reject], splits: Sequence[str]) -> None:
    if not splits:
        raise CorpusError("the corpus holds no clips; check data.root")
    for split in splits:
        if any(clip.split == split for clip in kept):
            continue
        lost = [reject for reject in rejects if reject.split == split]
        why = f"all of its {len(lost)} clips are unusable: {lost[0].reason}" if lost else "no clips"
        raise CorpusError(f"the split {split!r} is empty ({why}); check data.root and its shares")


def _corpus(
    kept: Sequence[Clip],
    rejects: list[Reject],
    headers: dict[Path, audio.Header],
    overlap: dict[tuple[str, str], tuple[str, ...]],
) -> Corpus:
    by_split = {
        split: [clip for clip in kept if clip.split == split]
        for split in SPLITS
        if any(clip.split == split for clip in kept)
    }
    summaries = {}
    manifest = hashlib.sha256()
    for split, clips in by_split.items():
        lost = sum(reject.split == split for reject in rejects)
        summaries[split] = _summary(clips, headers, lost)
        for clip in clips:
            duration_s = clip.span_s(headers[clip.path])[1]
            manifest.update(f"{split}\t{clip.id}\t{clip.text}\t{duration_s:.6f}\n".encode())
    splits = {split: base.cuts(clips, headers) for split, clips in by_split.items()}
    return Corpus(splits, rejects, summaries, overlap, manifest.hexdigest())


def _summary(clips: Sequence[Clip], headers: dict[Path, audio.Header], rejects: int) -> Summary:
    return Summary(
        clips=len(clips),
        hours=sum(clip.span_s(headers[clip.path])[1] for clip in clips) / 3600,
        speakers=len({clip.speaker for clip in clips} - {None}),
        words=len({word for clip in clips for word in clip.text.split()}),
        texts=len({clip.text for clip in clips}),
        rejects=rejects,
    )
