"""The runtime: an exported model on onnxruntime, without torch.

    model folder -> model.json, model.onnx, checked against each other -> Model
    waveform -> resample -> log-probabilities -> beam -> text with times and confidences

The graph computes its own features, so a waveform is all it takes. What it needs to know beside the
graph (tokens, sample rate, time of a step) is JSON: in ``model.json`` of a folder, and again inside
the graph, so that a lone ``.onnx`` works as well.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float32, Shaped

from linnet.audio import resample
from linnet.decode import beam as beam_search
from linnet.decode import greedy
from linnet.errors import InputError, ModelError, TextError
from linnet.text import Tokenizer, tokenizer

FORMAT = "linnet"
VERSION = 1
DESCRIPTION = "model.json"
WAVEFORM_GRAPH = "model.onnx"
FEATURES_GRAPH = "features.onnx"
# Under these keys of a graph's metadata stand the JSON and the place where the model was cut.
METADATA_KEY = "linnet"
CUT_KEY = "linnet_cut"
_CHECKPOINTS = (".ckpt", ".pt", ".pth")
_ERRORS = 3  # onnxruntime's level for errors: its warnings are about its own optimisations
_LOWEST_RATE, _HIGHEST_RATE = 1000, 768000


@dataclass(frozen=True)
class Token:
    """One symbol of a transcript: when it was said, in seconds, and how sure the model is."""

    token: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was said, how sure the model is (0 to 1), and the symbols it is made of."""

    text: str
    confidence: float
    tokens: tuple[Token, ...]


class Model:
    """A loaded waveform graph. Any number of threads may use one at the same time.

    Args:
        session: of a graph from ``x`` [N, S] to log-probabilities [N, T', V].
        description: the content of ``model.json``.
        name: what errors call the model.
    """

    tokenizer: Tokenizer
    sample_rate: int

    def __init__(
        self, session: onnxruntime.InferenceSession, description: Mapping[str, Any], name: str
    ) -> None:
        self.description = description
        self.name = name
        try:
            self.sample_rate = int(description["sample_rate"])
            self._step_samples = int(description["subsampling"]["samples"])
            symbols = description["tokenizer"]
            self.tokenizer = tokenizer(symbols["kind"], symbols["tokens"])
        except (KeyError, TypeError, ValueError, TextError) as error:
            raise ModelError(
                f"{name}: its description lacks or spoils something ({error!r}); export it again"
            ) from error
        self._session = session
        inputs, outputs = session.get_inputs(), session.get_outputs()
        tokens = len(self.tokenizer.tokens)
        if len(inputs) != 1 or len(outputs) != 1 or outputs[0].shape[-1] != tokens:
            raise ModelError(
                f"{name}: a waveform graph has one input and one output of {tokens} tokens, this "
                f"has inputs {[(i.name, i.shape) for i in inputs]} and outputs "
                f"{[(o.name, o.shape) for o in outputs]}; export it again"
            )
        self._input, self._output = inputs[0].name, outputs[0].name

    def seconds(self, step: int) -> float:
        """Give the time at which ``step`` starts."""
        return step * self._step_samples / self.sample_rate

    def log_probs(self, waveform: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "steps tokens"]:
        """Give the log-probabilities of the tokens at each step.

        Args:
            waveform: samples in +-1 at ``sample_rate``, one axis, float32; may be empty.

        Raises:
            InputError: it is none of these, or holds NaN or infinity.
        """
        return self._session.run([self._output], {self._input: _checked(waveform)[None]})[0][0]

    def transcribe(
        self, waveform: Shaped[np.ndarray, "..."], sample_rate: int, beam: int = 1
    ) -> Transcript:
        """Give the text of a recording.

        Args:
            waveform: samples in +-1, one axis, float32; may be empty.
            sample_rate: of the waveform, in Hz; another than the model's is resampled.
            beam: prefixes that are kept at each step; 1 takes the best token of each step.

        Raises:
            InputError: the waveform, its rate or the beam is not of that kind.
        """
        if not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
            raise InputError(
                f"sample_rate={sample_rate} Hz is no rate of a recording; expected "
                f"{_LOWEST_RATE} to {_HIGHEST_RATE}"
            )
        if beam < 1:
            raise InputError(f"beam={beam} must be at least 1")
        if not _checked(waveform).size:
            # The graph answers with what it makes of silence; where nothing is, nothing was said.
            return Transcript("", 1.0, ())
        resampled = resample(waveform, sample_rate, self.sample_rate)
        log_probs = self.log_probs(resampled)
        found = greedy(log_probs) if beam == 1 else beam_search(log_probs, beam)
        tokens = tuple(
            Token(self.tokenizer.tokens[i], self.seconds(start), self.seconds(end), confidence)
            for i, start, end, confidence in zip(
                found.ids, found.starts, found.ends, found.confidences, strict=True
            )
        )
        return Transcript(self.tokenizer.decode(found.ids), found.confidence, tokens)


def load(path: str | os.PathLike[str], *, threads: int = 1) -> Model:
    """Load an exported model.

    Args:
        path: a model folder, or a waveform graph (``.onnx``) that ``linnet export`` wrote.
        threads: that one call may use; calls from several threads run side by side anyway.

    Raises:
        ModelError: there is no such model, or it is damaged, incomplete or of another format.
    """
    path = Path(path)
    if path.is_dir():
        described = _description(_read(path / DESCRIPTION).decode(errors="replace"), path)
        content = _verified(path, WAVEFORM_GRAPH, described)
        return Model(session(content, str(path / WAVEFORM_GRAPH), threads), described, str(path))
    if path.suffix in _CHECKPOINTS:
        raise ModelError(
            f"{path}: this is a checkpoint; export it first: "
            f"linnet export checkpoint={path} output=DIR"
        )
    opened = session(_read(path), str(path), threads)
    metadata = opened.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path}: this graph was not written by 'linnet export'")
    described = _description(metadata[METADATA_KEY], path)
    if metadata.get(CUT_KEY) != "waveform":
        raise ModelError(
            f"{path}: this graph takes {metadata.get(CUT_KEY)}, not a waveform; give the model "
            f"folder or its {WAVEFORM_GRAPH}"
        )
    return Model(opened, described, str(path))


def session(content: bytes, name: str, threads: int = 1) -> onnxruntime.InferenceSession:
    """Give an onnxruntime session of the graph in ``content``, on the CPU.

    Raises:
        ModelError: it is no graph that onnxruntime runs.
    """
    if threads < 1:
        raise InputError(f"threads={threads} must be at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    try:
        return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    # onnxruntime's errors have no base of their own.
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{name}: onnxruntime cannot load it as a graph: {reason}") from error


def _checked(waveform: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, " samples"]:
    """Give the waveform if it is one."""
    if waveform.ndim != 1:
        raise InputError(
            f"the waveform has the shape {waveform.shape}; expected one axis of samples: take the "
            "mean of the channels, or one clip at a time"
        )
    if waveform.dtype != np.float32:
        raise InputError(
            f"the waveform is {waveform.dtype}; expected float32 in +-1 (divide 16-bit integers by "
            "32768)"
        )
    if not np.isfinite(waveform).all():
        raise InputError("the waveform holds NaN or infinity; repair it before transcribing")
    return waveform


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if path.parent.is_dir() and path.name in (DESCRIPTION, WAVEFORM_GRAPH):
            raise ModelError(
                f"{path.parent}: this is no model folder, for it lacks {path.name}; "
                "'linnet export' makes one"
            ) from error
        raise ModelError(f"{path}: there is no such model; check the path") from error
    except OSError as error:
        raise ModelError(f"{path}: the file cannot be read: {error.strerror}") from error


def _description(text: str, path: Path) -> dict[str, Any]:
    """Parse the description and see that it is one this version reads."""
    try:
        described = json.loads(text)
    except ValueError as error:
        raise ModelError(
            f"{path}: its {DESCRIPTION} is damaged ({error}); export it again"
        ) from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ModelError(f"{path}: its {DESCRIPTION} does not describe a Linnet model")
    if described.get("version") != VERSION:
        raise ModelError(
            f"{path}: the model has format version {described.get('version')!r}, this Linnet reads "
            f"{VERSION}; export it again with this Linnet, or install the one that exported it"
        )
    return described


def _verified(folder: Path, name: str, described: Mapping[str, Any]) -> bytes:
    """Give the content of a file if it is the one that the description means."""
    content = _read(folder / name)
    files = described.get("files")
    expected = files.get(name, {}).get("sha256") if isinstance(files, dict) else None
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ModelError(
            f"{folder / name}: the file is not the one that was exported: {DESCRIPTION} says "
            f"sha256 {str(expected)[:12]}..., it has {actual[:12]}...; copy the folder again"
        )
    return content
