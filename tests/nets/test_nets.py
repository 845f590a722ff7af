import pytest
import torch
from torch import nn

from lexnet.cost import macs, params
from lexnet.errors import LexNetError, UnknownNet
from lexnet.nets import NETS, find
from lexnet.nets.net import Net
from lexnet.nets.parts import SameConv2d


@pytest.mark.parametrize("name", NETS)
def test_cost_matches_the_reference(name: str) -> None:
    entry = NETS[name]
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        net = entry.build()
    assert (params(net), macs(net, entry.size)) == (entry.params, entry.macs)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [64, 75])
def test_forward_and_backward_at_an_even_and_an_odd_size(name: str, size: int) -> None:
    torch.manual_seed(0)
    net = NETS[name].build(classes=7)
    logits = net(torch.randn(2, 3, size, size))
    logits.square().sum().backward()
    assert logits.shape == (2, 7)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", NETS)
def test_every_net_is_a_stem_stages_and_a_head(name: str) -> None:
    torch.manual_seed(0)
    net = NETS[name].build(classes=5).eval()
    x = torch.randn(1, 3, 64, 64)
    assert type(net) is Net
    assert [stage for stage, _ in net.stages.named_children()] == [
        f"stage{i}" for i in range(1, len(net.stages) + 1)
    ]
    with torch.no_grad():
        y = net.stem(x)
        for stage in net.stages:
            y = stage(y)
        assert torch.equal(net.head(y), net(x))


@pytest.mark.parametrize("name", NETS)
def test_without_classes_the_pooled_features_come_out(name: str) -> None:
    torch.manual_seed(0)
    whole = NETS[name].build(classes=3).eval()
    trunk = NETS[name].build(classes=0).eval()
    trunk.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith("head.fc")})
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(whole.head.fc(trunk(x)), whole(x), atol=1e-6)


def test_a_wrong_name_gets_the_near_ones() -> None:
    with pytest.raises(UnknownNet, match=r"no net named 'resnet81' \(did you mean resnet18\?\)") as error:
        find("resnet81")
    assert isinstance(error.value, LexNetError) and isinstance(error.value, ValueError)


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


def test_a_residual_block_whose_residual_is_zero_is_the_identity_after_relu() -> None:
    block = NETS["resnet18"].build().stages.stage1[0].eval()
    nn.init.zeros_(block.residual[1].norm.weight)
    x = torch.randn(2, 64, 8, 8).relu()
    assert torch.equal(block(x), x)
