"""A learning rate that was measured: the net is as before, the curve is whole, the rate is a good one."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import FitConfig
from lexnet.errors import TrainingError
from lexnet.train.finder import LEAST, MOST, NEARLY, SAFE, SETTLED, STEPS, find_rate

CONFIG = FitConfig(batch_size=16).resolved("scratch")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def batches(count: int = 10) -> Iterator[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    for _ in range(count):
        x = torch.randn(16, 6, generator=draw)
        yield x, F.one_hot((x[:, 0] > 0).long(), 2).float()


def loss_after(rate: float, steps: int = 30) -> float:
    """On the same batches, trained at this rate."""
    part = net()
    optimiser = torch.optim.AdamW(part.parameters(), lr=rate)
    for x, y in batches(steps):
        optimiser.zero_grad()
        F.cross_entropy(part(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        return float(torch.stack([F.cross_entropy(part(x), y) for x, y in batches()]).mean())


def test_the_net_is_as_it_was_before_its_batch_statistics_too() -> None:
    part = net()
    before = {name: value.clone() for name, value in part.state_dict().items()}
    find_rate(part, batches, CONFIG)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())


def test_the_rate_is_a_tenth_of_the_highest_at_which_the_loss_was_nearly_its_lowest() -> None:
    found = find_rate(net(), batches, CONFIG)
    lowest = min(loss for _, loss in found.curve[SETTLED:])
    highest = next(rate for rate, loss in reversed(found.curve) if loss <= NEARLY * lowest)
    assert found.rate == highest / SAFE
    assert found.reason == f"a tenth of {highest:.2g}, up to which the loss was nearly its lowest"
    assert found == find_rate(net(), batches, CONFIG)


@pytest.mark.parametrize("seed", range(4))
def test_a_net_that_begins_with_a_fitted_head_gets_a_rate_it_can_learn_at(seed: int) -> None:
    """Its loss has nowhere to fall: where it is lowest is chance, among the least rates."""
    draw = torch.Generator().manual_seed(seed)
    centres, labels = torch.randn(5, 20, generator=draw), torch.arange(640) % 5
    x, targets = centres[labels] + 1.5 * torch.randn(640, 20, generator=draw), F.one_hot(labels, 5).float()
    fitted = nn.Sequential(nn.Identity(), nn.Linear(20, 5))
    search = torch.optim.LBFGS(fitted.parameters(), max_iter=300)

    def loss() -> Tensor:
        search.zero_grad()
        found = F.cross_entropy(fitted(x), targets) + 1e-3 * fitted[1].weight.square().sum()
        found.backward()
        return found

    search.step(loss)

    def shuffled() -> Iterator[tuple[Tensor, Tensor]]:
        rows = torch.randperm(640, generator=torch.Generator().manual_seed(seed))
        yield from ((x[some], targets[some]) for some in rows.split(32))

    assert 1e-4 < find_rate(fitted, shuffled, FitConfig().resolved("finetune")).rate < 1e-1


def test_the_rates_rise_by_one_factor_through_as_many_epochs_as_it_takes() -> None:
    """Ten batches an epoch, and up to eighty steps."""
    rates = [rate for rate, _ in find_rate(net(), batches, CONFIG).curve]
    assert rates[0] == LEAST and rates[-1] <= MOST and len(rates) > 10
    factor = (MOST / LEAST) ** (1 / (STEPS - 1))
    assert all(later / rate == pytest.approx(factor) for rate, later in pairwise(rates))


def test_a_net_learns_far_better_at_the_rate_that_was_found_than_at_ones_far_from_it() -> None:
    rate = find_rate(net(), batches, CONFIG).rate
    found = loss_after(rate)
    assert found < 0.5 * loss_after(rate / 1000) and found < 0.5 * loss_after(rate * 1000)


def test_it_ends_where_the_loss_has_grown_hopeless() -> None:
    """A steep loss: long before a rate of 10."""

    class Steep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6, 2))

        def forward(self, x: Tensor) -> Tensor:
            return 100 * x @ self.weight

    curve = find_rate(Steep(), batches, CONFIG).curve
    assert len(curve) < STEPS and curve[-1][1] > 3 * min(loss for _, loss in curve)


def test_dropout_draws_the_same_whatever_was_drawn_before() -> None:
    part = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 2))
    curves = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        curves.append(find_rate(part, batches, CONFIG).curve)
    assert curves[0] == curves[1]


def test_a_loss_that_is_no_number_even_at_the_least_rate_is_told() -> None:
    def spoiled() -> Iterator[tuple[Tensor, Tensor]]:
        return ((x * float("nan"), y) for x, y in batches())

    part = net()
    before = {name: value.clone() for name, value in part.state_dict().items()}
    with pytest.raises(TrainingError, match="no number even at a learning rate of 1e-06; look at the"):
        find_rate(part, spoiled, CONFIG)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())


def test_batches_that_are_accumulated_are_one_step() -> None:
    """Of two halves of each batch it is the curve of the whole batches."""

    def halves() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in batches():
            yield from ((x[:8], y[:8]), (x[8:], y[8:]))

    def plain() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))

    whole = find_rate(plain(), batches, CONFIG).curve
    parts = find_rate(plain(), halves, FitConfig(batch_size=16, accumulate=2).resolved("scratch")).curve
    assert len(parts) > 10 and parts[:10] == [pytest.approx(one, rel=1e-4) for one in whole[:10]]
