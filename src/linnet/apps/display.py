"""The live display of ``linnet listen``, and the keys that are pressed beside it.

level, scores of the last piece -> bars that fall slowly -> rich, on standard error
keys -> without Enter, where standard input is a terminal
"""

import contextlib
import os
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from linnet.errors import MissingExtraError
from linnet.keywords import Keyword
from linnet.runtime import Spotted

if TYPE_CHECKING:
    from rich.table import Table
else:  # The checks at run time take it for an object: rich is optional.
    Table = object

_BAR = 30
_FULL, _EMPTY = "\N{FULL BLOCK}", "\N{MIDDLE DOT}"
_QUIETEST_DB = -60.0
_FALL = 0.8  # of a bar, from one piece to the next
_SHOWN = 6  # detections


class Display:
    """What is being heard: a level, a bar for each keyword, the last detections.

    Args:
        keywords: what is listened for.
        source: what is listened to.
        hint: the keys and what they do.
    """

    def __init__(self, keywords: Sequence[Keyword], source: str, hint: str) -> None:
        self._keywords = keywords
        self._source = source
        self._hint = hint
        self._level = 0.0
        self._scores = {made.text: 0.0 for made in keywords}
        self._found: list[str] = []

    def update(
        self, level_db: float, scores: Mapping[str, float], spotted: Sequence[Spotted]
    ) -> None:
        """Take what came of one piece of sound."""
        level = 1.0 - min(max(level_db, _QUIETEST_DB), 0.0) / _QUIETEST_DB
        self._level = max(level, _FALL * self._level)
        for text, score in scores.items():
            self._scores[text] = max(score, _FALL * self._scores[text])
        self._found += [f"{one.end:8.2f} s  {one.keyword}  {one.score:.3f}" for one in spotted]
        self._found = self._found[-_SHOWN:]

    def picture(self) -> Table:
        """Draw it."""
        from rich.table import Table as Drawn

        table = Drawn(title=f"listening to {self._source}", caption=self._hint, min_width=60)
        for heading in ("", "now", "threshold"):
            table.add_column(heading)
        table.add_row("level", _bar(self._level, "cyan"), "")
        for made in self._keywords:
            score = self._scores[made.text]
            colour = "green" if score >= made.threshold else "yellow"
            shown = f"{_bar(score, colour)} {score:.2f}"
            table.add_row(made.text, shown, f"{made.threshold:g}")
        for line in self._found:
            table.add_row("[bold green]heard[/]", line, "")
        return table


@contextlib.contextmanager
def live(display: Display) -> Iterator[None]:
    """Show ``display`` on the terminal, redrawn several times a second.

    Raises:
        MissingExtraError: rich is not installed.
    """
    try:
        from rich.console import Console
        from rich.live import Live
    except ModuleNotFoundError as error:
        raise MissingExtraError("rich", "mic") from error
    console = Console(stderr=True)
    # Lines on the same terminal go above the picture; lines into a pipe must go into the pipe.
    with Live(
        console=console,
        get_renderable=display.picture,
        refresh_per_second=10,
        redirect_stdout=sys.stdout.isatty(),
    ):
        yield


@contextlib.contextmanager
def keys(stream: TextIO = sys.stdin) -> Iterator["Keys"]:
    """Read single keys from a terminal; from anything else, none."""
    try:
        import termios
        import tty
    except ModuleNotFoundError:  # a system without terminals of this kind
        yield Keys(None)
        return
    if not stream.isatty():
        yield Keys(None)
        return
    terminal = stream.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield Keys(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


class Keys:
    """The keys that were pressed; ``terminal`` is a file descriptor, or None where none is."""

    def __init__(self, terminal: int | None) -> None:
        self._terminal = terminal

    def pressed(self) -> str:
        """Give all keys since the last call, without waiting."""
        found = b""
        while self._terminal is not None and select.select([self._terminal], [], [], 0)[0]:
            more = os.read(self._terminal, 64)
            if not more:
                break
            found += more
        return found.decode(errors="ignore")


def _bar(share: float, colour: str) -> str:
    full = round(share * _BAR)
    return f"[{colour}]{_FULL * full}[/][dim]{_EMPTY * (_BAR - full)}[/]"
