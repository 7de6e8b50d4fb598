"""What follows a training whose model is wanted at once, such as a wake word's.

    best checkpoint -> linnet export -> model folder -> linnet calibrate -> thresholds in it

Each is the verb that a user would call, in a process of its own, since Hydra runs one task a
process.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from linnet.apps import config
from linnet.errors import LinnetError


def finish(checkpoint: Path, output: Path, *, keywords: Sequence[str], target: float) -> None:
    """Export a checkpoint, calibrate its keywords, and say on standard error what to do next.

    Args:
        checkpoint: the best of the run.
        output: the model folder to make.
        keywords: what it is to spot.
        target: false alarms per hour of each keyword.

    Raises:
        LinnetError: one of the verbs failed; it has said why.
    """
    exporting = [f"checkpoint={checkpoint}", f"output={output}"]
    # What a spotter writes of other speech may be too unsure for 8-bit weights to leave unchanged.
    if not _worked("export", exporting):
        sys.stderr.write("once more, without the graphs whose weights are int8\n")
        _work("export", [*exporting, "int8=false"])
    listed = config.literal(list(keywords))
    _work("calibrate", [f"model={output}", f"keywords={listed}", f"target={target}"])
    sys.stderr.write(_next(output, keywords, target))


def _work(verb: str, arguments: Sequence[str]) -> None:
    if not _worked(verb, arguments):
        raise LinnetError(
            f"the checkpoint is complete, but linnet {verb} failed; put right what it said and "
            f"call it again: {shlex.join(['linnet', verb, *arguments])}"
        )


def _worked(verb: str, arguments: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "linnet", verb, *arguments]
    # Their results are progress here: this command's own result is the checkpoint.
    return not subprocess.run(command, stdout=sys.stderr.fileno(), check=False).returncode  # noqa: S603


def _next(output: Path, keywords: Sequence[str], target: float) -> str:
    asked = " ".join(f'--keyword "{keyword}"' for keyword in keywords)
    listed = f"keywords={config.literal(list(keywords))}"
    again = shlex.join(["linnet", "calibrate", f"model={output}", listed])
    return (
        f"{output} is ready, its thresholds set for {target:g} false alarms an hour. Next:\n"
        f"  linnet listen {output} {asked}\n"
        f"  linnet spot {output} RECORDING.wav {asked} --near-misses\n"
        f"It has heard no person say it yet. Where it fires wrongly or misses you, keep the audio\n"
        f"(linnet listen ... --save-near-misses DIR); hours without the keyword set a better\n"
        f"threshold: {again} negatives=DIR target={target:g}\n"
    )
