"""Stored posteriors: what a model said of hours of audio, kept for keywords that nobody knows yet.

Heard of every recording -> <model folder>.posteriors/<key>.npz -> Heard, for any keyword

They lie beside the model folder, not in it: the folder holds what a device needs. The key is a hash
of the graph and of the audio, so that another model or other audio never finds them; they can be
deleted at any time, and are then computed again. Numbers and JSON only, nothing that could run.
"""

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from linnet.errors import InputError, ModelError
from linnet.evaluation.spotting.listening import Heard, Span
from linnet.files import beside
from linnet.runtime import Window

_RECIPE = 2  # raise it when the same model and audio give other numbers


@dataclasses.dataclass(frozen=True)
class Stored:
    """The posteriors of some audio.

    Attributes:
        heard: one a recording.
        negatives: what the audio is, in words.
        model: names the graphs.
        key: names the graphs and the audio.
    """

    heard: tuple[Heard, ...]
    negatives: str
    model: str
    key: str

    @property
    def hours(self) -> float:
        """How long it all is."""
        return sum(one.duration_s for one in self.heard) / 3600


def folder(model: Path) -> Path:
    """Give where the posteriors of a model folder are kept: beside it."""
    model = model.resolve()
    return model.with_name(f"{model.name}.posteriors")


def model_key(model: Path) -> str:
    """Give what tells the graphs of a model folder from all others.

    Raises:
        ModelError: it is no model folder.
    """
    try:
        described = json.loads((model / "model.json").read_text(encoding="utf-8"))
        graphs = {
            name: entry["sha256"]
            for name, entry in described["files"].items()
            if name.endswith(".onnx")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{model}: this is no model folder; 'linnet export' makes one, and its thresholds are "
            "kept in its model.json"
        ) from error
    return _hash(graphs)


def key(model: Path, audio: Mapping[str, Any]) -> str:
    """Give the key of the posteriors of ``audio``, described in plain values, by ``model``."""
    return _hash([_RECIPE, model_key(model), dataclasses.asdict(Window()), audio])


def save(stored: Stored, model: Path) -> Path:
    """Write posteriors beside the model folder, whole or not at all; say where."""
    path = folder(model) / f"{stored.key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    index = {
        "model": stored.model,
        "negatives": stored.negatives,
        "recordings": [
            {
                "id": one.id,
                "duration_s": one.duration_s,
                "step_s": one.step_s,
                "steps": len(one.log_probs),
                "spans": [dataclasses.astuple(span) for span in one.spans],
            }
            for one in stored.heard
        ],
    }
    content = np.frombuffer(json.dumps(index).encode(), np.uint8)
    with beside(path) as draft, draft.open("wb") as file:
        np.savez(
            file,
            index=content,
            log_probs=np.concatenate([one.log_probs for one in stored.heard]),
            known_s=np.concatenate([one.known_s for one in stored.heard]),
        )
    return path


def load(path: Path) -> Stored:
    """Read what ``save`` wrote.

    Raises:
        InputError: the file is damaged.
    """
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            index = json.loads(file["index"].tobytes())
            log_probs, known_s = file["log_probs"], file["known_s"]
        heard, first = [], 0
        for one in index["recordings"]:
            steps = slice(first, first + one["steps"])
            spans = tuple(Span(*span) for span in one["spans"])
            heard.append(
                Heard(
                    one["id"],
                    one["duration_s"],
                    spans,
                    one["step_s"],
                    log_probs[steps],
                    known_s[steps],
                )
            )
            first = steps.stop
        return Stored(tuple(heard), str(index["negatives"]), str(index["model"]), path.stem)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: these stored posteriors are damaged ({error}); delete the file, it is made "
            "again"
        ) from error


def find(model: Path) -> list[Stored]:
    """Read all posteriors that are stored for the graphs of a model folder, the longest first."""
    wanted = model_key(model)
    found = [load(path) for path in sorted(folder(model).glob("*.npz"))]
    return sorted((one for one in found if one.model == wanted), key=lambda one: -one.hours)


def _hash(content: Any) -> str:  # noqa: ANN401 - any plain values
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
