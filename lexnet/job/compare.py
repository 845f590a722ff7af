"""Which of several nets: a linear head behind each, on the same pictures, decoded once.

           ┌ net a ─ features ─ head, cross-validated on the training part
picture ───┼ net b ─ ...                                               the cheapest that is no worse
           └ net c ─ ...
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from lexnet.check.examine import near_copies
from lexnet.data.groups import units
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.job.divide import divide
from lexnet.job.events import Note, ignore
from lexnet.job.features import Job, latency
from lexnet.job.plan import make_plan
from lexnet.transfer.cut import Probed, choose_cut, places, probe_stages, reason
from lexnet.transfer.probe import Examples
from lexnet.transfer.trunk import Extraction, Trunk, extract_each


def choose_net(job: Job, manifest: Manifest) -> tuple[Job, list[Probed]]:
    """The job with one net, and with a cut where that was open too, and how each of them did.

    Raises `ConfigError` where none is within a limit, `DataError` for pictures that cannot be used.
    """
    config = job.plan.config
    jobs = [replace(job, plan=replace(job.plan, config=replace(config, net=net))) for net in config.nets()]
    trunks = [one.trunk() for one in jobs]
    seen = _extract(job, trunks, manifest, "frozen nets")
    refuse_bad(seen[0].manifest.skipped, config.skip_bad)
    near = near_copies(seen[0], config.workers, job.warn, job.progress)
    divided = divide(seen[0].manifest, near, config, ignore)
    train, names = divided.where("train"), units(divided, [(pair.first, pair.second) for pair in near])
    staged: Sequence[Extraction | None] = [None] * len(jobs)
    if config.cut == "auto":
        every = [one.trunk(every_stage=True) for one in jobs]
        staged = _extract(job, every, divided.take(train, []), "every stage", output="stages")
    curve: list[Probed] = []
    for number, (trunk, whole, stages) in enumerate(zip(trunks, seen, staged, strict=True)):
        spots = places(trunk.torch_net(), trunk.spec.size, trunk.spec.channels)
        examples = Examples(
            features=whole.features[train],
            labels=divided.labels[train],
            weights=divided.weights[train],
            units=list(divided.digests.take(names[train])),
        )
        with job.clock.step("probes"):
            found = probe_stages(
                spots if stages else spots[-1:],
                stages.features if stages else examples.features,
                examples,
                len(divided.classes),
                config.probe,
                config.seed,
                job.workers,
                _counted(job, number, len(jobs)),
            )
        curve += [replace(one, net=trunk.net) for one in found]
    curve.sort(key=lambda one: one.place.macs)
    of_net = {trunk.net: one for trunk, one in zip(trunks, jobs, strict=True)}
    chosen = choose_cut(
        curve,
        config.max_macs,
        config.max_size,
        lambda one: latency(of_net[str(one.net)], one),
        config.max_latency,
    )
    job.tell(Note(reason(curve, chosen)))
    cut = (chosen.place.stage or "none") if config.cut == "auto" else config.cut
    settled = replace(config, net=str(chosen.net), cut=cut, max_macs=None, max_size=None, max_latency=None)
    return replace(job, plan=make_plan(job.plan.data, settled)), curve


def _counted(job: Job, before: int, nets: int) -> Callable[[int, int], None]:
    """Tells how far the probes of all nets are, by how far those of one are."""
    return lambda done, total: job.progress("probes", before * total + done, nets * total)


def _extract(
    job: Job, trunks: Sequence[Trunk], manifest: Manifest, step: str, output: str = "features"
) -> list[Extraction]:
    with job.clock.step(step):
        return extract_each(
            trunks,
            manifest,
            job.plan.config.engine,
            job.workers,
            output=output,
            warn=job.warn,
            progress=lambda done, total: job.progress(step, done, total),
        )
