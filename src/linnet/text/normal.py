"""One normalisation of text, and the symbols that tokens are written with."""

import unicodedata

BLANK = "<blk>"
SPACE = "\u2581"
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'"})


def normalise(text: str) -> str:
    """Give ``text`` in lower case, without punctuation and with single spaces.

    Letters, digits and apostrophes inside a word stay; everything else separates words.
    """
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    kept = "".join(c if c.isalnum() or c == "'" or unicodedata.combining(c) else " " for c in text)
    words = (word.strip("'") for word in kept.split())
    return " ".join(word for word in words if word)


def is_whole(token: str) -> bool:
    """Tell whether a token that is not the blank is a whole word: it has several letters."""
    return len(token) > 1


def says(text: str, words: str) -> bool:
    """Whether ``words`` stand in ``text``, one behind the other, both normalised."""
    return f" {words} " in f" {text} "
