"""The model card: ``README.md`` of a model folder, in the form that the Hugging Face hub shows.

    model.json, parity.json, sizes, seconds, report.json (if the model was evaluated) -> README.md

Every number in it was measured on this very model: none is written by hand. Where nothing was
measured, the card says so.
"""

import platform
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from linnet.errors import ConfigError
from linnet.export.hosts import hosts
from linnet.export.int8 import float_name, is_int8
from linnet.runtime import CUT_KEY, FEATURES_GRAPH, STREAM_GRAPH, WAVEFORM_GRAPH, session
from linnet.text import Phonemes, is_whole

_TIMED_S = 10
_CALLS = 4
_WORDS = 20  # named in the summary
_WHAT = {
    WAVEFORM_GRAPH: "waveform in, log-probabilities out",
    FEATURES_GRAPH: "log-mel in, log-probabilities out; batches of ragged length",
    STREAM_GRAPH: "pieces of log-mel and states in, log-probabilities and states out",
    "encoder.onnx": "the model as a transducer: encoder of recordings",
    "stream_encoder.onnx": "the same of streams",
}
_FIGURES = {
    "wer": ("Word error rate", "wer"),
    "cer": ("Character error rate", "cer"),
    "sentence_accuracy": ("Whole utterances right", "accuracy"),
    "closed_set_accuracy": ("Commands right", "accuracy"),
    "accuracy_with_rejection": ("Commands right, all else rejected", "accuracy"),
}


def matching(report: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Tell whether a ``report.json`` judges the checkpoint that ``record`` is the record of."""
    judged = report.get("record", {})
    known = [key for key in ("settings", "manifest", "seed", "commit") if key in record]
    return bool(known) and all(judged.get(key) == record[key] for key in known)


def check_report(
    report: Mapping[str, Any], record: Mapping[str, Any], path: Path
) -> Mapping[str, Any]:
    """Give the report if it is of this model.

    Raises:
        ConfigError: it is of another one, or no report.
    """
    if not isinstance(report.get("figures"), dict):
        raise ConfigError(f"report={path} is no report.json of linnet evaluate")
    if not matching(report, record):
        raise ConfigError(
            f"report={path} judges another model than this checkpoint (its training record is "
            "another); evaluate this one: linnet evaluate model=CHECKPOINT output=DIR"
        )
    return report


def real_time_factors(graphs: Mapping[str, onnx.ModelProto]) -> dict[str, float]:
    """Measure the waveform graphs: seconds of computing a second of audio, on one thread."""
    found = {}
    for name, graph in graphs.items():
        metadata = {pair.key: pair.value for pair in graph.metadata_props}
        if "/" in name or metadata.get(CUT_KEY) != "waveform":
            continue
        samples = _TIMED_S * int(metadata["sample_rate"])
        noise = np.random.default_rng(0).standard_normal((1, samples), dtype=np.float32)
        opened, took = session(graph.SerializeToString(), name), []
        for _ in range(_CALLS):
            started = time.perf_counter()
            opened.run(None, {"x": noise})
            took.append(time.perf_counter() - started)
        found[name] = min(took) / _TIMED_S
    return found


def card(
    described: Mapping[str, Any],
    found: Mapping[str, Any],
    sizes: Mapping[str, int],
    factors: Mapping[str, float],
    report: Mapping[str, Any] | None,
    name: str,
) -> str:
    """Give the text of the card.

    Args:
        described: the content of ``model.json``.
        found: the content of ``parity.json``.
        sizes: bytes of each file.
        factors: real-time factors, by file.
        report: of an evaluation; None if there was none.
        name: of the model.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    # Markdown, not HTML: nothing is escaped.
    environment = Environment(  # noqa: S701
        loader=FunctionLoader(lambda file: resources.files(__package__).joinpath(file).read_text()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    readers = hosts(described)
    return environment.get_template("card.md.j2").render(
        front_matter=_front_matter(report, name),
        title=name,
        summary=_summary(described),
        linnet=described["record"].get("linnet", ""),
        files=_rows(sizes, factors),
        timed=(
            f", the quickest of {_CALLS} runs of onnxruntime over {_TIMED_S} s on a core of "
            f"{platform.machine()} when the files were exported"
        ),
        data=_training(described),
        figures=_figures(report),
        judged=_judged(report),
        int8=_rounding(found.get("int8")),
        limits=_limits(described),
        sample_rate=described["sample_rate"],
        kind=described["tokenizer"]["kind"],
        hosts=readers,
        waveform_host=WAVEFORM_GRAPH in readers,
        features_host=FEATURES_GRAPH in readers,
        stream_host=STREAM_GRAPH in readers,
        spotter="transducer/stream_encoder.onnx" in sizes and "transducer/keywords.txt" in sizes,
        grammar="--ctc.graph=HL.fst " if "HL.fst" in sizes else "",
        times=_times(readers),
    )


def _front_matter(report: Mapping[str, Any] | None, name: str) -> str:
    """Give the YAML between the dashes, by which the hub finds and lists the model."""
    import yaml

    content: dict[str, Any] = {
        "library_name": "onnx",
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["linnet", "onnx", "sherpa-onnx", "ctc", "speech-commands", "keyword-spotting"],
    }
    if report is not None:
        corpus = str(report["data"].get("source", "")).split(".")[-2:][0]
        metrics = [
            {"type": kind, "name": title, "value": round(float(figure["value"]), 4)}
            for key, figure in report["figures"].items()
            for title, kind in [_named(key)]
        ]
        task = {"type": "automatic-speech-recognition", "name": "Speech recognition"}
        dataset = {"name": corpus, "type": corpus, "split": str(report["data"].get("split", ""))}
        content["model-index"] = [
            {"name": name, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}
        ]
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _summary(described: Mapping[str, Any]) -> str:
    network, symbols = described["network"], described["tokenizer"]
    kinds = [_kind(one) for one in network.get("networks", [network])]
    made = " and ".join(kinds) + (", their posteriors averaged" if len(kinds) > 1 else "")
    tokens = symbols["tokens"][1:]
    whole = {
        "words": tokens,
        "mixed": [token for token in tokens if is_whole(token)],
    }.get(symbols["kind"], [])
    more = ", ..." if len(whole) > _WORDS else ""
    letters = "phonemes" if symbols["kind"] == Phonemes.kind else "characters"
    parts = [f"{len(tokens) - len(whole)} {letters}"] if len(whole) < len(tokens) else []
    parts += [f"{len(whole)} words ({', '.join(whole[:_WORDS])}{more})"] if whole else []
    return f"A small speech recogniser: {made}, trained with CTC on {' and '.join(parts)}."


def _kind(network: Mapping[str, Any]) -> str:
    """Say in words what one network is."""
    way = {"lookahead": "a streaming", "chunked": "a chunked bidirectional"}.get(
        str(network.get("kind", "")),
        "a bidirectional" if network.get("bidirectional") else "a unidirectional",
    )
    size = f"{network['layers']} layers of {network['hidden']} units"
    return f"{way} {network['cell'].upper()} of {size}"


def _rows(sizes: Mapping[str, int], factors: Mapping[str, float]) -> list[dict[str, str]]:
    rows = []
    for name, size in sizes.items():
        base = Path(float_name(name)).name
        if base in _WHAT:
            what = _WHAT[base] + ("; weights stored as int8" if is_int8(name) else "")
            factor = f"{factors[name]:.4f}" if name in factors else ""
            shown = f"{size / 1e6:.2f} MB"
            rows.append({"name": name, "what": what, "size": shown, "real_time": factor})
    return rows


def _training(described: Mapping[str, Any]) -> str:
    record = described["record"]
    settings = record.get("settings", {}).get("data", {})
    if not settings:
        return "The record of the training does not say what it was trained on."
    corpus = str(settings.get("_target_", "")).split(".")[-1]
    said = f"Trained on {corpus}"
    if words := settings.get("words"):
        said += f" ({len(words)} words: {', '.join(words)})"
    speakers = len(record.get("training_speakers", []))
    said += f", {speakers} speakers" if speakers else ""
    return (
        f"{said}; seed {record.get('seed')}, commit {str(record.get('commit'))[:12]}, manifest "
        f"{str(record.get('manifest'))[:12]}. The whole record stands in `model.json`."
    )


def _named(key: str) -> tuple[str, str]:
    return _FIGURES.get(key, (key.replace("_", " ").capitalize(), key))


def _figures(report: Mapping[str, Any] | None) -> list[dict[str, str]]:
    if report is None:
        return []
    return [
        {
            "name": _named(key)[0],
            "value": f"{figure['value']:.1%}",
            "interval": f"{figure['low']:.1%} to {figure['high']:.1%}",
            "count": str(figure["count"]),
        }
        for key, figure in report["figures"].items()
    ]


def _judged(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return ""
    judged = report["data"]
    return (
        f"Measured on the split `{judged.get('split')}`: {judged.get('clips')} recordings, "
        f"{judged.get('hours')} h, {judged.get('speakers')} speakers. A figure on this split is a "
        "figure on this split."
    )


def _rounding(rounded: Mapping[str, Any] | None) -> str:
    if not rounded or not rounded["recordings"]:
        return ""
    said = f"With int8 weights {rounded['identical_text']:.1%} of {rounded['recordings']} texts "
    said += "are the same"
    if rates := rounded.get("word_error_rate"):
        said += f"; the word error rate goes from {rates['float32']:.2%} to {rates['int8']:.2%}"
    return f"{said}."


def _limits(described: Mapping[str, Any]) -> list[str]:
    symbols, rate = described["tokenizer"], described["sample_rate"]
    step_ms = round(1000 * described["subsampling"]["seconds"])
    limits = [
        f"It hears {rate} Hz; `linnet` resamples, other runtimes want that rate.",
        f"Its steps are {step_ms} ms long: no two tokens can be nearer.",
        "It knows the voices, the noise and the distance of its training recordings; judge it on "
        "your own before you rely on it.",
    ]
    if symbols["kind"] == "words":
        limits.append("It knows no other words than its own, and takes another word for one.")
    if symbols["kind"] == Phonemes.kind:
        limits.append(
            "It hears phonemes. `linnet` and the page of `linnet demo` look words up in the "
            "lexicon of `model.json`, other runtimes print what was heard."
        )
    rarity = described["record"].get("settings", {}).get("rarity", 1)
    if rarity > 1:
        whole = "a whole word" if symbols["kind"] == "mixed" else "whatever is said"
        limits.append(
            f"It was trained to spot, and takes {whole} to be {rarity:,g} times rarer than in its "
            "training: a transcript leaves out what it is not that sure of. Spot it instead."
        )
    if not described["front_end"]["normalise_waveform"]:
        limits.append("Its features depend on the level: keep the gain of the microphone.")
    return limits


def _times(readers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say what to make of the times that a host prints."""
    said = []
    for file, reader in readers.items():
        factor = reader["multiply_its_times_by"]
        right = "are right" if factor == 1 else f"are to be multiplied by {factor:g}"
        said.append(f"The times that sherpa-onnx prints with `{file}` {right}.")
    return said
