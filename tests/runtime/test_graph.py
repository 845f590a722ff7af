"""The walk over the graph's bytes: it must see whatever ONNX's own reader would see."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper
from tiny import tiny_graph

from lexnet.errors import BundleError, GraphError
from lexnet.runtime.bundle import read_bundle
from lexnet.runtime.graph import FLOAT, UINT8, _fields, check_operators, check_self_contained, read_ports
from lexnet.runtime.sizes import check_sizes

TINY = tiny_graph()


def outside(name: str = "w") -> TensorProto:
    """A tensor whose numbers lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def inside() -> TensorProto:
    return numpy_helper.from_array(np.ones(1, np.float32), "w")


def sparse(values: TensorProto, indices: TensorProto) -> SparseTensorProto:
    return SparseTensorProto(values=values, indices=indices, dims=[4])


def graph(tensor: TensorProto | None = None, nodes: tuple[Any, ...] = ()) -> GraphProto:
    return helper.make_graph(
        list(nodes) or [helper.make_node("Identity", ["w"], ["y"])],
        "inner",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [tensor] if tensor else [],
    )


def model(graph: GraphProto, **more: Any) -> ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **more)


def with_attribute(**fields: Any) -> ModelProto:
    node = helper.make_node("Constant", [], ["y"])
    node.attribute.append(AttributeProto(name="value", **fields))
    return model(graph(nodes=(node,)))


def training(tensor: TensorProto) -> ModelProto:
    whole = model(graph(inside()))
    whole.training_info.add().algorithm.CopyFrom(graph(tensor))
    return whole


def function(tensor: TensorProto) -> ModelProto:
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    opset = [helper.make_opsetid("", 17)]
    return model(graph(inside()), functions=[helper.make_function("", "Mine", [], ["y"], [constant], opset)])


def function_default(tensor: TensorProto) -> ModelProto:
    whole = function(inside())
    whole.functions[0].attribute_proto.append(AttributeProto(name="t", t=tensor))
    return whole


def loop(tensor: TensorProto) -> ModelProto:
    return model(graph(inside(), (helper.make_node("Loop", ["", "w"], ["y"], body=graph(tensor)),)))


def nested_if(tensor: TensorProto, depth: int = 3) -> ModelProto:
    branch = graph(tensor)
    for _ in range(depth):
        branch = graph(inside(), (helper.make_node("If", ["w"], ["y"], then_branch=branch),))
    return model(branch)


HIDING_PLACES: dict[str, Callable[[TensorProto], ModelProto]] = {
    "initialiser": lambda t: model(graph(t)),
    "sparse initialiser's values": lambda t: model(GraphProto(sparse_initializer=[sparse(t, inside())])),
    "sparse initialiser's indices": lambda t: model(GraphProto(sparse_initializer=[sparse(inside(), t)])),
    "attribute": lambda t: with_attribute(t=t),
    "list of attributes": lambda t: with_attribute(tensors=[inside(), t]),
    "sparse attribute": lambda t: with_attribute(sparse_tensor=sparse(t, inside())),
    "list of sparse attributes": lambda t: with_attribute(sparse_tensors=[sparse(inside(), t)]),
    "attribute's graph": lambda t: with_attribute(g=graph(t)),
    "attribute's graphs": lambda t: with_attribute(graphs=[graph(inside()), graph(t)]),
    "loop": loop,
    "branch in a branch in a branch": nested_if,
    "function": function,
    "function's default": function_default,
    "training graph": training,
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_weights_in_another_file_are_refused_wherever_they_hide(place: str) -> None:
    build = HIDING_PLACES[place]
    check_self_contained(build(inside()).SerializeToString())
    with pytest.raises(BundleError, match="files outside itself"):
        check_self_contained(build(outside()).SerializeToString())


def test_either_sign_of_another_file_is_enough() -> None:
    located, listed = outside(), outside()
    del located.external_data[:]
    listed.ClearField("data_location")
    for tensor in (located, listed):
        with pytest.raises(BundleError, match="files outside itself"):
            check_self_contained(model(graph(tensor)).SerializeToString())


@pytest.mark.parametrize("domain", ["com.microsoft", "evil", "ai.onnx.ml"])
def test_operators_of_other_libraries_are_refused(domain: str) -> None:
    node = helper.make_node("Identity", ["w"], ["y"], domain=domain)
    with pytest.raises(BundleError, match=f"operators of b'{domain}'"):
        check_self_contained(model(graph(inside(), (node,))).SerializeToString())
    branch = helper.make_node("If", ["w"], ["y"], then_branch=graph(inside(), (node,)))
    with pytest.raises(BundleError, match=f"operators of b'{domain}'"):
        check_self_contained(model(graph(inside(), (branch,))).SerializeToString())


def test_the_two_names_of_onnxs_own_domain_pass() -> None:
    for domain in ("", "ai.onnx"):
        node = helper.make_node("Identity", ["w"], ["y"], domain=domain)
        check_self_contained(model(graph(inside(), (node,))).SerializeToString())


def test_nesting_without_end_is_refused() -> None:
    check_self_contained(nested_if(inside(), 5).SerializeToString())
    with pytest.raises(BundleError, match="nests deeper than 24"):
        check_self_contained(nested_if(inside(), 30).SerializeToString())
    deep = b""
    for _ in range(3_000):
        deep = field(1, field(5, field(6, deep)))  # a graph's node's attribute's graph
    with pytest.raises(BundleError, match="nests deeper than 24"):
        check_self_contained(field(7, deep))


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: bytes | int, beyond: int = 0) -> bytes:
    """A field in the wire format; `beyond` sets bits of its tag above the 32 that protobuf looks at."""
    wire = 0 if isinstance(value, int) else 2
    head = varint(number << 3 | wire | beyond << 32)
    return head + (varint(value) if isinstance(value, int) else varint(len(value)) + value)


def test_a_field_number_that_protobuf_would_cut_short_is_refused() -> None:
    """A tag of 2^32 + 14·8 is field 14, the data location, to protobuf's C++ reader: some runtimes' own."""
    assert next(_fields(memoryview(field(14, 1)))) == (14, 1)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1]).SerializeToString()
    hidden = field(7, field(5, tensor + field(14, 1, beyond=1)))
    with pytest.raises(BundleError, match="beyond 29 bits"):
        check_self_contained(hidden)


@pytest.mark.parametrize("value", [0, 1, 2**31, 2**60, 2**63])
def test_a_domain_that_is_a_number_is_refused_before_it_takes_memory(value: int) -> None:
    with pytest.raises(BundleError, match=r"is not ONNX .*field 7 of a node is a number"):
        check_self_contained(field(7, field(1, field(7, value))))


def test_of_a_long_domain_the_beginning_is_shown() -> None:
    with pytest.raises(BundleError, match="operators of b'evil") as caught:
        check_self_contained(field(7, field(1, field(7, b"evil" * 100_000))))
    assert len(str(caught.value)) < 200


def test_a_location_wider_than_its_type_is_refused() -> None:
    for value in (1, 2**32, 2**32 + 1, 2**63):
        with pytest.raises(BundleError, match="files outside itself"):
            check_self_contained(field(7, field(5, field(14, value))))


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x07",  # wire type 7
        b"\x3b\x3c",  # a group, which ONNX has none of
        b"\x3a",  # a length that is missing
        b"\x3a\x05abc",  # a length beyond the end
        b"\x3a" + b"\xff" * 9 + b"\x01",  # a length beyond any memory
        b"\x38\x01",  # the graph as a number
        b"\x80" * 11,  # a number without end
        b"\x3d\x00",  # half a fixed number
    ],
)
def test_what_is_not_protobuf_is_refused(wrong: bytes) -> None:
    with pytest.raises(BundleError, match="is not ONNX"):
        check_self_contained(wrong)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(content=st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(content: bytes) -> None:
    for reader in (check_self_contained, read_ports):
        try:
            reader(content)
        except BundleError as error:
            assert "graph" in str(error)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, len(TINY) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_graph_with_random_changes_raises_nothing_else(changes: list[tuple[int, int]]) -> None:
    content = bytearray(TINY)
    for place, value in changes:
        content[place] = value
    for reader in (check_self_contained, read_ports, check_operators, check_sizes):
        try:
            reader(bytes(content))
        except GraphError as error:
            assert "graph" in str(error)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, len(TINY) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_what_onnx_reads_as_reaching_outside_is_refused(changes: list[tuple[int, int]]) -> None:
    """The other way round: nothing that onnx's own reader takes as external passes the walk."""
    whole = onnx.load_model_from_string(TINY)
    whole.graph.initializer[0].data_location = TensorProto.EXTERNAL
    raw = whole.SerializeToString()
    content = bytearray(raw)
    for place, value in changes:
        content[place % len(raw)] = value
    try:
        read = onnx.load_model_from_string(bytes(content))
    except Exception:  # protobuf's own errors
        return
    if any(w.data_location == TensorProto.EXTERNAL for w in read.graph.initializer):
        with pytest.raises(BundleError):
            check_self_contained(bytes(content))


def test_a_trained_graph_passes_and_says_what_it_takes_and_gives(bundle: str) -> None:
    content = read_bundle(bundle).model
    check_self_contained(content)
    inputs, outputs = read_ports(content)
    assert inputs == {"pixels": (UINT8, (0, 224, 224, 3))}
    assert outputs == {
        "probabilities": (FLOAT, (0, 12)),
        "logits": (FLOAT, (0, 12)),
        "features": (FLOAT, (0, 1280)),
    }


def test_ports_without_end_are_refused_before_they_take_memory() -> None:
    empty_inputs = b"\x5a\x00" * 500_000
    content = b"\x3a" + _length(len(empty_inputs)) + empty_inputs
    tracemalloc.start()
    with pytest.raises(GraphError, match="over 256 inputs, outputs or axes"):
        read_ports(content)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


def _length(number: int) -> bytes:
    """As protobuf writes it, seven bits a byte."""
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + _length(number >> 7)


def test_operators_that_lexnet_does_not_write_are_refused() -> None:
    """One could loop without end, or make gigabytes out of a number."""
    check_operators(model(graph(inside())).SerializeToString())
    for build in (loop, nested_if, lambda tensor: with_attribute(t=tensor)):
        with pytest.raises(BundleError, match=r"the graph uses b'(Loop|If|Constant)'; nothing LexNet writes"):
            check_operators(build(inside()).SerializeToString())
    for build in (function, training):
        with pytest.raises(BundleError, match="the graph brings operators of its own"):
            check_operators(build(inside()).SerializeToString())
    with pytest.raises(BundleError, match="the graph is not ONNX"):
        check_operators(b"hello, this is text")
    with pytest.raises(BundleError, match="the graph is not ONNX"):
        check_operators(field(7, field(1, field(4, 2**60))))


def test_operators_of_another_version_are_refused() -> None:
    """Which may take what the rules here do not know of, such as a padding along some axes."""
    other = model(graph(inside()))
    other.opset_import[0].version = 18
    other.graph.ClearField("node")
    with pytest.raises(BundleError, match=r"the graph is of operator set \[18\], LexNet writes 17; refused"):
        check_operators(other.SerializeToString())


def chain(*links: tuple[str, str]) -> bytes:
    """`w`, and values made each of the one before."""
    nodes = tuple(helper.make_node("Relu", [one], [other]) for one, other in links)
    return model(graph(inside(), nodes)).SerializeToString()


def test_operators_that_cannot_run_as_they_are_listed_are_refused() -> None:
    """A runtime may go round in a circle until the memory is gone."""
    check_operators(chain(("w", "a"), ("a", "y")))
    for links in ([("y", "y")], [("b", "a"), ("a", "b"), ("b", "y")], [("nothing", "y")]):
        with pytest.raises(GraphError, match=r"the graph uses b'\w+' before it is made; refused"):
            check_operators(chain(*links))
    for links in ([("w", "a"), ("a", "a"), ("a", "y")], [("w", "w")]):
        with pytest.raises(GraphError, match=r"the graph makes b'\w' twice; refused"):
            check_operators(chain(*links))


def test_operators_without_end_are_refused() -> None:
    links = [(f"v{i}" if i else "w", f"v{i + 1}") for i in range(5_001)]
    check_operators(chain(*links[:-1]))
    with pytest.raises(GraphError, match="over 5,000 operators"):
        check_operators(chain(*links))
