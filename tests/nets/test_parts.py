"""The pieces that several families share, against the same done by hand."""

import pytest
import torch
import torch.nn.functional as F
from made_nets import noise
from torch import Tensor, nn

from lexnet.errors import ShapeError
from lexnet.nets.parts import (
    OnlySize,
    SameConv2d,
    classifier,
    conv,
    dense_head,
    relu6,
    round_to_eight,
)


@pytest.mark.parametrize(
    ("size", "k", "stride", "pads"),
    [
        (224, 3, 2, (0, 0, 1, 1)),  # an odd pad goes to the bottom and right
        (225, 3, 2, (1, 1, 1, 1)),
        (112, 5, 2, (1, 1, 2, 2)),
        (14, 5, 1, (2, 2, 2, 2)),
        (7, 1, 1, (0, 0, 0, 0)),
    ],
)
def test_same_padding_is_tensorflows(size: int, k: int, stride: int, pads: tuple[int, ...]) -> None:
    layer = SameConv2d(1, 1, k, stride)
    assert layer.pads(size, size) == pads
    assert layer(torch.zeros(1, 1, size, size)).shape[-1] == -(-size // stride)


def test_same_padding_looks_at_the_right_pixels() -> None:
    """A kernel that picks its first tap sees pixel 0 at output 0: nothing is padded at the top left."""
    layer = SameConv2d(1, 1, 3, 2, bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert torch.equal(layer(x), x[:, :, ::2, ::2])


def whole(*shape: int) -> Tensor:
    """Whole numbers from -8 to 8: their sums of products are exact in whatever order they are added."""
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(sum(shape))).float()


@pytest.mark.parametrize("n", [1, 7, 64])
def test_a_1x1_is_one_dense_layer_at_every_position(n: int) -> None:
    """6×6×32 in, 6×6×n out."""
    layer = conv(32, n, 1, norm=None, act=None).conv
    layer.weight.data, layer.bias.data = whole(n, 32, 1, 1), whole(n)
    dense = nn.Linear(32, n)
    dense.weight.data, dense.bias.data = layer.weight.data.flatten(1), layer.bias.data
    x = whole(1, 32, 6, 6)
    out = layer(x)
    assert out.shape == (1, n, 6, 6)
    for row in range(6):
        for column in range(6):
            assert torch.equal(out[:, :, row, column], dense(x[:, :, row, column]))


def test_a_convolution_has_a_bias_where_no_norm_takes_it_away() -> None:
    assert conv(3, 4, 3).conv.bias is None
    assert conv(3, 4, 3, norm=None).conv.bias is not None
    assert conv(3, 4, 3, bias=True).conv.bias is not None
    assert [name for name, _ in conv(3, 4, 3, act=relu6).named_children()] == ["conv", "norm", "act"]


def test_new_weights_keep_the_size_of_a_signal_through_many_relus() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(*(conv(64, 64, 3, norm=None) for _ in range(30)))
    with torch.inference_mode():
        out = layers(noise(1, 64, 24))
    assert 0.1 < out.square().mean().sqrt() < 10


def test_the_classifier_is_the_mean_of_each_map_and_a_linear_layer() -> None:
    head, x = classifier(8, 3, dropout=0.5).eval(), noise(2, 8, 5)
    assert torch.allclose(head(x), F.linear(x.mean(dim=(2, 3)), head.fc.weight, head.fc.bias), atol=1e-6)
    assert torch.allclose(classifier(8, 0)(x), x.mean(dim=(2, 3)), atol=1e-6)


@pytest.mark.parametrize(
    ("first", "names"),
    [
        (True, ["flatten", "drop6", "fc6", "act6", "drop7", "fc7", "act7", "fc"]),
        (False, ["flatten", "fc6", "act6", "drop6", "fc7", "act7", "drop7", "fc"]),
    ],
)
def test_the_dense_head_drops_before_or_behind_its_layers(first: bool, names: list[str]) -> None:
    head = dense_head(8, 16, 3, dropout_first=first)
    assert [name for name, _ in head.named_children()] == names
    assert head(noise(2, 2, 2)).shape == (2, 3)
    assert dense_head(8, 16, 0, dropout_first=first)(noise(2, 2, 2)).shape == (2, 16)


def test_only_size_says_what_it_got() -> None:
    layer = OnlySize(32)
    x = noise(2, 1, 32)
    assert layer(x) is x
    with pytest.raises(ShapeError, match=r"takes pictures of 32x32, not 28x28: .* resize them"):
        layer(noise(2, 1, 28))


@pytest.mark.parametrize(
    ("channels", "rounded"), [(1, 8), (11.2, 16), (12, 16), (24, 24), (33.6, 32), (44.8, 48), (8.4, 8)]
)
def test_widths_are_multiples_of_eight_that_lose_at_most_a_tenth(channels: float, rounded: int) -> None:
    assert round_to_eight(channels) == rounded
