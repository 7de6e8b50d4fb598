"""Loading: a model folder or a lone graph becomes a model, once all of it fits together.

    model.json, tokens.txt, model.onnx -> there, whole, of this format, of one export? -> Model
    a graph in such a folder           -> the one that the folder's model.json names?  -> Model

Each file is checked when it is opened, and none that is not: that would cost every start the time
to read all graphs. ``tokens.txt`` is opened for its check alone, as it is what other runtimes read.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from linnet.errors import InputError, ModelError
from linnet.runtime.model import Model

FORMAT = "linnet"
VERSION = 1
DESCRIPTION = "model.json"
TOKENS = "tokens.txt"
WAVEFORM_GRAPH = "model.onnx"
FEATURES_GRAPH = "features.onnx"
STREAM_GRAPH = "stream.onnx"
# Under these keys of a graph's metadata stand the JSON and the place where the model was cut.
METADATA_KEY = "linnet"
CUT_KEY = "linnet_cut"
_CHECKPOINTS = (".ckpt", ".pt", ".pth")
_ERRORS = 3  # onnxruntime's level for errors: its warnings are about its own optimisations


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
        verified(path, TOKENS, described)

        def opened_graph(name: str) -> onnxruntime.InferenceSession:
            return session(verified(path, name, described), str(path / name), threads)

        return Model(
            opened_graph(WAVEFORM_GRAPH),
            described,
            str(path),
            streaming=functools.cache(lambda: opened_graph(STREAM_GRAPH)),
        )
    if path.suffix in _CHECKPOINTS:
        raise ModelError(
            f"{path}: this is a checkpoint; export it first: "
            f"linnet export checkpoint={path} output=DIR"
        )
    folder = _folder_of(path)
    content = _read(path) if folder is None else verified(path.parent, path.name, folder)
    opened = session(content, str(path), threads)
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


def verified(folder: Path, name: str, described: Mapping[str, Any]) -> bytes:
    """Give the content of a file of a model folder if it is the one that was exported.

    Args:
        folder: that holds it.
        name: of the file.
        described: the content of the folder's ``model.json``.

    Raises:
        ModelError: it is missing, cannot be read, or is another one.
    """
    if not (folder / name).exists():
        raise ModelError(
            f"{folder}: this model folder lacks {name}; copy the whole folder again, or export the "
            "model again"
        )
    files = described.get("files")
    entry = files.get(name) if isinstance(files, dict) else None
    if not isinstance(entry, dict) or "sha256" not in entry:
        raise ModelError(
            f"{folder / name}: the file is not the one that was exported: {DESCRIPTION} does not "
            "name it; export the model again"
        )
    content = _read(folder / name)
    actual = hashlib.sha256(content).hexdigest()
    if actual != entry["sha256"]:
        raise ModelError(
            f"{folder / name}: the file is not the one that was exported: {DESCRIPTION} says "
            f"sha256 {str(entry['sha256'])[:12]}..., it has {actual[:12]}...; copy the folder "
            "again, or export the model again"
        )
    return content


def _folder_of(graph: Path) -> dict[str, Any] | None:
    """Give the description of the model folder that a graph belongs to; None if it lies alone."""
    try:
        described = json.loads((graph.parent / DESCRIPTION).read_bytes())
    except (OSError, ValueError):
        # It needs no folder; what the folder lacks is said when the folder is loaded.
        return None
    ours = isinstance(described, dict) and described.get("format") == FORMAT
    files = described.get("files") if ours else None
    return described if isinstance(files, dict) and graph.name in files else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if path.parent.is_dir() and path.name == DESCRIPTION:
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
