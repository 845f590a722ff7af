"""A net as an ONNX graph: its traced layers, a node or two for each.

A `Net` is built from a handful of layers, so their translation fits on one page, and every weight
keeps the name it has in the net and is not folded into its neighbours, so that torch can load it
back from the graph. What comes out is never trusted: `parity` runs it on real pictures.

    pixels (N, H, W, C) uint8 ─ normalise ─ net ─ features (N, width) ─ head ─ logits ─ probabilities
"""

import operator
from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from lexnet.cost import cost as cost_of_net
from lexnet.export.graph import Graph
from lexnet.export.places import places, write_places
from lexnet.nets.adapt import EveryStage
from lexnet.nets.lenet import Distance, Maps, Squash, SubSampling
from lexnet.nets.net import Net
from lexnet.nets.parts import OnlySize, SameConv2d
from lexnet.nets.resnet import ZeroPad
from lexnet.runtime.graph import OPSET

IR_VERSION = 8  # what that operator set came with, so that older runtimes read it too


def trunk_graph(
    net: Net, size: int, mean: tuple[float, ...], std: tuple[float, ...], every_stage: bool = False
) -> bytes:
    """`pixels` (N, size, size, C) uint8 → `features` (N, width) float32, for a net without classes.

    `mean` and `std` are in units of the pixels, 0..255. With `every_stage` there is an output `stages`
    too, if there are any: what comes out of each stage, averaged over its positions, side by side. Also
    noted: what the net costs up to each of its places.
    """
    net = net.eval()
    cost = cost_of_net(net, size, len(mean))  # and refuses a size that the net cannot take
    graph = Graph()
    x = graph.add("Cast", ["pixels"], "pixels.float", to=TensorProto.FLOAT)
    x = graph.add("Sub", [x, graph.weight("mean", mean)], "pixels.centred")
    x = graph.add("Div", [x, graph.weight("std", std)], "pixels.scaled")
    x = graph.add("Transpose", [x], "pixels.planes", perm=[0, 3, 1, 2])
    found = places(cost)
    probed = every_stage and len(found) > 1
    outputs = ("features", "stages") if probed else ("features",)
    traced = EveryStage(net, len(found) - 1).eval() if probed else net
    shapes = _translate(traced, graph, x, outputs, torch.zeros(1, len(mean), size, size))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "trunk",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", size, size, len(mean)])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
                for name, shape in zip(outputs, shapes, strict=True)
            ],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lexnet",
    )
    write_places(model, found)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _translate(
    net: nn.Module, graph: Graph, source: str, targets: tuple[str, ...], example: torch.Tensor
) -> list[tuple[int, ...]]:
    """Adds the net's nodes between the values `source` and `targets`; returns the targets' shapes."""
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
            for value, target in zip(inputs, targets, strict=True):
                graph.add("Identity", [value], target)
            return [tuple(n.meta["tensor_meta"].shape[1:]) for n in node.all_input_nodes]
        else:
            if node.target not in _FUNCTIONS:
                raise NotImplementedError(f"no ONNX translation for {node.target} ({node.name})")
            op, settings = _FUNCTIONS[node.target]
            values[node] = graph.add(op, inputs, node.name, **settings)
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


def _pool(op: str) -> Callable[..., str]:
    def write(graph: Graph, layer: nn.MaxPool2d | nn.AvgPool2d, name: str, x: str, shape: torch.Size) -> str:
        k, s, p = layer.kernel_size, layer.stride, layer.padding
        up = int(layer.ceil_mode)
        window = {"kernel_shape": [k, k], "strides": [s, s], "pads": [p, p, p, p], "ceil_mode": up}
        return graph.add(op, [x], name, **window)

    return write


def _global_pool(graph: Graph, layer: nn.AdaptiveAvgPool2d, name: str, x: str, shape: torch.Size) -> str:
    assert layer.output_size == 1
    return graph.add("GlobalAveragePool", [x], name)


def _response_norm(graph: Graph, layer: nn.LocalResponseNorm, name: str, x: str, shape: torch.Size) -> str:
    alpha, beta, k = map(float, (layer.alpha, layer.beta, layer.k))
    return graph.add("LRN", [x], name, size=layer.size, alpha=alpha, beta=beta, bias=k)


def _padding(graph: Graph, layer: ZeroPad, name: str, x: str, shape: torch.Size) -> str:
    ends = {"starts": [0, 0], "ends": shape[2:], "axes": [2, 3], "steps": [layer.stride] * 2}
    inputs = [graph.indices(f"{name}.{end}", value) for end, value in ends.items()]
    x = graph.add("Slice", [x, *inputs], f"{name}.slice")
    zeros = graph.indices(f"{name}.zeros", [0, layer.before, 0, 0, 0, layer.behind, 0, 0])
    return graph.add("Pad", [x, zeros], name)


def _squash(graph: Graph, layer: Squash, name: str, x: str, shape: torch.Size) -> str:
    x = graph.add("Mul", [x, graph.weight(f"{name}.slope", 2 / 3)], f"{name}.sloped")
    x = graph.add("Tanh", [x], f"{name}.tanh")
    return graph.add("Mul", [x, graph.weight(f"{name}.height", 1.7159)], name)


def _sub_sampling(graph: Graph, layer: SubSampling, name: str, x: str, shape: torch.Size) -> str:
    x = graph.add("AveragePool", [x], f"{name}.mean", kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("Mul", [x, graph.weight(f"{name}.four", 4)], f"{name}.sum")
    weight, bias = (
        graph.weight(f"{name}.{part}", getattr(layer, part).detach().numpy()) for part in ("weight", "bias")
    )
    return graph.add("Add", [graph.add("Mul", [x, weight], f"{name}.scaled"), bias], name)


def _maps(graph: Graph, layer: Maps, name: str, x: str, shape: torch.Size) -> str:
    return graph.add("Gather", [x, graph.indices(f"{name}.maps", layer.maps)], name, axis=1)


def _distance(graph: Graph, layer: Distance, name: str, x: str, shape: torch.Size) -> str:
    x = graph.add("Unsqueeze", [x, graph.indices(f"{name}.axis", [1])], f"{name}.each")
    x = graph.add("Sub", [x, graph.weight(f"{name}.codes", layer.codes.numpy())], f"{name}.difference")
    return graph.add(
        "Neg", [graph.add("ReduceSumSquare", [x], f"{name}.squared", axes=[2], keepdims=0)], name
    )


def _linear(graph: Graph, layer: nn.Linear, name: str, x: str, shape: torch.Size) -> str:
    weights = [
        graph.weight(f"{name}.{part}", getattr(layer, part).detach().numpy()) for part in ("weight", "bias")
    ]
    return graph.add("Gemm", [x, *weights], name, transB=1)


def _plain(op: str) -> Callable[..., str]:
    return lambda graph, layer, name, x, shape: graph.add(op, [x], name)


def _nothing(graph: Graph, layer: nn.Module, name: str, x: str, shape: torch.Size) -> str:
    return x


_MODULES: dict[type, Callable[..., str]] = {
    nn.Conv2d: _conv,
    SameConv2d: _conv,
    nn.BatchNorm2d: _norm,
    nn.ReLU: _plain("Relu"),
    nn.ReLU6: _relu6,
    nn.MaxPool2d: _pool("MaxPool"),
    nn.AvgPool2d: _pool("AveragePool"),
    nn.AdaptiveAvgPool2d: _global_pool,
    nn.LocalResponseNorm: _response_norm,
    nn.Flatten: _plain("Flatten"),
    nn.Linear: _linear,
    nn.Dropout: _nothing,
    nn.Identity: _nothing,
    OnlySize: _nothing,
    ZeroPad: _padding,
    Squash: _squash,
    SubSampling: _sub_sampling,
    Maps: _maps,
    Distance: _distance,
}
_FUNCTIONS: dict[Any, tuple[str, dict[str, int]]] = {
    operator.add: ("Add", {}),
    "add_": ("Add", {}),
    "relu_": ("Relu", {}),
    torch.cat: ("Concat", {"axis": 1}),
}
