"""Words that sound like a keyword: no ear can tell "ate" from "eight"."""

from collections.abc import Iterable, Mapping, Sequence

from linnet.evaluation.spotting.listening import Heard
from linnet.keywords import Keyword
from linnet.text import sounds


def sounding(heard: Sequence[Heard], keywords: Sequence[Keyword], accent: str) -> dict[str, str]:
    """Give how the keywords sound in an accent, and all that is said, the texts and their words.

    Raises:
        CorpusError: there is no such accent.
        MissingExtraError: espeak-ng is not installed.
    """
    texts = {span.text for one in heard for span in one.spans} | {each.text for each in keywords}
    return sounds(sorted(texts | _words(texts)), accent)


def notes(keywords: Sequence[Keyword], heard_as: Mapping[str, str]) -> tuple[str, ...]:
    """Say which words count as the keywords that they sound like."""
    spoken = _words(each.text for each in keywords)
    sound = {heard_as.get(word) for word in spoken}
    alike = sorted(word for word in _words(heard_as) - spoken if heard_as[word] in sound)
    if not alike:
        return ()
    return (
        f"{', '.join(alike)}: sounds like a keyword, so what holds it is left out like a sentence "
        "that holds the keyword",
    )


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in text.split()}
