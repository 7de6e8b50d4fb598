"""Several corpora as one: ids stay apart, speakers stay disjoint, a keyword stays unheard."""

from pathlib import Path

import pytest
from lhotse import CutSet, MonoCut, Recording
from rapidfuzz.distance import Levenshtein

from linnet.apps import checking, config, corpus
from linnet.errors import ConfigError, CorpusError, ModelError
from linnet.sources import examine
from linnet.sources.base import Clip, Source, split_by_speaker
from linnet.sources.confusers import confusers
from linnet.sources.kaldi import Kaldi
from linnet.sources.mixture import Mixture
from linnet.sources.without import Without
from linnet.text import sounds


class Listed(Source):
    """A corpus of given (id, text, speaker, split), with one noise recording."""

    def __init__(
        self, *rows: tuple[str, str, str | None, str], shares: tuple[str, ...] = (), noise: str = ""
    ) -> None:
        self.rows, self.noise_path = rows, noise
        self.shares = frozenset([frozenset(shares)] if shares else [])

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        return self.shares

    def clips(self) -> list[Clip]:
        return [Clip(i, Path(f"{i}.wav"), text, who, split) for i, text, who, split in self.rows]

    def noise(self) -> CutSet | None:
        if not self.noise_path:
            return None
        recording = Recording(self.noise_path, [], 16000, 16000, 1.0)
        return CutSet.from_cuts([MonoCut("noise", 0.0, 1.0, 0, recording=recording)])


def examined(source: Source) -> None:
    """Examine as far as the speakers; there are no recordings to go on with."""
    settings = {"encode": None, "steps": None, "on_reject": "stop", "allow_speaker_overlap": False}
    with pytest.raises(CorpusError) as caught:
        examine(source, splits=None, **settings)  # type: ignore[arg-type]
    raise caught.value


def test_ids_of_two_corpora_stay_apart_and_their_noise_comes_together() -> None:
    words = Listed(("0001", "up", "a", "train"), noise="hum")
    sentences = Listed(("0001", "up we go", "b", "train"), noise="street")
    mixed = Mixture(corpora={"words": words, "sentences": sentences, "digits": None})
    assert {clip.id: clip.text for clip in mixed.clips()} == {
        "words-0001": "up",
        "sentences-0001": "up we go",
    }
    noise = mixed.noise()
    assert noise is not None
    assert [(cut.id, cut.recording.id) for cut in noise] == [
        ("words-noise", "hum"),
        ("sentences-noise", "street"),
    ]
    assert Mixture(corpora={"digits": Listed(("1", "one", "a", "train"))}).noise() is None


def test_a_mixture_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no corpus"):
        Mixture(corpora={"words": None})


def test_a_speaker_whom_two_corpora_put_in_different_splits_is_refused() -> None:
    one = Listed(("1", "up", "anna", "train"))
    other = Listed(("1", "down", "anna", "test"))
    with pytest.raises(CorpusError, match="1 speakers are in train and in test: anna"):
        examined(Mixture(corpora={"one": one, "other": other}))


def test_what_one_corpus_shares_on_purpose_excuses_no_speaker_of_another() -> None:
    pair = frozenset({"train", "valid"})
    digits = Listed(
        ("1", "one", "theo", "train"), ("2", "one", "theo", "valid"), shares=("train", "valid")
    )
    honest = Listed(("1", "up", "anna", "train"), ("2", "up", "bert", "valid"))
    careless = Listed(("1", "up", "anna", "train"), ("2", "up", "anna", "valid"))
    known = Listed(("1", "up", "theo", "valid"))
    assert Mixture(corpora={"d": digits, "w": honest}).shared_speakers == {pair}
    for other in (careless, known):
        assert Mixture(corpora={"d": digits, "w": other}).shared_speakers == frozenset()


def test_a_keyword_is_left_out_where_it_is_said_and_nowhere_else() -> None:
    rows = [
        ("1", "right", "a", "train"),
        ("2", "turn right now", "a", "train"),
        ("3", "a bright day", "a", "train"),
        ("4", "right", "b", "valid"),
        ("5", "right", "c", "test"),
        ("6", "hey linnet", "a", "train"),
        ("7", "hey you linnet", "a", "train"),
    ]
    kept = Without(source=Listed(*rows), words=["Right!", "hey linnet"], splits=["train", "valid"])
    assert [clip.id for clip in kept.clips()] == ["3", "5", "7"]
    with pytest.raises(ConfigError, match="splits must be among"):
        Without(source=Listed(*rows), words=["right"], splits=["training"])


def test_what_sounds_like_a_keyword_is_left_out_too() -> None:
    rows = [
        ("1", "write it down", "a", "train"),
        ("2", "a bright day", "a", "train"),
        ("3", "hay linnet", "a", "train"),
        ("4", "write", "c", "test"),
    ]
    said = {"source": Listed(*rows), "words": ["right", "hey linnet"], "splits": ["train"]}
    assert [clip.id for clip in Without(**said, accent="en-us").clips()] == ["2", "4"]
    assert [clip.id for clip in Without(**said).clips()] == ["1", "2", "3", "4"]
    with pytest.raises(CorpusError, match="no accent 'xx'"):
        Without(**said, accent="xx").clips()


def test_sentences_of_the_mixture_are_split_as_they_are_alone(recordings: Path) -> None:
    settings = config.compose("train", ["data=spotting"]).data.corpora.sentences
    sentences = Kaldi(
        root=recordings / "speechocean762_train",
        split_by=settings.split_by,
        valid_share=settings.valid_share,
        test_share=settings.test_share,
    )
    clips = sentences.clips()
    mixed = Mixture(corpora={"s": sentences}).clips()
    assert [(one.id, one.split) for one in mixed] == [(f"s-{one.id}", one.split) for one in clips]
    assert clips == split_by_speaker(clips, valid_share=0.1, test_share=0.5)
    speakers = {
        split: {clip.speaker for clip in clips if clip.split == split}
        for split in ("train", "valid", "test")
    }
    assert {split: len(one) for split, one in speakers.items()} == {
        "train": 51,
        "valid": 12,
        "test": 62,
    }


def near(*keywords: str, most: int = 20) -> list[str]:
    return confusers(keywords=keywords, near=most, accent="en-us", seed=0)


def test_confusers_sound_like_a_keyword_nearly_or_in_part_but_never_as_it() -> None:
    found = near("Right", most=1000)
    assert {"night", "light", "white", "rice", "ride", "bright"} <= set(found)
    assert {"ight", "ri"} <= set(found)
    told = sounds([*found, "right"], "en-us")
    whole = told.pop("right")
    for text, sound in told.items():
        part = whole.startswith(sound) or whole.endswith(sound)
        assert part or Levenshtein.distance(sound, whole) == 1, text
    # What sounds as the keyword does is no confuser, nor what says it or another keyword.
    assert not {"right", "write", "rite"} & set(found)
    assert "night" not in near("right", "night")
    assert len(set(told.values())) == len(told)


def test_confusers_of_a_phrase_are_its_words_and_phrases_that_differ_in_one_sound() -> None:
    found = near("Hey Linnet")
    assert {"hey", "linnet", "lin", "they linnet", "say linnet", "hey minute"} <= set(found)
    assert "hey linnet" not in found
    assert not [text for text in found if len(text.split()) > 2]


def test_confusers_are_as_many_as_wanted_and_made_up_only_where_words_are_lacking() -> None:
    few = near("happy", most=3)
    assert len(few) == 3 + len({"hap", "appy"})
    assert set(few) <= set(near("happy", "zero", most=3))
    assert {"night", "might", "light"} <= set(near("right", most=3))
    assert not {"night", "light"} & set(near("right", most=0))
    with pytest.raises(ConfigError, match="on the command line keywords="):
        near()
    with pytest.raises(CorpusError, match="no accent 'xx'"):
        confusers(keywords=["right"], near=3, accent="xx", seed=0)


def recorded(*overrides: str) -> dict[str, object]:
    """The record of a model that was trained on a wake word."""
    from omegaconf import OmegaConf

    composed = config.compose("train", ["experiment=wakeword", "keywords=[happy]", *overrides])
    return {"settings": OmegaConf.to_container(composed, resolve=True)}


def test_a_model_names_the_mixture_that_it_was_trained_on() -> None:
    record = recorded("data.corpora.digits=null", "data.corpora.commands.source.root=/there")
    argv = corpus.with_recorded_data(
        ["model.path=m", "data.corpora.sentences.source.root=/here"], record
    )
    checking.check("evaluate", argv)
    composed = config.compose("evaluate", argv).data.corpora
    assert composed.commands.source.root == "/there"
    assert composed.sentences.source.root == "/here"
    assert composed.commands.words == ["happy"]
    assert composed.digits is None


@pytest.mark.parametrize("place", ["source", "words"])
def test_a_record_that_names_a_class_of_another_package_is_refused(place: str) -> None:
    record = recorded()
    commands = record["settings"]["data"]["corpora"]["commands"]  # type: ignore[index]
    commands[place] = [{"_target_": "os.system", "command": "true"}]
    with pytest.raises(ModelError, match="does not say which corpus"):
        corpus.with_recorded_data(["model.path=m"], record)
