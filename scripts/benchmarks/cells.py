"""What a cell costs in use: the GRU against the LSTM and the tanh cell, float against int8 weights.

    settings of linnet train, a cell each -> features.onnx, features.int8.onnx -> onnxruntime, turns

The network alone is timed, from the log-mel on: the spectrum costs every cell the same. Weights are
random, which changes no time.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import models
from benchmarks.comparing import Comparison, alternate, timed
from benchmarks.options import Options
from linnet.export.int8 import int8_name
from linnet.frontend import FrontEnd
from linnet.runtime import FEATURES_GRAPH, session

_CELLS = {"gru": "GRU", "lstm": "LSTM", "rnn": "tanh cell"}


@dataclass(frozen=True)
class _Side:
    name: str
    file: Path
    front_end: FrontEnd

    def call(self, seconds: float) -> Callable[[], object]:
        """Give what answers once, to a log-mel of so many seconds."""
        frames = round(1000 * seconds / self.front_end.settings["shift_ms"])
        shape = 1, frames, self.front_end.settings["mels"]
        log_mel = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        opened = session(self.file.read_bytes(), self.file.name)
        given = {"x": log_mel, "x_lens": np.array([log_mel.shape[1]])}
        return lambda: opened.run(None, given)

    def megabytes(self) -> float:
        """Give the size of the file."""
        return self.file.stat().st_size / 2**20


def run(options: Options) -> list[Comparison]:
    """Compare the cells, and each with its own int8 weights."""
    compared = []
    with tempfile.TemporaryDirectory() as folder:
        sides = {cell: _sides(cell, Path(folder)) for cell in _CELLS}
        gru, gru_int8 = sides["gru"]
        for cell, (plain, small) in sides.items():
            pairs = [(small, plain)]
            if cell != "gru":
                pairs += [(gru, plain), (gru_int8, small)]
            for ours, peer in pairs:
                compared += [_time(ours, peer, seconds, options) for seconds in options.compared_s]
                compared.append(_size(ours, peer))
    return compared


def _sides(cell: str, folder: Path) -> tuple[_Side, _Side]:
    """Give the network of a cell with float32 weights, and with int8 ones."""
    model = models.of_cell(cell)
    file = models.prepare(model, folder / cell).folder / FEATURES_GRAPH
    small = file.with_name(int8_name(file.name))
    name, front_end = _CELLS[cell], model.front_end
    return _Side(name, file, front_end), _Side(f"{name}, int8", small, front_end)


def _time(ours: _Side, peer: _Side, seconds: float, options: Options) -> Comparison:
    turns = (timed(side.call(seconds), options.least_s) for side in (ours, peer))
    took = alternate(*turns, options.turns)
    return _comparison(f"network alone, {seconds:g} s of audio", "s", ours, peer, took)


def _size(ours: _Side, peer: _Side) -> Comparison:
    return _comparison(FEATURES_GRAPH, "MB", ours, peer, ((ours.megabytes(),), (peer.megabytes(),)))


def _comparison(
    task: str,
    unit: str,
    ours: _Side,
    peer: _Side,
    values: tuple[tuple[float, ...], tuple[float, ...]],
) -> Comparison:
    return Comparison(
        benchmark="cells",
        task=task,
        ours=ours.name,
        peer=peer.name,
        unit=unit,
        more_is_better=False,
        our_values=values[0],
        peer_values=values[1],
        agreement={},
    )
