"""``linnet listen``: keywords live, from the microphone.

    microphone | --from FILE -> pieces of sound -> Spotter -> a line a detection, as ``spot``
                                      |               `-----> level and scores, on a terminal
                                      `-> near misses and what a key marks as wrong -> WAV files

A file in place of the microphone gives exactly the detections of ``linnet spot``.
"""

import argparse
import contextlib
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from linnet.apps import sound
from linnet.apps.display import Display, Keys, keys, live
from linnet.apps.keeping import NEAR_MISS, WRONG, Keeper
from linnet.apps.options import add_keywords, keywords, positive, printable, say
from linnet.apps.spot import line
from linnet.errors import ConfigError
from linnet.runtime import Rules, Spotted, Spotter, load

_MARK_KEYS = "w \n"
_QUIT_KEY = "q"
# How long after a detection a key still marks it.
_MARK_S = 20.0

_EXAMPLES = """examples:
  linnet listen exported/ --keyword "hey linnet"
  linnet listen exported/ --keyword left --keyword right:0.4 --save-near-misses clips/
  linnet listen exported/ --keyword happy --from recording.wav --realtime

keys, in a terminal: w marks the last detection as wrong, q ends
"""


def main(argv: Sequence[str]) -> int:
    """Listen until the sound ends, ``q`` is pressed, or Ctrl-C."""
    options = _parse(argv)
    model = load(options.model, threads=options.threads)
    wanted = keywords(model, options)
    with _opened(options, model.sample_rate) as opened:
        spotter = model.stream(opened.sample_rate, wanted)
        session = Session(spotter, opened, options)
        shown = sys.stderr.isatty()
        with live(session.display) if shown else contextlib.nullcontext(), keys() as pressed:
            session.run(pressed)
    return 0


class Session:
    """One stretch of listening.

    Args:
        spotter: at the beginning of a stream.
        opened: what is listened to.
        options: of the command line.
    """

    def __init__(self, spotter: Spotter, opened: sound.Sound, options: argparse.Namespace) -> None:
        self._spotter = spotter
        self._sound = opened
        self._json: bool = options.json
        self._keeper: Keeper | None = None
        if options.save_near_misses is not None:
            remembered_s = _MARK_S + spotter.delay_s + Rules().longest_s + 1
            self._keeper = Keeper(options.save_near_misses, opened.sample_rate, remembered_s)
        self._last: Spotted | None = None
        hint = "w: the last one was wrong   q: quit"
        self.display = Display(spotter.keywords, printable(opened.name), hint)

    def run(self, pressed: Keys) -> None:
        """Listen to the end of the sound, or until a key or Ctrl-C ends it."""
        ended = False
        with contextlib.suppress(KeyboardInterrupt):
            for piece in self._sound.pieces:
                ended = self._hear(piece, pressed.pressed())
                if ended:
                    break
        self._tell(self._spotter.flush())
        if self._keeper is not None:
            self._keeper.close()

    def _hear(self, piece: Float32[np.ndarray, " samples"], pressed: str) -> bool:
        """Take a piece of sound and the keys that came with it; say whether they end it."""
        if self._keeper is not None:
            self._keeper.hear(piece)
        spotted = self._spotter.push(piece)
        self._tell(spotted)
        loudest = float(np.abs(piece).max(initial=0.0))
        level_db = 20 * math.log10(max(loudest, 1e-6))
        self.display.update(level_db, self._spotter.scores, spotted)
        if set(pressed) & set(_MARK_KEYS):
            self._mark()
        return _QUIT_KEY in pressed

    def _tell(self, spotted: Sequence[Spotted]) -> None:
        """Print detections, keep near misses."""
        for one in spotted:
            sys.stdout.write(line(printable(self._sound.name), one, as_json=self._json))
            self._last = one
        if spotted:
            sys.stdout.flush()
        if self._keeper is not None:
            for missed in self._spotter.near_misses:
                self._keeper.keep(missed, NEAR_MISS)

    def _mark(self) -> None:
        """Keep the last detection as a wrong one; a second key does not mark it again."""
        if self._keeper is None:
            say("note: --save-near-misses DIR keeps what a key marks as wrong")
        elif self._last is not None:
            self._keeper.keep(self._last, WRONG)
        self._last = None


@contextlib.contextmanager
def _opened(options: argparse.Namespace, sample_rate: int) -> Iterator[sound.Sound]:
    if options.file is not None:
        yield sound.from_file(options.file, sample_rate, realtime=options.realtime)
        return
    if options.realtime:
        raise ConfigError("--realtime is for a file: give one with --from FILE")
    with sound.from_microphone(sample_rate) as opened:
        yield opened


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet listen",
        description="Spot keywords live, from the microphone, with an exported model.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="an exported folder, or its model.onnx")
    add_keywords(parser)
    parser.add_argument(
        "--from", dest="file", metavar="FILE", help="a recording in place of the microphone"
    )
    parser.add_argument(
        "--realtime", action="store_true", help="as slowly as it was recorded, not at once"
    )
    parser.add_argument(
        "--save-near-misses",
        type=Path,
        metavar="DIR",
        help="keep clips that nearly fired, or that a key marks as wrong, and a line about each",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="a JSON object a line: file, keyword, start, end, score",
    )
    parser.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="processor cores (default: 1)"
    )
    return parser.parse_args(argv)
