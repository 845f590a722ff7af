"""What trained nets have in common: how they start, what they are tied to, and what they come to."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.backends import cudnn

from lexnet.config import PreprocessSpec
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest
from lexnet.data.splits import split_hash
from lexnet.evaluate.calibrate import fit_temperature
from lexnet.export.onnx import trunk_graph
from lexnet.job.events import Note, Warned
from lexnet.job.job import Job
from lexnet.job.learned import Learned
from lexnet.nets.adapt import with_classes
from lexnet.nets.net import Net
from lexnet.runtime.stream import in_order, sound
from lexnet.train.allocator import freed_memory_kept
from lexnet.train.loop import History
from lexnet.train.pixels import normalised
from lexnet.transfer.probe import Probe, softmax

BATCH = 16
CPU = torch.device("cpu")


def finished(
    job: Job,
    net: Net,
    spec: PreprocessSpec,
    manifest: Manifest,
    history: History,
    *,
    axes: NDArray[np.float64] | None,
    frozen: str | None,
    device: torch.device = CPU,
) -> Learned:
    """The net's graph, its head, its temperature (from the validation part), and its answers.

    They are computed on `device`, in float32; the net is back on the CPU when they are.
    """
    val, held_out = manifest.where("val"), manifest.held_out()
    if history.stopped:
        tell = Warned if job.late() else Note
        job.tell(tell(f"training stopped {history.stopped}"))
    if np.array_equal(val, held_out):
        job.warn("there is no test part: the probabilities are calibrated on the pictures that measure them")
    net = net.to(device).float().eval()
    seen = replace(spec, tta=job.plan.config.tta)
    logits = _logits(net, manifest, val, job, seen, "calibrate", device)
    held_out_logits = _logits(net, manifest, held_out, job, seen, "verify", device)
    net.cpu()
    temperature = np.float32(fit_temperature(logits, manifest.labels[val], manifest.weights[val]))
    answers = [softmax(one / temperature).mean(axis=1) for one in (held_out_logits, logits)]
    fc = net.head.fc
    assert isinstance(fc, torch.nn.Linear)
    weight, bias = fc.weight.detach().numpy().copy(), fc.bias.detach().numpy().copy()
    return Learned(
        graph=trunk_graph(with_classes(net, 0), spec.size, spec.mean, spec.std),
        weight=weight,
        bias=bias,
        temperature=float(temperature),
        held_out=answers[0],
        val=answers[1],
        axes=axes,
        frozen=frozen,
        epochs=history.epochs,
        steps=history.steps,
        stopped=history.stopped,
    )


@contextmanager
def apart(threads: int) -> Iterator[None]:
    """Inside, torch has so many threads, random numbers of its own, and memory kept between steps."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(), freed_memory_kept():
            yield
    finally:
        torch.set_num_threads(before)


def identity(job: Job, manifest: Manifest, *decided: Any) -> str:
    """Digest of what decides what the weights become, but for how long they learn and how that is run."""
    config = job.plan.config
    left_out = ("epochs", "raised", "patience", "steps", "compile")
    fit = {key: value for key, value in asdict(config.fit).items() if key not in left_out}
    texts = [split_hash(manifest), *manifest.classes, torch.__version__, str(sorted(fit.items()))]
    arrays: list[NDArray[Any]] = [manifest.labels, manifest.weights]
    for one in decided:
        if isinstance(one, Probe):
            arrays += [one.weight, one.bias]
        else:
            texts.append(str(one))
    content = "|".join(texts).encode() + b"".join(array.tobytes() for array in arrays)
    return hashlib.sha256(content).hexdigest()


def _logits(
    net: Net,
    manifest: Manifest,
    rows: NDArray[np.int64],
    job: Job,
    spec: PreprocessSpec,
    step: str,
    device: torch.device,
) -> NDArray[np.float32]:
    """(N, views, classes)"""
    results = []

    def flush(batch: list[NDArray[np.uint8]]) -> None:
        # a GPU would else round what a convolution takes to ten bits
        exact = cudnn.flags(enabled=True, deterministic=cudnn.deterministic, allow_tf32=False)
        with torch.inference_mode(), exact:
            logits = net(normalised(np.concatenate(batch), spec, device))
        results.append(logits.cpu().numpy().reshape(len(batch), -1, len(manifest.classes)))

    with job.clock.step(step):
        batch: list[NDArray[np.uint8]] = []
        for done, views in enumerate(_loaded(manifest, rows, spec, job.workers), start=1):
            batch.append(views)
            if len(batch) == BATCH or done == len(rows):
                flush(batch)
                batch = []
            job.progress(step, done, len(rows))
    return np.concatenate(results)


def _loaded(
    manifest: Manifest, rows: NDArray[np.int64], spec: PreprocessSpec, workers: int
) -> Iterator[NDArray[np.uint8]]:
    return sound(in_order(rows.tolist(), lambda row: load_row_views(manifest, row, spec), workers))
