"""``linnet inspect``: what a model or a recording is, and what a model's gates do as it listens.

    MODEL                  -> what it is, a line a fact
    MODEL, --audio FILE... -> pictures and a page in --output

The work stands in ``inspecting``, which takes seconds to import.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from linnet import audio
from linnet.errors import InputError

_EXAMPLES = """examples:
  linnet inspect runs/RUN/checkpoints/best.ckpt
  linnet inspect exported/ --audio hello.wav --output gates/
  linnet inspect exported/ --audio recordings/ --output gates/     one drawn, all counted
  linnet inspect hello.wav
"""


def main(argv: Sequence[str]) -> int:
    """Run ``linnet inspect``."""
    options = _parse(argv)
    if audio.is_recording(options.model):
        if options.audio:
            raise InputError(
                f"{options.model} is a recording; expected a model first: "
                f"linnet inspect MODEL --audio {options.model}"
            )
        sys.stdout.write(lines(_recording(options.model)))
        return 0
    from linnet.apps import inspecting

    if not options.audio:
        sys.stdout.write(lines(inspecting.facts(options.model)))
        return 0
    written = inspecting.inspect(options.model, audio.find(options.audio), options.output)
    sys.stdout.write(f"{written}\n")
    return 0


def lines(facts: dict[str, str]) -> str:
    """Give facts as lines whose values stand under one another."""
    width = max(map(len, facts))
    return "".join(f"{name:{width}}  {value}\n" for name, value in facts.items())


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet inspect",
        description="Show what a model is, and what its gates do while it listens.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a checkpoint, an exported folder or one of its graphs; or a recording",
    )
    parser.add_argument(
        "--audio",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="recordings, or folders of them: the first is drawn, all are counted",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("gates"),
        help="where gates.html and the pictures go (default: gates)",
    )
    return parser.parse_args(argv)


def _recording(path: Path) -> dict[str, str]:
    """Say what a recording is."""
    header = audio.check(path)
    waveform = audio.read(path, sample_rate=header.sample_rate)
    loudest = float(abs(waveform).max(initial=0.0))
    return {
        "recording": str(path),
        "duration": f"{header.samples / header.sample_rate:.3f} s ({header.samples} samples)",
        "sample rate": f"{header.sample_rate} Hz",
        "loudest sample": f"{loudest:.4f} of 1",
    }
