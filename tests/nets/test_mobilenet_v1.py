"""Separable convolutions: each channel by itself, then a mixture."""

import pytest
import torch
import torch.nn.functional as F
from made_nets import lively, noise
from torch import Tensor, nn

from lexnet.nets.mobilenet_v1 import separable
from lexnet.nets.net import Net
from lexnet.nets.parts import conv


@pytest.mark.parametrize("stride", [1, 2])
def test_separable_is_depthwise_and_then_pointwise(stride: int) -> None:
    torch.manual_seed(0)
    net = lively(Net(separable(6, 10, stride), [], nn.Identity()).double(), noise(4, 6, 9).double())
    layer, x = net.stem, noise(2, 6, 9).double()

    padded, filters = F.pad(x, (1, 1, 1, 1)), layer.depthwise.conv.weight
    each = sum(
        torch.einsum(
            "c,nchw->nchw", filters[:, 0, i, j], padded[:, :, i : i + 9 : stride, j : j + 9 : stride]
        )
        for i in range(3)
        for j in range(3)
    )
    each = by_hand(layer.depthwise.norm, each).clamp(0, 6)
    mixed = torch.einsum("dc,nchw->ndhw", layer.pointwise.conv.weight[:, :, 0, 0], each)
    mixed = by_hand(layer.pointwise.norm, mixed).clamp(0, 6)

    assert mixed.shape == (2, 10, -(-9 // stride), -(-9 // stride))
    assert torch.allclose(layer(x), mixed, rtol=1e-12)


def by_hand(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (
        torch.einsum("c,nchw->nchw", scale, x - norm.running_mean[:, None, None]) + norm.bias[:, None, None]
    )


def test_separable_costs_a_share_of_the_whole() -> None:
    """1/n' + 1/k² of it, §3.1 of MobileNets."""
    layer, k, n = separable(32, 64, 1), 3, 64
    weights = layer.depthwise.conv.weight.numel() + layer.pointwise.conv.weight.numel()
    assert weights / conv(32, 64, 3).conv.weight.numel() == pytest.approx(1 / n + 1 / k**2)
