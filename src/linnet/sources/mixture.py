"""Several corpora as one: words beside sentences beside synthetic speech.

    {commands: Source, sentences: Source, ...} -> clips with ids <name>-<id>, noise of all

Speakers keep their names, so that a report can find the voices of a test set in a model's training,
and so that two corpora which share people (two choices of words from one corpus) share speakers.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import combinations

from lhotse import CutSet

from linnet.errors import ConfigError
from linnet.sources.base import SPLITS, Clip, Source


class Mixture(Source):
    """Several corpora as one.

    Args:
        corpora: the corpora by the name that their clips' ids begin with; one that is None is left
            out, so that a setting of null takes a corpus away.
    """

    def __init__(self, *, corpora: Mapping[str, Source | None]) -> None:
        self.corpora = {name: source for name, source in corpora.items() if source is not None}
        if not self.corpora:
            raise ConfigError(f"data.corpora names no corpus (of {', '.join(corpora) or 'none'})")

    @cached_property
    def _clips(self) -> dict[str, list[Clip]]:
        return {name: source.clips() for name, source in self.corpora.items()}

    @property
    def shared_speakers(self) -> frozenset[frozenset[str]]:
        """The pairs of splits that share only such speakers as one corpus means them to share.

        One corpus may declare that two splits share speakers; a speaker whom another corpus has in
        one of these splits is no longer covered by that.
        """
        held: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for name, clips in self._clips.items():
            for clip in clips:
                if clip.speaker is not None:
                    held[clip.speaker].add((name, clip.split))
        declared = {name: source.shared_speakers for name, source in self.corpora.items()}

        def covered(places: set[tuple[str, str]], pair: frozenset[str]) -> bool:
            inside = {(name, split) for name, split in places if split in pair}
            names = {name for name, _ in inside}
            return {split for _, split in inside} < pair or (
                len(names) == 1 and pair in declared[names.pop()]
            )

        pairs = map(frozenset, combinations(SPLITS, 2))
        return frozenset(
            pair
            for pair in pairs
            if any(pair in one for one in declared.values())
            and all(covered(places, pair) for places in held.values())
        )

    def clips(self) -> list[Clip]:
        """Give the clips of all corpora."""
        return [
            replace(clip, id=f"{name}-{clip.id}")
            for name, clips in self._clips.items()
            for clip in clips
        ]

    def noise(self) -> CutSet | None:
        """Give the noise recordings of all corpora."""
        cuts = [
            cut.with_id(f"{name}-{cut.id}")
            for name, source in self.corpora.items()
            for cut in source.noise() or ()
        ]
        return CutSet.from_cuts(cuts) if cuts else None
