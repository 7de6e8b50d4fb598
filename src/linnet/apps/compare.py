"""``linnet compare``: several trainings in one table, or cells on a task of pure memory.

    RUN ...       -> weights, times, accuracy over the seeds, reach  -> Markdown, JSON, picture
    --task memory -> each cell at each length, trained here          -> the same

The work stands in ``comparing`` and ``memory``, which take seconds to import.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

_EXAMPLES = """examples:
  linnet train -m model.cell=gru,lstm,rnn seed=0,1,2 hydra.sweep.dir=runs/cells
  linnet compare runs/cells --output compared/
  linnet compare runs/cells --evaluate               judge those that have no report first
  linnet compare runs/sizes --costs                  accuracy against weights and time, drawn
  linnet compare --task memory --output memory/      minutes on one core
  linnet compare --task memory --lengths 50,100,200,400,800 --seeds 0,1,2 --steps 4000
"""


def main(argv: Sequence[str]) -> int:
    """Run ``linnet compare``."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.task is None and not options.runs:
        parser.error("name the runs to compare, or --task memory")
    if options.task is not None and options.runs:
        parser.error(f"--task {options.task} trains by itself; leave out {options.runs[0]}")
    if options.task is not None and options.costs:
        parser.error(f"--costs draws runs; leave it out with --task {options.task}")
    if options.task is None:
        from linnet.apps import comparing

        text = comparing.compare(
            options.runs,
            options.output,
            evaluate=options.evaluate,
            against_costs=options.costs,
        )
    else:
        from linnet.apps import memory

        trials = memory.trials(options.cells, options.lengths, options.seeds)
        text = memory.compare(trials, options.steps, options.output)
    sys.stdout.write(text)
    sys.stderr.write(f"written: {options.output}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linnet compare",
        description="Put several trainings into one table, or cells through a task of memory.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", metavar="RUN", type=Path, nargs="*", help="run folders, or folders of them"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("compared"),
        help="where table, numbers and picture go (default: compared)",
    )
    parser.add_argument(
        "--evaluate", action="store_true", help="judge each run that has no report yet"
    )
    parser.add_argument(
        "--costs",
        action="store_true",
        help="draw accuracy against weights and time too, beside published models",
    )
    parser.add_argument("--task", choices=["memory"], help="train cells on a task instead")
    parser.add_argument("--cells", type=_names, default=["gru", "lstm", "rnn"], metavar="A,B")
    parser.add_argument("--lengths", type=_numbers, default=[50, 100], metavar="N,M")
    parser.add_argument("--seeds", type=_numbers, default=[0], metavar="N,M")
    parser.add_argument(
        "--steps", type=int, default=1000, metavar="N", help="of training, at most (default: 1000)"
    )
    return parser


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _numbers(text: str) -> list[int]:
    parts = _names(text)
    if not parts or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers like 50,100")
    return [int(part) for part in parts]
