"""linnet inspect: a model laid open.

    checkpoint -> front-end, weights        \
    exported   -> graph, weights in it       -> replay of each recording -> Inspection -> page

Everything is drawn before anything is written.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from linnet import audio, decode, gates, module, runtime, streaming
from linnet.errors import InputError, LinnetError, ModelError
from linnet.gates import page
from linnet.gates.graph import Graph
from linnet.gates.inspection import Clip, Inspection
from linnet.gates.reach import Reach
from linnet.model import Network
from linnet.text import Tokenizer

PAGE = "gates.html"
# Recordings that are counted, and answers whose gradient is followed.
_MOST_CLIPS, _ANSWERS = 200, 6
# A replay that is further away than rounding goes is not of this network.
_TOLERANCE = 1e-2
_SHORTEST_STEPS = 3
_FRESH = ("gru", "lstm", "rnn")


class Subject(Protocol):
    """A model that can be laid open."""

    settings: Mapping[str, Any]
    tokenizer: Tokenizer
    sample_rate: int
    step_s: float

    def facts(self) -> dict[str, str]:
        """Say what it is."""
        ...

    def hear(
        self, waveform: Float32[np.ndarray, " samples"]
    ) -> tuple[Float32[np.ndarray, "steps tokens"], list[gates.Trace], float]:
        """Give the log-probabilities, the replay, and the largest difference between the two."""
        ...

    def network(self) -> Callable[[Tensor], Tensor]:
        """Give the network as a function from features to log-probabilities, in float64."""
        ...

    def features(self, waveform: Float32[np.ndarray, " samples"]) -> Tensor:
        """Give what the network is fed, in float64."""
        ...


class Checkpoint:
    """A model as training left it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model, self._record = module.load(path)
        self._network = self._model.network.double()
        self.settings: Mapping[str, Any] = self._network.settings
        self.tokenizer = self._model.tokenizer
        self.sample_rate = self._model.sample_rate
        self.step_s = self._model.seconds(1)

    def facts(self) -> dict[str, str]:
        """Say what it is."""
        return {
            "checkpoint": f"{self._path} ({_size(self._path)})",
            **_facts(self._model.front_end.settings, self.settings, self.tokenizer, self.step_s),
            **_origin(self._record),
        }

    def features(self, waveform: Float32[np.ndarray, " samples"]) -> Tensor:
        """Give what the network is fed, in float64."""
        with torch.no_grad():
            batch = torch.from_numpy(waveform)[None]
            features, _ = self._model.front_end(batch, torch.tensor([len(waveform)]))
        return features[0].double()

    def network(self) -> Callable[[Tensor], Tensor]:
        """Give the network as a function from features to log-probabilities, in float64."""
        return _alone(self._network)

    def hear(
        self, waveform: Float32[np.ndarray, " samples"]
    ) -> tuple[Float32[np.ndarray, "steps tokens"], list[gates.Trace], float]:
        """Give the log-probabilities, the replay, and the largest difference between the two."""
        features = self.features(waveform)
        with torch.no_grad():
            states, _ = self._network.recurrent(features[None])
            log_probs = self.network()(features)
        traces = gates.stack(_directions(self._network), features)
        top = [t.states for t in traces if t.direction.layer == traces[-1].direction.layer]
        difference = float((torch.cat(top, dim=1) - states[0]).abs().max())
        return log_probs.float().numpy(), traces, difference


class Exported:
    """A model folder, or one of its waveform graphs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model = runtime.load(path)
        described = self._model.description
        self.settings: Mapping[str, Any] = described.get("network", {})
        self.tokenizer = self._model.tokenizer
        self.sample_rate = self._model.sample_rate
        self.step_s = self._model.seconds(1)
        file = path / runtime.WAVEFORM_GRAPH if path.is_dir() else path
        self._graph = Graph(file.read_bytes(), str(self.settings.get("cell", "")), str(file))

    def facts(self) -> dict[str, str]:
        """Say what it is."""
        described = self._model.description
        found = {"exported model": str(self._path)}
        if self._path.is_dir():
            files = [path for path in sorted(self._path.iterdir()) if path.is_file()]
            found["files"] = ", ".join(f"{path.name} ({_size(path)})" for path in files)
            found |= _parity(self._path / "parity.json")
        front_end = described.get("front_end", {})
        return {
            **found,
            **_facts(front_end, self.settings, self.tokenizer, self.step_s),
            **_origin(described.get("record", {})),
        }

    def features(self, waveform: Float32[np.ndarray, " samples"]) -> Tensor:
        """Give what the network is fed, in float64."""
        return torch.from_numpy(self._graph.replay(waveform).features.copy()).double()

    def network(self) -> Callable[[Tensor], Tensor]:
        """Give the network as a function from features to log-probabilities, in float64."""
        weight, bias = (torch.from_numpy(part.copy()).double() for part in self._graph.head())

        def replayed(features: Tensor) -> Tensor:
            traces = gates.stack(self._graph.directions, features)
            top = [t.states for t in traces if t.direction.layer == traces[-1].direction.layer]
            return torch.log_softmax(torch.cat(top, dim=1) @ weight + bias, dim=-1)

        return replayed

    def hear(
        self, waveform: Float32[np.ndarray, " samples"]
    ) -> tuple[Float32[np.ndarray, "steps tokens"], list[gates.Trace], float]:
        """Give the log-probabilities, the replay, and the largest difference between the two."""
        replayed = self._graph.replay(waveform)
        return replayed.log_probs, replayed.traces, replayed.difference


def opened(path: Path) -> Subject:
    """Open a model.

    Raises:
        ModelError: it is none, or one whose layers cannot be replayed.
    """
    if path.suffix == ".ckpt":
        return Checkpoint(path)
    return Exported(path)


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
    """Refuse a network whose layers read each step more than once."""
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
        fresh = _fresh({**settings, "cell": cell})
        found[f"untrained {cell.upper()}"] = gates.reach(_alone(fresh), features, chosen)
    return found, []


def _fresh(settings: Mapping[str, Any]) -> Network:
    """Build a whole-clip network with the weights that training starts from, always the same."""
    sizes = ("features", "tokens", "cell", "layers", "hidden", "dropout")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        both = settings.get("bidirectional", False)
        chosen = {name: settings[name] for name in sizes}
        return streaming.network({**chosen, "bidirectional": both}).double().eval()


def _alone(network: Network) -> Callable[[Tensor], Tensor]:
    """Give a network as a function of one clip."""

    def of_one(features: Tensor) -> Tensor:
        return network(features[None], torch.tensor([len(features)]))[0]

    return of_one


def _directions(network: Network) -> list[gates.Direction]:
    cell = str(network.settings["cell"])
    return gates.plain(cell, network.recurrent.state_dict())


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
        draft = output / f".{PAGE}.part"
        draft.write_text(content, encoding="utf-8")
        draft.replace(output / PAGE)
    except OSError as error:
        raise LinnetError(f"{output}: the page cannot be written: {error.strerror}") from error
    return output / PAGE


def _facts(
    front_end: Mapping[str, Any], settings: Mapping[str, Any], tokens: Tokenizer, step_s: float
) -> dict[str, str]:
    """Say what front-end, network and tokens are."""
    found = {}
    if front_end:
        found["front-end"] = (
            f"{front_end['sample_rate']} Hz, {front_end['mels']} mel filters, "
            f"{front_end['cepstra']} cepstra, normalised by {front_end['normalisation']}, "
            f"{front_end['stack']} frames a step of {1000 * step_s:.0f} ms"
        )
    if settings:
        found["network"] = ", ".join(
            f"{name} {_plain(value)}" for name, value in _ordered(settings).items()
        )
        found["weights"] = f"{streaming.network(settings).weights:,}"
    named = " ".join(tokens.tokens[:40]) + (" ..." if len(tokens.tokens) > 40 else "")
    found["tokens"] = f"{len(tokens.tokens)} ({tokens.kind}): {named}"
    return found


def _ordered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings of a network that say what it is, the most telling first."""
    first = [name for name in ("kind", "cell", "layers", "hidden") if name in settings]
    rest = sorted(set(settings) - {*first, "features", "tokens", "dropout"})
    return {name: settings[name] for name in [*first, *rest]}


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _origin(record: Mapping[str, Any]) -> dict[str, str]:
    """Say what the record of the training holds."""
    settings = record.get("settings", {})
    corpus = settings.get("data", {}).get("_target_", "")
    found = {
        "trained on": corpus.rpartition(".")[0].rpartition(".")[2],
        "epochs": str(settings.get("trainer", {}).get("max_epochs", "")),
        "seed": str(record.get("seed", "")),
        "manifest": str(record.get("manifest", ""))[:12],
        "commit": str(record.get("commit") or "")[:12],
        "linnet": str(record.get("linnet", "")),
    }
    return {name: value for name, value in found.items() if value}


def _parity(path: Path) -> dict[str, str]:
    """Say how closely each graph of a folder computes what its checkpoint computes."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        worst = {name: float(one["largest_difference"]) for name, one in sorted(files.items())}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {"parity": ", ".join(f"{name} within {value:.1g}" for name, value in worst.items())}


def _size(path: Path) -> str:
    count = path.stat().st_size
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
