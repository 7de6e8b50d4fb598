"""The gate: a graph is let through only if it computes what its checkpoint computes.

    clips, hard shapes -> checkpoint in float64 -+-> largest error, greedy tokens -> parity.json
                       -> each graph            -+

The checkpoint is computed in float64, because in float32 it is itself uncertain by more than the
limit: pre-emphasis and quiet bands leave few of the digits. How far its own float32 arithmetic is
from that is measured as well and stands in ``parity.json``.

The limit is one of log-probabilities, absolute for likely tokens and relative below exp(-1): the
score of a token at exp(-20) is a sum of large terms, and float32 keeps 7 digits of each.

A graph with int8 weights is held to the same limit against the checkpoint with the same weights
rounded alike: a mistake in it shows as it would in any graph. What the rounding itself does to the
answers stands in ``reading``.

Every clip goes through each graph alone, and again in batches: of one length for the waveform
graph, with junk (NaN among it) in the padding for the features graph.
"""

import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch

from linnet.decode import greedy
from linnet.errors import ParityError
from linnet.export import int8, shapes
from linnet.export.reference import LogProbs, Reference
from linnet.export.shapes import Waveform
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import FEATURES_GRAPH, WAVEFORM_GRAPH, session

LIMIT = 1e-4
LONGEST_S = 600.0
BATCHES = (1, 2, 7)
# Rounding weights does not depend on a clip's length: what long clips show, the float graph showed.
_INT8_LONGEST_S = 20.0


def to_standard_error(line: str) -> None:
    """Report progress."""
    sys.stderr.write(f"{line}\n")


@dataclass
class Finding:
    """What the comparisons of one graph came to; ``real`` names the real recordings."""

    file: str
    real: frozenset[str]
    against: str = "the checkpoint in float64"
    compared: int = 0
    largest: float = 0.0
    largest_difference: float = 0.0
    where: str = ""
    tied_steps: int = 0

    def compare(self, clip: str, expected: LogProbs, got: LogProbs) -> None:
        """Hold one answer against the checkpoint's.

        Raises:
            ParityError: the shapes differ, the error is over the limit, or, on a real clip,
                the greedy tokens differ. On an artificial one the two best tokens of a step can be
                closer than the limit; such steps are counted.
        """
        if expected.shape != got.shape:
            raise ParityError(
                f"{self.file}: on {clip} the graph gives {got.shape[0]} steps of {got.shape[1]} "
                f"tokens, the checkpoint {expected.shape[0]} of {expected.shape[1]}; "
                "nothing was exported"
            )
        differences = np.abs(expected - got)
        errors = differences / np.maximum(1.0, np.abs(expected))
        error = float(errors.max())
        if not error <= LIMIT:  # NaN is no number below the limit either
            worst = np.unravel_index(errors.argmax(), errors.shape)
            raise ParityError(
                f"{self.file}: on {clip} the graph gives the log-probability {got[worst]:.6g} "
                f"where the checkpoint gives {expected[worst]:.6g}, an error of {error:.3g}; the "
                f"limit is {LIMIT:g}; nothing was exported"
            )
        ours, theirs = greedy(got).ids, greedy(expected).ids
        if clip in self.real and ours != theirs:
            raise ParityError(
                f"{self.file}: on {clip} the graph reads the tokens {list(ours)}, the checkpoint "
                f"{list(theirs)}, with an error of {error:.3g} (the limit is {LIMIT:g}); nothing "
                "was exported"
            )
        self.tied_steps += int((expected.argmax(1) != got.argmax(1)).sum())
        self.compared += 1
        self.largest_difference = max(self.largest_difference, float(differences.max()))
        if not self.where or error > self.largest:
            self.largest, self.where = error, clip

    def record(self) -> dict[str, object]:
        """Give what ``parity.json`` says about the comparisons."""
        return {
            "compared_with": self.against,
            "comparisons": self.compared,
            "largest_error": self.largest,
            "largest_error_at": self.where,
            "largest_difference": self.largest_difference,
            "greedy_tokens": "identical",
            "tied_steps": self.tied_steps,
        }


def check(
    front_end: FrontEnd,
    network: Network,
    graphs: Mapping[str, onnx.ModelProto],
    clips: Mapping[str, Waveform],
    *,
    longest_s: float = LONGEST_S,
    say: Callable[[str], None] = to_standard_error,
) -> dict[str, object]:
    """Hold every graph against the checkpoint and give the content of ``parity.json``.

    Args:
        front_end: of the checkpoint.
        network: of the checkpoint.
        graphs: by file name: the waveform and the features graph, with weights in float32 or int8.
        clips: real recordings at the front-end's rate, by name; without any, glides in noise take
            their place, which try the graph less than speech does.
        longest_s: length of the longest artificial clip.
        say: takes a line of progress.

    Raises:
        ParityError: a graph does not compute what the checkpoint computes.
    """
    exact = Reference(front_end, network)
    real = {name: clip for name, clip in clips.items() if len(clip)}
    sound = real or shapes.glides(front_end.sample_rate)
    tape = list(sound.values())
    long = shapes.hard(front_end, tape, longest_s)
    brief = shapes.hard(front_end, tape, min(longest_s, _INT8_LONGEST_S))
    files: dict[str, object] = {}
    for file, graph in graphs.items():
        say(f"parity: {file}: {len(real)} recordings and {len(long)} hard shapes")
        finding = Finding(file, frozenset(real))
        against, hard = exact, long
        if int8.is_int8(file):
            against = Reference(front_end, int8.rounded_network(network))
            hard = brief
            finding.against = "the checkpoint in float64, its weights rounded to int8"
        content = graph.SerializeToString(deterministic=True)
        check = _CHECKS[int8.float_name(file)]
        check(against, session(content, file), finding, sound, hard)
        say(
            f"parity: {file}: the largest error is {finding.largest:.2g}, on {finding.where} "
            f"(limit {LIMIT:g})"
        )
        size = {"bytes": len(content), "nodes": len(graph.graph.node)}
        files[file] = {**size, **finding.record()}
    rounded = Reference(front_end, network, torch.float32)
    own = [np.abs(rounded.from_waveform(c) - exact.from_waveform(c)).max() for c in sound.values()]
    return {
        "limit": LIMIT,
        "recordings": list(real),
        "hard_shapes": list(long),
        "batches": list(BATCHES),
        "checkpoint_in_float32": {"largest_difference": float(max(own))},
        "files": files,
        "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    }


def _check_waveforms(
    exact: Reference,
    graph: onnxruntime.InferenceSession,
    finding: Finding,
    sound: Mapping[str, Waveform],
    hard: Mapping[str, Waveform],
) -> None:
    """Compare each clip alone, then batches of clips brought to one length."""
    for name, waveform in {**sound, **hard}.items():
        got = graph.run(None, {"x": waveform[None]})[0][0]
        finding.compare(name, exact.from_waveform(waveform), got)
    names = list(sound)
    longest = max(map(len, sound.values()))
    expected: dict[str, LogProbs] = {}
    for size in BATCHES:
        rows = [names[i % len(names)] for i in range(size)]
        batch = np.stack([np.resize(sound[name], longest) for name in rows])
        answers = graph.run(None, {"x": batch})[0]
        for name, waveform, got in zip(rows, batch, answers, strict=True):
            if name not in expected:
                expected[name] = exact.from_waveform(waveform)
            finding.compare(f"{name} in a batch of {size}", expected[name], got)


def _check_features(
    exact: Reference,
    graph: onnxruntime.InferenceSession,
    finding: Finding,
    sound: Mapping[str, Waveform],
    hard: Mapping[str, Waveform],
) -> None:
    """Compare each clip's log-mel alone, then batches of clips of all lengths with junk between."""
    log_mels = {name: exact.log_mel(waveform) for name, waveform in {**sound, **hard}.items()}
    short = [f"{frames} frames" for frames in range(exact.stack + 2)]
    longest = max(log_mels.values(), key=len)
    log_mels |= {name: longest[:frames] for frames, name in enumerate(short)}
    expected = {name: exact.from_log_mel(log_mel) for name, log_mel in log_mels.items()}
    for name, log_mel in log_mels.items():
        got, steps = graph.run(None, {"x": log_mel[None], "x_lens": np.array([len(log_mel)])})
        finding.compare(name, expected[name], got[0, : steps[0]])
    # A recording, a short one, a recording, ...: every batch of more than one is ragged.
    rows = [name for pair in zip(itertools.cycle(sound), short, strict=False) for name in pair]
    for size in BATCHES:
        chosen = [rows[i % len(rows)] for i in range(size)]
        batch, lengths = shapes.junk_padded([log_mels[name] for name in chosen])
        answers, steps = graph.run(None, {"x": batch, "x_lens": lengths})
        for name, got, count in zip(chosen, answers, steps, strict=True):
            where = f"{name} in a batch of {size}, padded with junk"
            finding.compare(where, expected[name], got[:count])


_CHECKS = {WAVEFORM_GRAPH: _check_waveforms, FEATURES_GRAPH: _check_features}
