"""The last stages of a net trained on what the frozen ones make of the pictures.

    pixels ─ stem ... stage5 ─ activations ─ stage6 ... head
             frozen, run once   on disk       trained, epoch after epoch

Batch norms stay as they were (their statistics are of millions of pictures) and are folded into the
convolutions while the tail is trained, unless they are to learn too. Depthwise kernels stay too: they are few
weights, general ones, and finding the gradients of large ones takes a fifth of a step (`benchmarks/step.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.augment.mix import soft_labels
from lexnet.config import Fit
from lexnet.data.columns import repeats
from lexnet.nets.fold import arranged_to_learn, depthwise_frozen
from lexnet.nets.net import Net
from lexnet.train.loop import UNWATCHED, Batch, History, Watch, fit, refuse_single
from lexnet.train.pixels import cuts, order
from lexnet.transfer.extract import Extraction
from lexnet.transfer.probe import Probe
from lexnet.transfer.trunk import Trunk, pretrained

JUDGED = 64  # pictures at a time, when nothing has to be remembered for the way back
JUDGE_AT_MOST = 20  # few pictures have hundreds of epochs, each of which takes less time than judging it


@dataclass(frozen=True, kw_only=True)
class Activated:
    """Pictures as the frozen stages leave them."""

    extraction: Extraction
    """(..., K, C, H, W) of K views each, or (..., C, H, W) of one."""
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    """(N,) how much each counts; only their ratios matter."""
    rows: NDArray[np.int64]
    """(N,) which of the extraction's rows they are."""
    views: int | None = None
    """K, where there are several."""

    def take(self, some: NDArray[np.int64]) -> "Activated":
        """Those of these N."""
        labels, weights, rows = self.labels[some], self.weights[some], self.rows[some]
        return replace(self, labels=labels, weights=weights, rows=rows)


def started(trunk: Trunk, probe: Probe) -> Net:
    """The trunk's net with the probe's head: it answers as the probe does."""
    net = pretrained(trunk.weights, trunk.spec.channels, len(probe.bias))
    fc = net.head.fc
    assert isinstance(fc, torch.nn.Linear)
    with torch.no_grad():
        fc.weight.copy_(torch.from_numpy(probe.weight))
        fc.bias.copy_(torch.from_numpy(probe.bias))
    return net


def train_tail(
    net: Net,
    cut: str,
    train: Activated,
    val: Activated,
    config: Fit,
    seed: int,
    *,
    sampled: bool,
    checkpoint: Path | None = None,
    of: str = "",
    watch: Watch = UNWATCHED,
) -> History:
    """Trains the stages of `net` after `cut` and its head, in place.

    `net` comes with the probe's head, so it starts where the probe ended. Raises `TrainingError`.
    """
    _, tail = net.cut(cut)
    refuse_single(tail, config)
    classes, count = _classes(net), len(train.labels)
    weights = torch.from_numpy(train.weights / train.weights.mean())

    def batches(epoch: int) -> Iterator[Batch]:
        chosen = order(train.labels, seed, epoch, sampled)
        turns = epoch + chosen + repeats(chosen)
        for start, stop in cuts(count, config.batch_size):
            rows = chosen[start:stop]
            views = None if train.views is None else turns[start:stop] % train.views
            inputs = _inputs(train.extraction.read(train.rows[rows], views))
            labels = torch.from_numpy(train.labels[rows])
            yield inputs, soft_labels(labels, classes, smoothing=config.smoothing, weights=weights[rows])

    with arranged_to_learn(tail, fold=config.norms == "frozen"), depthwise_frozen(tail):
        history = fit(
            tail,
            batches,
            len(cuts(count, config.batch_size)),
            config,
            seed=seed,
            judge=lambda part: _val_scores(part, val),
            judge_at_most=JUDGE_AT_MOST,
            checkpoint=checkpoint,
            of=of,
            watch=watch,
        )
    net.eval()  # the norms that were put back too
    return history


def _inputs(activations: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(activations.astype(np.float32)).contiguous(memory_format=torch.channels_last)


def _classes(net: Net) -> int:
    fc = dict(net.head.named_children())["fc"]
    assert isinstance(fc, nn.Linear)
    return fc.out_features


@torch.inference_mode()
def answers(tail: nn.Module, seen: Activated) -> NDArray[np.float32]:
    """(N, classes) logits of one view of each picture."""
    logits = [
        tail(_inputs(seen.extraction.read(seen.rows[start : start + JUDGED]))).numpy()
        for start in range(0, len(seen.labels), JUDGED)
    ]
    return np.concatenate(logits)


def _val_scores(tail: nn.Module, val: Activated) -> dict[str, float]:
    """Accuracy and log loss on the validation part; nothing where there is none."""
    if not len(val.labels):
        return {}
    logits, labels = torch.from_numpy(answers(tail, val)), torch.from_numpy(val.labels)
    right = logits.argmax(1) == labels
    return {
        "val_accuracy": float(right.double().mean()),
        "val_log_loss": float(F.cross_entropy(logits, labels)),
    }
