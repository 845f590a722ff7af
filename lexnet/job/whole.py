"""A whole net trained on pixels for a plan, whichever weights it begins with."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lexnet.config import Fit, FitConfig, PreprocessSpec
from lexnet.data.loader import Pictures, open_pictures, seen_again
from lexnet.data.manifest import Manifest
from lexnet.errors import ConfigError
from lexnet.files import write_atomic
from lexnet.job.events import Note
from lexnet.job.finish import apart, finished, identity
from lexnet.job.folder import RATE
from lexnet.job.job import Job
from lexnet.job.learned import Learned
from lexnet.nets.fold import arranged_to_learn
from lexnet.nets.net import Net
from lexnet.train.checkpoint import begun
from lexnet.train.compiled import Model, choose
from lexnet.train.finder import FoundRate, find_rate
from lexnet.train.loop import fit, refuse_single
from lexnet.train.pixels import TrainingPictures, val_scores
from lexnet.transfer.probe import Probe
from lexnet.transfer.tail import started
from lexnet.transfer.trunk import Trunk
from lexnet.transfer.views import colour_axes


def learn_whole(job: Job, trunk: Trunk, manifest: Manifest, probe: Probe) -> Learned:
    """Trains all of a net. Its head is the probe's; a stage learns the slower the nearer it is to the pixels.

    Raises `TrainingError`.
    """
    with apart(job.workers):
        net = started(trunk, probe)
        fitting = job.plan.config.fit.resolved("finetune")
        return learn_net(job, net, trunk.spec, manifest, fitting, trunk.weights.sha256, probe)


def learn_net(
    job: Job, net: Net, spec: PreprocessSpec, manifest: Manifest, config: Fit, *start: object
) -> Learned:
    """Trains this net; `start` is what else decides how it begins. Raises `TrainingError`."""
    plan, train, val = job.plan, manifest.where("train"), manifest.where("val")
    refuse_single(net, config)
    axes = colour_axes(plan.recipe(), manifest, train, spec, plan.config.seed)
    device = device_of(config)
    if config.device == "auto":
        there = "torch sees it" if device.type == "cuda" else "torch sees no GPU"
        job.tell(Note(f"device {device.type}: {there}"))
    pixels = TrainingPictures(
        pictures=decoded_again(job, manifest, "train", spec.around()),
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
    seen = decoded_again(job, manifest, "val", spec)
    rates: list[tuple[float, float]] = []
    with arranged_to_learn(net, fold=config.norms == "frozen"):
        net.to(device)
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
                judge=lambda part: val_scores(part, seen, manifest.labels[val], config, device),
                checkpoint=job.checkpoint,
                of=of,
                watch=job.watch(),
                model=model,
            )
        net.cpu()
    learned = finished(job, net, spec, manifest, history, axes=axes, frozen=None, device=device)
    return replace(learned, lr=config.lr, rates=rates, compile=config.compile)


def _once(keep: Path | None, of: str, find: Callable[[], FoundRate]) -> FoundRate:
    """The rate that was found when this very training was begun, or else one that is found now."""
    file = None if keep is None else keep / RATE
    if file is not None and file.exists():
        record = json.loads(file.read_text("utf-8"))
        if record.pop("of") == of:
            return FoundRate(**record)
    found = find()
    if file is not None:
        write_atomic(file, json.dumps({"of": of, **asdict(found)}))
    return found


def _compiled(
    job: Job, net: Net, pixels: TrainingPictures, config: Fit, decided: tuple[Any, ...]
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


def decoded_again(job: Job, manifest: Manifest, part: str, spec: PreprocessSpec) -> Pictures:
    """All pictures of a part, each of which was looked at before; raises `DataError` where one is lost."""
    some = manifest.take(manifest.where(part))
    pictures = decoded(job, some, spec)
    seen_again(some, pictures.manifest)
    return pictures


def device_of(config: FitConfig) -> torch.device:
    """Where whole nets are trained. Raises `ConfigError` for a device that is not there."""
    here = torch.cuda.is_available()
    if config.device == "cuda" and not here:
        raise ConfigError("device='cuda', and torch sees no such device here; leave it out")
    return torch.device("cuda" if here and config.device != "cpu" else "cpu")
