"""``linnet demo``: an exported model in the browser, with a recording or the microphone.

    DIR -> checked as the runtime does -> page + runtime + model on one loopback address -> browser

All of it happens on this computer: the page computes in the browser, and its own rules forbid it to
send anything anywhere. The runtime of the browser is not part of Linnet and is fetched once.
"""

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from linnet.apps import vendoring
from linnet.apps.serving import Server
from linnet.errors import InputError, ModelError
from linnet.runtime import load

DEFAULT_PORT = 8642
_NO_FILE = ""
_HIGHEST_PORT = 65535

_EXAMPLES = """examples:
  linnet demo exported/
  linnet demo exported/ --port 9000 --no-browser
  linnet demo --fetch-runtime           (once: what the browser runs models with, through npm)
  linnet demo --fetch-runtime FILE.tgz  (the same from a file, without npm)
"""


def main(argv: Sequence[str]) -> int:
    """Serve the page until it is interrupted."""
    options = _parse(argv)
    runtime = vendoring.runtime_folder()
    if options.fetch_runtime is not None:
        tarball = Path(options.fetch_runtime) if options.fetch_runtime != _NO_FILE else None
        vendoring.vendor(runtime, tarball)
        sys.stderr.write(f"linnet: {vendoring.PACKAGE} {vendoring.VERSION} is in {runtime}\n")
        if options.model is None:
            return 0
    folder = _model_folder(options.model)
    if not vendoring.is_there(runtime):
        raise InputError(
            f"{vendoring.PACKAGE} {vendoring.VERSION}, which runs the model in the browser, is not "
            f"in {runtime}; fetch it once (14 MB, through npm): {_how_to_fetch()}"
        )
    with Server(
        {"": vendoring.page_folder(), "vendor": runtime, "model": folder}, options.port
    ) as (server):
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stderr.write(f"linnet: {folder} is shown at {server.url}; Ctrl-C ends it\n")
        if not options.no_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.stderr.write("\n")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet demo",
        description="Show an exported model in the browser: drop a recording, or speak.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="DIR", nargs="?", help="an exported folder")
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"of the page's address (default: {DEFAULT_PORT}); 0 takes a free one",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument(
        "--fetch-runtime",
        nargs="?",
        const=_NO_FILE,
        metavar="TARBALL",
        help=f"first fetch {vendoring.PACKAGE} {vendoring.VERSION}: through npm, or from this file",
    )
    options = parser.parse_args(argv)
    if options.model is None and options.fetch_runtime is None:
        parser.error("the following arguments are required: DIR")
    return options


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to {_HIGHEST_PORT}")
    return number


def _model_folder(name: str) -> Path:
    """Give the folder of a model that the page can show: one that the runtime can load.

    Raises:
        ModelError: it is no folder, or what is in it cannot be used.
    """
    folder = Path(name)
    if folder.is_file():
        raise ModelError(
            f"{name}: the page reads a whole model folder (model.onnx and model.json); give the "
            "folder that 'linnet export' made"
        )
    load(folder)
    return folder


def _how_to_fetch() -> str:
    """Give the command that fetches the runtime: in a checkout it is a script."""
    script = vendoring.page_folder().parent / "scripts" / "vendor-web"
    return "scripts/vendor-web" if script.is_file() else "linnet demo --fetch-runtime"
