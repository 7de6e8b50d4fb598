"""Error rates of texts, and what was taken for what.

    references, hypotheses  --word_counts, character_counts-->  Counts of each pair
    Counts                  --error_rate-->                     Figure (bootstrap interval)
    classes said, decided   --confusion_matrix-->               how often each for each

Utterances of one speaker are alike (same voice, room and microphone), so the bootstrap draws whole
speakers where there are enough of them.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from linnet.errors import InputError
from linnet.metrics.intervals import Figure, proportion

_DRAWS = 2000
_FEWEST_GROUPS = 8


@dataclasses.dataclass(frozen=True)
class Counts:
    """What became of the words (or characters) of a reference, and what was added to them."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        """The edit distance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference(self) -> int:
        """The length of the reference."""
        return self.hits + self.substitutions + self.deletions

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def word_counts(references: Sequence[str], hypotheses: Sequence[str]) -> list[Counts]:
    """Compare each hypothesis with its reference word by word.

    Either may be empty: all that is heard in silence is an insertion.

    Raises:
        InputError: there are more of one than of the other.
    """
    import jiwer

    _paired(references, hypotheses)
    compared = jiwer.process_words(list(references), list(hypotheses))
    return [_count(chunks) for chunks in compared.alignments]


def character_counts(references: Sequence[str], hypotheses: Sequence[str]) -> list[Counts]:
    """Compare each hypothesis with its reference character by character, spaces included.

    Raises:
        InputError: there are more of one than of the other.
    """
    import jiwer

    _paired(references, hypotheses)
    compared = jiwer.process_characters(list(references), list(hypotheses))
    return [_count(chunks) for chunks in compared.alignments]


def error_rate(counts: Sequence[Counts], groups: Sequence[str], *, seed: int = 0) -> Figure:
    """Give the errors per word (or character) of the references with a bootstrap interval.

    The utterances are drawn again with replacement (Bisani and Ney 2004, "Bootstrap estimates for
    confidence intervals in ASR performance evaluation"): whole groups where there are at least 8,
    else single utterances. A bootstrap cannot see past what it has seen: where all draws are alike
    (no errors, nothing but errors, one utterance) the interval is that of :func:`proportion`.

    Args:
        counts: one an utterance.
        groups: the speaker of each utterance; one without a speaker ("") stands alone.
        seed: of the drawing.

    Raises:
        InputError: the references are all empty, so that there is no rate.
    """
    total = sum(counts, Counts())
    if not total.reference:
        raise InputError(
            f"an error rate needs at least one word in the references; all {len(counts)} are empty"
        )
    units = [("speaker", g) if g else ("utterance", str(i)) for i, g in enumerate(groups)]
    names, members = np.unique(np.array(units), axis=0, return_inverse=True)
    if len(names) < _FEWEST_GROUPS:
        members = np.arange(len(counts))
    errors = np.bincount(members, [c.errors for c in counts])
    lengths = np.bincount(members, [c.reference for c in counts])
    low, high = _bootstrap(errors, lengths, seed)
    if low == high:
        alike = proportion(min(total.errors, total.reference), total.reference)
        low, high = alike.low, alike.high
    value = total.errors / total.reference
    return Figure(value, min(low, value), max(high, value), total.reference)


def confusion_matrix(
    references: Sequence[str], hypotheses: Sequence[str], classes: Sequence[str]
) -> Int[np.ndarray, "classes classes"]:
    """Count each pair: a row for what was said, a column for what was decided.

    Raises:
        InputError: a name is not among the classes.
    """
    index = {name: i for i, name in enumerate(classes)}
    strangers = sorted({*references, *hypotheses} - set(index))
    if strangers:
        raise InputError(f"{', '.join(strangers)}: not among the classes {', '.join(classes)}")
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(matrix, ([index[r] for r in references], [index[h] for h in hypotheses]), 1)
    return matrix


def _paired(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise InputError(
            f"each reference needs one hypothesis, got {len(references)} references and "
            f"{len(hypotheses)} hypotheses"
        )


def _count(chunks: Iterable[Any]) -> Counts:
    """Count a pair from jiwer's alignment: runs of one kind, with their ends in both texts."""
    lengths = dict.fromkeys(("equal", "substitute", "delete", "insert"), 0)
    for chunk in chunks:
        lengths[chunk.type] += max(
            chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
        )
    return Counts(
        hits=lengths["equal"],
        substitutions=lengths["substitute"],
        deletions=lengths["delete"],
        insertions=lengths["insert"],
    )


def _bootstrap(
    errors: Float64[np.ndarray, " groups"], lengths: Float64[np.ndarray, " groups"], seed: int
) -> tuple[float, float]:
    """Draw the groups with replacement many times; give the 2.5th and 97.5th percentile rates."""
    groups = len(errors)
    generator = np.random.default_rng(seed)
    rates = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        times = np.bincount(generator.integers(groups, size=groups), minlength=groups)
        # A draw of silence alone has no rate; it counts as one of no errors per one word.
        rates[draw] = (times @ errors) / max(times @ lengths, 1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)
