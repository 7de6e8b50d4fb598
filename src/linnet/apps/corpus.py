"""The corpus that a configuration names, examined with its tokens and its frame arithmetic."""

from collections.abc import Sequence

from omegaconf import DictConfig

from linnet import sources
from linnet.frontend import FrontEnd
from linnet.text import Tokenizer


def examined(
    settings: DictConfig,
    source: sources.Source,
    tokens: Tokenizer,
    front_end: FrontEnd,
    splits: Sequence[str] | None = None,
) -> sources.Corpus:
    """Examine ``splits`` of ``source`` (all if None): what can be spelt and fits into its steps."""
    return sources.examine(
        source,
        splits=splits,
        encode=tokens.encode,
        steps=lambda samples: front_end.steps(front_end.frames(samples)),
        on_reject=settings.on_reject,
        allow_speaker_overlap=settings.allow_speaker_overlap,
    )
