"""What an ONNX file would make its runtime do, read without running or parsing it as a whole.

A graph may name files outside itself for its weights, and operators from libraries to load; its operators
may loop without end or run in a circle. All that is refused before a runtime sees the graph (`sizes` sees to
what would make gigabytes out of little). This walks the protobuf wire format of onnx.proto: a message is a
run of (field number, wire type, value).
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from lexnet.errors import GraphError

# fmt: off
MESSAGES = {  # message: {field number: message}, those fields that can hold tensors or operators
    "model":     {7: "graph", 20: "training", 25: "function"},
    "training":  {1: "graph", 2: "graph"},
    "function":  {7: "node", 11: "attribute"},
    "graph":     {1: "node", 5: "tensor", 15: "sparse"},
    "node":      {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse":    {1: "tensor", 2: "tensor"},
    "tensor":    {},
}
OPERATORS = {
    b"Add": b"", b"AveragePool": b"ceil_mode kernel_shape pads strides", b"BatchNormalization": b"epsilon",
    b"Cast": b"to", b"Clip": b"", b"Concat": b"axis", b"Conv": b"group kernel_shape pads strides",
    b"Div": b"", b"Flatten": b"", b"Gather": b"axis", b"Gemm": b"transB", b"GlobalAveragePool": b"",
    b"Identity": b"", b"LRN": b"alpha beta bias size", b"MaxPool": b"ceil_mode kernel_shape pads strides",
    b"Mul": b"", b"Neg": b"", b"Pad": b"", b"ReduceSumSquare": b"axes keepdims", b"Relu": b"", b"Slice": b"",
    b"Softmax": b"axis", b"Sub": b"", b"Tanh": b"", b"Transpose": b"perm", b"Unsqueeze": b"",
}
# fmt: on
"""All that LexNet writes, and the attributes it gives them."""
GRAPH, INITIALIZER, INPUT, OUTPUT, SPARSE = 7, 5, 11, 12, 15
NODE, NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 1, 2, 4, 5
INPUT_NAME, ATTRIBUTE_NAME, ATTRIBUTE_NUMBER, ATTRIBUTE_NUMBERS, ATTRIBUTE_TYPE = 1, 1, 3, 8, 20
INT, INTS = 2, 7  # types of an attribute
INITIALIZER_SHAPE, INITIALIZER_TYPE, INITIALIZER_NAME, INITIALIZER_BYTES = 1, 2, 8, 9
MODEL_OPSET, MODEL_TRAINING, MODEL_FUNCTION = 8, 20, 25
VERSION, OPSET = 2, 17
TENSOR_TYPE = (2, 1)  # from a named value; below it are its element type and its shape's axes
UINT8, FLOAT, INT64 = 2, 1, 7
TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 13, 14
NODE_DOMAIN = 7
MAX_DEPTH = 24
MOST = 256  # inputs, outputs, axes or numbers of a setting
MOST_NODES = 5_000  # ResNet-152 with its head has 522
SHOWN = 40  # bytes of a name

Port = tuple[int, tuple[int, ...]]
"""(element type, shape) of an input or output; an axis of any length is 0."""


def check_self_contained(model: bytes) -> None:
    """Raises `GraphError` if the graph, or a graph inside it, reaches outside itself."""
    try:
        _walk(memoryview(model), "model", 0)
    except (IndexError, ValueError) as error:
        raise GraphError(f"the graph is not ONNX ({error}); get the file again") from error


class Node(NamedTuple):
    """An operator, the names of what it takes and makes, and its attributes as far as they are integers."""

    operator: bytes
    inputs: list[bytes]
    outputs: list[bytes]
    settings: dict[bytes, tuple[int, ...]]


class Weight(NamedTuple):
    """An initializer: its shape, and the message that it is."""

    shape: tuple[int, ...]
    message: memoryview

    def integers(self) -> tuple[int, ...]:
        """Its values, where they are a few int64 as LexNet writes them; else raises `ValueError`."""
        (kind,), (values,) = (_inside(self.message, part) for part in (INITIALIZER_TYPE, INITIALIZER_BYTES))
        if kind != INT64 or len(values) > 8 * MOST:
            raise ValueError("a setting that is not a few int64")
        return struct.unpack(f"<{len(values) // 8}q", values)


def check_operators(model: bytes) -> None:
    """Raises `GraphError` if the graph has operators, attributes or sparse weights that LexNet does not
    write, operators of another version or of its own, too many, or not in an order in which they can run."""
    try:
        if any(part in (MODEL_TRAINING, MODEL_FUNCTION) for part, _ in _fields(memoryview(model))):
            raise GraphError("the graph brings operators of its own; refused")
        if any(True for _ in _in_graph(model, SPARSE)):
            raise GraphError("the graph has sparse weights; nothing LexNet writes does; refused")
        known = {_name(value, INPUT_NAME) for value in _in_graph(model, INPUT)}
        known |= {_name(value, INITIALIZER_NAME) for value in _in_graph(model, INITIALIZER)}
        for number, node in enumerate(read_nodes(model)):
            if node.operator not in OPERATORS:
                raise GraphError(
                    f"the graph uses {node.operator[:SHOWN]!r}; nothing LexNet writes does; refused"
                )
            if odd := set(node.settings) - set(OPERATORS[node.operator].split()):
                what = f"{node.operator.decode()} has {min(odd)[:SHOWN]!r}"
                raise GraphError(f"the graph's {what}; nothing LexNet writes does; refused")
            if number == MOST_NODES:
                raise GraphError(f"the graph has over {MOST_NODES:,} operators; nothing LexNet writes does")
            for name in filter(None, node.inputs):
                if name not in known:
                    raise GraphError(f"the graph uses {name[:SHOWN]!r} before it is made; refused")
            for name in node.outputs:
                if name in known:
                    raise GraphError(f"the graph makes {name[:SHOWN]!r} twice; refused")
                known.add(name)
        versions = [
            one for entry in _inside(memoryview(model), MODEL_OPSET) for one in _inside(entry, VERSION)
        ]
        if versions != [OPSET]:
            raise GraphError(f"the graph is of operator set {versions}, LexNet writes {OPSET}; refused")
    except (IndexError, TypeError, ValueError) as error:
        raise GraphError(f"the graph is not ONNX ({error}); get the file again") from error


def read_nodes(model: bytes) -> Iterator[Node]:
    """The graph's operators, as it lists them."""
    for node in _in_graph(model, NODE):
        inputs, outputs = (list(map(_text, _inside(node, part))) for part in (NODE_INPUT, NODE_OUTPUT))
        attributes = list(islice(_inside(node, NODE_ATTRIBUTE), MOST))
        settings = {_name(one, ATTRIBUTE_NAME): _setting(one) for one in attributes}
        if len(settings) < len(attributes):
            raise ValueError("an operator has an attribute twice")
        yield Node(_name(node, NODE_OPERATOR), inputs, outputs, settings)


def read_weights(model: bytes) -> dict[bytes, Weight]:
    """The graph's initializers by name."""
    return {
        _name(value, INITIALIZER_NAME): Weight(_integers(value, INITIALIZER_SHAPE), value)
        for value in _in_graph(model, INITIALIZER)
    }


def _setting(attribute: memoryview) -> tuple[int, ...]:
    """The integers, if it has any; `ValueError` where a runtime, which goes by the type, could see others."""
    kind, one = (list(_inside(attribute, part)) for part in (ATTRIBUTE_TYPE, ATTRIBUTE_NUMBER))
    several = _integers(attribute, ATTRIBUTE_NUMBERS)
    if (bool(one), bool(several)) != (kind == [INT], kind == [INTS]):
        raise ValueError("an attribute that is not of its type")
    return tuple(map(_signed, one)) or several


def _integers(message: memoryview, number: int) -> tuple[int, ...]:
    """All signed integers in a field, which may be packed; raises `ValueError` for over `MOST`."""
    found: list[int] = []
    for value in _inside(message, number):
        found += [value] if isinstance(value, int) else islice(_packed(value), MOST + 1)
        if len(found) > MOST:
            raise ValueError(f"a list of over {MOST}")
    return tuple(map(_signed, found))


def _signed(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _packed(values: memoryview) -> Iterator[int]:
    at = 0
    while at < len(values):
        value, at = _varint(values, at)
        yield value


def _in_graph(model: bytes, number: int) -> Iterator[Any]:
    """What is in this field of the graph, which may come in pieces."""
    return (value for graph in _inside(memoryview(model), GRAPH) for value in _inside(graph, number))


def _name(message: Any, number: int) -> bytes:
    """The last of several counts."""
    return [_text(value) for value in _inside(message, number)][-1]


def _text(value: Any) -> bytes:
    return bytes(memoryview(value))  # of a number, `bytes` alone would make as many


def _inside(message: Any, number: int) -> Iterator[Any]:
    return (value for field, value in _fields(message) if field == number)


def read_ports(model: bytes) -> tuple[dict[str, Port], dict[str, Port]]:
    """The graph's inputs and outputs by name; raises `GraphError`."""
    try:
        return _ports(model, INPUT), _ports(model, OUTPUT)
    except (IndexError, TypeError, ValueError) as error:
        raise GraphError(f"the graph is not ONNX ({error}); get the file again") from error


def _ports(model: bytes, field: int) -> dict[str, Port]:
    ports = {}
    for value in _at(memoryview(model), GRAPH, field):
        name = str(_at(value, 1)[-1], "utf-8")
        axes = _at(value, *TENSOR_TYPE, 2, 1)
        shape = tuple(0 if _at(axis, 2) else int(_at(axis, 1)[-1]) for axis in axes)
        ports[name] = int(_at(value, *TENSOR_TYPE, 1)[-1]), shape
    return ports


def _at(message: Any, *path: int) -> list[Any]:
    """All values at a path of field numbers; raises `GraphError` for over `MOST`."""
    found = [message]
    for step in path:
        values = (value for one in found for value in _inside(one, step))
        found = list(islice(values, MOST + 1))
        if len(found) > MOST:
            raise GraphError(f"the graph has over {MOST} inputs, outputs or axes; nothing LexNet writes does")
    return found


def _walk(message: memoryview, kind: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise GraphError(f"the graph nests deeper than {MAX_DEPTH} messages; nothing LexNet writes does")
    for number, value in _fields(message):
        if kind == "tensor" and number in (TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION) and value != 0:
            raise GraphError("the graph keeps weights in files outside itself; refused")
        child = MESSAGES[kind].get(number)
        domain = kind == "node" and number == NODE_DOMAIN
        if not isinstance(value, memoryview):
            if child or domain:
                raise ValueError(f"field {number} of a {kind} is a number")
        elif domain and (name := bytes(value[:SHOWN])) not in (b"", b"ai.onnx"):
            raise GraphError(f"the graph uses operators of {name!r}, not ONNX's own; refused")
        elif child:
            _walk(value, child, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview | None]]:
    """(field number, value): an int for a varint, the bytes of what has a length, None for a number of fixed
    width."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag >> 32:  # protobuf keeps the lower half and would see another field than we do
            raise ValueError("a field number beyond 29 bits")
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(message):
            raise ValueError("it ends too early")
        yield number, message[at : at + length] if wire == 2 else None
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number longer than 64 bits")
