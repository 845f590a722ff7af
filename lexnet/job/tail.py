"""The tail of a net, trained for a plan: activations, training, temperature, and one whole net again."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lexnet.config import PreprocessSpec, Recipe
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest
from lexnet.data.splits import split_hash
from lexnet.errors import PictureError
from lexnet.evaluate.calibrate import fit_temperature
from lexnet.export.onnx import trunk_graph
from lexnet.job.events import Note
from lexnet.job.features import Job
from lexnet.job.folder import CHECKPOINT
from lexnet.job.learned import Learned
from lexnet.nets.adapt import with_classes
from lexnet.nets.net import Net
from lexnet.runtime.stream import in_order
from lexnet.transfer.cut import places
from lexnet.transfer.probe import Probe, softmax
from lexnet.transfer.tail import Activated, default_cut, train_tail
from lexnet.transfer.trunk import Extraction, Trunk
from lexnet.transfer.views import augmented, colour_axes
from lexnet.weights.create import create_net

BATCH = 16


def learn_tail(
    job: Job,
    trunk: Trunk,
    manifest: Manifest,
    probe: Probe,
    held_out: NDArray[np.int64],
    keep: Path | None,
) -> Learned:
    """Trains what lies behind the plan's cut, from the probe's head on; goes on from a checkpoint in `keep`.

    The validation part chooses the temperature. Raises `TrainingError`.
    """
    config, recipe = job.plan.config, job.plan.recipe()
    train, val = manifest.where("train"), manifest.where("val")
    if np.array_equal(val, held_out):
        job.warn("there is no test part: the probabilities are calibrated on the pictures that measure them")
    cut = config.cut
    if cut in ("auto", "none"):
        cut = default_cut(places(trunk.net, trunk.spec.size, trunk.spec.channels))
        job.tell(Note(f"cut {cut}: the first stage behind which two fifths of the multiply-adds are left"))
    axes = colour_axes(recipe, manifest, train, trunk.spec, config.seed)
    frozen = job.trunk(cut, pooled=False)
    look = None if recipe == Recipe() else augmented(recipe, config.seed, config.views, axes)
    seen = job.extract(frozen, manifest.take(train, []), "activations", look=look)
    judged = job.extract(frozen, manifest.take(val, []), "activations")
    net = create_net(trunk.net, weights=trunk.weights.tag, classes=len(manifest.classes))
    fc = net.head.fc
    assert isinstance(fc, torch.nn.Linear)
    with torch.no_grad():
        fc.weight.copy_(torch.from_numpy(probe.weight))
        fc.bias.copy_(torch.from_numpy(probe.bias))
    with job.clock.step("train"), _apart(job.workers):
        history = train_tail(
            net,
            cut,
            _activated(seen, manifest, train, None if look is None else config.views),
            _activated(judged, manifest, val, None),
            config.fit,
            config.seed,
            checkpoint=None if keep is None else keep / CHECKPOINT,
            of=_identity(manifest, seen, cut, probe),
            progress=lambda done, total: job.progress("train", done, total),
        )
    net.eval()
    spec = replace(trunk.spec, tta=config.tta)
    with _apart(job.workers):
        logits = _logits(net, manifest, val, job, spec, "calibrate")
        held_out_logits = _logits(net, manifest, held_out, job, spec, "verify")
    temperature = np.float32(fit_temperature(logits, manifest.labels[val]))
    answers = [softmax(one / temperature).mean(axis=1) for one in (held_out_logits, logits)]
    weight, bias = fc.weight.detach().numpy().copy(), fc.bias.detach().numpy().copy()
    return Learned(
        graph=trunk_graph(with_classes(net, 0), spec.size, spec.mean, spec.std),
        weight=weight,
        bias=bias,
        temperature=float(temperature),
        held_out=answers[0],
        val=answers[1],
        axes=axes,
        frozen=cut,
        history=history.epochs,
    )


@contextmanager
def _apart(threads: int) -> Iterator[None]:
    """So many threads of torch's inside, and nothing of its random numbers taken from those outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


def _identity(manifest: Manifest, seen: Extraction, cut: str, probe: Probe) -> str:
    """Digest of all that decides what the weights become, besides the plan."""
    texts = [split_hash(manifest), *manifest.classes, cut, seen.engine, torch.__version__]
    arrays: list[NDArray[Any]] = [manifest.labels, manifest.weights, probe.weight, probe.bias]
    content = "|".join(texts).encode() + b"".join(array.tobytes() for array in arrays)
    return hashlib.sha256(content).hexdigest()


def _activated(
    extraction: Extraction, manifest: Manifest, rows: NDArray[np.int64], views: int | None
) -> Activated:
    return Activated(
        extraction=extraction, labels=manifest.labels[rows], weights=manifest.weights[rows], views=views
    )


def _logits(
    net: Net, manifest: Manifest, rows: NDArray[np.int64], job: Job, spec: PreprocessSpec, step: str
) -> NDArray[np.float32]:
    """(N, views, classes)"""
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    results = []

    def flush(batch: list[NDArray[np.uint8]]) -> None:
        pixels = torch.from_numpy(np.concatenate(batch)).float().sub(mean).div(std).permute(0, 3, 1, 2)
        with torch.inference_mode():
            results.append(net(pixels).numpy().reshape(len(batch), -1, len(manifest.classes)))

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
    for _, views in in_order(rows.tolist(), lambda row: load_row_views(manifest, row, spec), workers):
        if isinstance(views, PictureError):
            raise views
        yield views
