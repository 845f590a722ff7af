"""The training loop: the same plan gives the same weights, however often it is stopped.

for each epoch: batches in this epoch's own order ─ loss ─ AdamW ─ moving average ─ checkpoint
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import FitConfig
from lexnet.data.random import address
from lexnet.errors import TrainingError
from lexnet.train.checkpoint import Tensors, read_checkpoint, write_checkpoint
from lexnet.train.schedule import cosine

Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
"""epoch → (inputs (n, ...), targets (n, classes)) of each batch; a row of targets sums to what it counts."""


@dataclass
class History:
    """What was seen, epoch by epoch."""

    epochs: list[dict[str, float]] = field(default_factory=list)


def fit(
    net: nn.Module,
    batches: Batches,
    steps_per_epoch: int,
    config: FitConfig,
    *,
    seed: int,
    judge: Callable[[nn.Module], dict[str, float]],
    checkpoint: Path | None = None,
    of: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> History:
    """Trains `net` in place; it ends as the moving average of its weights.

    `judge` measures the averaged net after each epoch. A checkpoint is written behind every epoch, and
    the next call with the same arguments goes on from it to the same bits (with as many threads). `of`
    says what is trained on what: a checkpoint of anything else is not taken. Raises `TrainingError`
    for a loss or a gradient that is not finite, naming the batch; the checkpoint before stays.
    """
    average = {name: value.detach().clone() for name, value in net.named_parameters()}
    optimiser = torch.optim.AdamW(_groups(net, config.weight_decay), lr=config.lr)
    history, first = History(), 0
    if checkpoint is not None and (found := read_checkpoint(checkpoint)) and found[1]["of"] == of:
        tensors, facts = found
        first, history = int(facts["epochs"]), History(facts["history"])
        _restore(net, optimiser, average, tensors)
    steps = config.epochs * steps_per_epoch
    for epoch in range(first, config.epochs):
        torch.manual_seed(address(seed, "dropout", str(epoch)))
        net.train()
        total, pictures = 0.0, 0
        for number, (inputs, targets) in enumerate(batches(epoch)):
            step = epoch * steps_per_epoch + number
            rate = config.lr * cosine(step, steps, round(config.warmup * steps_per_epoch))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = F.cross_entropy(net(inputs), targets)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            length = nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            for name, value in (("loss", loss), ("gradient", length)):
                if not torch.isfinite(value):
                    kept = f"what epoch {epoch - 1} ended with is kept" if epoch else "nothing is kept yet"
                    raise TrainingError(
                        f"the {name} is {value.item()} in batch {number} of epoch {epoch}; {kept}; train "
                        f"again with a lower --lr than {config.lr:g}"
                    )
            optimiser.step()
            _average(average, net, config.ema, step)
            total += loss.item() * len(inputs)
            pictures += len(inputs)
            progress(step + 1, steps)
        with _swapped(net, average):
            seen = judge(net)
        history.epochs.append({"epoch": epoch, "loss": total / pictures, "lr": rate, **seen})
        if checkpoint is not None:
            facts = {"of": of, "epochs": epoch + 1, "history": history.epochs}
            write_checkpoint(checkpoint, _state(net, optimiser, average), facts)
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(average[name])
    net.eval()
    return history


def _groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Biases and other vectors are not decayed."""
    trained = [p for p in net.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _average(average: Tensors, net: nn.Module, decay: float, step: int) -> None:
    """Early on the average is of few steps, and follows them closely."""
    keep = min(decay, (1 + step) / (10 + step))
    for name, value in net.named_parameters():
        average[name].lerp_(value, 1 - keep)


class _swapped:
    """The net with other weights, inside the block only."""

    def __init__(self, net: nn.Module, weights: Tensors) -> None:
        self._net, self._weights = net, weights

    def __enter__(self) -> None:
        self._own = {name: value.detach().clone() for name, value in self._net.named_parameters()}
        self._put(self._weights)
        self._net.eval()

    def __exit__(self, *error: object) -> None:
        self._put(self._own)

    @torch.no_grad()
    def _put(self, weights: Tensors) -> None:
        for name, value in self._net.named_parameters():
            value.copy_(weights[name])


def _state(net: nn.Module, optimiser: torch.optim.Optimizer, average: Tensors) -> Tensors:
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return tensors


def _restore(net: nn.Module, optimiser: torch.optim.Optimizer, average: Tensors, tensors: Tensors) -> None:
    def part(prefix: str) -> Tensors:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    net.load_state_dict(part("net."))
    for name, value in part("average.").items():
        average[name].copy_(value)  # in the memory layout that it had
    state: dict[int, Tensors] = {}
    for name, value in part("optimiser.").items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
