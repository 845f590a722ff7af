"""LeNet-5 as the paper has it, and as it is taught."""

import pytest
import torch
import torch.nn.functional as F
from made_nets import noise
from torch import Tensor

from lexnet.cost import params
from lexnet.nets.lenet import C3, TABLE_I, Distance, Squash, SubSampling, digit_codes, lenet5, lenet5_modern


def test_parameters_layer_by_layer() -> None:
    """§II.B: C1, S2, C3, S4, C5 and F6; the output has none."""
    net = lenet5()
    assert [params(part) for part in (net.stem, *net.stages, net.head)] == [
        156,
        12,
        1_516,
        32,
        48_120,
        10_164,
    ]
    assert params(net) == 60_000
    assert params(lenet5_modern()) == 61_706


@pytest.mark.parametrize("build", [lenet5, lenet5_modern])
def test_sizes_layer_by_layer(build: type[lenet5]) -> None:
    """Fig. 2."""
    net, x, shapes = build(), noise(1, 1, 32), []
    for part in (net.stem, *net.stages, net.head):
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (10,)]


def test_c3_sees_the_maps_of_table_i() -> None:
    layer = C3()
    for number, maps in enumerate(TABLE_I):
        x = torch.ones(1, 6, 5, 5, requires_grad=True)
        layer(x)[0, number].sum().backward()
        assert x.grad is not None
        assert x.grad[0].flatten(1).any(dim=1).nonzero().flatten().tolist() == sorted(maps)


def test_every_map_of_s2_is_seen_equally_often() -> None:
    seen = [n for row in TABLE_I for n in row]
    assert [seen.count(n) for n in range(6)] == [10] * 6
    assert len(set(TABLE_I)) == 16


def test_sub_sampling_scales_and_shifts_a_sum_of_four() -> None:
    layer, x = SubSampling(2), noise(1, 2, 4)
    torch.nn.init.normal_(layer.bias)
    for c in range(2):
        for i in range(2):
            for j in range(2):
                four = x[0, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].sum()
                expected = four * layer.weight[c, 0, 0] + layer.bias[c, 0, 0]
                assert torch.allclose(layer(x)[0, c, i, j], expected, atol=1e-6)


def test_the_squashing_keeps_one_and_minus_one() -> None:
    """Appendix A."""
    assert torch.allclose(Squash()(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4)
    assert Squash()(torch.tensor(100.0)) == pytest.approx(1.7159)


def test_every_digit_has_its_own_drawing() -> None:
    """7×12 pixels; the nearest two, 6 and 8, differ in twelve of them."""
    codes = torch.tensor(digit_codes())
    assert codes.shape == (10, 84) and set(codes.unique().tolist()) == {-1.0, 1.0}
    distances = (codes[:, None] - codes).square().sum(dim=2)
    assert distances[~torch.eye(10, dtype=torch.bool)].min() == 48
    assert distances[6, 8] == 48


def test_an_output_is_minus_the_squared_distance_to_a_drawing() -> None:
    codes = torch.tensor(digit_codes())
    out = Distance()(codes)
    assert torch.equal(out.diagonal(), torch.zeros(10))
    assert (out[~torch.eye(10, dtype=torch.bool)] <= -48).all()
    x = codes[3] + 0.5
    assert torch.equal(Distance()(x[None])[0, 3], torch.tensor(-84 * 0.25))


def test_the_drawings_are_kept_and_not_learnt() -> None:
    net = lenet5()
    assert torch.equal(net.state_dict()["head.fc.codes"], torch.tensor(digit_codes()))
    assert "head.fc.codes" not in dict(net.named_parameters())


def digits() -> tuple[Tensor, Tensor]:
    """A thousand handwritten digits, 32×32 with the background at -0.1 and the ink at 1.175 (§II.B)."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    ink = torch.tensor(pictures[:1000], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return F.pad(F.interpolate(ink, 24), (4, 4, 4, 4)) * 1.275 - 0.1, torch.tensor(labels[:1000])


def test_the_papers_net_learns_to_read_digits() -> None:
    """By the mean squared distance to the right drawing, equation 8."""
    torch.manual_seed(0)
    x, labels = digits()
    net = lenet5().train()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for batch in torch.randperm(800).repeat(6).split(50):
        optimizer.zero_grad()
        (-net(x[batch])[torch.arange(50), labels[batch]]).mean().backward()
        optimizer.step()
    with torch.inference_mode():
        right = (net.eval()(x[800:]).argmax(dim=1) == labels[800:]).float().mean()
    assert right > 0.85
