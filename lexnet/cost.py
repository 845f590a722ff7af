"""What a net costs, counted from shapes: on the meta device it takes no memory and no arithmetic."""

import torch
from torch import nn

from lexnet.nets.net import Net


def params(net: Net) -> int:
    """How many numbers training could change."""
    return sum(p.numel() for p in net.parameters())


def macs(net: Net, size: int, channels: int = 3) -> int:
    """Multiply-adds of convolutions and linear layers for one (channels, size, size) picture."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, (nn.Conv2d, nn.Linear))
        total += output.numel() * layer.weight[0].numel()  # a dot product for each output number

    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    handles = [layer.register_forward_hook(count) for layer in layers]
    was_training = net.training
    try:
        net.eval()(torch.empty(1, channels, size, size, device=next(net.parameters()).device))
    finally:
        net.train(was_training)
        for handle in handles:
            handle.remove()
    return total
