"""The models of ``infer``: from a checkpoint, or of random weights, and written for each side.

    checkpoint | settings of linnet train -> Recogniser -> model folder, weights for torch

Without a checkpoint they have the size that training gives them: one that reads whole recordings
that of ``linnet train`` when nothing is said, one that streams that of the twelve words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class

from benchmarks import clips
from linnet.apps import config
from linnet.errors import ModelError
from linnet.export import export
from linnet.export.int8 import int8_name
from linnet.frontend import FrontEnd
from linnet.module import Recogniser, load
from linnet.runtime import STREAM_GRAPH, WAVEFORM_GRAPH
from linnet.text import Characters, Tokenizer, Words

_STREAMING = "experiment=commands12_stream"
_HEARD_S = 8
_SURER = 12.0


@dataclass(frozen=True)
class Models:
    """The same model as each side loads it.

    Attributes:
        folder: as ``linnet export`` writes it.
        torch: weights, and what they belong to.
    """

    folder: Path
    torch: Path

    @property
    def linnet(self) -> Path:
        """The waveform graph."""
        return self.folder / WAVEFORM_GRAPH

    @property
    def stream(self) -> Path:
        """The stream graph, which a model of whole recordings lacks."""
        return self.folder / STREAM_GRAPH

    def int8(self, graph: Path) -> Path:
        """Give the same graph with weights stored as int8."""
        return graph.with_name(int8_name(graph.name))


def recogniser(path: Path | None) -> Recogniser:
    """Give the recogniser of a checkpoint or a run folder; of random weights if None.

    Raises:
        ModelError: there is no checkpoint.
    """
    if path is not None:
        if path.is_dir() and not (path / "checkpoints").is_dir():
            raise ModelError(
                f"{path}: no run folder of linnet train; give one, or a .ckpt: both sides need it"
            )
        return load(path / "checkpoints" / "best.ckpt" if path.is_dir() else path)[0]
    return of_cell("gru")


def of_cell(cell: str) -> Recogniser:
    """Give a recogniser with this cell, of random weights, of the size that training gives it."""
    settings = config.compose("train", [f"model.cell={cell}"])
    return _fresh(settings, Characters(settings.tokenizer.alphabet))


def streaming() -> Recogniser:
    """Give a recogniser that streams, of random weights; it knows how features are distributed.

    What it says changes with what it hears, so that a side that answers wrongly is found out.
    """
    settings = config.compose("train", [_STREAMING])
    made = _fresh(settings, Words(list(settings.data.words)))
    front_end, head = made.front_end, made.network.head
    heard = clips.tones(_HEARD_S)
    log_mel = front_end.log_mel(torch.from_numpy(heard)[None], torch.tensor([len(heard)]))[0]
    cepstra = log_mel @ front_end.dct
    front_end.set_statistics(cepstra.mean(0), cepstra.std(0))
    with torch.no_grad():
        head.weight *= _SURER
        head.bias -= torch.from_numpy(made.log_probs(heard)).mean(0)
    return made


def prepare(model: Recogniser, folder: Path) -> Models:
    """Write ``model`` as each side loads it."""
    folder.mkdir(exist_ok=True)
    exported, weights = folder / "model", folder / "weights.pt"
    heard = [clips.tone(number, 1.0) for number in range(2)]
    export(
        model.front_end,
        model.network,
        model.tokenizer,
        {},
        exported,
        heard,
        longest_s=1.0,
        say=lambda _: None,
    )
    content = {
        "front_end": model.front_end.settings,
        "network": model.network.settings,
        "front_end_weights": model.front_end.state_dict(),
        "network_weights": model.network.state_dict(),
    }
    torch.save(content, weights)
    return Models(exported, weights)


def _fresh(settings: Mapping[str, Any], tokens: Tokenizer) -> Recogniser:
    """Give a recogniser as ``settings`` describe it; the same weights in every run."""
    front_end = FrontEnd(**_arguments(settings["frontend"]))
    arguments = _arguments(settings["model"])
    del arguments["stack"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = get_class(settings["model"]["_target_"])
        network = made(features=front_end.features, tokens=len(tokens.tokens), **arguments).eval()
    return Recogniser(front_end, network.plain(), tokens).eval()


def _arguments(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - a group of settings
    return {str(key): value for key, value in settings.items() if key != "_target_"}
