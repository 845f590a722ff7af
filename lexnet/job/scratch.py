"""A net that knows nothing yet: what it will see of the pictures, and its training.

headers ─ size, grey or colour ─ decode ─┬ mean and deviation ─ train
                                         └ the eye, a frozen net ─ near copies
"""

from dataclasses import replace

import numpy as np
import torch

from lexnet.check.examine import memory_of, near_copies
from lexnet.check.headers import all_grey, tiny
from lexnet.config import PreprocessSpec, TrainConfig
from lexnet.cost import cost
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.errors import ConfigError, WeightsError
from lexnet.job.events import Note
from lexnet.job.finish import apart
from lexnet.job.job import Job
from lexnet.job.learned import Learned, Looked
from lexnet.job.plan import DEFAULT_NET
from lexnet.job.whole import decoded, decoded_again, learn_net
from lexnet.memory import refuse_too_many
from lexnet.nets import find
from lexnet.nets.adapt import with_classes
from lexnet.transfer.trunk import Trunk, open_trunk
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
    pictures = decoded_again(job, manifest, "train", spec.around())
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
            instead = "a linear layer takes the place of its own output, as in every bundle"
            job.tell(Note(f"net {config.net}: {instead}"))
        cost(net, spec.size, spec.channels)  # refuses pictures that are too small for it
        return learn_net(job, net, spec, manifest, config.fit.resolved("scratch"))
