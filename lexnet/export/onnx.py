"""A net as an ONNX graph: its traced layers, a node or two for each.

A `Net` is built from a handful of layers, so their translation fits on one page, and every weight
keeps the name it has in the net and is not folded into its neighbours, so that torch can load it
back from the graph. What comes out is never trusted: `parity` runs it on real pictures.

    pixels (N, H, W, C) uint8 ─ normalise ─ net ─ features (N, width) ─ head ─ logits ─ probabilities
"""

import operator
from collections.abc import Callable

import onnx
import torch
from onnx import TensorProto, helper
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from lexnet.cost import macs, params
from lexnet.export.graph import Graph
from lexnet.nets.net import Net
from lexnet.nets.parts import SameConv2d

OPSET = 17
IR_VERSION = 8  # what opset 17 came with, so that older runtimes read it too


def trunk_graph(net: Net, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> bytes:
    """`pixels` (N, size, size, C) uint8 → `features` (N, width) float32, for a net without classes.

    `mean` and `std` are in units of the pixels, 0..255. Also written down: what the net costs.
    """
    net = net.eval()
    graph = Graph()
    x = graph.add("Cast", ["pixels"], "pixels.float", to=TensorProto.FLOAT)
    x = graph.add("Sub", [x, graph.weight("mean", mean)], "pixels.centred")
    x = graph.add("Div", [x, graph.weight("std", std)], "pixels.scaled")
    x = graph.add("Transpose", [x], "pixels.planes", perm=[0, 3, 1, 2])
    width = _translate(net, graph, x, "features", torch.zeros(1, len(mean), size, size))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "trunk",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", size, size, len(mean)])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lexnet",
    )
    costs = {"params": params(net), "macs": macs(net, size, len(mean))}
    helper.set_model_props(model, {name: str(cost) for name, cost in costs.items()})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _translate(net: Net, graph: Graph, source: str, target: str, example: torch.Tensor) -> int:
    """Adds the net's nodes between the values `source` and `target`; returns the target's width."""
    traced = fx.GraphModule(net, _Tracer().trace(net))
    with torch.no_grad():
        ShapeProp(traced).propagate(example)
    values: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        inputs = [values[n] for n in node.all_input_nodes if n in values]
        if node.op == "placeholder":
            values[node] = source
        elif node.op == "call_module":
            layer = net.get_submodule(str(node.target))
            write = _MODULES.get(type(layer))
            if write is None:
                raise NotImplementedError(f"no ONNX translation for {type(layer).__name__} ({node.target})")
            shape = node.all_input_nodes[0].meta["tensor_meta"].shape
            values[node] = write(graph, layer, str(node.target), inputs[0], shape)
        elif node.op == "output":
            graph.add("Identity", inputs, target)
            return int(node.all_input_nodes[0].meta["tensor_meta"].shape[1])
        else:
            op = _FUNCTIONS.get(node.target)
            if op is None:
                raise NotImplementedError(f"no ONNX translation for {node.target} ({node.name})")
            values[node] = graph.add(op, inputs, node.name)
    raise AssertionError("a traced net ends in an output")


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _MODULES or super().is_leaf_module(m, module_qualified_name)


def _conv(graph: Graph, layer: nn.Conv2d, name: str, x: str, shape: torch.Size) -> str:
    inputs = [x, graph.weight(f"{name}.weight", layer.weight.detach().numpy())]
    if layer.bias is not None:
        inputs.append(graph.weight(f"{name}.bias", layer.bias.detach().numpy()))
    if isinstance(layer, SameConv2d):
        pads = layer.pads(shape[2], shape[3])
    else:
        pads = (*layer.padding, *layer.padding)
    return graph.add(
        "Conv",
        inputs,
        name,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=pads,
        group=layer.groups,
    )


def _norm(graph: Graph, layer: nn.BatchNorm2d, name: str, x: str, shape: torch.Size) -> str:
    parts = ("weight", "bias", "running_mean", "running_var")
    weights = [graph.weight(f"{name}.{part}", getattr(layer, part).detach().numpy()) for part in parts]
    return graph.add("BatchNormalization", [x, *weights], name, epsilon=layer.eps)


def _relu6(graph: Graph, layer: nn.ReLU6, name: str, x: str, shape: torch.Size) -> str:
    bounds = [graph.weight(f"{name}.{end}", value) for end, value in (("min", 0), ("max", 6))]
    return graph.add("Clip", [x, *bounds], name)


def _max_pool(graph: Graph, layer: nn.MaxPool2d, name: str, x: str, shape: torch.Size) -> str:
    k, s, p = layer.kernel_size, layer.stride, layer.padding
    return graph.add("MaxPool", [x], name, kernel_shape=[k, k], strides=[s, s], pads=[p, p, p, p])


def _linear(graph: Graph, layer: nn.Linear, name: str, x: str, shape: torch.Size) -> str:
    weights = [
        graph.weight(f"{name}.{part}", getattr(layer, part).detach().numpy()) for part in ("weight", "bias")
    ]
    return graph.add("Gemm", [x, *weights], name, transB=1)


def _plain(op: str) -> Callable[..., str]:
    return lambda graph, layer, name, x, shape: graph.add(op, [x], name)


_MODULES: dict[type, Callable[..., str]] = {
    nn.Conv2d: _conv,
    SameConv2d: _conv,
    nn.BatchNorm2d: _norm,
    nn.ReLU: _plain("Relu"),
    nn.ReLU6: _relu6,
    nn.MaxPool2d: _max_pool,
    nn.AdaptiveAvgPool2d: _plain("GlobalAveragePool"),
    nn.Flatten: _plain("Flatten"),
    nn.Linear: _linear,
    nn.Dropout: lambda graph, layer, name, x, shape: x,
    nn.Identity: lambda graph, layer, name, x, shape: x,
}
_FUNCTIONS = {operator.add: "Add", "relu": "Relu"}
