"""The model folder: built beside its place, proven, and only then put there.

    front-end, network, tokenizer, record -> graphs -> parity gate -> files -> renamed into place

A folder that stands at ``output`` is always whole: what fails, and what is killed, leaves the old
one as it was. ``model.json`` is written last and names the hash of every other file but the model
card, which people complete.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float32

from linnet.errors import LinnetError
from linnet.evaluation import Utterance
from linnet.export import int8, parity, place, reading
from linnet.export.describing import build, check_parts, describe
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import DESCRIPTION
from linnet.text import Tokenizer, tokens_txt

TOKENS = "tokens.txt"
PARITY = "parity.json"


@dataclass(frozen=True)
class Contents:
    """What a folder holds beside the graphs with weights in float32.

    Attributes:
        int8: the same graphs with weights stored as int8.
    """

    int8: bool = True


def export(
    front_end: FrontEnd,
    network: Network,
    tokenizer: Tokenizer,
    record: Mapping[str, Any],
    output: Path,
    clips: Sequence[Float32[np.ndarray, " _samples"]],
    *,
    names: Sequence[str] | None = None,
    utterances: Sequence[Utterance] = (),
    contents: Contents | None = None,
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
        utterances: real recordings whose text int8 weights may not change; many.
        contents: what the folder holds; None takes all that a runtime may want.
        longest_s: length of the longest clip of the parity gate.
        say: takes a line of progress.

    Raises:
        ModelError: the parts do not belong together.
        ConfigError: ``output`` holds something else.
        ParityError: a graph does not compute what the checkpoint computes.
        LinnetError: the folder cannot be written.
    """
    output, contents = output.resolve(), contents or Contents()
    check_parts(front_end, network, tokenizer)
    place.check(output)
    described = describe(front_end, network, tokenizer, record)
    try:
        _json(described)
    except (TypeError, ValueError) as error:
        raise LinnetError(
            f"the record of the training cannot be written as JSON: {error}"
        ) from error
    names = [f"recording {i}" for i in range(len(clips))] if names is None else names
    with place.beside(output) as folder:
        graphs = build(front_end, network, described)
        if contents.int8:
            graphs |= {int8.int8_name(n): int8.stored_as_int8(g) for n, g in graphs.items()}
        heard = dict(zip(names, clips, strict=True))
        found = parity.check(front_end, network, graphs, heard, longest_s=longest_s, say=say)
        if contents.int8:
            found["int8"] = reading.check(graphs, tokenizer, utterances, say)
        _write(folder, graphs, tokenizer, described, found)
    say(f"exported: {output}")
    return found


def _write(
    folder: Path,
    graphs: Mapping[str, onnx.ModelProto],
    tokenizer: Tokenizer,
    described: Mapping[str, Any],
    found: Mapping[str, Any],
) -> None:
    """Write every file of the folder, its description last."""
    for name, graph in graphs.items():
        (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
    (folder / TOKENS).write_text(tokens_txt(tokenizer.tokens), encoding="utf-8")
    (folder / PARITY).write_text(_json(found), encoding="utf-8")
    files = {name: place.identity(path) for name, path in place.files_of(folder).items()}
    content = _json({**described, "files": files})
    (folder / DESCRIPTION).write_text(content, encoding="utf-8")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
