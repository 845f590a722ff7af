"""What an ONNX file would make its runtime do, read without running or parsing it as a whole.

A graph may name files outside itself for its weights, and operators from libraries to load; its operators
may loop without end or run in a circle, or make gigabytes out of a number. All that is refused before a
runtime sees the graph. This walks the protobuf wire format of onnx.proto: a message is a run of (field
number, wire type, value).
"""

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
# fmt: on
OPERATORS = frozenset(
    b"Add AveragePool BatchNormalization Cast Clip Concat Conv Div Flatten Gather Gemm GlobalAveragePool "
    b"Identity LRN MaxPool Mul Neg Pad ReduceSumSquare Relu Slice Softmax Sub Tanh Transpose "
    b"Unsqueeze".split()
)
"""All that LexNet writes."""
GRAPH, INITIALIZER, INPUT, OUTPUT = 7, 5, 11, 12
NODE, NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR = 1, 1, 2, 4
INPUT_NAME, INITIALIZER_NAME = 1, 8
MODEL_TRAINING, MODEL_FUNCTION = 20, 25
TENSOR_TYPE = (2, 1)  # from a named value; below it are its element type and its shape's axes
UINT8, FLOAT = 2, 1
TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 13, 14
NODE_DOMAIN = 7
MAX_DEPTH = 24
MOST = 256  # inputs, outputs or axes
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
    """An operator, and the names of what it takes and makes."""

    operator: bytes
    inputs: list[bytes]
    outputs: list[bytes]


def check_operators(model: bytes) -> None:
    """Raises `GraphError` if the graph has operators that LexNet does not write, brings its own, or does not
    list them in an order in which they can run."""
    try:
        if any(part in (MODEL_TRAINING, MODEL_FUNCTION) for part, _ in _fields(memoryview(model))):
            raise GraphError("the graph brings operators of its own; refused")
        known = {_name(value, INPUT_NAME) for value in _in_graph(model, INPUT)}
        known |= {_name(value, INITIALIZER_NAME) for value in _in_graph(model, INITIALIZER)}
        for number, node in enumerate(read_nodes(model)):
            if node.operator not in OPERATORS:
                raise GraphError(
                    f"the graph uses {node.operator[:SHOWN]!r}; nothing LexNet writes does; refused"
                )
            if number == MOST_NODES:
                raise GraphError(f"the graph has over {MOST_NODES:,} operators; nothing LexNet writes does")
            for name in filter(None, node.inputs):
                if name not in known:
                    raise GraphError(f"the graph uses {name[:SHOWN]!r} before it is made; refused")
            for name in node.outputs:
                if name in known:
                    raise GraphError(f"the graph makes {name[:SHOWN]!r} twice; refused")
                known.add(name)
    except (IndexError, TypeError, ValueError) as error:
        raise GraphError(f"the graph is not ONNX ({error}); get the file again") from error


def read_nodes(model: bytes) -> Iterator[Node]:
    """The graph's operators, as it lists them."""
    for node in _in_graph(model, NODE):
        inputs, outputs = (list(map(_text, _inside(node, part))) for part in (NODE_INPUT, NODE_OUTPUT))
        yield Node(_name(node, NODE_OPERATOR), inputs, outputs)


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
        if isinstance(value, int):
            if child or domain:
                raise ValueError(f"field {number} of a {kind} is a number")
        elif domain and (name := bytes(value[:SHOWN])) not in (b"", b"ai.onnx"):
            raise GraphError(f"the graph uses operators of {name!r}, not ONNX's own; refused")
        elif child:
            _walk(value, child, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value): an int for a varint, the bytes otherwise."""
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
        yield number, message[at : at + length]
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
