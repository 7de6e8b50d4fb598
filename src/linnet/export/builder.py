"""A graph under construction: nodes in order, constants by name, both readable in a viewer.

Every node is named ``scope/what`` and its output carries the node's name, so that a wire in a
viewer says what flows through it. A constant is stored once, however many nodes read it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from jaxtyping import Shaped
from onnx import helper, numpy_helper

# What deployed runtimes of several years read.
OPSET = 17
IR_VERSION = 8

FLOAT = onnx.TensorProto.FLOAT
DOUBLE = onnx.TensorProto.DOUBLE
INT64 = onnx.TensorProto.INT64
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.float64): DOUBLE, np.dtype(np.int64): INT64}


class Graph:
    """Collects the nodes and constants of one ONNX graph."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, Shaped[np.ndarray, ...]] = {}
        self._scope = ""

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put ``name/`` before the names of the nodes and weights that are added inside."""
        outside, self._scope = self._scope, f"{self._scope}{name}/"
        try:
            yield
        finally:
            self._scope = outside

    def node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """Add a node with one output, which is named like it, and give that name."""
        name = f"{self._scope}{name}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def split(self, name: str, outputs: Sequence[str], source: str, sizes: str, axis: int) -> None:
        """Add a node that cuts ``source`` into ``outputs``."""
        made = helper.make_node("Split", [source, sizes], list(outputs), name, axis=axis)
        self._nodes.append(made)

    def constant(self, name: str, values: Shaped[np.ndarray, "..."]) -> str:
        """Store ``values`` under ``name``, once, and give the name."""
        return self._store(f"{self._scope}{name}", values)

    def _store(self, name: str, values: Shaped[np.ndarray, "..."]) -> str:
        known = self._constants.setdefault(name, values)
        if known.dtype != values.dtype or not np.array_equal(known, values):
            raise ValueError(f"the constant {name!r} is already there with other values")
        return name

    def number(self, value: int | float, kind: type[np.generic] = np.float32) -> str:
        """Give a constant without axes."""
        return self._store(f"{np.dtype(kind).name}/{value:.9g}", np.array(value, dtype=kind))

    def ints(self, *values: int) -> str:
        """Give a constant with one axis of integers: axes, sizes, positions."""
        return self._store(f"ints/{'_'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def cast(self, name: str, source: str, kind: type[np.generic]) -> str:
        """Add a conversion of ``source`` to another type of number."""
        return self.node("Cast", name, source, to=TYPES[np.dtype(kind)])

    def size(self, name: str, source: str, axis: int) -> str:
        """Add a node that gives the length of ``source`` along ``axis``, as one integer in a list.

        Lists of one keep slicing, padding and reshaping free of conversions.
        """
        return self.node("Shape", name, source, start=axis, end=axis + 1)

    def model(
        self,
        name: str,
        inputs: Mapping[str, tuple[int, tuple[int | str, ...]]],
        outputs: Mapping[str, tuple[int, tuple[int | str, ...]]],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Give the finished, checked model.

        Args:
            name: of the graph.
            inputs: element type and shape of each; an axis without a fixed length has a name.
            outputs: the same.
            metadata: key and value pairs that travel with the model.

        Raises:
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the graph is wrong.
        """
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in outputs.items()],
            [numpy_helper.from_array(values, n) for n, values in self._constants.items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="linnet",
        )
        helper.set_model_props(model, dict(sorted(metadata.items())))
        onnx.checker.check_model(model, full_check=True)
        return model
