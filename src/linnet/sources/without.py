"""A corpus without the clips that say certain words: as if they had never been recorded.

    "turn right now" with words=[right], splits=[train, valid] -> left out there, kept in the test

A wake word learnt from text alone is judged on real recordings of it; this keeps them out of its
training, and with an accent also those of words that sound the same there: "write" is "right". A
phrase counts as said where its words follow each other.
"""

from collections.abc import Sequence

from lhotse import CutSet

from linnet.errors import ConfigError
from linnet.sources.base import SPLITS, Clip, Source
from linnet.text import normalise, says, sounds


class Without(Source):
    """A corpus without the clips that say certain words.

    Args:
        source: the corpus.
        words: words or phrases; a clip that says one of them is left out.
        splits: where they are left out.
        accent: espeak-ng's name of an accent, in which words that sound like these count as these;
            None goes by the letters.
    """

    def __init__(
        self,
        *,
        source: Source,
        words: Sequence[str],
        splits: Sequence[str],
        accent: str | None = None,
    ) -> None:
        if not set(splits) <= set(SPLITS):
            raise ConfigError(f"splits must be among {', '.join(SPLITS)}, got {list(splits)}")
        self.source = source
        self.words = [normalise(word) for word in words]
        self.splits_without = frozenset(splits)
        self.accent = accent

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        """What the corpus itself declares."""
        return self.source.shared_speakers

    def clips(self) -> list[Clip]:
        """Give the clips that stay.

        Raises:
            CorpusError: there is no such accent.
            MissingExtraError: an accent is given, and espeak-ng is not installed.
        """
        clips = self.source.clips()
        texts = [*self.words, *(clip.text for clip in clips)]
        told = sounds(texts, self.accent) if self.accent else {text: text for text in texts}
        words = [told[word] for word in self.words]
        return [
            clip
            for clip in clips
            if clip.split not in self.splits_without
            or not any(says(told[clip.text], word) for word in words)
        ]

    def noise(self) -> CutSet | None:
        """Give the noise recordings of the corpus."""
        return self.source.noise()
