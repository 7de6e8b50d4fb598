"""Weights as int8: a graph a quarter as large that computes as fast.

    weight -> largest of each row / 127 = scale -> round(weight / scale), int8
    in the graph: int8 -> Cast -> Mul by the scales -> the recurrent layer

A row is what one unit of a gate reads, or one token's scores. A runtime folds the two nodes when it
loads the graph, so that nothing is slower; operators that compute in int8 know no recurrent layers.
"""

import copy

import numpy as np
import onnx
import torch
from jaxtyping import Float32, Int8
from onnx import helper, numpy_helper

from linnet.export.builder import FLOAT
from linnet.model import Network

_LARGEST = 127
# In a graph the head's weight stands transposed, so that its rows are columns.
_MATRICES = ("weight_ih_", "weight_hh_")
_ROWS_ALONG = {"input_weight": -1, "state_weight": -1, "head/weight": 0}

_ENDING, _INT8_ENDING = ".onnx", ".int8.onnx"


def int8_name(file: str) -> str:
    """Give the name of the file that holds a graph's int8 form."""
    return file.removesuffix(_ENDING) + _INT8_ENDING


def float_name(file: str) -> str:
    """Give the name of the file whose int8 form ``file`` is; other names stay."""
    return file.removesuffix(_INT8_ENDING) + _ENDING if is_int8(file) else file


def is_int8(file: str) -> bool:
    """Tell whether a file of this name holds a graph with int8 weights."""
    return file.endswith(_INT8_ENDING)


def rounded(
    weight: Float32[np.ndarray, "..."], axis: int = -1
) -> tuple[Int8[np.ndarray, "..."], Float32[np.ndarray, "..."]]:
    """Give a weight as int8 and the scales to multiply it by.

    Args:
        weight: matrices; each row has a scale of its own.
        axis: that runs along a row.
    """
    largest = np.abs(weight).max(axis, keepdims=True)
    scale = np.where(largest > 0, largest / _LARGEST, 1.0).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale


def rounded_network(network: Network) -> Network:
    """Give a copy of the network with each matrix as its int8 form says it."""
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for name, weight in copied.named_parameters():
            kind = name.rpartition(".")[2]
            if name.endswith("head.weight") or kind.startswith(("weight_ih", "weight_hh")):
                values, scale = rounded(weight.to("cpu", torch.float32).numpy())
                weight.copy_(torch.from_numpy(values * scale))
    return copied


def stored_as_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give a copy of a graph whose matrices are stored as int8.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the graph is wrong.
    """
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    graph, kept, nodes = copied.graph, [], []
    for constant in graph.initializer:
        axis = next((_ROWS_ALONG[end] for end in _ROWS_ALONG if constant.name.endswith(end)), None)
        if axis is None:
            kept.append(constant)
            continue
        name = constant.name
        values, scale = rounded(numpy_helper.to_array(constant), axis)
        kept += [
            numpy_helper.from_array(values, f"{name}/int8"),
            numpy_helper.from_array(scale, f"{name}/scale"),
        ]
        wide = f"{name}/wide"
        nodes += [
            helper.make_node("Cast", [f"{name}/int8"], [wide], wide, to=FLOAT),
            helper.make_node("Mul", [wide, f"{name}/scale"], [name], name),
        ]
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(copied, full_check=True)
    return copied
