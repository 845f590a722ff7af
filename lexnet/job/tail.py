"""The tail of a net, trained for a plan: activations, training, and one whole net again."""

import numpy as np
from numpy.typing import NDArray

from lexnet.data.manifest import Manifest
from lexnet.job.events import Note
from lexnet.job.finish import apart, finished, identity
from lexnet.job.job import Job
from lexnet.job.learned import Learned
from lexnet.transfer.extract import Extraction
from lexnet.transfer.probe import Probe
from lexnet.transfer.tail import Activated, started, train_tail
from lexnet.transfer.trunk import Trunk
from lexnet.transfer.views import augmented, colour_axes


def learn_tail(job: Job, trunk: Trunk, manifest: Manifest, probe: Probe, timely: bool = False) -> Learned:
    """Trains what lies behind the plan's cut, from the probe's head on; goes on from the job's checkpoint.

    The validation part chooses the temperature. Raises `TrainingError`, and `OutOfTime` where it has to be
    `timely` and no time is left to train in.
    """
    config, recipe, fit = job.plan.config, job.plan.recipe(), job.plan.config.fit.resolved("tail")
    train, val = manifest.where("train"), manifest.where("val")
    cut = job.tail_cut(trunk)
    if cut != config.cut:
        job.tell(
            Note(f"cut {cut}: the first stage after which at most two fifths of the multiply-adds are left")
        )
    axes = colour_axes(recipe, manifest, train, trunk.spec, config.seed)
    frozen = job.trunk(cut, pooled=False)
    look = None if config.views is None else augmented(recipe, config.seed, config.views, axes)
    of_val = job.extract(frozen, manifest.take(val), "activations", timely=timely)
    of_train = job.extract(frozen, manifest.take(train), "activations", look=look, timely=timely)
    with apart(job.workers):
        net = started(trunk, probe)
        with job.clock.step("train"):
            history = train_tail(
                net,
                cut,
                _activated(of_train, manifest, train, config.views),
                _activated(of_val, manifest, val, None),
                fit,
                config.seed,
                sampled=config.class_weight == "sampled",
                checkpoint=job.checkpoint,
                of=identity(job, manifest, cut, of_train.engine, probe, "depthwise frozen"),
                watch=job.watch(),
            )
        return finished(job, net, trunk.spec, manifest, history, axes=axes, frozen=cut)


def _activated(
    extraction: Extraction, manifest: Manifest, rows: NDArray[np.int64], views: int | None
) -> Activated:
    return Activated(
        extraction=extraction,
        labels=manifest.labels[rows],
        weights=manifest.weights[rows],
        rows=np.arange(len(rows)),
        views=views,
    )
