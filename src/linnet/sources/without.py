"""A corpus without the clips that say certain words: as if they had never been recorded.

    "turn right now" with words=[right], splits=[train, valid] -> left out there, kept in the test

A wake word learnt from text alone is judged on real recordings of it; this keeps them out of its
training. A phrase counts as said where its words follow each other.
"""

from collections.abc import Sequence

from lhotse import CutSet

from linnet.errors import ConfigError
from linnet.sources.base import SPLITS, Clip, Source
from linnet.text import normalise


class Without(Source):
    """A corpus without the clips that say certain words.

    Args:
        source: the corpus.
        words: words or phrases; a clip that says one of them is left out.
        splits: where they are left out.
    """

    def __init__(self, *, source: Source, words: Sequence[str], splits: Sequence[str]) -> None:
        if not set(splits) <= set(SPLITS):
            raise ConfigError(f"splits must be among {', '.join(SPLITS)}, got {list(splits)}")
        self.source = source
        self.words = [normalise(word) for word in words]
        self.splits_without = frozenset(splits)

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        """What the corpus itself declares."""
        return self.source.shared_speakers

    def clips(self) -> list[Clip]:
        """Give the clips that stay."""
        return [
            clip
            for clip in self.source.clips()
            if clip.split not in self.splits_without
            or not any(says(clip.text, word) for word in self.words)
        ]

    def noise(self) -> CutSet | None:
        """Give the noise recordings of the corpus."""
        return self.source.noise()


def says(text: str, words: str) -> bool:
    """Whether ``words`` stand in ``text``, one behind the other, both normalised."""
    return f" {words} " in f" {text} "
