"""``linnet spot``: where keywords are said in recordings, a line a detection.

    MODEL, AUDIO... -> blocks of samples -> Spotter -> file TAB keyword TAB start TAB end TAB score

A recording is read block by block, so its length costs no memory, and lines come as they are found.
A file that cannot be read is named on standard error and the others are still searched.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from linnet.apps.options import (
    STANDARD_INPUT,
    add_keywords,
    keywords,
    positive,
    printable,
    say,
    sources,
)
from linnet.audio import blocks
from linnet.errors import InputError
from linnet.keywords import Keyword
from linnet.runtime import Model, NearMiss, Spotted, Spotter, load
from linnet.text import shortest_path

_DECIMALS = 6

_EXAMPLES = """examples:
  linnet spot exported/ meeting.wav --keyword left --keyword "right:0.4"
  linnet spot exported/ recordings/ --keywords keywords.txt --json > found.jsonl
  linnet spot exported/ meeting.wav --keyword "hey linnet" --near-misses
  ffmpeg -i talk.mp4 -f wav - | linnet spot exported/ - --keyword happy
"""


def main(argv: Sequence[str]) -> int:
    """Search what ``argv`` names; 2 if one of the files could not be."""
    options = _parse(argv)
    model = load(options.model, threads=options.threads)
    wanted = keywords(model, options)
    status = 0
    for source in sources(options.audio):
        try:
            if isinstance(source, InputError):
                raise source
            _search(source, model, wanted, options)
        except InputError as error:
            say(error)
            status = error.exit_status
    return status


def line(file: str, found: Spotted, *, as_json: bool) -> str:
    """Give the line of a detection, or of a near miss: with what was heard in its place."""
    if as_json:
        values = {
            key: round(value, _DECIMALS) if isinstance(value, float) else value
            for key, value in asdict(found).items()
        }
        written = {"file": file, **values}
        return json.dumps(written, ensure_ascii=False, allow_nan=False) + "\n"
    shown = f"{file}\t{found.keyword}\t{found.start:.2f}\t{found.end:.2f}\t{found.score:.3f}"
    if isinstance(found, NearMiss):
        shown += f"\tnear miss, heard: {found.heard}"
    return shown + "\n"


def _search(
    source: str, model: Model, wanted: Sequence[Keyword], options: argparse.Namespace
) -> None:
    """Print what is found in one recording, as it is found."""
    spotter = model.stream(model.sample_rate, wanted)
    given = sys.stdin.buffer if source == STANDARD_INPUT else source
    for block in blocks(given, sample_rate=model.sample_rate):
        _print(source, spotter.push(block), spotter, options)
    _print(source, spotter.flush(), spotter, options)
    for made in wanted:
        if shortest_path(made.ids) > spotter.steps:
            say(
                f"note: {source}: {made.text!r} needs at least {shortest_path(made.ids)} steps, "
                f"the recording has {spotter.steps}; it is too short to hold the keyword"
            )


def _print(
    source: str, spotted: Sequence[Spotted], spotter: Spotter, options: argparse.Namespace
) -> None:
    found = [*spotted, *(spotter.near_misses if options.near_misses else ())]
    for one in sorted(found, key=lambda one: one.end):
        sys.stdout.write(line(printable(source), one, as_json=options.json))
    if found:
        sys.stdout.flush()


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet spot",
        description="Find keywords in recordings, with an exported model. No training: any text "
        "that the model's tokens spell can be a keyword.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="an exported folder, or its model.onnx")
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        nargs="+",
        help="a recording, a folder of recordings, or - for one on standard input",
    )
    add_keywords(parser)
    parser.add_argument(
        "--near-misses",
        action="store_true",
        help="also what nearly fired, and what the model heard there instead",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="a JSON object a line: file, keyword, start, end, score; near misses also have heard",
    )
    parser.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="processor cores (default: 1)"
    )
    return parser.parse_args(argv)
