"""The weights in an exported graph, and what each recurrent layer of it was fed.

    graph -> GRU, LSTM, RNN nodes -> weights (also int8 ones, unfolded by running their nodes)
    graph, waveform -> the same graph that also gives out what its layers take and give -> traces

Nothing is assumed of what stands between two layers: each is replayed on what it was really fed,
and its states are compared with those that the graph computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from jaxtyping import Float32
from onnx import helper

from linnet.errors import ModelError
from linnet.gates.equations import Weights
from linnet.gates.replay import Direction, Trace, layer
from linnet.runtime import session

# Blocks of rows in ONNX's weights, in the order of our equations: torch's.
_ORDERS = {"GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1), "RNN": (0,)}  # z r h; i o f c; i


@dataclass(frozen=True)
class Replayed:
    """What a graph did with a clip.

    Attributes:
        log_probs: what it answered.
        features: what its first layer was fed.
        traces: the replay of each layer and direction.
        difference: the largest difference between a replayed state and the graph's own.
    """

    log_probs: Float32[np.ndarray, "steps tokens"]
    features: Float32[np.ndarray, "steps features"]
    traces: list[Trace]
    difference: float


class Graph:
    """A waveform graph with its recurrent layers laid open.

    Args:
        content: of the ``.onnx`` file.
        cell: what the model's description calls its cell.
        name: what errors call the graph.

    Raises:
        ModelError: it is no graph, or holds no recurrent layers with weights of their own.
    """

    def __init__(self, content: bytes, cell: str, name: str) -> None:
        self._name = name
        try:
            self._model = onnx.load_from_string(content)
        except Exception as error:  # protobuf's errors have no base of their own
            raise ModelError(f"{name}: no readable ONNX graph ({error})") from error
        graph = self._model.graph
        self._makers = {output: node for node in graph.node for output in node.output}
        self._constants = {constant.name for constant in graph.initializer}
        self._nodes = [node for node in graph.node if node.op_type in _ORDERS]
        if not self._nodes:
            raise ModelError(f"{name}: this graph has no recurrent layers to look into")
        self._reversed = {n.name: self._reads_backward(n) for n in self._nodes}
        values = self._values([i for node in self._nodes for i in node.input[1:4] if i])
        layers = self._layers()
        self.directions = [
            _direction(node, layers[i], self._reversed[node.name], cell, values)
            for i, node in enumerate(self._nodes)
        ]
        self._session = session(self._laid_open().SerializeToString(), name)

    def replay(self, waveform: Float32[np.ndarray, " samples"]) -> Replayed:
        """Run the graph on a clip and replay what each of its layers was fed."""
        log_probs, *wires = self._session.run(
            None, {self._model.graph.input[0].name: waveform[None]}
        )
        traces, difference = [], 0.0
        for i, direction in enumerate(self.directions):
            inputs, states = wires[2 * i][:, 0], wires[2 * i + 1][:, 0, 0]
            if direction.backward:
                inputs, states = inputs[::-1], states[::-1]
            traces.append(layer(direction, torch.from_numpy(inputs.copy()).double()))
            away = np.abs(traces[-1].states.numpy() - states)
            difference = max(difference, float(away.max(initial=0.0)))
        return Replayed(log_probs[0], wires[0][:, 0], traces, difference)

    def head(self) -> tuple[Float32[np.ndarray, "hidden tokens"], Float32[np.ndarray, " tokens"]]:
        """Give weight and bias of the linear layer that ends the network.

        Raises:
            ModelError: the graph does not end in one.
        """
        last = self._model.graph.output[0].name
        chain: list[onnx.NodeProto] = []
        while last in self._makers and len(chain) < 3:
            node = self._makers[last]
            chain.append(node)
            last = node.input[0]
        if [node.op_type for node in chain] != ["LogSoftmax", "Add", "MatMul"]:
            raise ModelError(f"{self._name}: this graph does not end in a linear layer")
        wanted = [chain[2].input[1], chain[1].input[1]]
        values = self._values(wanted)
        return values[wanted[0]], values[wanted[1]]

    def _reads_backward(self, node: onnx.NodeProto) -> bool:
        """Whether a layer's input was turned round, or the layer turns it round itself."""
        maker = self._makers.get(node.input[0])
        turned = maker is not None and maker.op_type == "ReverseSequence"
        directions = [a.s.decode() for a in node.attribute if a.name == "direction"]
        if directions == ["bidirectional"]:
            raise ModelError(
                f"{self._name}: {node.name} holds both directions in one node, which no export of "
                "Linnet does; export the checkpoint again"
            )
        return turned or directions == ["reverse"]

    def _layers(self) -> list[int]:
        """Number the layers: a direction that follows a forward one backward is of the same."""
        numbers, number = [], -1
        for i, node in enumerate(self._nodes):
            pair = i and self._reversed[node.name] and not self._reversed[self._nodes[i - 1].name]
            number += 0 if pair else 1
            numbers.append(number)
        return numbers

    def _values(self, names: Sequence[str]) -> dict[str, Float32[np.ndarray, "..."]]:
        """Compute wires that depend on constants only: weights, folded or not.

        Raises:
            ModelError: one depends on an input of the graph.
        """
        nodes: dict[str, onnx.NodeProto] = {}
        waiting, used = list(names), set()
        while waiting:
            wire = waiting.pop()
            if wire in self._constants:
                used.add(wire)
            elif wire in self._makers:
                node = self._makers[wire]
                nodes[node.output[0]] = node
                waiting += [one for one in node.input if one]
            else:
                raise ModelError(
                    f"{self._name}: this graph holds no weights for {wire!r} but takes them as an "
                    "input; give the model folder that 'linnet export' wrote"
                )
        ordered = [n for n in self._model.graph.node if n.output[0] in nodes]
        wanted = list(dict.fromkeys(names))
        same = [helper.make_node("Identity", [name], [f"{name}/given"]) for name in wanted]
        outputs = [
            helper.make_tensor_value_info(f"{name}/given", onnx.TensorProto.FLOAT, None)
            for name in wanted
        ]
        kept = [one for one in self._model.graph.initializer if one.name in used]
        part = helper.make_graph([*ordered, *same], "weights", [], outputs, kept)
        model = helper.make_model(
            part, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        found = session(model.SerializeToString(), self._name).run(None, {})
        return dict(zip(wanted, found, strict=True))

    def _laid_open(self) -> onnx.ModelProto:
        """Give the graph with input and output of each recurrent layer among its outputs."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        given = [self._model.graph.output[0].name]
        for node in self._nodes:
            given += [node.input[0], node.output[0]]
        kinds = {output.name: output for output in model.graph.output}
        del model.graph.output[:]
        # A wire may be given out once only; a second name for it costs nothing.
        for i, wire in enumerate(given):
            name = f"linnet_inspect/{i}"
            model.graph.node.append(helper.make_node("Identity", [wire], [name]))
            kind = (
                onnx.TensorProto.FLOAT
                if wire not in kinds
                else kinds[wire].type.tensor_type.elem_type
            )
            model.graph.output.append(helper.make_tensor_value_info(name, kind, None))
        return model


def _direction(
    node: onnx.NodeProto,
    number: int,
    backward: bool,
    cell: str,
    values: Mapping[str, Float32[np.ndarray, "..."]],
) -> Direction:
    """Give the weights of a node in the order of our equations."""
    order = _ORDERS[node.op_type]

    def blocks(array: Float32[np.ndarray, "..."]) -> torch.Tensor:
        parts = np.split(array, len(order))
        return torch.from_numpy(np.concatenate([parts[i] for i in order])).double()

    input_weight, state_weight = values[node.input[1]][0], values[node.input[2]][0]
    named = node.input[3] if len(node.input) > 3 else ""
    biases = values[named][0] if named else np.zeros(2 * len(input_weight), np.float32)
    inner, outer = np.split(biases, 2)
    weights = Weights(blocks(input_weight), blocks(state_weight), blocks(inner), blocks(outer))
    before = node.op_type == "GRU" and not _attribute(node, "linear_before_reset")
    kind = "gru_reset_before" if before else node.op_type.lower()
    if cell in ("mgu", "ligru") and node.op_type == "GRU":
        kind, weights = cell, _fewer_blocks(weights, cell)
    return Direction(number, backward, kind, weights)


def _fewer_blocks(weights: Weights, cell: str) -> Weights:
    """Undo how an export writes a smaller cell as a GRU: f stands as r, z n stand as they are."""
    keep = (0, 2) if cell == "mgu" else (1, 2)

    def part(rows: torch.Tensor) -> torch.Tensor:
        blocks = rows.chunk(3)
        return torch.cat([blocks[i] for i in keep])

    return Weights(
        part(weights.input_weight),
        part(weights.state_weight),
        part(weights.input_bias),
        part(weights.state_bias),
    )


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((one.i for one in node.attribute if one.name == name), 0)
