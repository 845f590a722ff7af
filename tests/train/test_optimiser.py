"""Which weights move, how far, and which are decayed."""

import pytest
import torch

from lexnet.config import FitConfig
from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv
from lexnet.train.optimiser import MOMENTUM, make_optimiser, set_rate

FINETUNE = FitConfig(lr=0.1, layer_decay=0.5, weight_decay=0.3).resolved("finetune")


def net() -> Net:
    """A stem, two stages and a head."""
    torch.manual_seed(0)
    return Net(conv(3, 4, 3), [conv(4, 8, 3, 2), conv(8, 8, 3, 2)], classifier(8, 5))


def shares(part: Net, optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Each weight's share of the learning rate, by name."""
    known = {id(weight): name for name, weight in part.named_parameters()}
    return {known[id(w)]: group["share"] for group in optimiser.param_groups for w in group["params"]}


def test_each_stage_learns_at_a_share_of_the_next_ones_rate() -> None:
    part = net()
    found = shares(part, make_optimiser(part, FINETUNE))
    assert set(found) == {name for name, _ in part.named_parameters()}
    expected = {"stem": 0.125, "stages.stage1": 0.25, "stages.stage2": 0.5, "head": 1.0}
    for name, share in found.items():
        assert share == next(value for start, value in expected.items() if name.startswith(start)), name


def test_without_layer_decay_all_learn_alike() -> None:
    part = net()
    optimiser = make_optimiser(part, FitConfig().resolved("scratch"))
    assert set(shares(part, optimiser).values()) == {1.0}


def test_vectors_are_not_decayed() -> None:
    part = net()
    decayed = {
        id(weight): group["weight_decay"]
        for group in make_optimiser(part, FINETUNE).param_groups
        for weight in group["params"]
    }
    for name, weight in part.named_parameters():
        assert decayed[id(weight)] == (0.3 if weight.ndim > 1 else 0.0), name


def test_what_does_not_learn_is_left_out() -> None:
    part = net()
    part.stem.requires_grad_(False)
    assert not any(name.startswith("stem") for name in shares(part, make_optimiser(part, FINETUNE)))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_step_moves_a_stage_by_its_share_of_the_rate(name: str) -> None:
    """Adam's first step is as long as the rate; SGD's is 1 + momentum times the gradient, by Nesterov."""
    part = net()
    config = FitConfig(optimiser=name, layer_decay=0.5, weight_decay=0.0)
    optimiser = make_optimiser(part, config.resolved("finetune"))
    set_rate(optimiser, 0.01)
    before = {name: weight.detach().clone() for name, weight in part.named_parameters()}
    for weight in part.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser.step()
    longer = 1 + MOMENTUM if name == "sgd" else 1
    for path, share in shares(part, optimiser).items():
        moved = before[path] - part.get_parameter(path).detach()
        torch.testing.assert_close(moved, torch.full_like(moved, 0.01 * share * longer), rtol=1e-3, atol=1e-7)


def test_sgd_is_that_of_nesterov_and_decays_as_it_was_told() -> None:
    optimiser = make_optimiser(net(), FitConfig(optimiser="sgd").resolved("scratch"))
    assert isinstance(optimiser, torch.optim.SGD)
    assert all(group["nesterov"] and group["momentum"] == MOMENTUM for group in optimiser.param_groups)
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 5e-4}
