"""Before anything is learned: what was left open is decided, and every picture is looked at once.

several nets ─ compare ─┐
mode or budget open ────┼─ choose ─ each picture by the frozen net, or by the eye that finds copies
                        └─ (as it was begun, where the run goes on)
"""

from dataclasses import replace

from lexnet.check.examine import memory_of, near_copies
from lexnet.config import TTA_VIEWS
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.data.splits import cut_down
from lexnet.errors import listed
from lexnet.job.doubts import tell_doubts
from lexnet.job.events import Note
from lexnet.job.job import Job
from lexnet.job.learned import Looked
from lexnet.memory import refuse_too_many
from lexnet.transfer.cut import Probed


def look(job: Job, manifest: Manifest) -> tuple[Job, Manifest, Looked, list[Probed]]:
    """The job with nothing left open, its pictures, each of them looked at once, and the nets compared."""
    rivals: list[Probed] = []
    if len(job.plan.config.nets()) > 1:
        from lexnet.job.compare import choose_net  # loads torch

        job, rivals = choose_net(job, manifest)
    asked = job.plan.config
    if asked.mode != "auto" and asked.budget is None:
        return job, manifest, look_once(job, manifest), rivals
    from lexnet.job import budget, choose  # load torch

    looked = None
    if (kept := choose.kept_choice(job.keep)) is not None:
        plan, reserve = kept
        job = replace(job, reserve=reserve)
    else:
        plan = (None if rivals else choose.without_a_look(job.plan, manifest)) or job.plan
        if plan.config.budget is not None:
            job = replace(job, plan=plan)
            plan, reserve = budget.within_budget(job, manifest)
            job = replace(job, reserve=reserve)
        elif plan.config.mode == "auto":
            looked = look_once(job, manifest)
            plan = choose.with_a_pilot(job, looked)
    job = choose.keep_choice(job, plan)
    if plan.config.split.limit != asked.split.limit:
        manifest = cut_down(manifest, plan.config.split, asked.seed)
    return job, manifest, looked or look_once(job, manifest), rivals


def look_once(job: Job, manifest: Manifest) -> Looked:
    """Every picture once: by the frozen net, or for a new one by the eye that finds copies."""
    if job.plan.config.mode == "scratch":
        from lexnet.job.scratch import look_at  # loads torch

        return look_at(job, manifest)
    job.progress("frozen net", 0, len(manifest))
    with job.clock.step("frozen net"):
        trunk = job.looking()
    config = job.plan.config
    views = (config.views or 0) * (config.mode == "probe") + TTA_VIEWS[config.tta] - 1
    refuse_too_many(len(manifest), memory_of(trunk, views))
    extraction = job.extract(trunk, manifest, "frozen net", first=True)
    refuse_bad(extraction.manifest.skipped, config.skip_bad)
    if damaged := extraction.manifest.skipped[len(manifest.skipped) :]:
        job.warn(f"left out:{listed([f'{skip.path} {skip.reason}' for skip in damaged])}")
    if config.engine == "auto" and not extraction.engine.startswith("torch"):  # of which there is a warning
        job.tell(Note(f"engine {extraction.engine}: the first of OpenVINO and ONNX Runtime that is here"))
    with job.clock.step("near copies"):
        near = near_copies(extraction, config.workers, job.warn, job.progress)
    with job.clock.step("doubts"):
        tell_doubts(job, extraction, near)
    return Looked(
        manifest=extraction.manifest, near=near, spec=trunk.spec, trunk=trunk, extraction=extraction
    )
