"""``linnet join``: several checkpoints become one, which answers with their mean posteriors."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from linnet.errors import ConfigError

_EXAMPLES = """examples:
  linnet join runs/A/checkpoints/best.ckpt runs/B/checkpoints/best.ckpt --output together.ckpt
  linnet export checkpoint=together.ckpt output=my_model
  linnet train teacher=together.ckpt ...     one network that learns what they hear together
"""


def main(argv: Sequence[str]) -> int:
    """Join the checkpoints that ``argv`` names."""
    options = _parse(argv)
    paths = [Path(named) for named in options.checkpoints]
    output = Path(options.output)
    if output.suffix != ".ckpt":
        raise ConfigError(f"--output {output}: a checkpoint's name ends in .ckpt; name such a file")
    if len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError("a checkpoint is named twice; name each once")
    from linnet.module import join

    joined = join(paths, output)
    sys.stderr.write(f"joined: {len(paths)} networks, {joined.network.weights:,} weights\n")
    sys.stdout.write(f"{output}\n")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet join",
        description="Make one checkpoint of several: it answers with the mean of their posteriors.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="at least two")
    parser.add_argument("--output", required=True, metavar="PATH", help="the checkpoint to write")
    return parser.parse_args(argv)
