"""A file is whole, or it is what it was: it is written beside its place and then renamed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give where to write what becomes ``path`` at the end; an error leaves ``path`` as it was."""
    draft = path.with_name(path.name + ".part")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        # Where the folder itself is the trouble, the draft's removal fails as well.
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_text(path: Path, content: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    with beside(path) as draft:
        draft.write_text(content, encoding="utf-8")
