"""Training: the same plan gives the same weights, however often it is stopped."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stopping import stopped_behind
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import Fit, FitConfig
from lexnet.errors import OutputError, TrainingError
from lexnet.train import loop
from lexnet.train.checkpoint import read_checkpoint, write_checkpoint
from lexnet.train.loop import History, Watch, fit, mixed
from lexnet.train.optimiser import MOMENTUM, make_optimiser, set_rate
from lexnet.train.schedule import lr_factor

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
    assert [one["epoch"] for one in history.epochs] == [1, 2, 3, 4]
    assert history.epochs[-1]["val_accuracy"] > 0.9 > history.epochs[0]["val_accuracy"]
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert judge(part) == {"val_accuracy": history.epochs[-1]["val_accuracy"]}


def test_the_same_call_gives_the_same_bits() -> None:
    torch.manual_seed(5)
    torch.rand(3)  # whatever was drawn before
    first = trained()
    assert same(first[0], trained()[0])


def test_every_epoch_has_a_dropout_of_its_own() -> None:
    drawn: list[float] = []

    class Draws(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                drawn.append(float(torch.rand(1)))
            return super().forward(x)

    one = [(torch.ones(2, 3), torch.eye(2))]
    fit(Draws(3, 2), lambda epoch: iter(one), 1, CONFIG, seed=0, judge=lambda part: {})
    assert len(drawn) == len(set(drawn)) == CONFIG.epochs


def test_a_gradient_that_is_too_long_is_shortened() -> None:
    """It is over a hundred long; SGD's first step is 1 + momentum times the gradient, by Nesterov."""
    config = FitConfig(optimiser="sgd", clip=0.5, weight_decay=0.0, batch_size=2).resolved("scratch")
    part = nn.Linear(3, 2)
    for weight in part.parameters():
        nn.init.zeros_(weight)
    optimiser = make_optimiser(part, config)
    set_rate(optimiser, 1.0)
    loop.step(part, part, optimiser, iter([(100 * torch.ones(2, 3), torch.eye(2)[[0, 0]])]), config, "here")
    moved = torch.cat([weight.detach().flatten() for weight in part.parameters()])
    assert float(moved.norm()) == pytest.approx(0.5 * (1 + MOMENTUM), rel=1e-3)


@pytest.mark.parametrize("earlier", [1, 3])
def test_more_epochs_go_on_from_where_fewer_ended(tmp_path: Path, earlier: int) -> None:
    """To the same bits as where both were trained at once; the rates of the fewer had come to 0."""
    raised = replace(CONFIG, raised=(earlier,))
    at_once, history = trained(raised)
    trained(replace(CONFIG, epochs=earlier), tmp_path / "c")
    taken: list[int] = []
    part = net()
    longer = fit(
        part,
        lambda epoch: (taken.append(epoch), batches(epoch))[1],
        STEPS,
        raised,
        seed=0,
        judge=judge,
        checkpoint=tmp_path / "c",
    )
    assert same(part, at_once) and longer.epochs == history.epochs and taken == list(range(earlier, 4))
    assert history.epochs[earlier - 1]["lr"] < 0.05 * CONFIG.lr
    assert not same(part, trained()[0]), "one training of four epochs has other rates"


def test_a_checkpoint_whose_rates_went_otherwise_is_not_taken(tmp_path: Path) -> None:
    trained(replace(CONFIG, epochs=2), tmp_path / "c")
    whole, _ = trained()
    assert same(trained(CONFIG, tmp_path / "c")[0], whole)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_what_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    undisturbed, history = trained()
    with stopped_behind(done, monkeypatch):
        trained(checkpoint=tmp_path / "c")
    again, rest = trained(checkpoint=tmp_path / "c")
    assert same(again, undisturbed) and rest.epochs == history.epochs


def normed() -> nn.Module:
    """With batch statistics, which learn from every step."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def laid() -> nn.Module:
    """With weights that lie in memory channel by channel."""
    torch.manual_seed(0)
    part = nn.Sequential(
        nn.Unflatten(1, (6, 1, 1)), nn.Conv2d(6, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    )
    return part.to(memory_format=torch.channels_last)


def growing(part: nn.Module) -> dict[str, float]:
    """A validation loss that is the lowest after the first epoch: the length of the weights."""
    return {"val_log_loss": float(part[0].weight.detach().norm())}


@pytest.mark.parametrize(
    ("config", "make", "judge", "epochs"),
    [
        (replace(CONFIG, optimiser="sgd"), net, judge, 4),
        (CONFIG, laid, judge, 4),
        (replace(CONFIG, optimiser="sgd"), laid, judge, 4),
        (CONFIG, normed, judge, 4),
        (replace(CONFIG, accumulate=3), net, judge, 4),
        (replace(CONFIG, patience=2), normed, growing, 3),  # the best is of before the stop
        (replace(CONFIG, steps=3 * STEPS - 5), net, judge, 3),
    ],
    ids=["sgd", "channels last", "channels last, sgd", "batch norm", "accumulate", "patience", "steps"],
)
def test_whatever_is_kept_from_step_to_step_outlives_a_stop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: Fit,
    make: Callable[[], nn.Module],
    judge: Callable[[nn.Module], dict[str, float]],
    epochs: int,
) -> None:
    """Stopped behind its first epoch and again behind its second, and once not at all."""
    undisturbed = make()
    history = fit(undisturbed, batches, STEPS, config, seed=0, judge=judge)
    for behind in (1, 2):
        with stopped_behind(behind, monkeypatch):
            fit(make(), batches, STEPS, config, seed=0, judge=judge, checkpoint=tmp_path / "c")
    again = make()
    rest = fit(again, batches, STEPS, config, seed=0, judge=judge, checkpoint=tmp_path / "c")
    assert same(again, undisturbed) and rest == history and len(history.epochs) == epochs


def test_judged_three_times_it_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on from there to the same bits; the loss is the mean of the three."""
    config = replace(CONFIG, epochs=8)
    each = net()
    losses = [one["loss"] for one in fit(each, batches, STEPS, config, seed=0, judge=judge).epochs]
    third = net()
    told: list[dict[str, float]] = []
    history = fit(
        third, batches, STEPS, config, seed=0, judge=judge, judge_at_most=3, watch=Watch(tell=told.append)
    )
    assert told == history.epochs, "each is told when it is over"
    assert same(third, each) and [one["epoch"] for one in history.epochs] == [3, 6, 8]
    means = [sum(losses[:3]) / 3, sum(losses[3:6]) / 3, sum(losses[6:]) / 2]
    assert [one["loss"] for one in history.epochs] == pytest.approx(means)
    with stopped_behind(1, monkeypatch):
        fit(net(), batches, STEPS, config, seed=0, judge=judge, judge_at_most=3, checkpoint=tmp_path / "c")
    again = net()
    rest = fit(again, batches, STEPS, config, seed=0, judge=judge, judge_at_most=3, checkpoint=tmp_path / "c")
    assert same(again, each) and rest == history


def test_more_epochs_are_judged_where_both_at_once_are(tmp_path: Path) -> None:
    raised = replace(CONFIG, epochs=14, raised=(7,))
    at_once = fit(net(), batches, STEPS, raised, seed=0, judge=judge, judge_at_most=3)
    assert [one["epoch"] for one in at_once.epochs] == [3, 6, 7, 10, 14]
    keep, config = tmp_path / "c", replace(CONFIG, epochs=7)
    fit(net(), batches, STEPS, config, seed=0, judge=judge, judge_at_most=3, checkpoint=keep)
    assert (
        fit(net(), batches, STEPS, raised, seed=0, judge=judge, judge_at_most=3, checkpoint=keep) == at_once
    )


def test_what_an_error_says_is_kept_is_what_the_checkpoint_holds(tmp_path: Path) -> None:
    """Judged behind every second epoch, it is broken in the sixth and in the second."""

    def broken(bad: int, *, keep: bool = True) -> str:
        def spoiled(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield from ((x * float("nan") if epoch == bad else x, y) for x, y in batches(epoch))

        config, file = replace(CONFIG, epochs=8), tmp_path / str(bad) if keep else None
        with pytest.raises(TrainingError) as error:
            fit(net(), spoiled, STEPS, config, seed=0, judge=judge, judge_at_most=4, checkpoint=file)
        return str(error.value)

    assert "in batch 1 of epoch 6; what epoch 4 ended with is kept" in broken(5)
    assert "in batch 1 of epoch 2; no epoch is kept yet" in broken(1)
    assert "in batch 1 of epoch 6; no epoch is kept yet" in broken(5, keep=False)
    kept = read_checkpoint(tmp_path / "5")
    assert kept is not None and [one["epoch"] for one in kept[1]["history"]] == [2, 4]
    assert not (tmp_path / "1").exists()


def test_a_stop_before_an_epochs_first_step_counts_for_the_epoch_of_the_last() -> None:
    """Of eight epochs every second is judged; three are done when it stops."""
    config = replace(CONFIG, epochs=8, steps=3 * STEPS)
    history = fit(net(), batches, STEPS, config, seed=0, judge=judge, judge_at_most=4)
    assert [one["epoch"] for one in history.epochs] == [2, 3] and history.steps == 3 * STEPS


def test_patience_has_every_epoch_judged() -> None:
    seen = fit(
        net(), batches, STEPS, replace(CONFIG, patience=9), seed=0, judge=judge, judge_at_most=3
    ).epochs
    assert [one["epoch"] for one in seen] == [1, 2, 3, 4]


def test_accumulated_batches_make_the_step_of_one_large_batch() -> None:
    """Of 20 batches three at a time, seven steps an epoch; the last is of two."""

    def large(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        small = list(batches(epoch))
        for start in range(0, STEPS, 3):
            inputs, targets = zip(*small[start : start + 3], strict=True)
            yield torch.cat(inputs), torch.cat(targets)

    def made() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))

    few, many = made(), made()
    one = fit(few, large, 7, replace(CONFIG, batch_size=24), seed=0, judge=judge)
    other = fit(many, batches, STEPS, replace(CONFIG, accumulate=3), seed=0, judge=judge)
    assert one.steps == other.steps == 4 * 7
    for a, b in zip(few.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(few[0].weight, made()[0].weight, atol=0.01), "it learned"
    for a, b in zip(one.epochs, other.epochs, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


def test_patience_takes_the_best_epochs_weights_and_stops() -> None:
    losses, seen = iter([0.9, 0.4, 0.6, 0.5, 0.1]), list[Tensor]()

    def told(part: nn.Module) -> dict[str, float]:
        seen.append(part[0].weight.detach().clone())
        return {"val_log_loss": next(losses)}

    part = net()
    history = fit(part, batches, STEPS, replace(CONFIG, epochs=9, patience=2), seed=0, judge=told)
    assert [one["val_log_loss"] for one in history.epochs] == [0.9, 0.4, 0.6, 0.5]
    assert history.stopped == "after 2 epochs without a lower validation loss"
    assert torch.equal(part[0].weight, seen[1]) and not torch.equal(seen[1], seen[3])


def test_patience_ends_where_the_loss_stays_as_it_is() -> None:
    config = replace(CONFIG, epochs=9, patience=2)
    history = fit(net(), batches, STEPS, config, seed=0, judge=lambda part: {"val_log_loss": 0.5})
    assert len(history.epochs) == 3
    assert history.stopped == "after 2 epochs without a lower validation loss"


def test_patience_that_never_ends_still_takes_the_best() -> None:
    losses, seen = iter([0.9, 0.4, 0.6, 0.3, 0.5]), list[Tensor]()

    def told(part: nn.Module) -> dict[str, float]:
        seen.append(part[0].weight.detach().clone())
        return {"val_log_loss": next(losses)}

    part = net()
    history = fit(part, batches, STEPS, replace(CONFIG, epochs=5, patience=2), seed=0, judge=told)
    assert len(history.epochs) == 5 and history.stopped is None
    assert torch.equal(part[0].weight, seen[3])


def test_it_stops_at_the_step_it_was_told_and_again_to_the_same_bits() -> None:
    config = replace(CONFIG, steps=STEPS + 7)
    part, history = trained(config)
    assert history.steps == STEPS + 7 and history.stopped == "after 27 steps, as it was told"
    assert [one["epoch"] for one in history.epochs] == [1, 2]
    assert same(part, trained(config)[0])
    assert not same(part, trained(replace(config, steps=STEPS + 8))[0])
    whole, all_of_it = trained()
    assert all_of_it.epochs[0] == history.epochs[0] and all_of_it.stopped is None and not same(part, whole)


def test_late_from_the_beginning_it_takes_one_step() -> None:
    history = fit(net(), batches, STEPS, CONFIG, seed=0, judge=judge, watch=Watch(late=lambda: True))
    assert (history.steps, history.stopped) == (1, "after 1 step, to end in time")


def test_it_stops_where_it_is_late() -> None:
    times = iter(range(100))
    history = fit(
        net(), batches, STEPS, CONFIG, seed=0, judge=judge, watch=Watch(late=lambda: next(times) == 25)
    )
    assert history.steps == 25 and history.stopped == "after 25 steps, to end in time"


def test_the_average_is_of_batch_statistics_too() -> None:
    """Inputs of one mean: a step brings the running mean a tenth nearer to it, and the average behind."""
    level = torch.arange(1.0, 7.0)

    def constant(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        draw = torch.Generator().manual_seed(epoch)
        for _ in range(STEPS):
            noise = torch.randn(8, 6, generator=draw)
            yield level + noise - noise.mean(0), torch.eye(2)[torch.arange(8) % 2]

    torch.manual_seed(0)
    part = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2))
    fit(part, constant, STEPS, replace(CONFIG, epochs=1, ema=0.9), seed=0, judge=lambda part: {})
    running = average = 0.0
    for step in range(1, STEPS + 1):
        running += 0.1 * (1 - running)
        average += (1 - min(0.9, step / (9 + step))) * (running - average)
    torch.testing.assert_close(part[0].running_mean, average * level)
    assert running - average > 0.03, "not the last statistics"


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_arithmetic_on_a_cpu_has_the_precision_that_was_asked_for(precision: str, kind: torch.dtype) -> None:
    with mixed(torch.device("cpu"), replace(CONFIG, precision=precision)):
        assert net()(torch.zeros(1, 6)).dtype == kind


def test_in_bfloat16_it_learns_and_its_weights_stay_float32() -> None:
    part, history = trained(replace(CONFIG, precision="bfloat16"))
    assert history.epochs[-1]["val_accuracy"] > 0.9
    assert {value.dtype for value in part.state_dict().values()} == {torch.float32}


def test_a_loss_that_is_no_number_names_the_batch_and_keeps_the_epoch_before(tmp_path: Path) -> None:
    def spoiled(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (x, y) in enumerate(batches(epoch)):
            yield (x * float("nan") if (epoch, number) == (2, 3) else x), y

    part = net()
    with pytest.raises(TrainingError, match=r"the loss is nan in batch 4 of epoch 3; .* --lr than 0.02"):
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

    with pytest.raises(TrainingError, match=f"the gradient is .* in batch {STEPS} of epoch 2; what epoch 1"):
        fit(Root(), batches, STEPS, CONFIG, seed=0, judge=judge, checkpoint=tmp_path / "c")
    kept = read_checkpoint(tmp_path / "c")
    assert kept is not None and len(kept[1]["history"]) == 1


def test_an_average_that_is_no_number_is_seen_before_it_is_kept(tmp_path: Path) -> None:
    judged: list[float] = []

    def spoiled(part: nn.Module) -> dict[str, float]:
        judged.append(float("nan") if len(judged) == 1 else 0.5)
        return {"val_accuracy": 0.5, "val_log_loss": judged[-1]}

    with pytest.raises(
        TrainingError, match=r"the val_log_loss is nan in the net after epoch 2; what epoch 1"
    ):
        fit(net(), batches, STEPS, CONFIG, seed=0, judge=spoiled, checkpoint=tmp_path / "c")
    kept = read_checkpoint(tmp_path / "c")
    assert kept is not None and len(kept[1]["history"]) == 1


def test_a_checkpoint_that_does_not_fit_its_net_is_told(tmp_path: Path) -> None:
    file = tmp_path / "c"
    trained(checkpoint=file)
    kept = read_checkpoint(file)
    assert kept is not None
    tensors, facts = kept
    name = next(name for name in tensors if name.startswith("net."))
    write_checkpoint(
        file, {("renamed" if key == name else key): value for key, value in tensors.items()}, facts
    )
    with pytest.raises(OutputError, match="does not fit its net; remove it, and training starts from its"):
        trained(checkpoint=file)


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
    rates = [lr_factor("cosine", step, 100, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 0.001
    assert rates[55] == pytest.approx(0.5)
    assert lr_factor("cosine", 0, 1, 0) == 1
    fall = [lr_factor("steps", step, 100, 10) for step in range(100)]
    assert fall[:10] == rates[:10]
    assert fall[10:] == pytest.approx([1] * 40 + [0.1] * 25 + [0.01] * 25)


def test_more_epochs_do_not_begin_anew_over_what_something_else_has_left(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    longer = replace(CONFIG, epochs=CONFIG.epochs + 1, raised=(CONFIG.epochs,))
    fit(net(), batches, 4, CONFIG, seed=0, judge=judge, checkpoint=file, of="these pictures")
    before = file.read_bytes()
    with pytest.raises(OutputError, match=r"of other pictures or settings, .* another --out"):
        fit(net(), batches, 4, longer, seed=0, judge=judge, checkpoint=file, of="other pictures")
    assert file.read_bytes() == before
    between = replace(CONFIG, epochs=CONFIG.epochs + 1, raised=(CONFIG.epochs - 1,))
    with pytest.raises(OutputError, match=f"of a training to {CONFIG.epochs} epochs, from which one to"):
        fit(net(), batches, 4, between, seed=0, judge=judge, checkpoint=file, of="these pictures")
