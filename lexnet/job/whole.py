"""A whole net trained on pixels for a plan: from given weights, or from none."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lexnet.check.examine import memory_of, near_copies
from lexnet.check.headers import all_grey, tiny
from lexnet.config import Fit, PreprocessSpec, TrainConfig
from lexnet.cost import cost
from lexnet.data.loader import Pictures, open_pictures, seen_again
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.errors import ConfigError, WeightsError
from lexnet.files import write_atomic
from lexnet.job.events import Note
from lexnet.job.finish import apart, finished, identity, started
from lexnet.job.folder import RATE
from lexnet.job.job import Job
from lexnet.job.learned import Learned, Looked
from lexnet.job.plan import DEFAULT_NET
from lexnet.memory import refuse_too_many
from lexnet.nets import find
from lexnet.nets.adapt import with_classes
from lexnet.nets.fold import fold_norms, laid_out, unfold_norms
from lexnet.nets.net import Net
from lexnet.train.checkpoint import begun
from lexnet.train.compiled import Model, choose
from lexnet.train.finder import Found, find_rate
from lexnet.train.loop import fit, refuse_single
from lexnet.train.pixels import Pixels, judged
from lexnet.transfer.probe import Probe
from lexnet.transfer.trunk import Trunk, open_trunk
from lexnet.transfer.views import colour_axes
from lexnet.weights.create import create_net
from lexnet.weights.files import find_weights
from lexnet.weights.store import need

LARGEST = 128  # side of the square from scratch, pixels, where nobody chose
ROOM = 1 / 7  # more than that side a picture keeps, for crops to be taken from


def look_at(job: Job, manifest: Manifest) -> Looked:
    """The pictures that can be used, which are nearly the same, and what a new net will see of them."""
    spec = new_spec(job.plan.config, manifest)
    job.tell(Note(f"pictures {spec.size} px, {'grey' if spec.channels == 1 else 'in colour'}"))
    recipe = job.plan.recipe()
    if recipe.crop == "random" and not recipe.pad and spec.short_side == spec.size:
        job.warn(f"crop: random has no room in pictures of {spec.size} px; give a smaller --size, or pad")
    usable = decoded(job, manifest, spec.around()).manifest
    eye = open_eye(job, manifest)
    if eye is None:
        return Looked(manifest=usable, near=[], spec=spec)
    refuse_too_many(len(usable), memory_of(eye))
    seen = job.extract(eye, usable, "frozen net", first=True)
    with job.clock.step("near copies"):
        near = near_copies(seen, job.workers, job.warn, job.progress)
    return Looked(manifest=seen.manifest, near=near, spec=spec)


def open_eye(job: Job, manifest: Manifest) -> Trunk | None:
    """The frozen net that finds near copies among pictures that are not tiny, where its weights are here."""
    if tiny(manifest).all():
        return None
    try:
        weights = find_weights(DEFAULT_NET)
        need(weights)
    except WeightsError as error:
        job.warn(f"near copies are not looked for: {error}")
        return None
    return open_trunk(weights, None, job.warn, every_stage=True)


def new_spec(config: TrainConfig, manifest: Manifest) -> PreprocessSpec:
    """As the user says; else of the net's size where it has only one, or the pictures'; grey if all are."""
    entry = find(config.net)
    channels = config.channels or (1 if all_grey(manifest) else 3)
    assert manifest.sizes.all(), "the pictures were not read"
    usual = int(np.median(manifest.sizes.min(axis=1)))
    size = config.size or (min(max(usual, 16), LARGEST) if entry.any_size else entry.size)
    if size != entry.size and not entry.any_size:
        raise ConfigError(f"size={size}: {config.net} takes {entry.size} px only; leave it out")
    room = 0 if usual <= size else 2 * round(size * ROOM / 2)  # even, so that the middle is of whole pixels
    return PreprocessSpec.of_levels(size, size + room, channels)


def measured(job: Job, manifest: Manifest, spec: PreprocessSpec) -> PreprocessSpec:
    """The spec with the mean and the deviation of the training pictures' levels, channel by channel."""
    pictures = _decoded_again(job, manifest, "train", spec.around())
    count, total, squares = 0, np.zeros(spec.channels), np.zeros(spec.channels)
    for _, pixels in pictures.batches(np.arange(len(pictures)), 256):
        levels = pixels.reshape(-1, spec.channels).astype(np.float64)
        count, total = count + len(levels), total + levels.sum(axis=0)
        squares += (levels**2).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return replace(spec, mean=tuple(np.round(mean, 4).tolist()), std=tuple(np.round(deviation, 4).tolist()))


def learn_scratch(job: Job, spec: PreprocessSpec, manifest: Manifest) -> Learned:
    """Trains a net that knows nothing yet. Raises `TrainingError`."""
    config = job.plan.config
    with apart(job.workers):
        torch.manual_seed(address(config.seed, "weights", config.net))
        net = create_net(config.net, classes=len(manifest.classes), channels=spec.channels)
        if not isinstance(dict(net.head.named_children()).get("fc"), torch.nn.Linear):
            net = with_classes(net, len(manifest.classes))
            job.tell(
                Note(
                    f"net {config.net}: a linear layer takes the place of its own output, as in every bundle"
                )
            )
        cost(net, spec.size, spec.channels)  # refuses pictures that are too small for it
        return _learn(job, net, spec, manifest, config.fit.resolved("scratch"))


def learn_whole(job: Job, trunk: Trunk, manifest: Manifest, probe: Probe) -> Learned:
    """Trains all of a net. Its head is the probe's; a stage learns the slower the nearer it is to the pixels.

    Raises `TrainingError`.
    """
    with apart(job.workers):
        net = started(trunk, probe)
        fitting = job.plan.config.fit.resolved("finetune")
        return _learn(job, net, trunk.spec, manifest, fitting, trunk.weights.sha256, probe)


def _learn(
    job: Job, net: Net, spec: PreprocessSpec, manifest: Manifest, config: Fit, *start: object
) -> Learned:
    plan, train, val = job.plan, manifest.where("train"), manifest.where("val")
    refuse_single(net, config)
    axes = colour_axes(plan.recipe(), manifest, train, spec, plan.config.seed)
    device = device_of(config)
    if config.device == "auto":
        there = "torch sees it" if device.type == "cuda" else "torch sees no GPU"
        job.tell(Note(f"device {device.type}: {there}"))
    pixels = Pixels(
        pictures=_decoded_again(job, manifest, "train", spec.around()),
        labels=manifest.labels[train],
        weights=manifest.weights[train],
        spec=spec,
        classes=len(manifest.classes),
        recipe=plan.recipe(),
        axes=axes,
        seed=plan.config.seed,
        sampled=plan.config.class_weight == "sampled",
        workers=job.workers,
        device=device,
        batched=device.type == "cuda",
    )
    seen = _decoded_again(job, manifest, "val", spec)
    folds = fold_norms(net) if config.norms == "frozen" else []
    net.to(device)
    laid_out(net, torch.channels_last)
    rates: list[tuple[float, float]] = []
    if config.find_lr:
        of = identity(job, manifest, spec, *start)
        with job.clock.step("learning rate"):
            found = _once(job.keep, of, lambda: find_rate(net, lambda: pixels.batches(0, config), config))
        config, rates = replace(config, lr=found.rate), found.curve
        job.tell(Note(f"learning rate {found.rate:.2g}: {found.reason}"))
    config, model = _compiled(job, net, pixels, config, (manifest, spec, config.lr, *start))
    of = identity(job, manifest, spec, config.lr, *start, config.compile)
    with job.clock.step("train"):
        history = fit(
            net,
            lambda epoch: pixels.batches(epoch, config),
            pixels.per_epoch(config),
            config,
            seed=plan.config.seed,
            judge=lambda part: judged(part, seen, manifest.labels[val], config, device),
            checkpoint=job.checkpoint,
            of=of,
            watch=job.watch(),
            model=model,
        )
    net.cpu()
    laid_out(net, torch.contiguous_format)
    unfold_norms(folds)
    learned = finished(job, net, spec, manifest, history, axes=axes, frozen=None, device=device)
    return replace(learned, lr=config.lr, rates=rates, compile=config.compile)


def _once(keep: Path | None, of: str, find: Callable[[], Found]) -> Found:
    """The rate that was found when this very training was begun, or else one that is found now."""
    file = None if keep is None else keep / RATE
    if file is not None and file.exists():
        record = json.loads(file.read_text("utf-8"))
        if record.pop("of") == of:
            return Found(**record)
    found = find()
    if file is not None:
        write_atomic(file, json.dumps({"of": of, **asdict(found)}))
    return found


def _compiled(
    job: Job, net: Net, pixels: Pixels, config: Fit, decided: tuple[Any, ...]
) -> tuple[Fit, Model | None]:
    """The config with nothing left open, and the compiled net, if it is: as where the training goes on."""
    if config.compile == "auto" and job.checkpoint is not None and (earlier := begun(job.checkpoint)):
        for settled in ("always", "never"):
            if earlier == identity(job, *decided, settled):
                config = replace(config, compile=settled)
    few = len(pixels.labels) < config.batch_size
    if few and config.compile == "always":
        raise ConfigError(
            f"compile='always' needs a whole batch, and there are {len(pixels.labels)} training pictures for "
            f"batch_size={config.batch_size}; lower it, or leave out --compile"
        )
    if config.compile == "never" or few or (config.compile == "auto" and job.deadline is not None):
        return replace(config, compile="never"), None
    steps = config.epochs * pixels.per_epoch(config)
    with job.clock.step("compile"), closing(pixels.batches(0, config)) as batches:
        choice = choose(net, next(batches), min(steps, config.steps or steps), config)
    if choice.reason:
        job.tell(Note(choice.reason))
    return replace(config, compile="never" if choice.model is None else "always"), choice.model


def decoded(job: Job, manifest: Manifest, spec: PreprocessSpec) -> Pictures:
    """The pictures by the spec, from disk where they were decoded before."""
    with job.clock.step("decode"):
        return open_pictures(
            manifest,
            spec,
            job.plan.config.workers,
            warn=job.warn,
            progress=partial(job.progress, "decode"),
        )


def _decoded_again(job: Job, manifest: Manifest, part: str, spec: PreprocessSpec) -> Pictures:
    """All pictures of a part, each of which was looked at before; raises `DataError` where one is lost."""
    some = manifest.take(manifest.where(part))
    pictures = decoded(job, some, spec)
    seen_again(some, pictures.manifest)
    return pictures


def device_of(config: Fit) -> torch.device:
    """Where whole nets are trained. Raises `ConfigError` for a device that is not there."""
    here = torch.cuda.is_available()
    if config.device == "cuda" and not here:
        raise ConfigError("device='cuda', and torch sees no such device here; leave it out")
    return torch.device("cuda" if here and config.device != "cpu" else "cpu")
