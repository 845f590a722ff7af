"""What `lexnet check` would show of pictures that can be trained on: labels and pictures that look wrong."""

from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from lexnet.check.duplicates import Pair
from lexnet.check.examine import suspects
from lexnet.check.labels import outliers
from lexnet.data.fixes import kept, read_fixes
from lexnet.job.events import Note
from lexnet.job.job import Job
from lexnet.transfer.extract import Extraction

MOST = 10_000  # pictures: comparing each of more with all others takes too long to be done unasked


def tell_doubts(job: Job, extraction: Extraction, near: list[Pair]) -> None:
    """How many there are, and the most doubtful of each kind, but for those that a person keeps.

    None are looked for by a net that has learned from some of these pictures: to it the others look strange.
    """
    manifest, features, fixes = extraction.manifest, extraction.features, job.plan.config.fixes
    if len(manifest) > MOST or job.plan.config.from_ is not None:
        return
    with threadpool_limits(1):  # BLAS's threads wait for one another: on a busy machine, for seconds
        doubts, strange = suspects(manifest, near, features), outliers(features)
    settled = kept(read_fixes(Path(fixes))) if fixes is not None else frozenset()
    paths, found = manifest.paths, list[str]()
    labels = [one for one in doubts if (paths[one.row], "suspect_labels") not in settled]
    if labels:
        most = f"{paths[labels[0].row]}, more like {manifest.classes[labels[0].label]}"
        found.append(f"{_many(labels, 'label')} doubtful (most of all {most})")
    alone = [row for row, _ in strange if (paths[row], "outliers") not in settled]
    if alone:
        found.append(f"{_many(alone, 'picture')} like no other (most of all {paths[alone[0]]})")
    if found:
        same = " with the same --fixes" * (fixes is not None)
        job.tell(Note(f"{' and '.join(found)}: `lexnet check`{same} shows them"))


def _many(found: Sequence[object], what: str) -> str:
    return f"{len(found):,} {what}s look" if len(found) > 1 else f"1 {what} looks"
