"""The page of what a bundle came to on other pictures."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

import numpy as np

from lexnet.evaluate.folder import Valuation
from lexnet.job.specimens import worst_mistakes
from lexnet.report.page import render_scores
from lexnet.runtime.predictor import Predictor


def page(found: Valuation, predictor: Predictor, bundle: str, data: str) -> str:
    """One HTML document; `bundle` and `data` as the user called them."""
    manifest, scores = found.manifest, found.scores
    plain = replace(predictor.spec, tta="none")
    return render_scores(
        {
            **asdict(scores),
            "classes": manifest.classes,
            "bundle": bundle,
            "data": data,
            "part": found.part,
            "majority_accuracy": float(np.bincount(manifest.labels[found.rows]).max() / scores.count),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": _notes(found),
        },
        worst_mistakes(found.probabilities, manifest, found.rows, plain),
    )


def _notes(found: Valuation) -> list[str]:
    """What the scores rest on, and what could not be used."""
    notes = [f"{word}: {text}" for word, text in found.notes()]
    if found.ungrouped is not None:
        notes.append(f"the bundle's groups, by {found.ungrouped!r}, are ignored")
    if found.skipped:
        notes.append(f"{len(found.skipped):,} could not be used")
    return notes
