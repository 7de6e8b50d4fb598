"""linnet inspect: a model laid open on recordings.

model -> opened -> replay of each recording -> Inspection -> page and pictures

Everything is drawn before anything is written.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnet import audio, decode, gates
from linnet.apps.opening import Subject, alone, opened
from linnet.errors import InputError, LinnetError, ModelError
from linnet.files import write_text
from linnet.gates import page
from linnet.gates.inspection import Clip, Inspection
from linnet.gates.reach import Reach
from linnet.model import Network

PAGE = "gates.html"
# Recordings that are counted, and answers whose gradient is followed.
_MOST_CLIPS, _ANSWERS = 200, 6
# A replay that is further away than rounding goes is not of this network.
_TOLERANCE = 1e-2
_SHORTEST_STEPS = 3
_FRESH = ("gru", "lstm", "rnn")


def facts(path: Path) -> dict[str, str]:
    """Say what the model at ``path`` is."""
    return opened(path).facts()


def inspect(model: Path, recordings: Sequence[Path], output: Path) -> Path:
    """Lay a model open on recordings, write page and pictures, and give the page's path.

    Raises:
        InputError: a recording cannot be read, or the first is too short to draw.
        ModelError: the model cannot be replayed.
        LinnetError: ``output`` cannot be written.
    """
    subject = opened(model)
    _check_kind(subject, model)
    if len(recordings) > _MOST_CLIPS:
        sys.stderr.write(f"inspect: of {len(recordings)} recordings the first {_MOST_CLIPS}\n")
    clips, difference = _clips(subject, recordings[:_MOST_CLIPS])
    reaches, remarks = _reaches(subject, clips[0])
    found = Inspection(
        model=str(model),
        cell=str(subject.settings.get("cell", clips[0].traces[0].direction.cell)),
        facts=subject.facts(),
        symbols=subject.tokenizer.tokens,
        clips=clips,
        reaches=reaches,
        remarks=remarks,
        difference=difference,
    )
    return _written(found, output)


def _check_kind(subject: Subject, model: Path) -> None:
    """Refuse a network whose layers read each step more than once, and several networks."""
    if networks := subject.settings.get("networks"):
        raise ModelError(
            f"{model}: {len(networks)} networks, joined; inspect one of the checkpoints that "
            "linnet join was given"
        )
    if subject.settings.get("kind") == "chunked":
        raise ModelError(
            f"{model}: this network reads in chunks, each step several times, so it has no single "
            "value of a gate at a step to draw; expected one that reads whole clips, or with a "
            "lookahead"
        )


def _clips(subject: Subject, recordings: Sequence[Path]) -> tuple[list[Clip], float]:
    """Hear all recordings; those too short are named and left out, but for the first."""
    clips: list[Clip] = []
    largest = 0.0
    for path in recordings:
        waveform = audio.read(path, sample_rate=subject.sample_rate)
        least = round(_SHORTEST_STEPS * subject.step_s * subject.sample_rate)
        if len(waveform) < least:
            said = (
                f"{path}: {len(waveform)} samples are too short to draw; expected at least "
                f"{_SHORTEST_STEPS} steps, {least} samples at {subject.sample_rate} Hz"
            )
            if not clips:
                raise InputError(said)
            sys.stderr.write(f"inspect: {said}\n")
            continue
        log_probs, traces, difference = subject.hear(waveform)
        largest = max(largest, difference)
        best = decode.greedy(log_probs)
        heard = tuple(zip(best.ids, best.starts, best.ends, strict=True))
        text = subject.tokenizer.decode(best.ids)
        rate, step_s = subject.sample_rate, subject.step_s
        clips.append(Clip(path.name, waveform, rate, step_s, text, heard, traces))
    if largest > _TOLERANCE:
        raise LinnetError(
            f"the replay differs from the model by {largest:.2g}; its layers are not those that "
            "its weights are named after"
        )
    return clips, largest


def _reaches(subject: Subject, clip: Clip) -> tuple[dict[str, Reach], list[str]]:
    """Follow the gradient in this model and in fresh ones of each cell, on the same features."""
    features = subject.features(clip.waveform)
    try:
        network = subject.network()
        log_probs = network(features).detach().numpy()
    except ModelError as error:
        return {}, [f"How far back an answer depends is not shown: {error}"]
    said = subject.hear(clip.waveform)[0]
    if np.abs(log_probs - said).max() > _TOLERANCE:
        return {}, [
            "How far back an answer depends is not shown: between the layers of this graph stands "
            "more than the weights say; inspect its checkpoint."
        ]
    chosen = gates.targets(log_probs, clip.heard, _ANSWERS)
    found = {"this model": gates.reach(network, features, chosen)}
    settings = dict(subject.settings)
    for cell in _FRESH if settings else ():
        fresh = _fresh({**settings, "cell": cell, "features": features.shape[1]})
        found[f"untrained {cell.upper()}"] = gates.reach(alone(fresh), features, chosen)
    return found, []


def _fresh(settings: Mapping[str, Any]) -> Network:
    """Build a whole-clip network with the weights that training starts from, always the same."""
    sizes = ("features", "tokens", "cell", "layers", "hidden", "dropout")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        both = bool(settings.get("bidirectional", False))
        chosen = {name: settings[name] for name in sizes}
        return Network(**chosen, bidirectional=both).double().eval()


def _written(found: Inspection, output: Path) -> Path:
    """Write the page and each picture in both themes."""
    parts = page.chapters(found)
    content = page.render(found, parts)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for part in parts:
            for _, _, picture in part.pictures:
                (output / f"{picture.name}.png").write_bytes(picture.light)
                (output / f"{picture.name}_dark.png").write_bytes(picture.dark)
        write_text(output / PAGE, content)
    except OSError as error:
        raise LinnetError(f"{output}: the page cannot be written: {error.strerror}") from error
    return output / PAGE
