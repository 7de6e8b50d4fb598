"""linnet evaluate task=spotting: judge keywords in hours of audio, every form of a model at once.

model -> checkpoint | float graph | int8 graph | stream graph
corpus -> streams -> heard by each form -> figures side by side -> report.json, report.html
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from linnet import evaluation, module, runtime, sources
from linnet.apps import config, corpus, listening
from linnet.errors import ConfigError
from linnet.evaluation import Recogniser, spotting
from linnet.evaluation.spotting import Cost, Heard, Recording
from linnet.keywords import Keyword, parse
from linnet.runtime import DEFAULT_THRESHOLD, Window
from linnet.runtime.stream import streams
from linnet.runtime.windows import Windows
from linnet.streaming import StreamingNetwork
from linnet.text import sounds

_INT8_GRAPH = "model.int8.onnx"


@dataclass(frozen=True)
class _Form:
    """A form of a model: how it hears a recording, and the file it comes from."""

    model: Recogniser
    hear: Callable[[Recording], Heard]
    opened: Callable[[Path], Any]
    path: Path
    file: Path


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet evaluate task=spotting``."""
    # The cost is that of one thread, whatever runs the form.
    torch.set_num_threads(1)
    path = Path(settings.model.path)
    forms = _forms(path, settings.checkpoint and Path(settings.checkpoint))
    first = next(iter(forms.values())).model
    record = corpus.load_model(path)[1]
    keywords, calibrated = _keywords(settings, first, path)
    if settings.homophones is not None:
        # A wrong accent is refused before hours are listened to.
        sounds([one.text for one in keywords], settings.homophones)
    source: sources.Source = config.build(settings.data)
    examined = corpus.examined(settings.examine, source, (settings.split,))
    heard: dict[str, list[Heard]] = {name: [] for name in forms}
    elapsed_s = dict.fromkeys(forms, 0.0)
    for recording in evaluation.progress(listening.made(settings, examined), total=None):
        for name, form in forms.items():
            started = time.perf_counter()
            heard[name].append(form.hear(recording))
            spotting.alarms(heard[name][-1:], keywords)
            elapsed_s[name] += time.perf_counter() - started
    audio_s = sum(one.duration_s for one in next(iter(heard.values())))
    report = spotting.evaluate(
        heard,
        keywords,
        calibrated=calibrated,
        rates=[float(rate) for rate in settings.rates],
        worst=settings.worst,
        costs={name: _cost(form, elapsed_s[name] / audio_s) for name, form in forms.items()},
        training_speakers=set(record.get("training_speakers", [])),
        model={"path": str(path), "forms": list(forms)},
        data=corpus.description(settings, examined)
        | {"streams": OmegaConf.to_container(settings.streams, resolve=True)}
        | {"homophones": settings.homophones},
        record=corpus.brief(record),
        accent=settings.homophones,
    )
    output = Path(settings.output)
    spotting.write(report, output)
    console = Console()
    console.print(spotting.table(report))
    console.print(f"report: {output / 'report.html'}", soft_wrap=True)


def _forms(path: Path, checkpoint: Path | None) -> dict[str, _Form]:
    """Give the forms of a model by name; ``checkpoint`` is judged beside a folder's graphs."""
    forms = {}
    if path.suffix == ".ckpt":
        checkpoint = path
    if checkpoint is not None:
        forms["checkpoint"] = _checkpoint(checkpoint)
    if path.suffix == ".ckpt":
        return forms
    open_graph = functools.partial(runtime.load, threads=1)
    model = open_graph(path)
    graph = path / runtime.WAVEFORM_GRAPH if path.is_dir() else path
    forms["float graph"] = _Form(model, _hearing(model), open_graph, path, graph)
    int8 = path / _INT8_GRAPH
    # One that was exported and is gone is missed, not left out.
    if int8.is_file() or (path.is_dir() and _INT8_GRAPH in model.description["files"]):
        small = open_graph(int8)
        forms["int8 graph"] = _Form(small, _hearing(small), open_graph, int8, int8)
    if path.is_dir() and streams(model.description):
        steps = model.steps()

        def heard(recording: Recording) -> Heard:
            return spotting.listen(steps, recording, model.seconds(1))

        stream = path / runtime.STREAM_GRAPH
        forms["stream graph"] = _Form(model, heard, open_graph, path, stream)
    return forms


def _checkpoint(path: Path) -> _Form:
    model, _ = module.load(path)
    causal = isinstance(model.network, StreamingNetwork) or not model.network.settings.get(
        "bidirectional", True
    )
    return _Form(model, _offline(model, causal=causal), module.load, path, path)


def _hearing(model: runtime.Model) -> Callable[[Recording], Heard]:
    """Let the whole-clip graph hear a recording: in one piece if it is causal."""
    network = model.description.get("network", {})
    causal = streams(model.description) or not network.get("bidirectional", True)
    return _offline(model, causal=causal)


def _offline(model: Recogniser, *, causal: bool) -> Callable[[Recording], Heard]:
    """Let a model hear a recording in one piece, or through the window that a device slides."""
    step_s = model.seconds(1)
    if causal:
        return lambda recording: spotting.listen_at_once(model.log_probs, recording, step_s)
    window, rate = Window(), model.sample_rate
    steps = Windows(
        model.log_probs,
        len(model.tokenizer.tokens),
        round(step_s * rate),
        left=round(window.left_s * rate),
        read=round(window.read_s * rate),
        right=round(window.right_s * rate),
    )
    return lambda recording: spotting.listen(steps, recording, step_s)


def _keywords(
    settings: DictConfig, model: Recogniser, path: Path
) -> tuple[tuple[Keyword, ...], bool]:
    """Give the keywords, and whether all have thresholds that were chosen.

    Raises:
        ConfigError: none is named and the model has none.
        KeywordError: the model cannot spell one.
    """
    entries: dict[str, Any] = {}
    if path.suffix != ".ckpt":
        entries = dict(runtime.load(path).description.get("keywords", {}))
    known = {text: float(entry["threshold"]) for text, entry in entries.items()}
    typed = [str(word) for word in settings.keywords or known]
    if not typed:
        raise ConfigError(
            "there is no keyword to judge: name some with keywords=[left,right], or find thresholds"
            " with 'linnet calibrate' first, whose keywords are then taken"
        )
    keywords = parse(typed, model.tokenizer, known, DEFAULT_THRESHOLD)
    chosen = {one.rpartition(":")[0] for one in typed if ":" in one} | set(known)
    return keywords, all(one.text in chosen for one in keywords)


def _cost(form: _Form, real_time_factor: float) -> Cost:
    return Cost(
        file=form.file.name,
        megabytes=form.file.stat().st_size / 1e6,
        real_time_factor=real_time_factor,
        memory_mb=spotting.peak_memory_mb(form.opened, form.path),
    )
