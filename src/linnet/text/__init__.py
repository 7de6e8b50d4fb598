"""Text: one normalisation, four tokenizers, one file format.

    "Turn LEFT!"  --normalise-->  "turn left"  --encode-->  [21, 22, ...]  --decode-->  "turn left"

Token 0 is always the CTC blank, written ``<blk>``; a space is written U+2581, so that every token
is one visible symbol in ``tokens.txt`` (``symbol id`` a line, the format that sherpa-onnx reads).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from linnet.errors import TextError
from linnet.text.everyday import everyday_words
from linnet.text.normal import BLANK, SPACE, is_whole, normalise, says
from linnet.text.phonemes import Phonemes, pronounced, sounds
from linnet.text.tokenizers import Characters, Mixed, Tokenizer, Words

__all__ = [
    "BLANK",
    "SPACE",
    "Characters",
    "Mixed",
    "Phonemes",
    "Tokenizer",
    "Words",
    "described",
    "everyday_words",
    "is_whole",
    "normalise",
    "pronounced",
    "says",
    "shortest_path",
    "sounds",
    "tokenizer",
    "tokens_txt",
]


def described(tokens: Tokenizer) -> dict[str, Any]:
    """Give what :func:`tokenizer` rebuilds a tokenizer from, as plain values."""
    found: dict[str, Any] = {"kind": tokens.kind, "tokens": list(tokens.tokens)}
    if isinstance(tokens, Phonemes):
        found["accent"] = tokens.accent
        found["lexicon"] = [f"{word} {said}" for word, said in tokens.lexicon.items()]
    return found


def tokenizer(description: Mapping[str, Any]) -> Tokenizer:
    """Rebuild the tokenizer that a checkpoint or a model folder describes.

    Args:
        description: ``kind`` is ``characters``, ``words``, ``mixed`` or ``phonemes``; ``tokens``
            are all symbols by id, the blank first; phonemes have an ``accent`` and a ``lexicon``.

    Raises:
        TextError: there is no such kind, or the tokens are not of its form.
        KeyError: something is missing.
    """
    kind, tokens = description["kind"], description["tokens"]
    if not tokens or tokens[0] != BLANK:
        raise TextError(f"token 0 must be {BLANK}, got {list(tokens[:1])}")
    spelt = list(tokens[1:2]) == [SPACE]
    if kind == Words.kind:
        return Words(tokens[1:])
    if kind == Characters.kind and spelt:
        return Characters("".join(tokens[2:]))
    if kind == Mixed.kind and spelt:
        letters = [token for token in tokens[2:] if not is_whole(token)]
        return Mixed("".join(letters), tokens[2 + len(letters) :])
    if kind == Phonemes.kind and spelt:
        pairs = (entry.partition(" ") for entry in description["lexicon"])
        lexicon = {word: said for word, _, said in pairs}
        return Phonemes(tokens[2:], lexicon, description["accent"])
    raise TextError(
        f"there is no tokenizer {kind!r} with tokens {list(tokens[:3])}...; known: "
        f"{', '.join(one.kind for one in (Characters, Words, Mixed, Phonemes))}"
    )


def tokens_txt(tokens: Sequence[str]) -> str:
    """Give the content of ``tokens.txt``: ``symbol id`` a line."""
    return "".join(f"{symbol} {i}\n" for i, symbol in enumerate(tokens))


def shortest_path(ids: Sequence[int]) -> int:
    """Give the fewest steps that emit ``ids`` under CTC: one each, a blank between repeats."""
    return len(ids) + sum(a == b for a, b in itertools.pairwise(ids))
