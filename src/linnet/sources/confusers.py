"""What a keyword is easily taken for: parts of it, and words that sound nearly like it.

    "right"      -> parts: "ri", "ight"            near: "night", "light", "rice", ..., "vight"
    "hey linnet" -> parts: "hey", "linnet", "lin"  near: "hey minute", "say linnet", ...

Spoken by a synthesiser beside the keyword they keep a network from firing on half of it, or on what
differs from it in one sound. Letters are a poor guide to that: "night" and "white" are near to
"right", "rigjt" is not. So espeak-ng is asked how everyday words sound, and how what one letter
changed makes of the keyword would.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from linnet.errors import ConfigError
from linnet.text import everyday_words, normalise, says, sounds

_VOWELS = "aeiou"
_CONSONANTS = "bcdfghjklmnprstvwz"  # without q, x and y, which rarely can stand for another
_LEAST_SOUNDS = 2  # of a part; a single one is in nearly every word
_NEAR = 1 / 3  # of the sounds may differ, and it still sounds alike


def confusers(*, keywords: Sequence[str], near: int, accent: str, seed: int) -> list[str]:
    """Give words and phrases that are not the keywords but sound alike, sorted.

    Args:
        keywords: words or phrases.
        near: most words a keyword that sound nearly like it: the nearest first, and of equally
            near ones those of everyday, then made-up ones, which are drawn.
        accent: espeak-ng's name of the accent in which they sound alike, such as ``en-us``.
        seed: of the draw.

    Raises:
        ConfigError: there are no keywords.
        CorpusError: there is no such accent.
        MissingExtraError: espeak-ng is not installed.
    """
    spoken = [normalise(keyword) for keyword in keywords]
    if not spoken or not all(spoken):
        raise ConfigError(
            f"keywords={list(keywords)}: expected words to learn from text; on the command line "
            "keywords='[\"hey linnet\"]'"
        )
    found: set[str] = set()
    for keyword in spoken:
        found.update(_runs(keyword))
        for word in keyword.split():
            found.update(_parts(word, accent))
        # A generator a keyword: another keyword in the list leaves this one's words alone.
        draw = np.random.default_rng([seed, *keyword.encode()])
        found.update(_near(keyword, accent, draw)[:near])
    told = sounds([*spoken, *sorted(found)], accent)
    return sorted(
        text for text in found if not any(says(told[text], told[keyword]) for keyword in spoken)
    )


def _runs(keyword: str) -> Iterator[str]:
    """Give the runs of words of a phrase, the whole of it among them."""
    words = keyword.split()
    for begin in range(len(words)):
        for end in range(begin + 1, len(words) + 1):
            yield " ".join(words[begin:end])


def _parts(word: str, accent: str) -> list[str]:
    """Give what a word begins or ends with, where its letters sound alone as they do in it."""
    cuts = range(1, len(word))
    told = sounds([word, *(word[:cut] for cut in cuts), *(word[cut:] for cut in cuts)], accent)
    whole = told.pop(word)
    parts: dict[str, str] = {}
    for part, sound in told.items():
        if _LEAST_SOUNDS <= len(sound) < len(whole) and (
            whole.startswith(sound) or whole.endswith(sound)
        ):
            parts.setdefault(sound, part)
    return list(parts.values())


def _near(keyword: str, accent: str, draw: np.random.Generator) -> list[str]:
    """Give the phrases in which a word is replaced by one that sounds alike, the nearest first."""
    words = keyword.split()
    found: list[tuple[int, int, str]] = []
    for place, word in enumerate(words):
        made = sorted(set(_one_letter_changed(word)))
        candidates = [*everyday_words(), *(made[i] for i in draw.permutation(len(made)))]
        told = sounds([word, *candidates], accent)
        most = max(1, int(_NEAR * len(told[word])))
        heard = {told[word]}
        for order, other in enumerate(candidates):
            distance = Levenshtein.distance(told[word], told[other])
            if distance <= most and told[other] not in heard:
                heard.add(told[other])
                phrase = " ".join([*words[:place], other, *words[place + 1 :]])
                found.append((distance, order, phrase))
    return [phrase for _, _, phrase in sorted(found)]


def _one_letter_changed(word: str) -> Iterator[str]:
    """Give what one vowel for another, or one consonant for another, makes of a word."""
    for place, letter in enumerate(word):
        for kind in (_VOWELS, _CONSONANTS):
            if letter in kind:
                for other in kind.replace(letter, ""):
                    yield word[:place] + other + word[place + 1 :]
