"""Pieces of ONNX graphs, and the head that a trunk's graph gets; nothing here needs torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from lexnet.export.places import read_places


class Graph:
    """Nodes and weights as they are collected; a node is named after its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, value: ArrayLike) -> str:
        """An initialiser, whose name is returned."""
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32, order="C"), name))
        return name

    def indices(self, name: str, value: ArrayLike) -> str:
        """An initialiser of whole numbers, as some operators want their settings."""
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.int64), name))
        return name


@dataclass(frozen=True)
class Headed:
    """A trunk with its head, and what both cost together."""

    graph: bytes
    params: int
    macs: int


def append_head(trunk: bytes, weight: np.ndarray, bias: np.ndarray, temperature: float) -> Headed:
    """The trunk with a linear head: adds `logits` and `probabilities`, both (N, classes) float32.

    `weight` is (classes, width), `bias` (classes,); the probabilities are softmax(logits / temperature).
    """
    model = onnx.load_model_from_string(trunk)
    whole = read_places(model)[-1]
    graph = Graph()
    fc = [graph.weight("head.fc.weight", weight), graph.weight("head.fc.bias", bias)]
    logits = graph.add("Gemm", ["features", *fc], "logits", transB=1)
    scale = graph.weight("temperature", temperature)
    graph.add("Softmax", [graph.add("Div", [logits, scale], "logits.calibrated")], "probabilities", axis=1)
    model.graph.node.extend(graph.nodes)
    model.graph.initializer.extend(graph.weights)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(bias)])
        for name in ("probabilities", "logits")
    ]
    features = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(outputs + features)
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return Headed(
        bytes(model.SerializeToString()),
        params=whole.params + weight.size + bias.size,
        macs=whole.macs + weight.size,
    )
