"""What a keyword is easily taken for: its parts, and words that differ from it in one letter.

    "hey linnet" -> parts: "hey", "linnet", "lin", "net"    near: "hay linnet", "hey linned", ...

Spoken by a synthesiser beside the keyword they keep a network from firing on half of it. It learns
them by their own spelling, so a near word also teaches what the letters of the keyword sound like.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from linnet.errors import ConfigError
from linnet.text import normalise

_VOWELS = "aeiou"
_CONSONANTS = "bcdfghjklmnprstvwz"  # without q, x and y, which rarely can stand for another
_LEAST_LETTERS = 4  # of a word that has parts


def confusers(*, keywords: Sequence[str], near: int, seed: int) -> list[str]:
    """Give words and phrases that are not the keywords but sound alike, sorted.

    Args:
        keywords: words or phrases.
        near: words a keyword that differ from it in one letter; drawn if there are more.
        seed: of the draw.

    Raises:
        ConfigError: there are no keywords.
    """
    spoken = [normalise(keyword) for keyword in keywords]
    if not spoken or not all(spoken):
        raise ConfigError(
            f"keywords={list(keywords)}: expected words to learn from text; on the command line "
            "keywords='[\"hey linnet\"]'"
        )
    found: set[str] = set()
    for keyword in spoken:
        found.update(_parts(keyword))
        others = sorted(set(_near(keyword)))
        # A generator a keyword: another keyword in the list leaves this one's words alone.
        draw = np.random.default_rng([seed, *keyword.encode()])
        chosen = draw.permutation(len(others))[:near]
        found.update(others[i] for i in chosen)
    return sorted(found - set(spoken))


def _parts(keyword: str) -> Iterator[str]:
    """Give the shorter runs of words of a phrase, and the two halves of each word."""
    words = keyword.split()
    for begin in range(len(words)):
        for end in range(begin + 1, len(words) + 1):
            yield " ".join(words[begin:end])
    for word in words:
        if len(word) >= _LEAST_LETTERS:
            middle = (len(word) + 1) // 2
            yield word[:middle]
            yield word[middle:]


def _near(keyword: str) -> Iterator[str]:
    """Give what one vowel for another, or one consonant for another, makes of a keyword."""
    for place, letter in enumerate(keyword):
        for kind in (_VOWELS, _CONSONANTS):
            if letter in kind:
                for other in kind.replace(letter, ""):
                    yield keyword[:place] + other + keyword[place + 1 :]
