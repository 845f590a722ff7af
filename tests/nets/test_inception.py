"""GoogLeNet, its modules and its side classifiers."""

import pytest
import torch
from made_nets import lively, noise
from torch import Tensor, nn

from lexnet.cost import params
from lexnet.nets import NETS
from lexnet.nets.inception import SIDES, TABLE_1, Conv, Inception, normed, plain
from lexnet.nets.taps import Tapped

GOOGLENETS = [name for name, entry in NETS.items() if entry.sides]
# fmt: off
PAPER = {  # Table 1, output size, row by row
    "stem.0": (64, 112, 112), "stem.1": (64, 56, 56),
    "stages.stage1.1": (192, 56, 56),
    "stages.stage2.pool": (192, 28, 28), "stages.stage2.a": (256, 28, 28), "stages.stage2.b": (480, 28, 28),
    "stages.stage3.pool": (480, 14, 14), "stages.stage3.a": (512, 14, 14), "stages.stage3.b": (512, 14, 14),
    "stages.stage3.c": (512, 14, 14), "stages.stage3.d": (528, 14, 14), "stages.stage3.e": (832, 14, 14),
    "stages.stage4.pool": (832, 7, 7), "stages.stage4.a": (832, 7, 7), "stages.stage4.b": (1024, 7, 7),
    "head.pool": (1024, 1, 1), "head.fc": (1000,),
}
# fmt: on


@pytest.mark.parametrize("name", GOOGLENETS)
def test_output_sizes_are_those_of_table_1(name: str) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        net = NETS[name].build()
        for path in PAPER:

            def note(_: nn.Module, __: object, out: Tensor, path: str = path) -> None:
                shapes[path] = tuple(out.shape[1:])

            net.get_submodule(path).register_forward_hook(note)
        net(torch.empty(1, 3, 224, 224))
    assert shapes == PAPER


@pytest.mark.parametrize(("conv", "k5"), [(normed, 3), (plain, 5)])
def test_a_module_puts_its_branches_one_behind_the_other(conv: Conv, k5: int) -> None:
    torch.manual_seed(0)
    n1, r3, n3, r5, n5, proj = row = TABLE_1[0]["a"]
    module, x = Inception(192, row, conv, k5).eval(), noise(2, 192, 9)
    out = module(x)
    assert out.shape == (2, n1 + n3 + n5 + proj, 9, 9)
    for branch, part in zip(module.branches, out.split((n1, n3, n5, proj), dim=1), strict=True):
        assert torch.equal(part, branch(x))
    filters = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0]) for c in filters] == [
        (n1, 1), (r3, 1), (n3, 3), (r5, 1), (n5, k5), (proj, 1)
    ]  # fmt: skip


def test_the_papers_net_has_biases_and_response_norms_and_no_batch_norm() -> None:
    with torch.device("meta"):
        net = NETS["googlenet_2014"].build()
    kinds = [type(m) for m in net.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.LocalResponseNorm) == 2
    assert all(m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize(("name", "total"), [("googlenet", 13_004_888), ("googlenet_2014", 13_378_280)])
def test_parameters_with_side_classifiers(name: str, total: int) -> None:
    entry = NETS[name]
    assert entry.sides is not None
    with torch.device("meta"):
        assert params(Tapped(entry.build(), entry.sides())) == total


@pytest.fixture(scope="module", params=GOOGLENETS)
def tapped(request: pytest.FixtureRequest) -> Tapped:
    entry = NETS[request.param]
    assert entry.sides is not None
    torch.manual_seed(0)
    net = lively(entry.build(classes=5), noise(4, 3, 96))
    return Tapped(net, entry.sides(classes=5))


def test_side_classifiers_do_not_disturb_the_net(tapped: Tapped) -> None:
    x = noise(2, 3, 224)
    with torch.inference_mode():
        logits, sides = tapped.eval()(x)
        assert torch.equal(logits, tapped.net(x))
    assert [side.shape for side in sides] == [(2, 5), (2, 5)]


def test_side_classifiers_see_4a_and_4d(tapped: Tapped) -> None:
    assert tapped.paths == tuple(SIDES) == ("stage3.a", "stage3.d")
    x = noise(1, 3, 224)
    with torch.inference_mode():
        _, logits = tapped.eval()(x)
        for path, side, one in zip(tapped.paths, tapped.sides, logits, strict=True):
            assert torch.equal(side(tapped.net.cut(path)[0](x)), one)


def test_gradients_of_the_sides_reach_them_and_what_is_before_them(tapped: Tapped) -> None:
    torch.manual_seed(0)
    tapped.train().zero_grad()
    _, (first, second) = tapped(noise(2, 3, 224))
    (first.square().mean() + second.square().mean()).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in tapped.sides.parameters())
    trunk, tail = tapped.net.cut("stage3.d")
    assert all(w.grad is not None and w.grad.isfinite().all() for w in trunk.parameters())
    assert next(trunk.parameters()).grad.any() and all(w.grad is None for w in tail.parameters())


def test_the_whole_loss_reaches_every_weight(tapped: Tapped) -> None:
    torch.manual_seed(0)
    tapped.train().zero_grad()
    logits, sides = tapped(noise(2, 3, 224))
    (logits.square().mean() + 0.3 * sum(side.square().mean() for side in sides)).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in tapped.parameters())


def test_what_is_frozen_stays_so_among_side_classifiers() -> None:
    entry = NETS["googlenet"]
    assert entry.sides is not None
    tapped = Tapped(entry.build(classes=2).freeze("stage2"), entry.sides(classes=2)).eval().train()
    assert tapped.net.stages.stage3.training and tapped.sides.training
    assert not tapped.net.stages.stage2.training
