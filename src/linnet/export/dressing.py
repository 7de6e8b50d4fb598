"""The gate of the transducer's dress: each part against what it is said to compute.

encoder  each step and the step before    against the checkpoint, as every graph
joiner   every last token at every step   against the formula, in float64
all      greedy decoding of recordings    against greedy CTC decoding, as a share
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from jaxtyping import Float

from linnet.decode import greedy
from linnet.errors import ParityError
from linnet.export import checks, transducer
from linnet.export.finding import LIMIT, Finding
from linnet.export.reference import LogProbs, Reference
from linnet.export.shapes import Waveform, glides
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import session

_BLANK = 0
_FEWEST = 1e-10


def check(
    front_end: FrontEnd,
    network: Network,
    graphs: Mapping[str, onnx.ModelProto],
    clips: Mapping[str, Waveform],
    say: Callable[[str], None],
) -> dict[str, object]:
    """Hold the dress against the checkpoint and give what ``parity.json`` says about it.

    Args:
        front_end: of the checkpoint.
        network: of the checkpoint.
        graphs: of ``transducer.build``.
        clips: recordings by name; without any, glides in noise take their place.
        say: takes a line of progress.

    Raises:
        ParityError: a graph does not compute what it should.
    """
    exact = Reference(front_end, network)
    real = {name: clip for name, clip in clips.items() if len(clip)}
    opened = {name: session(graph.SerializeToString(), name) for name, graph in graphs.items()}
    finding, same = Finding(transducer.ENCODER, frozenset(real)), 0
    tried = real or glides(front_end.sample_rate)
    for name, waveform in tried.items():
        log_mel = exact.log_mel(waveform)
        expected = exact.from_log_mel(log_mel)
        inputs = {"x": log_mel[None], "x_lens": np.array([len(log_mel)])}
        encoded = opened[transducer.ENCODER].run(None, inputs)[0][0]
        now, before = np.split(encoded, 2, axis=1)
        finding.compare(name, expected, now)
        finding.compare(f"{name}, a step before", expected[:-1], before[1:])
        _check_joiner(opened, name, encoded)
        same += _greedy(opened, encoded) == list(greedy(expected).ids)
    share = same / len(tried)
    found = {transducer.ENCODER: finding.record()}
    if transducer.STREAM_ENCODER in opened:
        found[transducer.STREAM_ENCODER] = _check_stream(opened, exact, tried, frozenset(real))
    say(f"parity: transducer: {same} of {len(tried)} clips read as by greedy CTC decoding")
    return {"recordings": len(real), "identical_tokens": share, "files": found}


def joined(encoded: Float[np.ndarray, " both"], last: int) -> Float[np.ndarray, " tokens"]:
    """Give what the joiner should, in float64."""
    now, before = np.split(np.exp(encoded.astype(np.float64)), 2)
    if last != _BLANK:
        goes_on = before[last] / max(before[last] + before[_BLANK], _FEWEST)
        moved = now[last] * (1.0 if before.argmax() == last else goes_on)
        now[last] -= moved
        now[_BLANK] += moved
    return np.log(np.maximum(now, _FEWEST))


def _check_joiner(
    opened: Mapping[str, onnxruntime.InferenceSession], name: str, encoded: LogProbs
) -> None:
    """Compare decoder and joiner with the formula for every last token."""
    tokens = encoded.shape[1] // 2
    for last in range(tokens):
        got = _joiner(opened, encoded, [last] * len(encoded))
        expected = np.stack([joined(step, last) for step in encoded])
        errors = np.abs(expected - got) / np.maximum(1.0, np.abs(expected))
        # Where nearly all of a token's mass has moved, what is left of it is rounding.
        errors[expected < np.log(LIMIT)] = 0.0
        if not errors.max() <= LIMIT:
            raise ParityError(
                f"{transducer.JOINER}: on {name}, after token {last}, the error is "
                f"{errors.max():.3g}; the limit is {LIMIT:g}; nothing was exported"
            )


def _joiner(
    opened: Mapping[str, onnxruntime.InferenceSession], encoded: LogProbs, last: Sequence[int]
) -> LogProbs:
    said = np.array([[-1, token] for token in last], np.int64)
    decoded = opened[transducer.DECODER].run(None, {"y": said})[0]
    inputs = {"encoder_out": encoded.astype(np.float32), "decoder_out": decoded}
    return opened[transducer.JOINER].run(None, inputs)[0]


def _greedy(opened: Mapping[str, onnxruntime.InferenceSession], encoded: LogProbs) -> list[int]:
    """Decode as a host does: at most one token a step."""
    ids, last = [], _BLANK
    for step in encoded:
        best = int(_joiner(opened, step[None], [last])[0].argmax())
        if best != _BLANK:
            ids.append(best)
            last = best
    return ids


def _check_stream(
    opened: Mapping[str, onnxruntime.InferenceSession],
    exact: Reference,
    clips: Mapping[str, Waveform],
    real: frozenset[str],
) -> dict[str, object]:
    """Compare the encoder of streams with whole clips."""
    finding = Finding(transducer.STREAM_ENCODER, real)
    for name, waveform in clips.items():
        log_mel = exact.log_mel(waveform)
        log_mel = log_mel[: len(log_mel) // exact.stack * exact.stack]
        expected = exact.from_log_mel(log_mel)
        graph = opened[transducer.STREAM_ENCODER]
        encoded = checks.streamed(exact, graph, log_mel[None], 1)[0]
        now, before = np.split(encoded, 2, axis=1)
        finding.compare(name, expected, now)
        finding.compare(f"{name}, a step before", expected[:-1], before[1:])
    return finding.record()
