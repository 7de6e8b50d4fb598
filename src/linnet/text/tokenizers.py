"""Three ways to turn text into tokens: characters, words, and both."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from linnet.errors import TextError
from linnet.text.normal import BLANK, SPACE, is_whole, normalise

_SHOWN_WORDS = 8


@runtime_checkable
class Tokenizer(Protocol):
    """Turns text into token ids and back; ``tokens[0]`` is the CTC blank."""

    kind: str
    tokens: list[str]

    def encode(self, text: str) -> list[int]:
        """Give the token ids of normalised ``text``; raises TextError where it cannot be spelt."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that ``ids`` spell."""
        ...


class Characters:
    """One token a character; a space is a token of its own."""

    kind = "characters"

    def __init__(self, alphabet: str) -> None:
        symbols = [SPACE, *alphabet]
        if len(set(symbols)) != len(symbols) or " " in symbols:
            raise TextError(
                f"the alphabet must hold each character once and no space: {alphabet!r}"
            )
        self.tokens = [BLANK, *symbols]
        self._ids = {symbol: i for i, symbol in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """Give the token ids of ``text``.

        Raises:
            TextError: a character is not in the alphabet.
        """
        symbols = [SPACE if c == " " else c for c in normalise(text)]
        unknown = sorted(set(symbols) - set(self.tokens[1:]))
        if unknown:
            raise TextError(
                f"the text {text!r} holds {', '.join(map(repr, unknown))}, which the token set "
                f"lacks; it has {''.join(self.tokens[2:])!r}: spell it out or add it to "
                f"tokenizer.alphabet"
            )
        return [self._ids[symbol] for symbol in symbols]

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that ``ids`` spell, spaces as they come but none at the ends."""
        return "".join(self.tokens[i] for i in ids).replace(SPACE, " ").strip()


class Words:
    """One token a word, for a closed vocabulary."""

    kind = "words"

    def __init__(self, words: Sequence[str]) -> None:
        normal = [normalise(word) for word in words]
        if len(set(normal)) != len(normal) or any(not word or " " in word for word in normal):
            raise TextError(f"the words must be single, different and not empty: {list(words)}")
        self.tokens = [BLANK, *normal]
        self._ids = {token: i for i, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """Give the token ids of ``text``.

        Raises:
            TextError: a word is not in the vocabulary.
        """
        words = normalise(text).split()
        unknown = sorted(set(words) - set(self.tokens[1:]))
        if unknown:
            known = ", ".join(self.tokens[1 : 1 + _SHOWN_WORDS])
            more = ", ..." if len(self.tokens) > 1 + _SHOWN_WORDS else ""
            raise TextError(
                f"the text {text!r} holds {', '.join(map(repr, unknown))}, which the token set "
                f"lacks; it has {known}{more}: add the word to tokenizer.words or use "
                f"tokenizer=characters"
            )
        return [self._ids[word] for word in words]

    def decode(self, ids: Iterable[int]) -> str:
        """Give the words that ``ids`` name, with a space between them."""
        return " ".join(self.tokens[i] for i in ids)


class Mixed:
    """One token a character, but some words as a whole: keywords among anything that can be spelt.

    A whole word is set off by itself, so a space is a token only between two words that are spelt.

    Args:
        alphabet: the characters, each once.
        words: the whole words; of a phrase, each of its words. One of a single letter is spelt.
    """

    kind = "mixed"

    def __init__(self, alphabet: str, words: Sequence[str]) -> None:
        spelt = Characters(alphabet)
        single = dict.fromkeys(word for phrase in words for word in normalise(phrase).split())
        whole = [word for word in single if is_whole(word)]
        self.tokens = [*spelt.tokens, *whole]
        self._whole = {word: len(spelt.tokens) + i for i, word in enumerate(whole)}
        self._spelt = spelt

    def encode(self, text: str) -> list[int]:
        """Give the token ids of ``text``.

        Raises:
            TextError: a character is not in the alphabet, nor its word among the whole words.
        """
        ids: list[int] = []
        for whole, words in itertools.groupby(normalise(text).split(), self._whole.__contains__):
            if whole:
                ids.extend(self._whole[word] for word in words)
            else:
                ids.extend(self._spelt.encode(" ".join(words)))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that ``ids`` spell, with single spaces."""
        symbols = (self.tokens[i] for i in ids)
        spaced = (f" {symbol} " if is_whole(symbol) else symbol for symbol in symbols)
        return " ".join("".join(spaced).replace(SPACE, " ").split())
