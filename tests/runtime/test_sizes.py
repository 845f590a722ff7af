"""The shapes of a graph's values: those that ONNX's own inference finds, and never gigabytes."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from lexnet.errors import GraphError
from lexnet.runtime.graph import check_operators
from lexnet.runtime.sizes import check_sizes

Step = tuple[str, list[str], dict[str, Any]]
FLOATS = {
    "one": np.ones(1), "row": np.ones((1, 1, 1, 50_000)), "column": np.ones((1, 1, 50_000, 1)),
    "kernels": np.ones((100_000, 3, 1, 1)), "long": np.ones((50_000, 1)), "square": np.ones((1, 50_000)),
}  # fmt: skip
INTEGERS = {
    "pads": [0, 0, 0, 0, 0, 0, 60_000, 30_000], "small": [0, 1, 0, 0, 0, 2, 0, 3], "many": [0] * 200_000,
    "from": [1, -9], "to": [9, -1], "axes": [2, 3], "steps": [2, 3], "first": [1],
}  # fmt: skip


def graph(*steps: Step, then: tuple[Any, ...] = ()) -> onnx.ModelProto:
    """Planes (1, 3, 16, 16) in `v0`; each step makes the next value."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["v0"], perm=[0, 3, 1, 2]),
    ]
    nodes += [
        helper.make_node(op, ins, [f"v{i}"], **more) for i, (op, ins, more) in enumerate(steps, start=1)
    ]
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in FLOATS.items()]
    weights += [
        numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in INTEGERS.items()
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 16, 16, 3])
    end = helper.make_tensor_value_info(f"v{len(steps)}", TensorProto.FLOAT, None)
    whole = helper.make_graph(nodes, "g", [pixels], [end], weights)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def sizes(model: onnx.ModelProto) -> dict[bytes, tuple[int, ...]]:
    content = model.SerializeToString()
    check_operators(content)
    return check_sizes(content)


SMALL: list[Step] = [
    ("Conv", ["v0", "kernels"], {"strides": [3, 2], "pads": [1, 0, 2, 4]}),
    ("Add", ["v0", "one"], {}),
    ("MaxPool", ["v0"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 0, 0], "ceil_mode": 1}),
    ("AveragePool", ["v0"], {"kernel_shape": [3, 2], "strides": [2, 3]}),
    ("GlobalAveragePool", ["v0"], {}),
    ("Concat", ["v0", "v0"], {"axis": -1}),
    ("Flatten", ["v0"], {}),
    ("Gather", ["v0", "axes"], {"axis": 2}),
    ("Pad", ["v0", "small"], {}),
    ("Slice", ["v0", "from", "to", "axes", "steps"], {}),
    ("Unsqueeze", ["v0", "first"], {}),
    ("ReduceSumSquare", ["v0"], {"axes": [2], "keepdims": 0}),
    ("Softmax", ["v0"], {"axis": 1}),
]


@pytest.mark.parametrize("step", SMALL, ids=lambda step: step[0])
def test_a_value_has_the_shape_that_onnx_finds(step: Step) -> None:
    model = graph(step)
    found = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output[0].type.tensor_type.shape
    assert sizes(model)[b"v1"] == tuple(axis.dim_value for axis in found.dim)


FAR = 2**40
BOMBS: dict[str, list[Step]] = {
    "a row and a column": [("Mul", ["row", "column"], {})],
    "a value to itself": [("Concat", [f"v{i}"] * 2, {"axis": 2}) for i in range(20)],
    "many kernels": [("Conv", ["v0", "kernels"], {})] * 50,
    "a border": [("Pad", ["v0", "pads"], {})],
    "a border of windows": [
        ("AveragePool", ["v0"], {"kernel_shape": [FAR] * 2, "strides": [1, 1], "pads": [FAR] * 4})
    ],
    "one index again and again": [("Gather", ["column", "many"], {"axis": 0})],
    "bounds of a row and a column": [("Clip", ["one", "row", "column"], {})],
    "what is added to a product": [("Gemm", ["long", "one", "square"], {"transB": 1})],
    "a product": [("Transpose", ["long"], {"perm": [1, 0]}), ("Gemm", ["long", "v1"], {"transB": 0})],
}


@pytest.mark.parametrize("steps", BOMBS.values(), ids=BOMBS)
def test_a_graph_that_makes_gigabytes_of_little_is_refused(steps: list[Step]) -> None:
    with pytest.raises(GraphError, match=r"the graph makes over [0-9,]+ numbers of a picture; refused"):
        sizes(graph(*steps))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (("Pad", ["v0", "small", "", "axes"], {}), "too many values to unpack"),
        (("Conv", ["v0", "kernels", "one"], {}), "a bias that is not one number a kernel"),
    ],
)
def test_what_would_change_a_shape_unseen_is_refused(step: Step, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        sizes(graph(step))


@pytest.mark.parametrize(
    "step",
    [
        ("Conv", ["v0", "kernels"], {"auto_pad": "SAME_UPPER"}),
        ("Conv", ["v0", "kernels"], {"dilations": [1, 1]}),
        ("Flatten", ["v0"], {"axis": 2}),
    ],
)
def test_attributes_that_lexnet_does_not_write_are_refused(step: Step) -> None:
    with pytest.raises(GraphError, match=r"the graph's \w+ has b'\w+'; nothing LexNet writes does"):
        sizes(graph(step))


@pytest.mark.parametrize(
    "step",
    [
        ("Conv", ["v0", "kernels"], {"strides": [0, 0]}),
        ("Conv", ["v0", "kernels"], {"strides": [1]}),
        ("Conv", ["v0", "kernels"], {"strides": [-1, -1]}),
        ("Conv", ["v0", "kernels"], {"pads": [-9, -9, -9, -9]}),
        ("Add", ["row", "long"], {"nothing": 0}),
        ("Concat", ["v0", "v0"], {"axis": 4}),
        ("Pad", ["v0", "axes"], {}),
        ("Pad", ["v0", "v0"], {}),
        ("Pad", ["v0", "many"], {}),
        ("ReduceSumSquare", ["v0"], {"axes": [2], "keepdims": 1}),
        ("Slice", ["v0", "axes"], {}),
    ],
)
def test_what_cannot_be_worked_out_is_refused(step: Step) -> None:
    with pytest.raises(GraphError, match=r"no(thing|ne that) LexNet writes"):
        sizes(graph(step))


def test_no_attribute_says_two_things() -> None:
    """Of which a runtime would perhaps believe the other."""
    model = graph(("Concat", ["v0", "v0"], {"axis": 1}))
    concat = model.graph.node[-1]
    concat.attribute.append(AttributeProto(name="axis", type=AttributeProto.INT, i=2))
    with pytest.raises(GraphError, match="an operator has an attribute twice"):
        sizes(model)
    del concat.attribute[1]
    for change in ({"ints": [2]}, {"type": AttributeProto.INTS}, {"type": AttributeProto.FLOAT}):
        other = onnx.ModelProto.FromString(model.SerializeToString())
        other.graph.node[-1].attribute[0].MergeFrom(AttributeProto(name="axis", **change))
        with pytest.raises(GraphError, match="an attribute that is not of its type"):
            sizes(other)
    axis = concat.attribute[0].SerializeToString()
    content = model.SerializeToString().replace(axis, axis.replace(b"\x18\x01", b"\x1a\x00"))
    with pytest.raises(GraphError, match="is not ONNX"):  # i=1 as a text, in which onnx sees no i
        check_operators(content)


def test_sparse_weights_are_refused() -> None:
    """A few bytes of them can be gigabytes."""
    model = graph()
    model.graph.sparse_initializer.add(dims=[1_000_000, 1_000_000])
    with pytest.raises(GraphError, match="the graph has sparse weights"):
        sizes(model)
