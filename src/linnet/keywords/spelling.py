"""Keywords as they are typed: ``"right"``, or ``"right:0.4"`` with a threshold of its own.

typed -> text, threshold -> token ids -> Keyword
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linnet.errors import KeywordError, TextError
from linnet.text import SPACE, Phonemes, Tokenizer, Words, is_whole, normalise

_SHOWN = 40


@dataclass(frozen=True)
class Keyword:
    """What to listen for.

    Attributes:
        text: normalised, as it is spelt.
        ids: its tokens, at least one, without blanks.
        threshold: the lowest score of a detection, in (0, 1].
    """

    text: str
    ids: tuple[int, ...]
    threshold: float


def keyword(text: str, tokenizer: Tokenizer, threshold: float) -> Keyword:
    """Spell a keyword.

    Raises:
        KeywordError: it is empty, the tokens cannot spell it, or the threshold is not in (0, 1].
    """
    spelt = normalise(text)
    if not spelt:
        raise KeywordError(f"the keyword {text!r} holds no letters; give a word or a phrase")
    if not 0.0 < threshold <= 1.0:
        raise KeywordError(
            f"the keyword {spelt!r} has the threshold {threshold:g}; expected more than 0 and at "
            "most 1"
        )
    try:
        ids = tuple(tokenizer.encode(spelt))
    except TextError as error:
        if tokenizer.kind == Phonemes.kind:
            raise KeywordError(f"the keyword {spelt!r} cannot be pronounced: {error}") from error
        raise KeywordError(_unspelt(spelt, tokenizer)) from error
    return Keyword(spelt, ids, float(threshold))


def parse(
    typed: Sequence[str], tokenizer: Tokenizer, calibrated: Mapping[str, float], default: float
) -> tuple[Keyword, ...]:
    """Read keywords as they are typed: ``text`` or ``text:threshold``.

    Args:
        typed: in any order; the same one twice counts once.
        tokenizer: that of the model.
        calibrated: thresholds by normalised text, for keywords without one.
        default: the threshold of keywords that have neither.

    Raises:
        KeywordError: as for :func:`keyword`; or a threshold is no number, a keyword comes twice
            with different thresholds, or there is none at all.
    """
    found: dict[str, Keyword] = {}
    for entry in typed:
        text, colon, number = entry.rpartition(":")
        if not colon:
            text = entry
        known = calibrated.get(normalise(text), default)
        made = keyword(text, tokenizer, _number(entry, number) if colon else known)
        before = found.setdefault(made.text, made)
        if before != made:
            raise KeywordError(
                f"the keyword {made.text!r} is given twice, with the thresholds "
                f"{before.threshold:g} and {made.threshold:g}; give it once"
            )
    if not found:
        raise KeywordError("there is no keyword to listen for; give at least one")
    return tuple(found.values())


def _number(entry: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise KeywordError(
            f"the keyword {entry!r} has the threshold {number!r}, which is no number; expected "
            "'text' or 'text:threshold' with a threshold of more than 0 and at most 1"
        ) from None


def _unspelt(text: str, tokenizer: Tokenizer) -> str:
    """Say what the tokens lack, and what they have."""
    if tokenizer.kind != Words.kind:
        pieces = sorted(set(text) - set(tokenizer.tokens) - {" "})
        known = "".join(
            token for token in tokenizer.tokens[1:] if not is_whole(token) and token != SPACE
        )
    else:
        pieces = sorted(set(text.split()) - set(tokenizer.tokens))
        known = ", ".join(tokenizer.tokens[1:])
    if len(known) > _SHOWN:
        known = known[:_SHOWN].rstrip(", ") + " ..."
    return (
        f"the keyword {text!r} holds {', '.join(map(repr, pieces))}, which this model cannot "
        f"spell; its tokens are {known}"
    )
