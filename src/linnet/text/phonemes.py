"""Words as they are said: one token a phoneme of the International Phonetic Alphabet.

    "left right" --lexicon--> "lɛft", "ɹaɪt" --encode--> l ɛ f t ▁ ɹ aɪ t, as ids

English letters are a poor guide to sounds: the i of "right" is that of "my" and not of "big". What
a network has learnt of a phoneme in some words carries over to all others, and so to a keyword
that nobody has recorded. Stress and length are left out.

The lexicon, word by word its pronunciation, belongs to the model. What it lacks espeak-ng
pronounces, where that is installed; else it can be written in phonemes.
"""

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from linnet import espeak
from linnet.errors import MissingExtraError, TextError
from linnet.text.normal import BLANK, SPACE, normalise


class Phonemes:
    """One token a phoneme; a space between two words is a token of its own.

    Args:
        phonemes: each once. A pronunciation is read from its beginning, the longest that fits at a
            time: with ``aɪ`` among them the i of "right" is one, not two.
        lexicon: how each word is pronounced, phonemes one behind the other. Of words that sound
            alike the first stands for all where phonemes become text again.
        accent: espeak-ng's name of the accent in which it pronounces what the lexicon lacks.

    Raises:
        TextError: a phoneme comes twice, or is none.
    """

    kind = "phonemes"

    def __init__(self, phonemes: Sequence[str], lexicon: Mapping[str, str], accent: str) -> None:
        if len(set(phonemes)) != len(phonemes) or not all(map(str.isalpha, phonemes)):
            raise TextError(f"the phonemes must be letters, and each once: {list(phonemes)}")
        self.tokens = [BLANK, SPACE, *phonemes]
        self.lexicon = dict(lexicon)
        self.accent = accent
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        longest_first = sorted(phonemes, key=len, reverse=True)
        self._next = re.compile("|".join([*longest_first, "."]))
        self._looked_up: dict[str, str] = {}
        self._words = {said: word for word, said in reversed(self.lexicon.items())}

    def pronounce(self, word: str) -> list[str]:
        """Give the phonemes of a normalised word; one that is written in them stands for itself.

        Raises:
            TextError: its pronunciation is not known, or needs a phoneme that there is not.
        """
        said = self.lexicon.get(word) or self._looked_up.get(word)
        if said is None:
            written = not word.isascii() and not self._unknown(self._next.findall(word))
            said = self._looked_up[word] = word if written else self._asked(word)
        if not said:
            raise TextError(f"nothing is heard of {word!r} when it is read aloud; leave it out")
        phonemes: list[str] = self._next.findall(said)
        if unknown := self._unknown(phonemes):
            raise TextError(
                f"{word!r} is pronounced {said!r} and holds {', '.join(map(repr, unknown))}, which "
                f"the token set lacks; it has {' '.join(self.tokens[2:])}: write it in these, or "
                "add to tokenizer.phonemes"
            )
        return phonemes

    def look_up(self, words: Iterable[str]) -> None:
        """Ask espeak-ng for all normalised words that the lexicon lacks in one go, if it is here.

        Asked one by one, as :meth:`pronounce` does, each costs the start of espeak-ng.
        """
        known = self.lexicon.keys() | self._looked_up.keys()
        unknown = [word for word in words if word.isascii() and word not in known]
        if unknown:
            with contextlib.suppress(MissingExtraError):
                self._looked_up |= pronunciations(unknown, self.accent)

    def encode(self, text: str) -> list[int]:
        """Give the token ids of ``text``.

        Raises:
            TextError: a word cannot be pronounced in these phonemes.
        """
        ids: list[int] = []
        for word in normalise(text).split():
            ids += [self._ids[SPACE]] * bool(ids)
            ids += [self._ids[phoneme] for phoneme in self.pronounce(word)]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that ``ids`` tell: words of the lexicon, else phonemes as they stand."""
        said = "".join(self.tokens[i] for i in ids).split(SPACE)
        return " ".join(self._words.get(word, word) for word in said if word)

    def _unknown(self, phonemes: Iterable[str]) -> list[str]:
        return sorted(set(phonemes) - self._ids.keys())

    def _asked(self, word: str) -> str:
        try:
            return pronunciations([word], self.accent)[word]
        except MissingExtraError as error:
            raise TextError(
                f"the lexicon of this model lacks {word!r}; write it in its phonemes "
                f"({' '.join(self.tokens[2:])}), or install espeak-ng, which pronounces it: {error}"
            ) from error


def pronounced(
    phonemes: Sequence[str], accent: str, words: Sequence[str], first: Sequence[str] = ()
) -> Phonemes:
    """Give a tokenizer whose lexicon espeak-ng fills.

    Args:
        phonemes: each once.
        accent: espeak-ng's name of the accent, such as ``en-us``.
        words: what the lexicon is to hold.
        first: words or phrases that come before all that sound like them.

    Raises:
        CorpusError: there is no such accent.
        MissingExtraError: espeak-ng is not installed.
    """
    wanted = dict.fromkeys(word for text in (*first, *words) for word in normalise(text).split())
    return Phonemes(phonemes, pronunciations(list(wanted), accent), accent)


def pronunciations(words: Sequence[str], accent: str) -> dict[str, str]:
    """Give how espeak-ng pronounces words, in letters alone: neither stress nor length."""
    said = espeak.pronounce(words, accent=accent)
    return {
        word: "".join(c for c in spoken if unicodedata.category(c) in ("Ll", "Lo"))
        for word, spoken in zip(words, said, strict=True)
    }


def sounds(texts: Iterable[str], accent: str) -> dict[str, str]:
    """Give how each text sounds in an accent, word by word: "ate" is then the same as "eight".

    Raises:
        CorpusError: there is no such accent.
        MissingExtraError: espeak-ng is not installed.
    """
    texts = list(texts)
    said = pronunciations(sorted({word for text in texts for word in text.split()}), accent)
    # What nothing is heard of is told by its letters.
    return {text: " ".join(said[word] or word for word in text.split()) for text in texts}
