"""What a run writes down about itself: the facts in its bundle and its metrics.json."""

import base64
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from lexnet import __version__
from lexnet.config import MODES, TTA_VIEWS, Recipe, TrainConfig, available_cores
from lexnet.data.manifest import PARTS, Manifest
from lexnet.data.splits import prefixes, split_hash
from lexnet.evaluate.metrics import Scores
from lexnet.export.graph import Headed
from lexnet.export.parity import Parity
from lexnet.job.learned import Learned, Looked, Taught
from lexnet.job.plan import Plan
from lexnet.runtime.bundle import read_bundle
from lexnet.transfer.cross_validate import CrossValidation
from lexnet.transfer.cut import Probed
from lexnet.transfer.extract import Extraction
from lexnet.transfer.trunk import Trunk

PACKAGES = (
    "numpy",
    "scipy",
    "pillow",
    "opencv-python-headless",
    "onnxruntime",
    "openvino",
    "scikit-learn",
    "torch",
)
"""What can change a number."""


@dataclass(frozen=True, kw_only=True)
class RunFindings:
    """All that was decided, fitted and measured."""

    taught: Taught
    looked: Looked
    manifest: Manifest
    headed: Headed
    seen_before: int
    """Of these pictures, by the net of the bundle that it goes on from."""
    scores: Scores
    parity: Parity
    validation: CrossValidation | None

    @property
    def plan(self) -> Plan:
        """What was followed, nothing left open."""
        return self.taught.job.plan


def bundle_facts(found: RunFindings) -> dict[str, Any]:
    """The bundle's manifest: nothing in it depends on when, where or how fast it was made."""
    manifest, scores, taught = found.manifest, found.scores, found.taught
    config, learned = found.plan.config, taught.learned
    return {
        "lexnet": __version__,
        "net": config.net,
        "mode": config.mode,
        "cut": taught.trunk.end if taught.trunk else None,
        "whole": _whole(found),
        "classes": manifest.classes,
        "preprocess": asdict(taught.spec),
        "threshold": 0.0,
        "guard": None,
        "temperature": learned.temperature,
        "split": {
            "sha256": split_hash(manifest),
            "seen": _seen(manifest, _unseen(manifest, learned), config.from_),
            "taught": _taught(config),
            "counts": _counts(manifest, learned),
            "seed": config.seed,
            **asdict(config.split),
        },
        "training": {
            "seed": config.seed,
            "C": taught.probe.C if taught.probe else None,
            "frozen": learned.frozen,
            "fit": _fit(found),
            "steps": learned.steps,
            "cv": config.probe.cv,
            "class_weight": config.class_weight,
            "engine": found.looked.extraction.engine if found.looked.extraction else None,
            "augmentation": _augmentation(found),
            "versions": _versions(),
        },
        "measured": {
            "part": manifest.held_out_part(),
            "count": scores.count,
            "accuracy": scores.accuracy,
            "interval": list(scores.interval),
            "macro_f1": scores.macro_f1,
            "cross_validation": _validation(found),
        },
        "verification": asdict(found.parity),
        "weights": _origins(found),
    }


def run_metrics(found: RunFindings) -> dict[str, Any]:
    """metrics.json, without what depends on where the run is written and how long it took."""
    manifest, scores, taught = found.manifest, found.scores, found.taught
    config, learned, probe = found.plan.config, taught.learned, taught.probe
    part = manifest.held_out_part()
    tested = part == "test"
    return {
        "net": config.net,
        "mode": config.mode,
        "cut": taught.trunk.end if taught.trunk else None,
        "whole": _whole(found),
        "classes": manifest.classes,
        "counts": _counts(manifest, learned),
        "measured_on": part,
        "seen_before": found.seen_before,
        "units": scores.units,
        "test_accuracy": scores.accuracy if tested else None,
        "test_interval": list(scores.interval) if tested else None,
        "val_chose": val_chose(found.plan),
        "val_accuracy": _val_accuracy(found) if tested else scores.accuracy,
        "accuracy": scores.accuracy,
        "interval": list(scores.interval),
        "macro_f1": scores.macro_f1,
        "log_loss": scores.log_loss,
        "ece": scores.ece,
        "ece_of_chance": scores.ece_of_chance,
        "cross_validation": _validation(found),
        "majority_accuracy": _majority_accuracy(manifest, part),
        "params": found.headed.params,
        "macs": TTA_VIEWS[taught.spec.tta] * found.headed.macs,
        "verification": asdict(found.parity),
        "per_class": scores.per_class,
        "confusion": scores.confusion,
        "data": _table(manifest),
        "skipped": [{"path": skip.path, "reason": skip.reason} for skip in manifest.skipped],
        "regularisation": probe
        and {
            "C": probe.C,
            "candidates": probe.candidates,
            "cv_log_loss": probe.cv_log_loss,
            "cv_accuracy": probe.cv_accuracy,
        },
        "temperature": learned.temperature,
        "augmentation": _augmentation(found),
        "frozen": learned.frozen,
        "history": learned.epochs,
        "fit": _fit(found),
        "stopped": learned.stopped,
        "rates": learned.rates,
        "stages": stages(taught.curve),
        "tta": taught.spec.tta,
        "trunk": run_of(found.looked.extraction),
        "weights": _weights(taught.trunk) if taught.trunk else None,
        "versions": _versions(),
        "machine": f"{platform.machine()}, {available_cores()} cores, {platform.system()}",
        "lexnet": __version__,
        "seed": config.seed,
    }


def _whole(found: RunFindings) -> dict[str, int] | None:
    """What the net would cost that was cut short, had it not been: `params` and `macs`, its head's too."""
    whole, cut = found.looked.trunk, found.taught.trunk.cut if found.taught.trunk else None
    if cut is None or whole is None or whole.end is not None:  # an end: of a bundle that was cut before
        return None
    place, classes = whole.places()[-1], len(found.manifest.classes)
    params = place.params + classes * (place.width + 1)
    return {"params": params, "macs": TTA_VIEWS[found.taught.spec.tta] * (place.macs + classes * place.width)}


def run_of(extraction: Extraction | None) -> dict[str, Any] | None:
    """How the frozen net ran, where there was one."""
    keys = "engine", "computed", "from_cache"
    return None if extraction is None else {key: getattr(extraction, key) for key in keys}


def _fit(found: RunFindings) -> dict[str, Any] | None:
    """How weights were trained, where they were."""
    mode = found.plan.config.mode
    if mode not in MODES:
        return None
    fit, learned = asdict(found.plan.config.fit.resolved(mode)), found.taught.learned
    stopped = {"steps": learned.steps} if learned.stopped else {}
    decided = {"lr": learned.lr, "compile": learned.compile}
    return fit | stopped | {name: value for name, value in decided.items() if value is not None}


def stages(curve: Sequence[Probed]) -> list[dict[str, Any]]:
    """What a head made of each place, with what it costs."""
    return [
        {
            "net": one.net,
            "stage": one.place.stage,
            "accuracy": one.accuracy,
            "interval": list(one.interval),
            "width": one.place.width,
            "params": one.place.params,
            "macs": one.place.macs,
        }
        for one in curve
    ]


def _augmentation(found: RunFindings) -> dict[str, Any] | None:
    recipe = found.plan.recipe()
    if recipe == Recipe():
        return None
    return {
        "name": found.plan.recipe_name(),
        "views": found.plan.config.views,
        "recipe": asdict(recipe),
        "colour_axes": None if found.taught.learned.axes is None else found.taught.learned.axes.tolist(),
    }


def _seen(manifest: Manifest, held_out: str, earlier: str | None) -> str:
    """The beginnings of the sha256 of all pictures of a part but those held out, and of those that the net of
    an earlier bundle has learned from, by which `val` knows them again."""
    rows = np.flatnonzero(np.isin(list(manifest.parts), ("", held_out), invert=True))
    known = prefixes(manifest.digests.take(rows))
    if earlier is not None:
        known = np.concatenate([known, read_bundle(earlier).taught])
    known = np.unique(known).astype("<u4")
    return base64.b64encode(known.tobytes()).decode("ascii")


def _unseen(manifest: Manifest, learned: Learned) -> str:
    """The part that nothing was learned from. A val part says how sure a trained net may be, also where there
    is no test part and it is measured on."""
    part = manifest.held_out_part()
    return "" if part == "val" and learned.steps else part


def val_chose(plan: Plan) -> list[str]:
    """What the val part decided."""
    epoch = plan.config.mode in MODES and plan.config.fit.patience is not None
    return ["mode"] * plan.judged + ["epoch"] * epoch


def _taught(config: TrainConfig) -> bool:
    """Whether the net has learned from any pictures: of a probe on published weights only the head has."""
    return config.mode != "probe" or (config.from_ is not None and len(read_bundle(config.from_).taught) > 0)


def _counts(manifest: Manifest, learned: Learned) -> dict[str, int]:
    """A probe is calibrated on the train part's out-of-fold predictions, all else on the val part."""
    train, val, test = (len(manifest.where(part)) for part in PARTS)
    return {"train": train, "val": val, "calibration": val if learned.steps else 0, "test": test}


def _val_accuracy(found: RunFindings) -> float | None:
    manifest = found.manifest
    val = manifest.where("val")
    if not len(val):
        return None
    return float((found.taught.learned.val.argmax(axis=1) == manifest.labels[val]).mean())


def _validation(found: RunFindings) -> dict[str, Any] | None:
    if found.validation is None:
        return None
    return asdict(found.validation) | {"interval": list(found.validation.interval)}


def _majority_accuracy(manifest: Manifest, part: str) -> float:
    """What always saying the commonest class of the train part would score; of several the best."""
    counts, labels = manifest.counts("train"), manifest.labels[manifest.where(part)]
    return max(float((labels == one).mean()) for one in np.flatnonzero(counts == counts.max()))


def _weights(trunk: Trunk) -> dict[str, str]:
    return {key: getattr(trunk.weights, key) for key in ("net", "tag", "source", "licence", "sha256")}


def _origins(found: RunFindings) -> list[dict[str, str]]:
    """The weights that it began with, and where those came from a bundle the ones which that began with."""
    from_ = found.plan.config.from_
    earlier = read_bundle(from_).manifest.get("weights", []) if from_ is not None else []
    return [*([_weights(found.taught.trunk)] if found.taught.trunk else []), *earlier]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # OpenVINO may be absent
            continue
    return found


def _table(manifest: Manifest) -> list[dict[str, Any]]:
    """Pictures of each class in each part."""
    counts = {part: manifest.counts(part) for part in PARTS}
    return [
        {"class": name, **{part: int(counts[part][i]) for part in PARTS}}
        for i, name in enumerate(manifest.classes)
    ]
