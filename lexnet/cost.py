"""What a net costs, counted from the shapes of a batch of no pictures: no memory, no arithmetic.

Multiply-adds are those of convolutions and linear layers, as everybody counts them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn
from torch.func import functional_call

from lexnet.errors import ShapeError
from lexnet.nets import Entry
from lexnet.nets.lenet import C3, Squash
from lexnet.nets.net import Net, evaluating
from lexnet.nets.parts import OnlySize

NORMS = (nn.BatchNorm2d,)
COSTLESS = (nn.ReLU, nn.ReLU6, Squash, nn.Dropout, nn.Identity, nn.Flatten, OnlySize)
WHOLE = (C3,)  # shown as one layer, as its paper does
Hook = Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One layer for one picture. A batch norm belongs to the convolution in front of it."""

    name: str
    """The layer's dotted path in the net, such as `stages.stage1.0.residual.0.conv`."""
    kind: str
    shape: tuple[int, ...]
    """Of its output, without the batch: (C, H, W) or (width,)."""
    params: int
    """Numbers that training can change."""
    macs: int
    """Multiply-adds."""

    @property
    def activations(self) -> int:
        """Numbers in its output."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """What its weights take as float32."""
        return 4 * self.params


@dataclass(frozen=True)
class Cost:
    """A net, or a part of it: sums over `layers`, in the order in which they run."""

    layers: tuple[LayerCost, ...]
    shapes: dict[str, tuple[int, ...]]
    """What comes out of each part (stem, stage1, ..., head) for one picture."""

    @property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def activations(self) -> int:
        return sum(layer.activations for layer in self.layers)

    @property
    def bytes(self) -> int:
        return sum(layer.bytes for layer in self.layers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what comes out at the end."""
        return list(self.shapes.values())[-1]

    def stages(self) -> dict[str, "Cost"]:
        """The same for each part."""
        return {
            part: Cost(tuple(layer for layer in self.layers if _part(layer.name) == part), {part: shape})
            for part, shape in self.shapes.items()
        }


def cost(net: Net, size: int, channels: int = 3) -> Cost:
    """Layer by layer, for one (channels, size, size) picture; the net itself is neither run nor changed.

    Raises `ShapeError` for pictures that the net cannot take.
    """
    layers: list[LayerCost] = []
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Hook:
        def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            shape, params = tuple(output.shape[1:]), sum(p.numel() for p in module.parameters())
            if name in parts:
                shapes[_part(name)] = shape
            if isinstance(module, NORMS) and layers:
                layers[-1] = replace(layers[-1], params=layers[-1].params + params)
            elif module in leaves:
                kind, work = type(module).__name__, _macs(module, shape)
                layers.append(LayerCost(name=name, kind=kind, shape=shape, params=params, macs=work))

        return note

    modules = dict(net.named_modules())
    parts = {"stem", *(f"stages.{name}" for name, _ in net.stages.named_children()), "head"}
    inside = {inner for module in modules.values() if isinstance(module, WHOLE) for inner in module.modules()}
    inside -= {module for module in inside if isinstance(module, WHOLE)}
    leaves = {
        module
        for name, module in modules.items()
        if name != "stages" and module not in inside and not isinstance(module, COSTLESS)
        if isinstance(module, WHOLE) or not [*module.children()]
    }
    handles = [module.register_forward_hook(watch(name)) for name, module in modules.items()]
    # a number each, wherever the net is: it may be on the meta device, where torch takes 20 times as long
    weights = {k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in net.state_dict().items()}
    try:
        with torch.inference_mode(), evaluating(net):
            functional_call(net, weights, torch.empty(0, channels, size, size))
    except RuntimeError as error:  # torch's own, where a window is larger than what is left of the picture
        raise ShapeError(f"the net cannot take pictures of {channels}x{size}x{size}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return Cost(tuple(layers), shapes)


def cost_of(entry: Entry, size: int | None = None, classes: int | None = None) -> Cost:
    """What a net of the lexicon costs, without allocating it."""
    with torch.device("meta"):
        net = entry.build(classes=entry.classes if classes is None else classes)
    return cost(net, entry.size if size is None else size, entry.channels)


def params(net: nn.Module) -> int:
    """How many numbers training could change."""
    return sum(p.numel() for p in net.parameters())


def _part(name: str) -> str:
    """The stem, the stage or the head that a layer belongs to."""
    first, _, rest = name.partition(".")
    return rest.partition(".")[0] if first == "stages" else first


def _macs(layer: nn.Module, shape: tuple[int, ...]) -> int:
    """Each weight of a convolution is used once at every position of its output."""
    weights = [m.weight for m in layer.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return prod(shape[1:]) * sum(weight.numel() for weight in weights)
