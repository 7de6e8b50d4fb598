"""Models of either kind, opened so that their layers can be replayed.

checkpoint -> front-end, network, weights -+
exported   -> graph, weights in it        -+-> what it is; log-probabilities and traces of a clip
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from linnet import cells, gates, module, runtime, streaming
from linnet.gates.graph import Graph
from linnet.model import Network
from linnet.stacked import StackedNetwork
from linnet.text import Tokenizer


@runtime_checkable
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
        self, waveform: Float32[ndarray, " samples"]
    ) -> tuple[Float32[ndarray, "steps tokens"], list[gates.Trace], float]:
        """Give the log-probabilities, the replay, and the largest difference between the two."""
        ...

    def network(self) -> Callable[[Tensor], Tensor]:
        """Give what follows these features as a function to log-probabilities, in float64."""
        ...

    def features(self, waveform: Float32[ndarray, " samples"]) -> Tensor:
        """Give what the recurrent layers are fed, in float64."""
        ...


class Checkpoint:
    """A model as training left it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model, self._record = module.load(path)
        self._network = self._model.network.double()
        # The recurrent layers are looked into; what stands before them makes what they are fed.
        self._stem, self._network.stem = self._network.stem, None
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

    def features(self, waveform: Float32[ndarray, " samples"]) -> Tensor:
        """Give what the recurrent layers are fed, in float64."""
        with torch.no_grad():
            batch = torch.from_numpy(waveform)[None]
            features, steps = self._model.front_end(batch, torch.tensor([len(waveform)]))
            given = features.double()
            return given[0] if self._stem is None else self._stem(given, steps)[0]

    def network(self) -> Callable[[Tensor], Tensor]:
        """Give what follows these features as a function to log-probabilities, in float64."""
        return alone(self._network)

    def hear(
        self, waveform: Float32[ndarray, " samples"]
    ) -> tuple[Float32[ndarray, "steps tokens"], list[gates.Trace], float]:
        """Give the log-probabilities, the replay, and the largest difference between the two."""
        features = self.features(waveform)
        with torch.no_grad():
            log_probs = self.network()(features)
            traces, difference = self._replay(features)
        return log_probs.float().numpy(), traces, difference

    def _replay(self, features: Tensor) -> tuple[list[gates.Trace], float]:
        """Replay the layers, and say how far their last states are from the network's own."""
        if isinstance(self._network, StackedNetwork):
            traces, top = self._network.replay(features)
            replayed = torch.log_softmax(self._network.head(top), dim=-1)
            return traces, float((replayed - self.network()(features)).abs().max())
        made = cells.directions(self._network.recurrent, str(self.settings["cell"]))
        traces = gates.stack(made, features)
        states = self._network.recurrent(features[None])[0][0]
        return traces, float((_top(traces) - states).abs().max())


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

    def features(self, waveform: Float32[ndarray, " samples"]) -> Tensor:
        """Give what the recurrent layers are fed, in float64."""
        return torch.from_numpy(self._graph.replay(waveform).features.copy()).double()

    def network(self) -> Callable[[Tensor], Tensor]:
        """Give what follows these features as a function to log-probabilities, in float64."""
        weight, bias = (torch.from_numpy(part.copy()).double() for part in self._graph.head())

        def replayed(features: Tensor) -> Tensor:
            traces = gates.stack(self._graph.directions, features)
            return torch.log_softmax(_top(traces) @ weight + bias, dim=-1)

        return replayed

    def hear(
        self, waveform: Float32[ndarray, " samples"]
    ) -> tuple[Float32[ndarray, "steps tokens"], list[gates.Trace], float]:
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


def alone(network: Network) -> Callable[[Tensor], Tensor]:
    """Give a network as a function of one clip."""

    def of_one(features: Tensor) -> Tensor:
        return network(features[None], torch.tensor([len(features)]))[0]

    return of_one


def _top(traces: Sequence[gates.Trace]) -> Float[Tensor, "steps width"]:
    """Give what the last layer hands on, both directions side by side."""
    last = traces[-1].direction.layer
    return torch.cat([one.states for one in traces if one.direction.layer == last], dim=1)


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
    rest = sorted(set(settings) - {*first, "features", "tokens", "dropout", "networks"})
    found = {name: settings[name] for name in [*first, *rest]}
    for number, one in enumerate(settings.get("networks", ()), start=1):
        told = (f"{name} {_plain(value)}" for name, value in _ordered(one).items())
        found[f"network {number}"] = f"({', '.join(told)})"
    return found


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
