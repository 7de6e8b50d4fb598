"""Normalisation, tokenizers and the arithmetic of CTC targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import TextError
from linnet.text import Characters, Mixed, Words, normalise, shortest_path, tokenizer, tokens_txt

ALPHABET = "abcdefghijklmnopqrstuvwxyz'"


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
    "tokens", [Characters(ALPHABET), Words(["left", "up"]), Mixed("ablfetup", ["left"])]
)
def test_a_tokenizer_is_rebuilt_from_its_kind_and_tokens(
    tokens: Characters | Words | Mixed,
) -> None:
    rebuilt = tokenizer(tokens.kind, tokens.tokens)
    assert rebuilt.tokens == tokens.tokens
    assert rebuilt.encode("left up") == tokens.encode("left up")


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
        tokenizer("characters", tokens)


def test_tokens_txt_is_a_symbol_and_an_id_a_line() -> None:
    assert tokens_txt(Characters("ab").tokens) == "<blk> 0\n\u2581 1\na 2\nb 3\n"


def test_a_repeat_needs_a_blank_between() -> None:
    assert [shortest_path(ids) for ids in ([], [5], [5, 5], [5, 6, 6, 6])] == [0, 1, 3, 6]
