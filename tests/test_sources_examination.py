"""Examination: what cannot be trained on is named and counted; what is kept stays the same."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from linnet import sources
from linnet.errors import AudioError, ConfigError, CorpusError, TextError
from linnet.sources.base import Clip, Source
from linnet.sources.fsdd import Fsdd
from linnet.sources.kaldi import Kaldi
from linnet.sources.speech_commands import SpeechCommands
from linnet.text import Characters

LETTERS = Characters("abcdefghijklmnopqrstuvwxyz'")


@dataclass
class Listed(Source):
    """Clips as they are given."""

    listed: list[Clip]
    declared: frozenset[frozenset[str]] = field(default_factory=frozenset)

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        return self.declared

    def clips(self) -> list[Clip]:
        return self.listed


def listed(root: Path) -> Listed:
    """Two clips of half a second in each split, each of another speaker."""
    clips = []
    for split in ("train", "valid", "test"):
        for i, text in enumerate(("yes", "no")):
            path = root / f"{split}{i}.wav"
            root.mkdir(exist_ok=True)
            soundfile.write(path, np.full(8000 + i, 0.1), 16000)
            clips.append(Clip(f"{split}{i}", path, text, f"{split} {i}", split))
    return Listed(clips[::-1])


def examine(source: Source, **changes: object) -> sources.Corpus:
    options: dict[str, object] = {
        "on_reject": "skip",
        "allow_speaker_overlap": False,
        "encode": LETTERS.encode,
        "steps": lambda samples: samples // 480,
    }
    return sources.examine(source, **{**options, **changes})  # type: ignore[arg-type]


def test_broken_recordings_are_left_out_and_named(tmp_path: Path) -> None:
    source = listed(tmp_path)
    broken = {
        "empty": b"",
        "text": b"hello " * 99,
        "cut": (tmp_path / "train0.wav").read_bytes()[:900],
    }
    for name, content in broken.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16000, subtype="FLOAT")
    for name in (*broken, "nan", "gone"):
        source.listed.append(Clip(name, tmp_path / f"{name}.wav", "yes", "train 0", "train"))
    source.listed.append(
        Clip("after", tmp_path / "train0.wav", "yes", "train 0", "train", start_s=3.0)
    )
    corpus = examine(source)
    assert [cut.id for cut in corpus.splits["train"]] == ["train0", "train1"]
    reasons = {reject.id: reject.reason for reject in corpus.rejects}
    assert list(reasons) == ["after", "cut", "empty", "gone", "nan", "text"]
    for name, reason in {
        "after": "there is nothing from 3.000 s on; the recording is 0.500 s long",
        "cut": "the file is cut off",
        "empty": "the file is empty (0 bytes)",
        "gone": "there is no such file",
        "nan": "the file holds NaN or infinity",
        "text": "this is no audio file",
    }.items():
        assert reason in reasons[name]
        assert str(tmp_path) in reasons[name]
    assert corpus.rejects_by_kind() == {"unreadable": 5, "outside its recording": 1}
    assert corpus.summaries["train"].rejects == 6
    with pytest.raises(CorpusError, match=r"6 clips .* is after: .* nothing from .*on_reject=skip"):
        examine(source, on_reject="stop")
    with pytest.raises(AudioError, match=r"cut off|empty|no such file|no audio"):
        source.splits()


def test_a_text_longer_than_its_steps_is_left_out_at_the_very_step(tmp_path: Path) -> None:
    source = listed(tmp_path)
    # Half a second gives 16 steps here; ll needs a blank between, so 15 letters need 16 steps.
    fits, too_long = "ll" + "abcabcabcabca", "ll" + "abcabcabcabcab"
    for name, text in (("fits", fits), ("long", too_long)):
        source.listed.append(Clip(name, tmp_path / "train0.wav", text, "train 0", "train"))
    corpus = examine(source)
    assert [reject.id for reject in corpus.rejects] == ["long"]
    assert "needs 17 steps, 0.500 s give 16" in corpus.rejects[0].reason
    assert corpus.rejects_by_kind() == {"text longer than its steps": 1}
    assert not examine(source, encode=None, steps=None).rejects


def test_a_character_without_a_token_names_the_utterance(tmp_path: Path) -> None:
    source = listed(tmp_path)
    source.listed[0] = replace(source.listed[0], text="n0")
    with pytest.raises(TextError, match=r"utterance test1 \(.*test1.wav\): .*'n0' holds '0'"):
        examine(source)


def test_speakers_in_two_splits_are_refused_unless_allowed_or_declared(tmp_path: Path) -> None:
    source = listed(tmp_path)
    source.listed[0] = replace(source.listed[0], speaker="train 0")
    with pytest.raises(CorpusError, match="1 speakers are in train and in test: train 0; a model"):
        examine(source)
    overlap = {("train", "test"): ("train 0",)}
    assert examine(source, allow_speaker_overlap=True).overlap == overlap
    source.declared = frozenset({frozenset({"test", "train"})})
    assert examine(source).overlap == overlap
    # Silence has no speaker, and so none that is shared.
    source.listed = [replace(clip, speaker=None) for clip in source.listed]
    assert examine(source, allow_speaker_overlap=False).overlap == {}


def test_an_empty_split_an_id_twice_and_a_wrong_option_are_refused(tmp_path: Path) -> None:
    source = listed(tmp_path)
    for path in (tmp_path / "valid0.wav", tmp_path / "valid1.wav"):
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"'valid' is empty \(all of its 2 clips .*0 bytes"):
        examine(source)
    assert list(examine(source, splits=("train", "test")).splits) == ["train", "test"]
    source.listed = [clip for clip in source.listed if clip.split != "valid"]
    assert list(examine(source).splits) == ["train", "test"]
    with pytest.raises(CorpusError, match=r"'valid' is empty \(no clips\)"):
        examine(source, splits=("train", "valid"))
    with pytest.raises(CorpusError, match="holds no clips"):
        examine(Listed([]))
    with pytest.raises(CorpusError, match="1 ids occur more than once: train0; each"):
        examine(Listed([*source.listed, source.listed[-1]]))
    with pytest.raises(ConfigError, match="on_reject must be skip or stop, got 'ignore'"):
        examine(source, on_reject="ignore")


def test_the_same_corpus_gives_the_same_bytes_in_any_order_and_its_hash_anywhere(
    tmp_path: Path,
) -> None:
    once, moved = listed(tmp_path / "here"), listed(tmp_path / "there")
    first = examine(once)
    again = examine(Listed(once.listed[::-1]))
    written = [first.write(tmp_path / "a"), again.write(tmp_path / "b")]
    for one, other in zip(*written, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
        assert one.read_bytes()[4:8] == bytes(4)  # gzip's time stamp
    assert CutSet.from_file(written[0][0]).to_eager() == first.splits["train"]
    assert examine(moved).manifest_hash == first.manifest_hash
    moved.listed[0] = replace(moved.listed[0], text="on")
    assert examine(moved).manifest_hash != first.manifest_hash


def test_the_summary_counts_what_was_kept(tmp_path: Path) -> None:
    source = listed(tmp_path)
    source.listed.append(Clip("quiet", tmp_path / "train0.wav", "", None, "train"))
    summary = examine(source).summaries["train"]
    assert (summary.clips, summary.speakers, summary.words, summary.texts) == (3, 2, 2, 3)
    assert summary.hours == pytest.approx((3 * 8000 + 1) / 16000 / 3600)


def test_real_corpora_are_whole(recordings: Path) -> None:
    """The counts that the corpora's own descriptions give."""
    digits = Fsdd(root=recordings / "free_spoken_digit_dataset", split="recordings", download=False)
    corpus = examine(digits)
    assert [corpus.summaries[s].clips for s in ("train", "valid", "test")] == [2400, 300, 300]
    assert not corpus.rejects
    commands = SpeechCommands(
        root=recordings / "speech_commands_subset",
        words=None,
        unknown=None,
        silence_s=None,
        noise_valid_share=0.1,
        noise_test_share=0.1,
        download=False,
    ).clips()
    held_out = [sum(clip.split == split for clip in commands) for split in ("valid", "test")]
    assert held_out == [730, 563]
    assert len(commands) == 6864
    sentences = Kaldi(
        root=recordings / "speechocean762_train",
        split_by="speakers",
        valid_share=0.1,
        test_share=0.1,
    ).clips()
    assert len(sentences) == 2500
    assert all(clip.text == clip.text.lower() and clip.path.is_file() for clip in sentences)
