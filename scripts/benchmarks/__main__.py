"""The command: which benchmarks, how large, and where the JSON goes."""

import argparse
import importlib
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, showing
from benchmarks.options import FULL, QUICK, Options
from linnet.errors import LinnetError

NAMES = ("frontend", "train", "infer", "cells", "gru", "spot", "spotting")
# What runs without being told where recordings and a model are.
ALONE = tuple(name for name in NAMES if name != "spotting")
_EPILOG = """examples:
  scripts/bench                       all of them, some minutes
  scripts/bench frontend --quick      one, at its smallest size
  scripts/bench train --recordings data/speech_commands
  scripts/bench infer --model runs/RUN
  scripts/bench spotting --model DIR --recordings data/speech_commands --sentences data/kaldi
"""


def main(arguments: list[str]) -> int:
    """Run the benchmarks that ``arguments`` name; give the exit status."""
    asked = _parsed(arguments)
    options = replace(
        QUICK if asked.quick else FULL,
        recordings=asked.recordings,
        sentences=asked.sentences,
        model=asked.model,
    )
    try:
        return _run(asked.names or list(ALONE), options, asked.quick, asked.output)
    except (LinnetError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, LinnetError) else 1


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Linnet against its peers, as ratios in one run: a table, and JSON.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; else all")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--output", type=Path, default=Path("bench/bench.json"), metavar="FILE")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="train: a folder a word")
    parser.add_argument("--sentences", type=Path, metavar="DIR", help="spotting: other speech")
    parser.add_argument("--model", type=Path, help="infer: a checkpoint or a run folder")
    asked = parser.parse_args(arguments)
    for name in asked.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}; known: {', '.join(NAMES)}")
    return asked


def _run(names: list[str], options: Options, quick: bool, output: Path) -> int:
    facts = machine.description()
    before = machine.load()
    comparisons = []
    for name in names:
        print(f"bench: {name}", file=sys.stderr)
        comparisons += importlib.import_module(f"benchmarks.{name}").run(options)
    facts |= {"quick": quick, "load_average": {"before": before, "after": machine.load()}}
    showing.write(output, comparisons, facts)
    showing.show(comparisons, facts)
    print(f"written: {output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
