"""Compiling: a choice by what was timed, which leaves the net as it was and its answers what they are."""

import re
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lexnet.config import Compile, Fit, FitConfig
from lexnet.errors import TrainingError
from lexnet.train import compiled as module
from lexnet.train.compiled import choose, compiled, seconds
from lexnet.train.loop import Batch

SIZE = 16


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(SIZE, 1, 8, 8, generator=draw), F.one_hot(torch.arange(SIZE) % 2, 2).float()


def config(how: Compile) -> Fit:
    return FitConfig(batch_size=SIZE, compile=how).resolved("scratch")


def timed(monkeypatch: pytest.MonkeyPatch, eager: float, quick: float) -> None:
    """A step takes so long as it is, and so long compiled."""
    monkeypatch.setattr(
        module, "seconds", lambda net, model, batch, config, steps=5: eager if model is net else quick
    )
    monkeypatch.setattr(module, "compiled", lambda net, config: net.forward)


@pytest.mark.parametrize(
    ("eager", "quick", "steps", "taken", "reason"),
    [
        (1.0, 0.5, 299, False, ""),
        (1.0, 0.5, 301, True, "compiled: a step takes 500 ms compiled, 1000 ms otherwise"),
        (1.0, 0.97, 301, False, "not compiled: a step takes 970 ms compiled, 1000 ms otherwise"),
    ],
)
def test_on_auto_it_is_compiled_where_that_is_shown_to_save_time(
    monkeypatch: pytest.MonkeyPatch, eager: float, quick: float, steps: int, taken: bool, reason: str
) -> None:
    timed(monkeypatch, eager, quick)
    choice = choose(net(), batch(), steps, config("auto"))
    assert (choice.model is not None, choice.reason) == (taken, reason)


def test_what_the_user_says_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, 1.0, 2.0)
    assert choose(net(), batch(), 10**6, config("never")).model is None
    assert choose(net(), batch(), 1, config("always")).model is not None


def test_where_it_fails_auto_goes_on_without_it_and_always_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(net: nn.Module, **options: object) -> object:
        def fail(x: torch.Tensor) -> None:
            raise RuntimeError("no compiler is found\nand much more")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    choice = choose(net(), batch(), 10**9, config("auto"))
    what = r"torch.compile fails here \(RuntimeError: no compiler is found\)"
    assert choice.model is None and choice.reason == f"not compiled: {what}".replace("\\", "")
    with pytest.raises(TrainingError, match=f"{what}; leave out --compile"):
        choose(net(), batch(), 1, config("always"))


@pytest.mark.parametrize("wrong", [2.0, float("nan")])
def test_a_net_that_is_compiled_to_something_else_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    """As where torch takes up what it compiled for another processor."""

    def miscompiled(net: nn.Module, config: Fit) -> object:
        return lambda x: net(x) * wrong

    monkeypatch.setattr(module, "compiled", miscompiled)
    part = net()
    before = {name: value.clone() for name, value in part.state_dict().items()}
    choice = choose(part, batch(), 10**9, config("auto"))
    assert choice.model is None and re.search("its (loss|gradient) comes out as", choice.reason)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    with pytest.raises(
        TrainingError, match=r"its (loss|gradient) comes out as .* instead of .*; leave out --compile"
    ):
        choose(net(), batch(), 1, config("always"))


def test_nor_is_one_whose_gradient_alone_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def miscompiled(net: nn.Module, config: Fit) -> object:
        return lambda x: 0.5 * net(x) + 0.5 * net(x).detach()

    monkeypatch.setattr(module, "compiled", miscompiled)
    assert "its gradient comes out as" in choose(net(), batch(), 10**9, config("auto")).reason


def test_timing_leaves_the_net_as_it_was() -> None:
    part = net()
    before = {name: value.clone() for name, value in part.state_dict().items()}
    assert seconds(part, part, batch(), config("auto")) > 0
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    assert all(weight.grad is None for weight in part.parameters())


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # by modules that its compiler imports
def test_compiled_for_real_it_drops_out_the_same() -> None:
    part = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 2))
    state = torch.get_rng_state()
    assert choose(part, batch(), 1, config("always")).model is not None
    assert torch.equal(torch.get_rng_state(), state)
    answers = []
    for model in (part, compiled(part, config("always"))):
        torch.manual_seed(3)
        answers.append(model(batch()[0]))
    torch.testing.assert_close(answers[0], answers[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # by modules that its compiler imports
def test_compiled_for_real_it_answers_alike_and_only_whole_batches_go_through_it() -> None:
    part, (inputs, targets) = net().train(), batch()
    calls: list[int] = []
    part.register_forward_pre_hook(lambda module, given: calls.append(len(given[0])))
    model = compiled(net().train(), config("always"))
    own = compiled(part, config("always"))
    torch.testing.assert_close(model(inputs), net().train()(inputs), atol=1e-5, rtol=1e-5)
    gradients = []
    for answer in (model, net().train()):
        x = inputs.clone().requires_grad_()
        F.cross_entropy(answer(x), targets).backward()
        gradients.append(x.grad)
    for one, other in pairwise(gradients):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert own(inputs[:3]).shape == (3, 2) and calls == [3], "an odd batch takes the net as it is"
