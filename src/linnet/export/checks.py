"""How each cut is tried: every clip alone, then in batches, or piece by piece.

waveform graph  clip -> answer;        clips of one length -> answers
features graph  log-mel -> answer;     clips of all lengths, junk in the padding -> answers
stream graph    log-mel in pieces, states handed on -> answer
"""

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime
from jaxtyping import Float32

from linnet.export import shapes
from linnet.export.finding import Finding, error_of
from linnet.export.reference import LogProbs, Reference
from linnet.export.shapes import LogMel, Waveform

BATCHES = (1, 2, 7)
# Chunks that a piece of a stream holds.
_PIECES = (1, 2, 7)


def waveforms(
    exact: Reference,
    graph: onnxruntime.InferenceSession,
    finding: Finding,
    sound: Mapping[str, Waveform],
    hard: Mapping[str, Waveform],
) -> None:
    """Compare each clip alone, then batches of clips brought to one length."""
    for name, waveform in {**sound, **hard}.items():
        got = graph.run(None, {"x": waveform[None]})[0][0]
        finding.compare(name, exact.from_waveform(waveform), got, _own_error(exact, waveform))
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


def log_mels(
    exact: Reference,
    graph: onnxruntime.InferenceSession,
    finding: Finding,
    sound: Mapping[str, Waveform],
    hard: Mapping[str, Waveform],
) -> None:
    """Compare each clip's log-mel alone, then batches of clips of all lengths with junk between."""
    waveforms = {**sound, **hard}
    log_mels = {name: exact.log_mel(waveform) for name, waveform in waveforms.items()}
    short = [f"{frames} frames" for frames in range(exact.stack + 2)]
    longest = max(log_mels.values(), key=len)
    log_mels |= {name: longest[:frames] for frames, name in enumerate(short)}
    expected = {name: exact.from_log_mel(log_mel) for name, log_mel in log_mels.items()}
    for name, log_mel in log_mels.items():
        got, steps = graph.run(None, {"x": log_mel[None], "x_lens": np.array([len(log_mel)])})
        own = _own_error(exact, waveforms[name]) if name in waveforms else None
        finding.compare(name, expected[name], got[0, : steps[0]], own)
    # A recording, a short one, a recording, ...: every batch of more than one is ragged.
    rows = [name for pair in zip(itertools.cycle(sound), short, strict=False) for name in pair]
    for size in BATCHES:
        chosen = [rows[i % len(rows)] for i in range(size)]
        batch, lengths = shapes.junk_padded([log_mels[name] for name in chosen])
        answers, steps = graph.run(None, {"x": batch, "x_lens": lengths})
        for name, got, count in zip(chosen, answers, steps, strict=True):
            where = f"{name} in a batch of {size}, padded with junk"
            finding.compare(where, expected[name], got[:count])


def streams(
    exact: Reference,
    graph: onnxruntime.InferenceSession,
    finding: Finding,
    sound: Mapping[str, Waveform],
    hard: Mapping[str, Waveform],
) -> None:
    """Compare each clip in pieces of some size with the whole of it, then two streams at once."""
    waveforms = {**sound, **hard}
    log_mels = {name: exact.log_mel(waveform) for name, waveform in waveforms.items()}
    sizes = itertools.cycle(_PIECES)
    whole: list[tuple[str, LogMel, LogProbs]] = []
    for (name, log_mel), chunks in zip(log_mels.items(), sizes, strict=False):
        # A stream has no answer to a step before it is whole.
        frames = len(log_mel) // exact.stack * exact.stack
        expected = exact.from_log_mel(log_mel[:frames])
        whole.append((name, log_mel[:frames], expected))
        got = streamed(exact, graph, log_mel[None, :frames], chunks)[0]
        own = _own_error(exact, waveforms[name])
        finding.compare(f"{name} in pieces of {chunks}", expected, got, own)
    pair = whole[:2]
    shortest = min(len(log_mel) for _, log_mel, _ in pair)
    rows = np.stack([log_mel[:shortest] for _, log_mel, _ in pair])
    for (name, _, _), row, got in zip(pair, rows, streamed(exact, graph, rows, 1), strict=True):
        finding.compare(f"{name} beside another stream", exact.from_log_mel(row), got)


def _own_error(exact: Reference, waveform: Waveform) -> Callable[[], float]:
    """Give what tells how far the checkpoint's own float32 arithmetic is off on a clip."""
    return lambda: error_of(
        exact.from_waveform(waveform), exact.in_float32().from_waveform(waveform)
    )


def streamed(
    exact: Reference,
    graph: onnxruntime.InferenceSession,
    log_mels: Float32[np.ndarray, "batch frames mels"],
    chunks: int,
) -> Float32[np.ndarray, "batch steps tokens"]:
    """Feed streams piece by piece, and after their end what brings the last answers."""
    batch, frames, _ = log_mels.shape
    size = chunks * exact.streamed["chunk_frames"]
    delay = exact.streamed["delay_steps"]
    pieces = -(-(frames + delay * exact.stack) // size)
    fed = np.tile(np.array(exact.streamed["filling"], np.float32), (batch, pieces * size, 1))
    fed[:, :frames] = log_mels
    _, *states = graph.get_inputs()
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
    values = [
        np.zeros([batch if axis == "N" else axis for axis in state.shape], kinds[state.type])
        for state in states
    ]
    answers = []
    for start in range(0, pieces * size, size):
        inputs = dict(zip((state.name for state in states), values, strict=True))
        answer, *values = graph.run(None, {"x": fed[:, start : start + size], **inputs})
        answers.append(answer)
    return np.concatenate(answers, axis=1)[:, delay : delay + frames // exact.stack]
