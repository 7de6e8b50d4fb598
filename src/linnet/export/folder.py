"""The model folder: built beside its place, proven, and only then put there.

    front-end, network, tokenizer, record -> graphs -> parity gate -> files -> renamed into place

A folder that stands at ``output`` is always whole: what fails, and what is killed, leaves the old
one as it was. ``model.json`` is written last and names the hash of every other file.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float32

from linnet.errors import ConfigError, LinnetError, ModelError
from linnet.export import parity
from linnet.export.fingerprint import fingerprint
from linnet.export.graphs import features_graph, waveform_graph
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import (
    CUT_KEY,
    DESCRIPTION,
    FEATURES_GRAPH,
    FORMAT,
    METADATA_KEY,
    VERSION,
    WAVEFORM_GRAPH,
)
from linnet.text import Tokenizer, tokens_txt

TOKENS = "tokens.txt"
PARITY = "parity.json"
# What a file of the graph is called, where it is cut, the kind that hosts know it as, its builder.
_CUTS = (
    (WAVEFORM_GRAPH, "waveform", "omnilingual_asr_ctc", waveform_graph),
    (FEATURES_GRAPH, "log_mel", "zipformer2_ctc", features_graph),
)


def export(
    front_end: FrontEnd,
    network: Network,
    tokenizer: Tokenizer,
    record: Mapping[str, Any],
    output: Path,
    clips: Sequence[Float32[np.ndarray, " _samples"]],
    *,
    names: Sequence[str] | None = None,
    longest_s: float = parity.LONGEST_S,
    say: Callable[[str], None] = parity.to_standard_error,
) -> dict[str, Any]:
    """Write the model folder ``output`` and give the content of its ``parity.json``.

    Args:
        front_end: of the checkpoint.
        network: of the checkpoint.
        tokenizer: of the checkpoint.
        record: how the model was trained; plain values, kept as they are.
        output: a folder that is not there, is empty, or was exported before and is replaced.
        clips: real recordings for the parity gate, at the front-end's sample rate.
        names: of the clips, for the report.
        longest_s: length of the longest clip of the parity gate.
        say: takes a line of progress.

    Raises:
        ModelError: the parts do not belong together.
        ConfigError: ``output`` holds something else.
        ParityError: a graph does not compute what the checkpoint computes.
        LinnetError: the folder cannot be written.
    """
    output = output.resolve()
    _check_parts(front_end, network, tokenizer)
    _check_place(output)
    described = describe(front_end, network, tokenizer, record)
    try:
        _json(described)
    except (TypeError, ValueError) as error:
        raise LinnetError(
            f"the record of the training cannot be written as JSON: {error}"
        ) from error
    names = [f"recording {i}" for i in range(len(clips))] if names is None else names
    with _beside(output) as folder:
        graphs = build(front_end, network, described)
        found = parity.check(
            front_end,
            network,
            graphs,
            dict(zip(names, clips, strict=True)),
            longest_s=longest_s,
            say=say,
        )
        for name, graph in graphs.items():
            (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
        (folder / TOKENS).write_text(tokens_txt(tokenizer.tokens), encoding="utf-8")
        (folder / PARITY).write_text(_json(found), encoding="utf-8")
        files = {path.name: _identity(path) for path in sorted(folder.iterdir())}
        content = _json({**described, "files": files})
        (folder / DESCRIPTION).write_text(content, encoding="utf-8")
    say(f"exported: {output}")
    return found


def describe(
    front_end: FrontEnd, network: Network, tokenizer: Tokenizer, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Give what a runtime needs to know, as in ``model.json``, less the list of files."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "sample_rate": front_end.sample_rate,
        "front_end": dict(front_end.settings),
        "network": dict(network.settings),
        "subsampling": {
            "frames": front_end.stack,
            "samples": front_end.stack * front_end.shift_samples,
            "seconds": front_end.seconds(1),
        },
        "tokenizer": {"kind": tokenizer.kind, "tokens": list(tokenizer.tokens)},
        "keywords": {},
        "record": dict(record),
        "fingerprint": fingerprint(front_end),
    }


def build(
    front_end: FrontEnd, network: Network, described: Mapping[str, Any]
) -> dict[str, onnx.ModelProto]:
    """Give every graph by file name, the description in its metadata."""
    graphs = {}
    for name, cut, kind, builder in _CUTS:
        metadata = {
            METADATA_KEY: json.dumps(described, sort_keys=True, allow_nan=False),
            CUT_KEY: cut,
            "model_type": kind,
            "sample_rate": str(front_end.sample_rate),
            "subsampling_factor": str(front_end.stack),
            "version": str(VERSION),
            "vocab_size": str(network.head.out_features),
        }
        graphs[name] = builder(front_end, network, metadata)
    return graphs


def _check_parts(front_end: FrontEnd, network: Network, tokenizer: Tokenizer) -> None:
    features, tokens = network.recurrent.input_size, network.head.out_features
    if features != front_end.features:
        raise ModelError(
            f"the front-end gives {front_end.features} features a step, the network takes "
            f"{features}; they are of different checkpoints"
        )
    if tokens != len(tokenizer.tokens):
        raise ModelError(
            f"the tokenizer has {len(tokenizer.tokens)} tokens, the network {tokens}; they are of "
            "different checkpoints"
        )
    for name, values in network.state_dict().items():
        if not values.isfinite().all():
            raise ModelError(
                f"the checkpoint's {name} holds NaN or infinity; its training went astray: export "
                "an earlier one"
            )


def _check_place(output: Path) -> None:
    """Refuse to replace anything that no export wrote."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"output={output} is a file; give a folder")
    present = {path.name for path in output.iterdir()}
    if not present:
        return
    try:
        described = json.loads((output / DESCRIPTION).read_text(encoding="utf-8"))
        ours = {DESCRIPTION, *described["files"]} if described["format"] == FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if foreign := sorted(present - ours):
        raise ConfigError(
            f"output={output} holds {foreign[0]!r}, which no export wrote; give a new folder, or "
            "move that away"
        )


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """Give a folder beside ``output`` that takes its place if all goes well."""
    draft = output.with_name(f".{output.name}.unfinished-{os.getpid()}")
    old = output.with_name(f".{output.name}.replaced-{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        yield draft
        if output.exists():
            output.rename(old)
        try:
            draft.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise LinnetError(f"{output}: the model folder cannot be written: {reason}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if output.exists():
            shutil.rmtree(old, ignore_errors=True)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _identity(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
