"""A model that hears phonemes, from its folder: its lexicon goes with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from linnet import espeak
from linnet.apps import main
from linnet.errors import KeywordError, MissingExtraError, TextError
from linnet.export import export
from linnet.runtime import load
from linnet.text import Phonemes
from small_model import RECORD, clips, front_end, network, silent

# Of as many tokens as the small network has.
PHONEMES = [*"nmstɹdɡp", "aɪ", "oʊ"]
LEXICON = {"night": "naɪt", "go": "ɡoʊ", "knight": "naɪt"}


def missing() -> tuple[str, str]:
    """What :func:`espeak._paths` does where espeak-ng is not installed."""
    raise MissingExtraError("espeakng_loader", "synth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("phonemes") / "model"
    made = front_end()
    tokens = Phonemes(PHONEMES, LEXICON, "en-us")
    parts = (made, network(made.features), tokens, RECORD, output, clips())
    export(*parts, longest_s=0.5, say=silent)
    return output


def test_the_lexicon_goes_with_the_model(folder: Path) -> None:
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))["tokenizer"]
    assert described["lexicon"] == ["night naɪt", "go ɡoʊ", "knight naɪt"]
    assert "aɪ 10\n" in (folder / "tokens.txt").read_text(encoding="utf-8")
    model = load(folder)
    (knight,) = model.keywords(["Knight:0.3"])
    assert knight.ids == tuple(model.tokenizer.encode("naɪt"))
    assert model.tokenizer.decode(knight.ids) == "night"


def test_a_keyword_that_the_lexicon_lacks_is_pronounced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader")
    recording = tmp_path / "recording.wav"
    soundfile.write(recording, np.concatenate(clips(4)), 16000)
    command = ["spot", str(folder), str(recording), "--json", "--keyword"]
    assert main([*command, "tight:0.000001"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["keyword"] for one in found} == {"tight"}
    assert main([*command, "left"]) == 2
    said = capsys.readouterr().err
    assert "the keyword 'left' cannot be pronounced: 'left' is pronounced 'lɛft'" in said
    assert said.count("\n") == 1


def test_without_espeak_a_keyword_is_in_the_lexicon_or_written_in_phonemes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "_paths", missing)
    model = load(folder)
    assert model.keywords(["taɪt"])[0].ids == tuple(
        map(model.tokenizer.tokens.index, ["t", "aɪ", "t"])
    )
    with pytest.raises(KeywordError, match=r"lexicon of this model lacks 'tight'; .* pip install"):
        model.keywords(["tight"])


def test_what_was_looked_up_together_needs_espeak_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    words = ["tight", "night", "taɪt", "rode"]
    one_by_one = [Phonemes(PHONEMES, LEXICON, "en-us").pronounce(word) for word in words]
    together = Phonemes(PHONEMES, LEXICON, "en-us")
    together.look_up(words)

    monkeypatch.setattr(espeak, "_paths", missing)
    assert [together.pronounce(word) for word in words] == one_by_one
    together.look_up(["toad"])
    with pytest.raises(TextError, match="lacks 'toad'"):
        together.pronounce("toad")
