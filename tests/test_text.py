"""Normalisation, tokenizers and the arithmetic of CTC targets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet import espeak
from linnet.errors import CorpusError, MissingExtraError, TextError
from linnet.text import (
    SPACE,
    Characters,
    Mixed,
    Phonemes,
    Tokenizer,
    Words,
    described,
    normalise,
    pronounced,
    shortest_path,
    tokenizer,
    tokens_txt,
)

ALPHABET = "abcdefghijklmnopqrstuvwxyz'"
PHONES = [*"bdfijklmnpstuvwxzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒʔθᵻ", "aɪ", "oʊ", "eɪ"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Turn LEFT!", "turn left"),
        ("  it\u2019s  -  o'clock ", "it's o'clock"),
        ("'quoted'", "quoted"),
        ("stop.go", "stop go"),
        ("\uff21\uff22", "ab"),
        ("?!", ""),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_normalise_lowers_and_keeps_words(text: str, normal: str) -> None:
    assert normalise(text) == normal


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet=ALPHABET + " "))
def test_decode_undoes_encode(text: str) -> None:
    tokens = Characters(ALPHABET)
    assert tokens.decode(tokens.encode(text)) == normalise(text)


@given(st.lists(st.sampled_from(["left", "right", "up"])))
def test_decode_undoes_encode_for_words(words: list[str]) -> None:
    tokens = Words(["left", "right", "up"])
    assert tokens.decode(tokens.encode(" ".join(words))) == " ".join(words)


@pytest.mark.parametrize(
    "tokens",
    [
        *(Characters(ALPHABET), Words(["left", "up"]), Mixed("ablfetup", ["left"])),
        Phonemes(PHONES, {"left": "lɛft", "up": "ʌp"}, "en-us"),
    ],
)
def test_a_tokenizer_is_rebuilt_from_its_description(tokens: Tokenizer) -> None:
    rebuilt = tokenizer(json.loads(json.dumps(described(tokens))))
    assert described(rebuilt) == described(tokens)
    ids = rebuilt.encode("left up")
    assert ids == tokens.encode("left up")
    assert rebuilt.decode(ids) == "left up"


@given(st.lists(st.sampled_from(["left", "up", "a", "leftup", "it's"])))
def test_decode_undoes_encode_for_characters_mixed_with_words(words: list[str]) -> None:
    tokens = Mixed(ALPHABET, ["left", "up"])
    assert tokens.decode(tokens.encode(" ".join(words))) == " ".join(words)


def test_a_whole_word_is_a_token_and_only_as_a_word() -> None:
    tokens = Mixed("abcelftu", ["Left", "up"])
    left, up = tokens.tokens.index("left"), tokens.tokens.index("up")
    assert tokens.encode("left up left") == [left, up, left]
    spelt = Characters("abcelftu")
    assert tokens.encode("cleft up a tub") == [*spelt.encode("cleft"), up, *spelt.encode("a tub")]
    assert Mixed("abc", ["hey a linnet"]).tokens[-2:] == ["hey", "linnet"]


def test_a_character_out_of_the_token_set_is_named() -> None:
    with pytest.raises(TextError, match=r"'caf\u00e9 7' holds '7', '\u00e9'.*spell it out"):
        Characters(ALPHABET).encode("caf\u00e9 7")


def test_a_word_out_of_the_vocabulary_is_named() -> None:
    with pytest.raises(TextError, match=r"holds 'sideways'.*it has left, up"):
        Words(["left", "up"]).encode("left sideways")


@pytest.mark.parametrize("bad", [["left", "LEFT"], ["two words"], [""]])
def test_words_must_be_single_and_different(bad: list[str]) -> None:
    with pytest.raises(TextError, match="must be single"):
        Words(bad)


def test_an_alphabet_must_hold_each_character_once() -> None:
    with pytest.raises(TextError, match="each character once"):
        Characters("abca")


@pytest.mark.parametrize("tokens", [[], ["a", "<blk>"], ["<blk>", "a", "b"]])
def test_tokens_of_no_known_form_are_refused(tokens: list[str]) -> None:
    with pytest.raises(TextError):
        tokenizer({"kind": "characters", "tokens": tokens})


def test_espeak_fills_the_lexicon_and_pronounces_what_it_lacks() -> None:
    pytest.importorskip("espeakng_loader")
    tokens = pronounced(PHONES, "en-us", ["rite", "right", "zero", "the"], first=["right"])
    assert tokens.lexicon == {"right": "ɹaɪt", "rite": "ɹaɪt", "zero": "ziəɹoʊ", "the": "ðə"}
    assert tokens.encode("Rite!") == tokens.encode("right") == tokens.encode("ɹaɪt")
    spelt = ["z", "i", "ə", "ɹ", "oʊ", SPACE, "l", "ɪ", "n", "ɪ", "t"]
    assert [tokens.tokens[i] for i in tokens.encode("zero linnet")] == spelt
    # The first of those that sound alike; what is no word of the lexicon stays as it sounds.
    assert tokens.decode(tokens.encode("rite linnet zero")) == "right lɪnɪt zero"
    assert "linnet" not in described(tokens)["lexicon"]


def test_where_nothing_pronounces_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> tuple[str, str]:
        raise MissingExtraError("espeakng_loader", "synth")

    monkeypatch.setattr(espeak, "_paths", missing)
    tokens = Phonemes(PHONES, {"right": "ɹaɪt"}, "en-us")
    assert tokens.decode(tokens.encode("right lɪnɪt")) == "right lɪnɪt"
    with pytest.raises(TextError, match=r"lacks 'linnet'; write it in its phonemes.*synth"):
        tokens.encode("right linnet")


def test_a_phoneme_out_of_the_token_set_is_named() -> None:
    pytest.importorskip("espeakng_loader")
    tokens = Phonemes(["ɹ", "aɪ", "t"], {}, "en-us")
    with pytest.raises(TextError, match=r"'left' is pronounced 'lɛft' and holds 'f', 'l', 'ɛ'"):
        tokens.encode("left")
    with pytest.raises(CorpusError, match=r"no accent 'en-xx'; expected one such as en-us"):
        Phonemes(["t"], {}, "en-xx").encode("left")


@pytest.mark.parametrize("bad", [["t", "t"], ["t", ""], ["t", "."]])
def test_phonemes_must_be_letters_and_different(bad: list[str]) -> None:
    with pytest.raises(TextError, match="must be letters, and each once"):
        Phonemes(bad, {}, "en-us")


def test_tokens_txt_is_a_symbol_and_an_id_a_line() -> None:
    assert tokens_txt(Characters("ab").tokens) == "<blk> 0\n\u2581 1\na 2\nb 3\n"


def test_a_repeat_needs_a_blank_between() -> None:
    assert [shortest_path(ids) for ids in ([], [5], [5, 5], [5, 6, 6, 6])] == [0, 1, 3, 6]
