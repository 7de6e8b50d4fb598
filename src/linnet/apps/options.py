"""What the verbs that need neither torch nor Hydra have in common: recordings and keywords.

AUDIO...                      -> files, and an error in the place of what is not there
--keyword TEXT, --keywords FILE -> Keyword, at its own, its calibrated or the default threshold
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from linnet.audio import find
from linnet.errors import ConfigError, InputError
from linnet.keywords import Keyword
from linnet.runtime import DEFAULT_THRESHOLD, Model
from linnet.text import normalise

STANDARD_INPUT = "-"


def positive(text: str) -> int:
    """Read a whole number of at least 1, for argparse."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def sources(audio: Sequence[str]) -> Iterator[str | InputError]:
    """Give the files that ``audio`` means, and an error in the place of what is not there."""
    for name in audio:
        if name == STANDARD_INPUT:
            yield name
            continue
        try:
            yield from map(str, find([Path(name)]))
        except InputError as error:
            yield error


def printable(name: str) -> str:
    """Give a file's name as text, where it may hold bytes that are none."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def say(message: object) -> None:
    """Write a line on standard error, below what standard output has got so far."""
    sys.stdout.flush()
    sys.stderr.write(f"linnet: {printable(str(message))}\n")


def add_keywords(parser: argparse.ArgumentParser) -> None:
    """Add the options that name keywords."""
    parser.add_argument(
        "--keyword",
        action="append",
        default=[],
        metavar="TEXT[:THRESHOLD]",
        help="what to listen for, any text that the model's tokens spell; may be repeated",
    )
    parser.add_argument(
        "--keywords",
        type=Path,
        metavar="FILE",
        help="a keyword a line, with or without a threshold; # begins a comment. With neither "
        "option, the keywords that the model was calibrated for. A keyword without a threshold "
        f"has its calibrated one, or {DEFAULT_THRESHOLD}",
    )


def keywords(model: Model, options: argparse.Namespace) -> tuple[Keyword, ...]:
    """Give the keywords that the options of ``add_keywords`` name.

    Raises:
        KeywordError: one of them cannot be listened for.
        ConfigError: the file of keywords cannot be read.
    """
    typed = [*options.keyword, *(_lines(options.keywords) if options.keywords is not None else ())]
    calibrated = model.description.get("keywords", {})
    if options.keywords is None and not typed:
        typed = sorted(calibrated)
    found = model.keywords(typed)
    bare = sorted({normalise(each) for each in typed if ":" not in each} - set(calibrated))
    if bare:
        say(
            f"note: not calibrated, so taken at {DEFAULT_THRESHOLD}: {', '.join(bare)} "
            "('linnet calibrate' finds thresholds)"
        )
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: the keywords cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the keywords are not UTF-8 text; save the file so") from error
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        if entry:
            yield entry
