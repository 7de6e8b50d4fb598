"""How risky a keyword is, before anything is recorded: what is said every day and nearly spells it.

    keyword, word list          --nearest-->      words that hold it with the fewest tokens changed
    keyword, stored posteriors  --risk-->         false alarms per hour, threshold for a target
    keyword, both               --suggestions-->  longer and rarer ones

The distance is the number of tokens to insert, drop or change (Sellers 1980, "The theory and
computation of evolutionary distances", section 3): the keyword against any part of a word, as a
spotter listens for it anywhere. "up" has the distance 0 to "cup", and will fire on it.
"""

import dataclasses
from collections.abc import Sequence
from importlib import resources

import numpy as np
from jaxtyping import Int64

from linnet.errors import InputError, TextError
from linnet.evaluation.spotting.calibration import Calibration, calibrate
from linnet.evaluation.spotting.listening import Heard, alarms, occurrences
from linnet.keywords import Keyword
from linnet.metrics import Figure, rate
from linnet.metrics.matching import match
from linnet.text import Tokenizer, Words

_WORDS = "words.txt"
_NO_TOKEN = -1
_SHORT = 5  # fewer tokens than these are found by chance in other speech
_NEAR = 1 / 3  # of the tokens may differ, and it still sounds alike
_CALLS = ("hey", "okay")
_CANDIDATE_TOKENS = 8  # the shortest word that is suggested
_REPLAYED = 12  # suggestions that are tried on stored posteriors


@dataclasses.dataclass(frozen=True)
class Risk:
    """What speaks against a keyword.

    Attributes:
        keyword: with the threshold that the false alarms belong to.
        nearest: words, or phrases of as many words, with their distance, the nearest first.
        false_alarms: per hour at the threshold; None without stored posteriors.
        calibration: the threshold for the target; None without them.
        whole_words: each token is a word.
    """

    keyword: Keyword
    nearest: tuple[tuple[str, int], ...]
    false_alarms: Figure | None = None
    calibration: Calibration | None = None
    whole_words: bool = False

    @property
    def closeness(self) -> float:
        """The share of its tokens in which the nearest word differs; 1 if there is no word."""
        return self.nearest[0][1] / len(self.keyword.ids) if self.nearest else 1.0

    def reasons(self) -> list[str]:
        """Say in words what is wrong with it; nothing if it looks good."""
        found, tokens = [], len(self.keyword.ids)
        if self.whole_words:
            return ["its tokens are whole words, so nobody knows which others sound like it"]
        if tokens < _SHORT:
            found.append(f"short: {tokens} tokens are soon found by chance, take {_SHORT} or more")
        inside = [text for text, distance in self.nearest if not distance]
        if inside:
            found.append(f"fires on {', '.join(inside)}, which hold all of its tokens")
        elif self.closeness <= _NEAR:
            found.append(
                f"sounds like {self.nearest[0][0]}: {self.nearest[0][1]} of {tokens} differ"
            )
        return found


class Vocabulary:
    """Words as tokens.

    Args:
        words: the most frequent first; those that the tokens cannot spell are skipped.
        tokenizer: of the model.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer) -> None:
        self.words: list[str] = []
        spelt = []
        for word in dict.fromkeys(words):
            try:
                ids = tokenizer.encode(word)
            except TextError:
                continue
            if ids:
                self.words.append(word)
                spelt.append(ids)
        longest = max(map(len, spelt), default=0)
        self._ids = np.full((len(spelt), longest), _NO_TOKEN, np.int64)
        for row, ids in zip(self._ids, spelt, strict=True):
            row[: len(ids)] = ids
        self._tokenizer = tokenizer
        self.whole_words = tokenizer.kind == Words.kind

    def distances(self, ids: Sequence[int]) -> Int64[np.ndarray, " words"]:
        """Give the fewest changes that make ``ids`` a part of each word."""
        rows, longest = self._ids.shape
        before = np.zeros((rows, longest + 1), np.int64)  # nothing is a part of anything
        for number, token in enumerate(ids, start=1):
            now = np.empty_like(before)
            now[:, 0] = number
            for place in range(longest):
                changed = before[:, place] + (self._ids[:, place] != token)
                beyond = np.minimum(before[:, place + 1], now[:, place]) + 1
                now[:, place + 1] = np.minimum(changed, beyond)
            before = now
        # What fills a short word up matches no token, so it makes nothing nearer.
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
        ids = self._tokenizer.encode(word)
        distances = self.distances(ids)
        order = np.argsort(distances, kind="stable")
        near = [(self.words[i], int(distances[i])) for i in order if self.words[i] != word]
        return [(other, distance) for other, distance in near if distance < len(ids)][:most]


def everyday_words() -> list[str]:
    """Give the words of everyday English sentences, the most frequent first."""
    return resources.files(__package__).joinpath(_WORDS).read_text("utf-8").split()


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
    found = Risk(
        keyword, vocabulary.nearest(keyword.text, most), whole_words=vocabulary.whole_words
    )
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
    candidates = []
    for text in dict.fromkeys([*(f"{call} {keyword.text}" for call in _CALLS), *vocabulary.words]):
        try:
            ids = tuple(tokenizer.encode(text))
        except TextError:
            continue
        long_enough = len(ids) >= max(_CANDIDATE_TOKENS, len(keyword.ids) + 1)
        if long_enough and text != keyword.text:
            made = Keyword(text, ids, keyword.threshold)
            candidates.append(Risk(made, vocabulary.nearest(text, 1)))
    # Distant first; of equally distant ones the short ones, which are easier to say.
    candidates.sort(key=lambda one: (-min(one.closeness, 0.5), len(one.keyword.ids)))
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
