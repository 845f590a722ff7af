"""How many numbers a graph makes of one picture, worked out before a runtime makes them.

A few operators turn little into gigabytes: the sum of a row and a column, a padding, a value joined to
itself again and again.
"""

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from lexnet.errors import GraphError
from lexnet.runtime.graph import Node, Weight, read_nodes, read_ports, read_weights

MOST_NUMBERS, MOST_IN_ONE = 2**30, 2**26
"""In all values together: at 512 px, the largest that is trained, ResNet-110 makes 945 million. In one: there
NiN for CIFAR makes 50 million."""
Shape = tuple[int, ...]
Weights = Mapping[bytes, Weight]


def check_sizes(model: bytes) -> dict[bytes, Shape]:
    """The shape of each value, for one picture, of a graph that passed `check_operators`; raises `GraphError`
    if together they are larger than those of any net of LexNet's."""
    try:
        weights, (inputs, _) = read_weights(model), read_ports(model)
        shapes = {name: weight.shape for name, weight in weights.items()}
        shapes |= {name.encode(): (1, *shape[1:]) for name, (_, shape) in inputs.items()}
        made = 0
        for node in read_nodes(model):
            shape = _SHAPES[node.operator](node, [shapes[name] for name in node.inputs if name], weights)
            if min(shape, default=1) < 1:
                raise ValueError(f"a value of shape {shape}")
            (name,) = node.outputs
            shapes[name], made = shape, made + prod(shape)
            for numbers, most in ((prod(shape), MOST_IN_ONE), (made, MOST_NUMBERS)):
                if numbers > most:
                    raise GraphError(f"the graph makes over {most:,} numbers of a picture; refused")
        return shapes
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise GraphError(f"the graph is none that LexNet writes ({error}); get the file again") from error


def _same(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    return shapes[0]


def _broadcast(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    return np.broadcast_shapes(*shapes)


def _concat(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    axis = _axis(node, shapes[0])
    sides = [*map(max, zip(*shapes, strict=True))]
    sides[axis] = sum(shape[axis] for shape in shapes)
    return tuple(sides)


def _conv(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    x, kernels, *bias = shapes
    if bias not in ([], [kernels[:1]]):
        raise ValueError("a bias that is not one number a kernel")
    return (x[0], kernels[0], *_windows(node, x[2:], kernels[2:]))


def _pool(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (x,) = shapes
    return (*x[:2], *_windows(node, x[2:], node.settings[b"kernel_shape"]))


def _windows(node: Node, sides: Shape, kernel: Shape) -> Shape:
    """How often the kernel fits along each side."""
    strides = node.settings.get(b"strides", (1,) * len(sides))
    pads = node.settings.get(b"pads", (0,) * 2 * len(sides))
    (up,) = node.settings.get(b"ceil_mode", (0,))
    before, behind = pads[: len(sides)], pads[len(sides) :]
    return tuple(
        len(range(0, side + ahead + after - k + 1 + bool(up) * (stride - 1), stride))
        for side, ahead, after, k, stride in zip(sides, before, behind, kernel, strides, strict=True)
    )


def _global_pool(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (x,) = shapes
    return (*x[:2], *(1 for _ in x[2:]))


def _flatten(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (x,) = shapes
    return x[0], prod(x[1:])


def _gather(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    x, chosen = shapes
    axis = _axis(node, x)
    return (*x[:axis], *chosen, *x[axis + 1 :])


def _gemm(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (transposed,) = node.settings[b"transB"]
    product = shapes[0][0], shapes[1][0 if transposed else 1]
    return np.broadcast_shapes(product, *shapes[2:])


def _pad(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (x, _), pads = shapes, weights[node.inputs[1]].integers()
    before, behind = pads[: len(x)], pads[len(x) :]
    return tuple(map(sum, zip(x, before, behind, strict=True)))


def _slice(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    sides = list(shapes[0])
    cuts = (weights[name].integers() for name in node.inputs[1:])
    for start, end, axis, step in zip(*cuts, strict=True):
        sides[axis] = len(range(sides[axis])[start:end:step])
    return tuple(sides)


def _sum_of_squares(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (x,), axes = shapes, node.settings[b"axes"]
    if node.settings[b"keepdims"] != (0,):
        raise ValueError("a sum that keeps its axes")
    return tuple(side for axis, side in enumerate(x) if axis not in axes)


def _transpose(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    (x,) = shapes
    return tuple(x[axis] for axis in node.settings[b"perm"])


def _unsqueeze(node: Node, shapes: list[Shape], weights: Weights) -> Shape:
    x = list(shapes[0])
    (axis,) = weights[node.inputs[1]].integers()
    x.insert(range(len(x) + 1)[axis], 1)
    return tuple(x)


def _axis(node: Node, shape: Shape) -> int:
    (axis,) = node.settings[b"axis"]
    return range(len(shape))[axis]


_SHAPES: dict[bytes, Callable[[Node, list[Shape], Weights], Shape]] = {
    **dict.fromkeys(b"BatchNormalization Cast Identity LRN Neg Relu Softmax Tanh".split(), _same),
    **dict.fromkeys(b"Add Clip Div Mul Sub".split(), _broadcast),
    b"AveragePool": _pool,
    b"Concat": _concat,
    b"Conv": _conv,
    b"Flatten": _flatten,
    b"Gather": _gather,
    b"Gemm": _gemm,
    b"GlobalAveragePool": _global_pool,
    b"MaxPool": _pool,
    b"Pad": _pad,
    b"ReduceSumSquare": _sum_of_squares,
    b"Slice": _slice,
    b"Transpose": _transpose,
    b"Unsqueeze": _unsqueeze,
}
