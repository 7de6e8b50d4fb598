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
from linnet.export import card, dressing, grammar, int8, parity, place, reading, transducer
from linnet.export.describing import build, check_parts, describe, metadata_of
from linnet.export.hosts import hosts
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import DESCRIPTION, TOKENS
from linnet.text import Tokenizer, tokens_txt

PARITY = "parity.json"
TRANSDUCER = "transducer"
HOT_WORDS = "hotwords.txt"
KEYWORDS = "keywords.txt"


@dataclass(frozen=True)
class Contents:
    """What a folder holds beside the graphs with weights in float32.

    Attributes:
        int8: the same graphs with weights stored as int8.
        transducer: the model in the dress of a transducer, in a folder of its own.
        commands: what ``HL.fst`` lets a host hear; none, no such file.
        report: the content of a ``report.json`` about this model, for the model card.
    """

    int8: bool = True
    transducer: bool = False
    commands: Sequence[str] = ()
    report: Mapping[str, Any] | None = None


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
        ConfigError: ``output`` holds something else, or a command cannot be spelt.
        ParityError: a graph does not compute what the checkpoint computes.
        LinnetError: the folder cannot be written.
    """
    output, contents = output.resolve(), contents or Contents()
    check_parts(front_end, network, tokenizer)
    spelt = grammar.spelt(contents.commands, tokenizer)
    place.check(output)
    described = describe(front_end, network, tokenizer, record)
    try:
        _json(described)
    except (TypeError, ValueError) as error:
        raise LinnetError(
            f"the record of the training cannot be written as JSON: {error}"
        ) from error
    names = [f"recording {i}" for i in range(len(clips))] if names is None else names
    heard = dict(zip(names, clips, strict=True))
    with place.beside(output) as folder:
        graphs = _graphs(front_end, network, described, contents)
        own = {name: graph for name, graph in graphs.items() if "/" not in name}
        found = parity.check(front_end, network, own, heard, longest_s=longest_s, say=say)
        if contents.int8:
            keywords = record.get("settings", {}).get("keywords", ())
            found["int8"] = reading.check(own, tokenizer, utterances, say, keywords)
        if contents.transducer:
            dress = {Path(n).name: graph for n, graph in graphs.items() if n not in own}
            found["transducer"] = dressing.check(front_end, network, dress, heard, say)
        for name, graph in graphs.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
        _write_lists(folder, tokenizer, spelt, contents)
        found["sherpa_onnx"] = hosts(described)
        (folder / PARITY).write_text(_json(found), encoding="utf-8")
        files = {name: place.identity(path) for name, path in place.files_of(folder).items()}
        sizes = {name: path.stat().st_size for name, path in place.files_of(folder).items()}
        factors = card.real_time_factors(graphs)
        text = card.card(described, found, sizes, factors, contents.report, output.name)
        (folder / place.CARD).write_text(text, encoding="utf-8")
        content = _json({**described, "files": files})
        (folder / DESCRIPTION).write_text(content, encoding="utf-8")
    say(f"exported: {output}")
    return found


def _graphs(
    front_end: FrontEnd, network: Network, described: Mapping[str, Any], contents: Contents
) -> dict[str, onnx.ModelProto]:
    """Give every graph by its place in the folder."""
    graphs = build(front_end, network, described)
    if contents.int8:
        graphs |= {int8.int8_name(name): int8.stored_as_int8(g) for name, g in graphs.items()}
    if contents.transducer:
        metadata = metadata_of(front_end, network, described, "log_mel", "zipformer2")
        dress = transducer.build(front_end, network, metadata)
        graphs |= {f"{TRANSDUCER}/{name}": graph for name, graph in dress.items()}
    return graphs


def _write_lists(
    folder: Path, tokenizer: Tokenizer, spelt: Mapping[str, Sequence[int]], contents: Contents
) -> None:
    """Write the tokens, and the commands in every form that a host reads."""
    tokens = tokens_txt(tokenizer.tokens)
    (folder / TOKENS).write_text(tokens, encoding="utf-8")
    spellings = {name: " ".join(tokenizer.tokens[i] for i in ids) for name, ids in spelt.items()}
    if contents.transducer:
        (folder / TRANSDUCER / TOKENS).write_text(tokens, encoding="utf-8")
    if contents.transducer and spelt:
        hot = "".join(f"{spelling}\n" for spelling in spellings.values())
        (folder / TRANSDUCER / HOT_WORDS).write_text(hot, encoding="utf-8")
        # What stands after @ is printed; it may hold no space.
        keywords = [f"{said} @{name.replace(' ', '_')}\n" for name, said in spellings.items()]
        (folder / TRANSDUCER / KEYWORDS).write_text("".join(keywords), encoding="utf-8")
    if spelt:
        grammar.write(list(spelt), tokenizer, folder / grammar.GRAMMAR)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
