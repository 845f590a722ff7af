"""Which of several nets: a linear head after each, on the same pictures, decoded once.

           ┌ net a ─ features ─ head, cross-validated on the training part
picture ───┼ net b ─ ...                                               the cheapest that loses at most a point
           └ net c ─ ...
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce

import numpy as np

from lexnet.check.examine import near_copies
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.job.divide import divide
from lexnet.job.events import Note, ignore
from lexnet.job.features import cheapest, examples_of, latency, why
from lexnet.job.job import Job
from lexnet.job.plan import make_plan
from lexnet.transfer.cut import Probed, probe_stages
from lexnet.transfer.extract import extract_each


def choose_net(job: Job, manifest: Manifest) -> tuple[Job, list[Probed]]:
    """The job with one net, and for a probe with a cut where that is open too; and how each of them did.

    Raises `ConfigError` where none is within a limit, `DataError` for pictures that cannot be used.
    """
    config = job.plan.config
    jobs = [replace(job, plan=replace(job.plan, config=replace(config, net=net))) for net in config.nets()]
    cut_open = config.mode == "probe" and config.cut == "auto"
    trunks = [one.looking() for one in jobs]
    with job.clock.step("frozen nets"):
        seen = extract_each(
            trunks,
            manifest,
            config.engine,
            job.workers,
            warn=job.warn,
            progress=partial(job.progress, "frozen nets"),
        )
    refuse_bad(seen[0].manifest.skipped, config.skip_bad)
    near = [near_copies(one, config.workers, job.warn, job.progress) for one in seen]
    divided = [divide(one.manifest, pairs, config, ignore) for one, pairs in zip(seen, near, strict=True)]
    # whichever net is taken, none of its test pictures has helped to choose it
    train = reduce(np.intersect1d, [one.where("train") for one in divided])
    pictures = divided[0]
    curve: list[Probed] = []
    for number, (trunk, one) in enumerate(zip(trunks, seen, strict=True)):
        stages = trunk.places() if cut_open else trunk.places()[-1:]
        features = one.stages if cut_open else one.features
        with job.clock.step("probes"):
            found = probe_stages(
                stages,
                examples_of(pictures, near[0], features).take(train),
                len(pictures.classes),
                config.probe,
                config.seed,
                job.workers,
                _counted(job, number, len(jobs)),
            )
        curve += [replace(one, net=trunk.weights.net) for one in found]
    curve.sort(key=lambda one: one.place.macs)
    of_net = {trunk.weights.net: one for trunk, one in zip(trunks, jobs, strict=True)}
    classes = len(pictures.classes)
    chosen = cheapest(job, curve, classes, lambda one: latency(of_net[str(one.net)], one))
    unchanged = "; compared on the pictures as they are, without changed copies"
    job.tell(Note(why(job, curve, chosen, classes) + unchanged * (config.views is not None)))
    if config.split.folds is not None:
        job.warn("the net was chosen on pictures that are measured in turn: that accuracy is a little high")
    settled = replace(config, net=str(chosen.net))
    if cut_open:
        cut = chosen.place.stage or "none"
        settled = replace(settled, cut=cut, max_macs=None, max_size=None, max_latency=None)
    return replace(job, plan=make_plan(job.plan.data, settled, job.plan.classes)), curve


def _counted(job: Job, before: int, nets: int) -> Callable[[int, int], None]:
    """Tells how far the probes of all nets are, by how far those of one are."""
    return lambda done, total: job.progress("probes", before * total + done, nets * total)
