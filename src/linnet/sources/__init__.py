"""Corpora, one a file: each says which clips it has, and nothing else.

    Source.clips() -> examine() -> Corpus: lhotse CutSets, rejects with reasons, a summary, a hash

A source knows a layout on disk (``speech_commands``, ``kaldi``, ...) or makes one (``synthetic``).
``base`` turns its clips into lhotse cuts, ``examination`` decodes every file once and keeps what
can be trained on, ``download`` fetches the official archives. A new corpus is a new file with a
subclass of :class:`linnet.sources.base.Source` and a YAML in ``conf/data`` that names it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linnet.sources.base import Clip, Source
    from linnet.sources.examination import Corpus, Reject, Summary, examine

__all__ = ["Clip", "Corpus", "Reject", "Source", "Summary", "examine"]

_HOMES = {"Clip": "base", "Source": "base"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (whatever is asked for)
    """Import what is asked for: the synthetic corpus's workers must start without torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'examination')}"), name)
