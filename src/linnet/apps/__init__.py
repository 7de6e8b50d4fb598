"""The ``linnet`` command: finds the verb, runs it, turns what goes wrong into a line and a status.

    linnet VERB ARGUMENTS -> linnet.apps.VERB.main(ARGUMENTS) -> 0 done, 1 failed, 2 wrong call

A verb's module is imported when it is called and not before: ``linnet transcribe`` runs where torch
and Hydra are not installed, and starts at once.
"""

import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence

import linnet
from linnet.errors import ConfigError, LinnetError, MissingExtraError

VERBS = {
    "prepare": "fetch or make a corpus, check it, and say what is in it",
    "train": "train a model from a configuration",
    "evaluate": "judge a checkpoint or an exported model, and write a report",
    "calibrate": "find the thresholds of keywords for a rate of false alarms per hour",
    "streams": "make long recordings out of clips, with the times of what is said",
    "confusable": "tell how risky a keyword is, before anything is recorded",
    "join": "make one checkpoint of several, which answers with their mean posteriors",
    "export": "turn a checkpoint into a folder of ONNX graphs, proven equal to it",
    "transcribe": "write down what is said in recordings, with an exported model",
    "spot": "find keywords in recordings, with an exported model",
    "listen": "spot keywords live, from the microphone",
    "demo": "show an exported model in the browser: drop a recording, or speak",
    "compare": "put several trainings into one table, or cells through a task of memory",
    "inspect": "show what a model or a recording is, and what a model's gates do as it listens",
}
# Which extra brings a package that the lower half does without.
EXTRAS = {
    **dict.fromkeys(
        ("hydra", "jinja2", "jiwer", "lhotse", "lightning", "matplotlib", "omegaconf", "onnx"),
        "train",
    ),
    **dict.fromkeys(("rich", "scipy", "tensorboard", "torch", "torchaudio", "yaml"), "train"),
    "espeakng_loader": "synth",
    "sounddevice": "mic",
}
INTERRUPTED = 130  # what a shell reports after Ctrl-C; after being told to end as well
PIPE_CLOSED = 141  # what a shell reports when the reader of a pipe went away


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and give the exit status."""
    # OpenMP's threads spin while they wait; beside one other busy process that made a training step
    # on two cores take 3.9 s instead of 0.14 s. Read when torch is imported, so set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if argv is None:
        # A process of its own: told to end, as by a shutdown, it ends as after Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except LinnetError as error:
        return _fail(error, error.exit_status)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        missing = MissingExtraError(package, EXTRAS[package])
        return _fail(missing, missing.exit_status)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        return _fail(error, LinnetError.exit_status)
    return status


def _run(arguments: list[str]) -> int:
    if not arguments:
        sys.stderr.write(_help())
        return ConfigError.exit_status
    verb, *rest = arguments
    if verb in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0
    if verb in ("-V", "--version"):
        sys.stdout.write(f"linnet {linnet.__version__}\n")
        return 0
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(VERBS)}"
        raise ConfigError(f"there is no verb {verb!r}; {hint} 'linnet --help' lists them")
    try:
        return int(importlib.import_module(f"linnet.apps.{verb}").main(rest))
    except SystemExit as error:  # how argparse ends, after it has said why
        if isinstance(error.code, str):
            return _fail(error.code, LinnetError.exit_status)
        return int(error.code or 0)


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "".join(f"  {verb:{width}}  {line}\n" for verb, line in VERBS.items())
    return (
        "usage: linnet VERB ...\n\n"
        "A small-footprint speech recogniser: train it from a config, judge it honestly, run it\n"
        "as ONNX.\n\n"
        f"verbs:\n{verbs}\n"
        "  linnet VERB --help  shows what a verb takes, with examples\n"
        "  linnet --version    shows the version\n"
    )


def _fail(error: object, status: int) -> int:
    sys.stderr.write(f"linnet: {error}\n")
    return status
