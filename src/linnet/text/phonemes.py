"""Words as they are said: one token a letter of the International Phonetic Alphabet.

    "left up" --lexicon--> "lɛft", "ʌp" --encode--> [12, 30, ...] --decode--> "left up"

English letters are a poor guide to sounds: the i of "right" is that of "my" and not of "big". What
a network has learnt of a phoneme in some words carries over to all others, and so to a keyword
that nobody has recorded. A diphthong is two letters, an affricate too, as in any transcription;
stress and length are left out.

The lexicon, word by word its pronunciation, belongs to the model. What it lacks espeak-ng
pronounces, where that is installed; else it can be written in phonemes.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from linnet import espeak
from linnet.errors import MissingExtraError, TextError
from linnet.text.normal import SPACE, normalise
from linnet.text.tokenizers import Characters


class Phonemes:
    """One token a phonetic letter; a space between two words is a token of its own.

    Args:
        alphabet: the phonetic letters, each once.
        lexicon: how each word is pronounced, in these letters. Of words that sound alike the first
            stands for all where phonemes become text again.
        accent: espeak-ng's name of the accent in which it pronounces what the lexicon lacks.
    """

    kind = "phonemes"

    def __init__(self, alphabet: str, lexicon: Mapping[str, str], accent: str) -> None:
        self._spelt = Characters(alphabet)
        self.tokens = self._spelt.tokens
        self.lexicon = dict(lexicon)
        self.accent = accent
        self._letters = set(alphabet)
        self._looked_up: dict[str, str] = {}
        self._words = {said: word for word, said in reversed(self.lexicon.items())}

    def pronounce(self, word: str) -> str:
        """Give the phonemes of a normalised word; one that is written in them stands for itself.

        Raises:
            TextError: its pronunciation is not known, or needs a phoneme that there is not.
        """
        said = self.lexicon.get(word) or self._looked_up.get(word)
        if said is None:
            written = not word.isascii() and self._letters.issuperset(word)
            said = word if written else self._asked(word)
            self._looked_up[word] = said
        unknown = sorted(set(said) - self._letters)
        if unknown or not said:
            raise TextError(
                f"{word!r} is pronounced {said!r} and holds {', '.join(map(repr, unknown))}, which "
                f"the token set lacks; it has {''.join(self.tokens[2:])!r}: write it in these "
                "phonemes, or add to tokenizer.alphabet"
                if said
                else f"nothing is heard of {word!r} when it is read aloud; leave it out"
            )
        return said

    def encode(self, text: str) -> list[int]:
        """Give the token ids of ``text``.

        Raises:
            TextError: a word cannot be pronounced in these phonemes.
        """
        return self._spelt.encode(" ".join(map(self.pronounce, normalise(text).split())))

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that ``ids`` tell: words of the lexicon, else phonemes as they stand."""
        said = "".join(self.tokens[i] for i in ids).split(SPACE)
        return " ".join(self._words.get(word, word) for word in said if word)

    def _asked(self, word: str) -> str:
        try:
            return pronunciations([word], self.accent)[word]
        except MissingExtraError as error:
            raise TextError(
                f"the lexicon of this model lacks {word!r}; write it in its phonemes "
                f"({''.join(self.tokens[2:])}), or install espeak-ng, which pronounces it: {error}"
            ) from error


def pronounced(
    alphabet: str, accent: str, words: Sequence[str], first: Sequence[str] = ()
) -> Phonemes:
    """Give a tokenizer whose lexicon espeak-ng fills.

    Args:
        alphabet: the phonetic letters, each once.
        accent: espeak-ng's name of the accent, such as ``en-us``.
        words: what the lexicon is to hold.
        first: words or phrases that come before all that sound like them.

    Raises:
        CorpusError: there is no such accent.
        MissingExtraError: espeak-ng is not installed.
    """
    wanted = dict.fromkeys(word for text in (*first, *words) for word in normalise(text).split())
    return Phonemes(alphabet, pronunciations(list(wanted), accent), accent)


def pronunciations(words: Sequence[str], accent: str) -> dict[str, str]:
    """Give how espeak-ng pronounces words, in letters alone: neither stress nor length."""
    said = espeak.pronounce(words, accent=accent)
    return {
        word: "".join(c for c in spoken if unicodedata.category(c) in ("Ll", "Lo"))
        for word, spoken in zip(words, said, strict=True)
    }
