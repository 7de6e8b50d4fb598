"""How risky a keyword is, before anything is recorded: what is said every day and nearly spells it.

    keyword, word list          --nearest-->      words that hold it with the fewest letters changed
    keyword, stored posteriors  --risk-->         false alarms per hour, threshold for a target
    keyword, both               --suggestions-->  longer and rarer ones

The distance is the number of letters to insert, drop or change (Sellers 1980, "The theory and
computation of evolutionary distances", section 3): the keyword against any part of a word, as a
spotter listens for it anywhere. "up" has the distance 0 to "cup", and may fire on it. Letters are
tokens, phonemes where the model has phonemes, but for models in which a keyword has a token of its
own; what these confuse only the replay tells.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int64

from linnet.errors import InputError, TextError
from linnet.evaluation.spotting.calibration import Calibration, calibrate
from linnet.evaluation.spotting.listening import Heard, alarms, occurrences
from linnet.keywords import Keyword
from linnet.metrics import Figure, rate
from linnet.metrics.matching import match
from linnet.text import Phonemes, Tokenizer, normalise

_NO_LETTER = -1
_SHORT = 5  # fewer letters than these are found by chance in other speech
_NEAR = 1 / 3  # of the letters may differ, and it still sounds alike
_CALLS = ("hey", "okay")
_CANDIDATE_LETTERS = 8  # the shortest word that is suggested
_REPLAYED = 12  # suggestions that are tried on stored posteriors


@dataclasses.dataclass(frozen=True)
class Risk:
    """What speaks against a keyword.

    Attributes:
        keyword: with the threshold that the false alarms belong to.
        letters: how many the keyword has.
        letter: what one letter is.
        nearest: words, or phrases of as many words, with their distance, the nearest first.
        false_alarms: per hour at the threshold; None without stored posteriors.
        calibration: the threshold for the target; None without them.
    """

    keyword: Keyword
    letters: int
    letter: str
    nearest: tuple[tuple[str, int], ...]
    false_alarms: Figure | None = None
    calibration: Calibration | None = None

    @property
    def closeness(self) -> float:
        """The share of its letters in which the nearest word differs; 1 if there is no word."""
        return self.nearest[0][1] / self.letters if self.nearest else 1.0

    def reasons(self) -> list[str]:
        """Say in words what is wrong with it; nothing if it looks good."""
        found, letters = [], self.letters
        if letters < _SHORT:
            found.append(
                f"short: {letters} {self.letter}s are soon found by chance, take {_SHORT} or more"
            )
        inside = [text for text, distance in self.nearest if not distance]
        if inside:
            found.append(f"fires on {', '.join(inside)}, which hold all of its {self.letter}s")
        elif self.closeness <= _NEAR:
            found.append(
                f"sounds like {self.nearest[0][0]}: {self.nearest[0][1]} of {letters} differ"
            )
        return found


class Vocabulary:
    """Words as they are spelt.

    Args:
        words: the most frequent first.
        tokenizer: phonemes spell words as they are said; any other, or none, as they are written.

    Attributes:
        words: those that can be spelt.
        letter: what one letter is.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer | None = None) -> None:
        wanted = [word for word in dict.fromkeys(map(normalise, words)) if word]
        self._spell: Callable[[str], Sequence[str]] = str
        self.letter = "letter"
        if isinstance(tokenizer, Phonemes):
            self._spell, self.letter = tokenizer.pronounce, "phoneme"
            tokenizer.look_up(part for word in wanted for part in word.split())
        spelt = self._spelt(wanted)
        self.words = list(spelt)
        longest = max(map(len, spelt.values()), default=0)
        self._letters = np.full((len(spelt), longest), _NO_LETTER, np.int64)
        numbers: dict[str, int] = {}
        for row, said in zip(self._letters, spelt.values(), strict=True):
            row[: len(said)] = [numbers.setdefault(letter, len(numbers)) for letter in said]
        self._numbers = numbers

    def _spelt(self, words: Sequence[str]) -> dict[str, Sequence[str]]:
        found = {}
        for word in words:
            with contextlib.suppress(TextError):
                found[word] = self._spell(word)
        return found

    def letters(self, text: str) -> int:
        """Give how many letters ``text`` has."""
        return sum(len(self._spell(word)) for word in text.split())

    def distances(self, word: str) -> Int64[np.ndarray, " words"]:
        """Give the fewest changes that make ``word`` a part of each word."""
        rows, longest = self._letters.shape
        before = np.zeros((rows, longest + 1), np.int64)  # nothing is a part of anything
        for number, letter in enumerate(self._spell(word), start=1):
            known = self._numbers.get(letter, len(self._numbers))
            now = np.empty_like(before)
            now[:, 0] = number
            for place in range(longest):
                changed = before[:, place] + (self._letters[:, place] != known)
                beyond = np.minimum(before[:, place + 1], now[:, place]) + 1
                now[:, place + 1] = np.minimum(changed, beyond)
            before = now
        # What fills a short word up matches no letter, so it makes nothing nearer.
        return before.min(axis=1)

    def nearest(self, text: str, most: int) -> tuple[tuple[str, int], ...]:
        """Give the words nearest to ``text`` and their distance; phrases, if it is one.

        The words of a phrase are compared one by one, and their distances added.
        """
        parts = [self._nearest_words(word, most) for word in text.split()]
        count = min(map(len, parts))
        phrases = [tuple(part[i] for part in parts) for i in range(count)]
        return tuple(
            (" ".join(word for word, _ in phrase), sum(distance for _, distance in phrase))
            for phrase in phrases
        )

    def _nearest_words(self, word: str, most: int) -> list[tuple[str, int]]:
        """Give the nearest words, of equally near ones the most frequent; none if all differs."""
        distances = self.distances(word)
        order = np.argsort(distances, kind="stable")
        near = [(self.words[i], int(distances[i])) for i in order if self.words[i] != word]
        most_changes = self.letters(word)
        return [(other, distance) for other, distance in near if distance < most_changes][:most]


def risk(
    keyword: Keyword,
    vocabulary: Vocabulary,
    heard: Sequence[Heard],
    *,
    target: float,
    lowest: float,
    most: int,
) -> Risk:
    """Find what speaks against a keyword.

    Args:
        keyword: with the threshold at which it would be used.
        vocabulary: what may be said instead.
        heard: stored posteriors of speech; may be empty.
        target: false alarms per hour that are aimed at.
        lowest: threshold that the target may take.
        most: words to name.
    """
    nearest = vocabulary.nearest(keyword.text, most)
    found = Risk(keyword, vocabulary.letters(keyword.text), vocabulary.letter, nearest)
    if not heard:
        return found
    placed, somewhere = occurrences(heard, keyword.text)
    durations_s = {one.id: one.duration_s for one in heard}
    trials = match(keyword.text, placed, alarms(heard, [keyword]), durations_s, unplaced=somewhere)
    return dataclasses.replace(
        found,
        false_alarms=rate(trials.false_alarms(keyword.threshold), trials.hours),
        calibration=calibrate(heard, [keyword], target=target, lowest=lowest)[0],
    )


def suggestions(
    keyword: Keyword,
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
    heard: Sequence[Heard],
    *,
    target: float,
    lowest: float,
    most: int,
) -> list[Risk]:
    """Give better keywords: this one after a call, and long words far from all others.

    Ordered by the threshold that the target takes on the stored posteriors, where there are some:
    what needs a low one is hardly ever nearly heard. Else by the distance to other words.
    """
    shortest = max(_CANDIDATE_LETTERS, len(keyword.text) + 1)
    candidates = []
    for text in dict.fromkeys([*(f"{call} {keyword.text}" for call in _CALLS), *vocabulary.words]):
        if len(text) < shortest or text == keyword.text:
            continue
        try:
            made = Keyword(text, tuple(tokenizer.encode(text)), keyword.threshold)
        except TextError:
            continue
        letters = vocabulary.letters(text)
        candidates.append(Risk(made, letters, vocabulary.letter, vocabulary.nearest(text, 1)))
    # Distant first; of equally distant ones the short ones, which are easier to say.
    candidates.sort(key=lambda one: (-min(one.closeness, 0.5), one.letters))
    if not heard:
        return candidates[:most]
    tried = [
        risk(one.keyword, vocabulary, heard, target=target, lowest=lowest, most=1)
        for one in candidates[:_REPLAYED]
    ]
    return sorted(tried, key=_needed)[:most]


def _needed(found: Risk) -> float:
    if found.calibration is None:
        raise InputError("a replay gives a threshold")
    return found.calibration.keyword.threshold
