"""A bundle scored on a folder of labelled pictures."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexnet.data.fixes import apply_fixes, counted_fixes, read_fixes
from lexnet.data.groups import group_by, is_plain, units
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest, Skipped, refuse_bad
from lexnet.data.splits import prefixes, resolve_copies
from lexnet.data.tree import refuse_unknown
from lexnet.errors import BundleError, DataError, PictureError
from lexnet.evaluate.metrics import Floats, Ints, Scores, score
from lexnet.files import display
from lexnet.runtime.predictor import Predictor
from lexnet.runtime.stream import stream


@dataclass(frozen=True, kw_only=True)
class Valuation:
    """What `lexnet val` reports."""

    scores: Scores
    manifest: Manifest
    rows: Ints
    """(N,) of the manifest: what was scored."""
    probabilities: Floats
    """(N, classes)"""
    part: str
    """The part that was scored; "" where the folder is not divided."""
    skipped: list[Skipped]
    """Pictures that could not be used."""
    trained_on: int
    """Pictures that were left out because the bundle was made with them: trained, validated or calibrated."""
    copies: int
    """Of those scored that are the very file of another."""
    corrected: str
    """How many rows of the corrections did what; "" without any."""
    ungrouped: str | None
    """The bundle's `group_by` where it was not used: matching so intricate a pattern could take too long."""

    def notes(self) -> list[tuple[str, str]]:
        """What the scores rest on, each under a word."""
        notes = [("corrected", self.corrected)] if self.corrected else []
        if self.trained_on:
            notes.append(("left out", f"{self.trained_on:,} pictures that the bundle was made with"))
        if self.copies:
            same = "are the same file as another of them; the interval knows it"
            notes.append(("copies", f"{self.copies:,} {same}"))
        return notes


def evaluate(
    predictor: Predictor,
    manifest: Manifest,
    skip_bad: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
    fixes: Path | None = None,
) -> Valuation:
    """Runs the pictures of the held-out part, or all where there are no parts, and scores them, with the
    corrections of the file `fixes`, before which their classes may be others than the bundle's.

    Pictures that the bundle was made with are left out: it is not scored as if it had never seen them. Its
    `group_by` says which of the others belong together, where it fits their paths.

    Raises `DataError` for pictures that cannot be used or have two labels, unless `skip_bad`, and where none
    is left; `BundleError` where its net gives no numbers.
    """
    pattern = predictor.bundle.manifest.get("split", {}).get("group_by")
    ungrouped = None if pattern is None or is_plain(pattern) else pattern
    if pattern is not None and ungrouped is None and not any(manifest.groups):
        with suppress(DataError):  # it fits none of these paths
            manifest = group_by(manifest, pattern)
    corrected = ""
    if fixes is not None:
        agreed = read_fixes(fixes)
        corrected = counted_fixes(manifest, agreed)
        classes = predictor.bundle.classes
        others = [name for name in manifest.classes if name not in classes]  # which the corrections may empty
        manifest = apply_fixes(manifest.under([*classes, *others]), agreed, display(fixes))
        left = (manifest.classes[label] for label in np.unique(manifest.labels))
        refuse_unknown([(name, manifest.name) for name in left], classes)
        manifest = manifest.under(classes)
    part = manifest.held_out_part()
    manifest = manifest.take(manifest.where(part))
    known = np.isin(prefixes(manifest.digests), predictor.bundle.seen)
    if len(manifest) and known.all():
        raise DataError(f"the bundle was made with all pictures of {manifest.name}; score it on others")
    manifest = resolve_copies(manifest.take(np.flatnonzero(~known)), skip_bad)
    unit_of = units(manifest)
    answers, bad = _answers(predictor, manifest, progress)
    bad = [*(skip for skip in manifest.skipped if skip.bad), *bad]
    refuse_bad(bad, skip_bad)
    if not answers:
        raise DataError(
            f"{manifest.name} has no usable picture; give a folder with one folder for each class"
        )
    rows, probabilities = np.asarray([*answers]), np.stack([*answers.values()])
    return Valuation(
        scores=score(
            probabilities, manifest.labels[rows], manifest.classes, predictor.threshold, unit_of[rows]
        ),
        manifest=manifest,
        rows=rows,
        probabilities=probabilities,
        part=part,
        skipped=bad,
        trained_on=int(known.sum()),
        copies=len(rows) - len(set(manifest.digests.take(rows))),
        corrected=corrected,
        ungrouped=ungrouped,
    )


def _answers(
    predictor: Predictor, manifest: Manifest, progress: Callable[[int, int], None]
) -> tuple[dict[int, NDArray[np.float32]], list[Skipped]]:
    """(row → (classes,) probabilities, those that could not be used). Raises `BundleError` for no numbers."""
    answers, bad = dict[int, NDArray[np.float32]](), list[Skipped]()
    rows = range(len(manifest))
    results = stream(rows, lambda row: load_row_views(manifest, row, predictor.spec), predictor.engine)
    for done, (row, result) in enumerate(results, start=1):
        if isinstance(result, PictureError):
            bad.append(Skipped(manifest.paths[row], result.reason, bad=True))
        elif np.isfinite(result["probabilities"]).all():
            answers[row] = result["probabilities"][0]
        else:
            raise BundleError(f"{predictor.bundle.path} gives no finite probabilities; get it again")
        progress(done, len(rows))
    return answers, bad
