"""Corpora: who is in which split, what is said, and that all of it is the same every time."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from linnet import audio
from linnet.errors import ConfigError, CorpusError
from linnet.sources.base import Clip, Source, split_by_speaker
from linnet.sources.folders import Folders
from linnet.sources.fsdd import DIGITS, Fsdd
from linnet.sources.kaldi import Kaldi
from linnet.sources.manifest import Manifest
from linnet.sources.speech_commands import SpeechCommands


def record(path: Path, duration_s: float = 0.1, sample_rate: int = 8000, channels: int = 1) -> Path:
    """A short noise, the same for the same name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(list(path.stem.encode()))
    shape = (round(duration_s * sample_rate), channels)
    soundfile.write(path, draw.uniform(-0.5, 0.5, shape), sample_rate)
    return path


def by_split(source: Source) -> dict[str, list[str]]:
    return {split: [cut.id for cut in cuts] for split, cuts in source.splits().items()}


def facts(cuts: CutSet) -> list[tuple[str, str, str | None, float, float]]:
    said = [(cut, cut.supervisions[0]) for cut in cuts]
    return [(cut.id, s.text, s.speaker, cut.start, cut.duration) for cut, s in said]


def speech_commands(root: Path, **changes: object) -> SpeechCommands:
    options: dict[str, object] = {
        "words": None,
        "unknown": None,
        "silence_s": None,
        "noise_valid_share": 0.1,
        "noise_test_share": 0.2,
        "download": False,
    }
    return SpeechCommands(root=root, **{**options, **changes})  # type: ignore[arg-type]


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """The official layout: lists that name .wav, and both endings on disk."""
    for name in ("yes/a_nohash_0.wav", "yes/b_nohash_0.flac", "no/c_nohash_0.flac", "up/d.wav"):
        record(tmp_path / name)
    record(tmp_path / "_background_noise_" / "tap.wav", duration_s=10.5)
    (tmp_path / "validation_list.txt").write_text("yes/b_nohash_0.wav\nyes/gone_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("no/c_nohash_0.wav\n")
    return tmp_path


def test_speech_commands_follows_its_lists_whatever_the_ending(commands: Path) -> None:
    splits = speech_commands(commands).splits()
    assert facts(splits["train"]) == [
        ("up_d", "up", "d", 0.0, 0.1),
        ("yes_a_nohash_0", "yes", "a", 0.0, 0.1),
    ]
    assert facts(splits["valid"]) == [("yes_b_nohash_0", "yes", "b", 0.0, 0.1)]
    assert facts(splits["test"]) == [("no_c_nohash_0", "no", "c", 0.0, 0.1)]


def test_other_words_are_dropped_or_keep_their_text(commands: Path) -> None:
    chosen = by_split(speech_commands(commands, words=["yes"]))
    assert chosen == {"train": ["yes_a_nohash_0"], "valid": ["yes_b_nohash_0"]}
    with_others = by_split(speech_commands(commands, words=["yes"], unknown="text"))
    assert with_others == by_split(speech_commands(commands))


def test_no_second_of_noise_is_in_two_splits(commands: Path) -> None:
    source = speech_commands(commands, silence_s=1.0)
    heard: dict[str, list[tuple[float, float]]] = {}
    for split, cuts in source.splits().items():
        silences = [cut for cut in cuts if cut.supervisions[0].text == ""]
        assert all(cut.supervisions[0].speaker is None for cut in silences)
        heard[split] = [(cut.start, cut.end) for cut in silences]
    noise = source.noise()
    assert noise is not None
    heard["train"].extend((cut.start, cut.end) for cut in noise)
    # 10.5 s: training hears the first 7, validation one, the test two.
    assert max(end for _, end in heard["train"]) == 7.0
    assert heard["valid"] == [(7.0, 8.0)]
    assert heard["test"] == [(8.0, 9.0), (9.0, 10.0)]
    assert len(heard["train"]) == 7 + 1


def test_speech_commands_names_what_is_missing(commands: Path) -> None:
    with pytest.raises(CorpusError, match=r"no word 'yess'; did you mean 'yes'\?"):
        speech_commands(commands, words=["yess"]).clips()
    with pytest.raises(CorpusError, match=r"Speech Commands is not in .*nowhere; .*data.download"):
        speech_commands(commands / "nowhere").clips()
    (commands / "testing_list.txt").unlink()
    with pytest.raises(CorpusError, match=r"testing_list.txt: the list is missing"):
        speech_commands(commands).clips()
    with pytest.raises(ConfigError, match="unknown must be null"):
        speech_commands(commands, unknown="drop")


def test_fsdd_has_both_customary_splits(tmp_path: Path) -> None:
    for digit in (0, 7):
        for speaker in ("theo", "jackson", "lucas"):
            for take in (0, 4, 5, 9, 10):
                record(tmp_path / "recordings" / f"{digit}_{speaker}_{take}.wav", 0.01)
    clips = Fsdd(root=tmp_path, split="recordings", download=False).clips()
    takes = {
        split: {int(c.id[-1]) for c in clips if c.split == split} for split in ("valid", "test")
    }
    assert takes == {"valid": {5, 9}, "test": {0, 4}}
    assert {clip.text for clip in clips} == {DIGITS[0], DIGITS[7]}
    clips = Fsdd(root=tmp_path, split="speakers", download=False).clips()
    assert {c.speaker for c in clips if c.split == "test"} == {"theo", "jackson"}
    assert {c.speaker for c in clips if c.split != "test"} == {"lucas"}
    assert len([clip for clip in clips if clip.split == "train"]) == 2 * 3
    with pytest.raises(CorpusError, match="holds no <digit>_<speaker>_<take>"):
        Fsdd(
            root=record(tmp_path / "else" / "a.wav").parent, split="speakers", download=False
        ).clips()


def kaldi(root: Path, **changes: object) -> Kaldi:
    options: dict[str, object] = {"split_by": "speakers", "valid_share": 0.25, "test_share": 0.25}
    return Kaldi(root=root, **{**options, **changes})  # type: ignore[arg-type]


def write_kaldi(root: Path, speakers: str = "abcd") -> Path:
    """Two utterances a speaker, one by a relative and one by an absolute path."""
    paths = {f"{s}{i}": record(root / "WAVE" / s / f"{i}.wav") for s in speakers for i in (1, 2)}
    scp = [f"{n} {p if n[1] == '1' else p.relative_to(root)}" for n, p in paths.items()]
    (root / "wav.scp").write_text("\n".join(scp))
    (root / "text").write_text("\n".join(f"{name} IT'S {name.upper()}," for name in paths))
    (root / "utt2spk").write_text("\n".join(f"{name} {name[0]}" for name in paths))
    return root


def test_a_kaldi_directory_is_split_by_speaker(tmp_path: Path) -> None:
    clips = kaldi(write_kaldi(tmp_path)).clips()
    assert {clip.id: clip.text for clip in clips}["a1"] == "it's a1"
    speakers = {s: {c.speaker for c in clips if c.split == s} for s in ("train", "valid", "test")}
    assert [len(names) for names in speakers.values()] == [2, 1, 1]
    assert set().union(*speakers.values()) == set("abcd")
    for split, cuts in kaldi(tmp_path).splits().items():
        for cut in cuts:
            assert audio.header(cut.recording.sources[0].source).duration_s == cut.duration
            assert cut.supervisions[0].speaker in speakers[split]


def test_kaldi_folders_and_segments(tmp_path: Path) -> None:
    for split in ("train", "test"):
        root = tmp_path / split
        (record(root / "long.wav", 2.0)).with_name("wav.scp").write_text("rec long.wav\n")
        (root / "segments").write_text(f"{split}1 rec 0.5 1.25\n{split}2 rec 1.5 -1\n")
        (root / "text").write_text(f"{split}1 one two\n{split}2\n")
        (root / "utt2spk").write_text(f"{split}1 {split}\n{split}2 {split}\n")
    splits = kaldi(tmp_path, split_by="folders").splits()
    assert facts(splits["train"]) == [
        ("train1", "one two", "train", 0.5, 0.75),
        ("train2", "", "train", 1.5, 0.5),
    ]
    assert list(splits) == ["train", "test"]


@pytest.mark.parametrize(
    ("table", "content", "reason"),
    [
        (
            "wav.scp",
            "a1 flac -c -d a1.flac |",
            "entry of a1 is a command, and a corpus may not run",
        ),
        ("wav.scp", "a1", "line 1: no value for 'a1'"),
        ("wav.scp", "a1 x.wav\na1 y.wav", "line 2: a second line for 'a1'"),
        ("wav.scp", "b1 x.wav", "recording a1 of a1 is not in wav.scp"),
        ("utt2spk", "a2 a", "utterance a1 is not in utt2spk"),
        ("segments", "a2 a1 0 1", "in text but not in segments"),
        ("segments", "a1 a1 0 x", "expected 'a1 recording start end' in seconds, got 'a1 a1 0 x'"),
        ("segments", "a1 a1 2 1", "expected 'a1 recording start end'"),
    ],
)
def test_a_broken_kaldi_table_is_named(
    tmp_path: Path, table: str, content: str, reason: str
) -> None:
    write_kaldi(tmp_path)
    (tmp_path / table).write_text(content)
    with pytest.raises(CorpusError, match=reason):
        kaldi(tmp_path).clips()
    (tmp_path / "text").unlink()
    with pytest.raises(CorpusError, match=r"text is missing|wav.scp"):
        kaldi(tmp_path).clips()


def folders(root: Path, **changes: object) -> Folders:
    options: dict[str, object] = {
        "split_by": "speakers",
        "speaker_separator": "_",
        "valid_share": 0.2,
        "test_share": 0.2,
    }
    return Folders(root=root, **{**options, **changes})  # type: ignore[arg-type]


def test_a_folder_a_word_is_split_by_the_speaker_in_the_name(tmp_path: Path) -> None:
    for speaker in ("ann", "bob", "cas", "dan", "eve"):
        record(tmp_path / "turn_left" / f"{speaker}_1.wav")
        record(tmp_path / "_silence_" / f"{speaker}_2.wav")
    record(tmp_path / "_background_noise_" / "rain.wav")
    clips = folders(tmp_path).clips()
    assert {clip.text for clip in clips} == {"turn left", ""}
    assert len({(clip.speaker, clip.split) for clip in clips}) == 5
    noise = folders(tmp_path).noise()
    assert noise is not None
    assert [cut.id for cut in noise] == ["noise_rain"]
    alone = folders(tmp_path, speaker_separator=None).clips()
    assert [clip.split for clip in alone].count("test") == 2  # a fifth of ten clips


def test_folders_may_hold_the_splits_themselves(tmp_path: Path) -> None:
    record(tmp_path / "train" / "yes" / "a_1.wav")
    record(tmp_path / "test" / "yes" / "a_1.wav")
    assert by_split(folders(tmp_path, split_by="folders")) == {
        "train": ["train_yes_a_1"],
        "test": ["test_yes_a_1"],
    }
    with pytest.raises(
        CorpusError, match=r"folders train and test, which are no words; set data.spl"
    ):
        folders(tmp_path).clips()
    with pytest.raises(CorpusError, match="none of the folders train, valid, test"):
        folders(tmp_path / "train", split_by="folders").clips()
    with pytest.raises(CorpusError, match=r"there is no folder .*nowhere"):
        folders(tmp_path / "nowhere").clips()


def manifest(root: Path, **changes: object) -> Manifest:
    options: dict[str, object] = {"split_by": "files", "valid_share": 0.0, "test_share": 0.0}
    return Manifest(root=root, **{**options, **changes})  # type: ignore[arg-type]


def test_a_manifest_gives_parts_of_recordings(tmp_path: Path) -> None:
    record(tmp_path / "a" / "1.wav", 3.0)
    lines = [
        {"audio_filepath": "a/1.wav", "text": "Go!", "duration": 1.5},
        {"audio_filepath": "a/1.wav", "text": "stop", "offset": 1.5, "speaker": 7},
        {"audio_filepath": str(tmp_path / "a" / "1.wav"), "text": "", "offset": None},
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert facts(manifest(tmp_path).splits()["train"]) == [
        (str(tmp_path / "a/1.wav"), "", None, 0.0, 3.0),
        ("a/1.wav", "go", None, 0.0, 1.5),
        ("a/1.wav@1.500", "stop", "7", 1.5, 1.5),
    ]
    held_out = by_split(manifest(tmp_path, split_by="speakers", test_share=0.3))
    assert [len(ids) for ids in held_out.values()] == [2, 1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", r"train.jsonl, line 2: this is no JSON"),
        ("[1]", "line 2: expected an object"),
        ('{"audio_filepath": 3, "text": ""}', "line 2: audio_filepath must be a text, got 3"),
        ('{"audio_filepath": "a", "text": null}', "line 2: text must be a text, got None"),
        ('{"audio_filepath": "a", "text": "", "offset": -1}', "line 2: offset must be seconds"),
    ],
)
def test_a_broken_manifest_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "train.jsonl").write_text('{"audio_filepath": "a", "text": ""}\n' + line)
    with pytest.raises(CorpusError, match=reason):
        manifest(tmp_path).clips()


def test_speakers_are_held_out_in_exact_number_and_stay_where_they_were() -> None:
    clips = [Clip(f"{s}-{i}", Path("a"), "", f"s{s}", "train") for s in range(40) for i in (0, 1)]
    once = split_by_speaker(clips, valid_share=0.1, test_share=0.25)
    again = split_by_speaker(clips[::-1], valid_share=0.1, test_share=0.25)
    assert {c.id: c.split for c in once} == {c.id: c.split for c in again}
    speakers = {(clip.speaker, clip.split) for clip in once}
    assert [sum(s == split for _, s in speakers) for split in ("train", "valid", "test")] == [
        26,
        4,
        10,
    ]
    # On every machine: Python's own hash of a text changes from process to process.
    assert {s for s, split in speakers if split == "valid"} == {"s11", "s30", "s31", "s4"}
    with pytest.raises(CorpusError, match=r"2 speakers .* are too few to hold 2 out"):
        split_by_speaker(clips[:4], valid_share=0.1, test_share=0.1)
    with pytest.raises(ConfigError, match="must be 0 or more and leave something"):
        split_by_speaker(clips, valid_share=0.5, test_share=0.5)


def test_several_channels_become_one_cut_of_all_channels(tmp_path: Path) -> None:
    record(tmp_path / "yes" / "a_1.wav", channels=2)
    cuts = folders(tmp_path, valid_share=0.0, test_share=0.0).splits()["train"]
    assert [cut.channel for cut in cuts] == [[0, 1]]
    assert cuts[0].load_audio().shape == (2, 800)


def test_cuts_survive_lhotse_and_refer_to_what_they_say(commands: Path, tmp_path: Path) -> None:
    for cuts in speech_commands(commands, silence_s=1.0).splits().values():
        cuts.to_file(tmp_path / "cuts.jsonl.gz")
        for cut, read in zip(cuts, CutSet.from_file(tmp_path / "cuts.jsonl.gz"), strict=True):
            assert read == cut
            path = cut.recording.sources[0].source
            ours = audio.read(path, start_s=cut.start, duration_s=cut.duration, sample_rate=8000)
            np.testing.assert_allclose(ours, cut.load_audio()[0], atol=1e-6)
