"""``linnet transcribe``: what is said in recordings, a line a file.

    MODEL, AUDIO... -> files -> waveform -> Model.transcribe -> file TAB text, or a JSON line

A file that cannot be read is named on standard error and the others are still transcribed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from linnet.apps.options import STANDARD_INPUT, positive, printable, say, sources
from linnet.audio import read
from linnet.errors import InputError
from linnet.runtime import Transcript, load

_DECIMALS = 6

_EXAMPLES = """examples:
  linnet transcribe exported/ hello.wav
  linnet transcribe exported/ recordings/ --json > transcripts.jsonl
  linnet transcribe exported/model.onnx a.flac b.mp3 --beam 8
  ffmpeg -i talk.mp4 -f wav - | linnet transcribe exported/ -
"""


def main(argv: Sequence[str]) -> int:
    """Transcribe what ``argv`` names; 2 if one of the files could not be."""
    options = _parse(argv)
    model = load(options.model, threads=options.threads)
    status = 0
    for source in sources(options.audio):
        try:
            if isinstance(source, InputError):
                raise source
            given = sys.stdin.buffer if source == STANDARD_INPUT else source
            waveform = read(given, sample_rate=model.sample_rate)
            transcript = model.transcribe(waveform, model.sample_rate, beam=options.beam)
        except InputError as error:
            say(error)
            status = error.exit_status
        else:
            line = _json if options.json else _plain
            sys.stdout.write(line(printable(source), transcript))
            sys.stdout.flush()
    return status


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet transcribe",
        description="Write down what is said in recordings, with an exported model.",
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
    parser.add_argument(
        "--beam",
        type=positive,
        default=1,
        metavar="N",
        help="keep the N best texts at each step (default: 1, the best token of each step)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="a JSON object a line: file, text, confidence, tokens (token, start, end, confidence)",
    )
    parser.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="processor cores (default: 1)"
    )
    return parser.parse_args(argv)


def _plain(file: str, transcript: Transcript) -> str:
    return f"{file}\t{transcript.text}\n"


def _json(file: str, transcript: Transcript) -> str:
    line = {"file": file, **asdict(transcript)}
    line["confidence"] = round(transcript.confidence, _DECIMALS)
    line["tokens"] = [
        {key: round(v, _DECIMALS) if isinstance(v, float) else v for key, v in token.items()}
        for token in line["tokens"]
    ]
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
