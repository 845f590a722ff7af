"""A bundle scored on a folder of labelled pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexnet.config import SplitConfig
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest, Skipped, refuse_bad
from lexnet.data.splits import assign_parts, split_hash
from lexnet.errors import ConfigError, DataError, PictureError
from lexnet.evaluate.metrics import Scores, score
from lexnet.runtime.predictor import Predictor
from lexnet.runtime.stream import stream


@dataclass(frozen=True, kw_only=True)
class Valuation:
    """What `lexnet val` reports."""

    scores: Scores
    part: str
    """The part that was scored; "" where the folder is not divided."""
    skipped: list[Skipped]
    """Pictures that could not be used."""


def evaluate(
    predictor: Predictor,
    manifest: Manifest,
    skip_bad: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Valuation:
    """Runs the pictures of the held-out part, or all where there are no parts, and scores them.

    The very pictures that the bundle was trained on are divided as they were then, so that they are
    not scored as if it had never seen them.

    Raises `DataError` for pictures that cannot be used, unless `skip_bad`, and where none is left.
    """
    manifest = _as_it_was_divided(manifest, predictor.bundle.manifest.get("split", {}))
    part = manifest.held_out_part()
    rows = manifest.where(part)
    bad = [skip for skip in manifest.skipped if skip.bad]
    probabilities, labels = [], []
    results = stream(rows, lambda row: load_row(manifest, int(row), predictor.spec), predictor.engine)
    for done, (i, result) in enumerate(results, start=1):
        if isinstance(result, PictureError):
            bad.append(Skipped(manifest.paths[i], result.reason, bad=True))
        else:
            probabilities.append(result["probabilities"][0])
            labels.append(manifest.labels[i])
        progress(done, len(rows))
    refuse_bad(bad, skip_bad)
    if not labels:
        raise DataError(
            f"{manifest.name} has no usable picture; give a folder with one folder for each class"
        )
    threshold = float(predictor.bundle.manifest["threshold"])
    scores = score(np.stack(probabilities), np.asarray(labels), manifest.classes, threshold)
    return Valuation(scores=scores, part=part, skipped=bad)


def _as_it_was_divided(manifest: Manifest, split: dict[str, Any]) -> Manifest:
    """The split of training if these are the pictures of training, else the manifest as it is."""
    if any(manifest.parts):
        return manifest
    try:
        divided = assign_parts(manifest, SplitConfig(val=split["val"], test=split["test"]), split["seed"])
    except (DataError, ConfigError, KeyError):  # too few of a class, or nothing recorded: other pictures
        return manifest
    return divided if split_hash(divided) == split["sha256"] else manifest
