"""Training: the same plan gives the same weights, however often it is stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import Fit, FitConfig
from lexnet.errors import TrainingError
from lexnet.train import loop
from lexnet.train.checkpoint import read_checkpoint
from lexnet.train.loop import History, fit
from lexnet.train.schedule import cosine

CONFIG = FitConfig(epochs=4, lr=0.02, batch_size=8, warmup=0.5).resolved("tail")
STEPS = 20


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(epoch)
    for _ in range(STEPS):
        x = torch.randn(8, 6, generator=draw)
        yield x, F.one_hot((x[:, 0] > 0).long(), 2).float()


def judge(part: nn.Module) -> dict[str, float]:
    assert not part.training
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(99))
    return {"val_accuracy": float((part(x).argmax(1) == (x[:, 0] > 0)).float().mean())}


def trained(config: Fit = CONFIG, checkpoint: Path | None = None) -> tuple[nn.Module, History]:
    part = net()
    return part, fit(part, batches, STEPS, config, seed=0, judge=judge, checkpoint=checkpoint)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_it_learns_and_ends_as_the_average_that_was_judged() -> None:
    part, history = trained()
    assert [one["epoch"] for one in history.epochs] == [0, 1, 2, 3]
    assert history.epochs[-1]["val_accuracy"] > 0.9 > history.epochs[0]["val_accuracy"]
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert judge(part) == {"val_accuracy": history.epochs[-1]["val_accuracy"]}


def test_the_same_call_gives_the_same_bits() -> None:
    torch.manual_seed(5)
    torch.rand(3)  # whatever was drawn before
    first = trained()
    assert same(first[0], trained()[0])


@pytest.mark.parametrize("done", [1, 2, 3])
def test_what_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    undisturbed, history = trained()
    write, times = loop.write_checkpoint, iter(range(done))

    def stop(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        if next(times) == done - 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            trained(checkpoint=tmp_path / "c")
    again, rest = trained(checkpoint=tmp_path / "c")
    assert same(again, undisturbed) and rest.epochs == history.epochs


def test_a_loss_that_is_no_number_names_the_batch_and_keeps_the_epoch_before(tmp_path: Path) -> None:
    def spoiled(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (x, y) in enumerate(batches(epoch)):
            yield (x * float("nan") if (epoch, number) == (2, 3) else x), y

    part = net()
    with pytest.raises(TrainingError, match=r"the loss is nan in batch 3 of epoch 2; .* --lr than 0.02"):
        fit(part, spoiled, STEPS, CONFIG, seed=0, judge=judge, checkpoint=tmp_path / "c")
    kept = read_checkpoint(tmp_path / "c")
    assert kept is not None and len(kept[1]["history"]) == 2
    assert all(torch.isfinite(value).all() for value in kept[0].values())


def test_a_gradient_that_is_no_number_is_seen_before_it_is_kept(tmp_path: Path) -> None:
    """A square root has a finite value at 0 and no finite slope."""

    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = net(), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += self.training
            y = self.inner(x)
            return y + (y - y.detach()).sqrt() if self.calls == 2 * STEPS else y

    with pytest.raises(
        TrainingError, match=f"the gradient is .* in batch {STEPS - 1} of epoch 1; what epoch 0"
    ):
        fit(Root(), batches, STEPS, CONFIG, seed=0, judge=judge, checkpoint=tmp_path / "c")
    kept = read_checkpoint(tmp_path / "c")
    assert kept is not None and len(kept[1]["history"]) == 1


def test_a_checkpoint_of_something_else_is_not_taken(tmp_path: Path) -> None:
    part = net()
    fit(part, batches, STEPS, CONFIG, seed=0, judge=judge, checkpoint=tmp_path / "c", of="other pictures")
    again = net()
    fit(again, batches, STEPS, CONFIG, seed=0, judge=judge, checkpoint=tmp_path / "c", of="these")
    assert same(again, trained()[0])
    kept = read_checkpoint(tmp_path / "c")
    assert kept is not None and kept[1]["of"] == "these"


def test_a_frozen_weight_stays() -> None:
    part = net()
    part[0].requires_grad_(False)
    before = part[0].weight.clone()
    fit(part, batches, STEPS, CONFIG, seed=0, judge=judge)
    assert torch.equal(part[0].weight, before)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [cosine(step, 100, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 0.001
    assert rates[55] == pytest.approx(0.5)
    assert cosine(0, 1, 0) == 1
