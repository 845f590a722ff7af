"""From divided pictures to a verified bundle, with everything that was measured on the way."""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet import __version__
from lexnet.config import PreprocessSpec, available_cores
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.data.splits import check_classes, split_hash
from lexnet.errors import DataError, PictureError
from lexnet.evaluate.metrics import Scores, score
from lexnet.export.bundle import pack_bundle, synthetic_pictures
from lexnet.export.graph import append_head
from lexnet.export.parity import Parity, check_parity
from lexnet.job.divide import refuse_damaged
from lexnet.job.events import Listener, Progress, Warned
from lexnet.job.plan import Plan
from lexnet.preprocess import Pixels
from lexnet.report.page import Mistake
from lexnet.runtime.engines import Engine, OnnxRuntime
from lexnet.runtime.stream import stream
from lexnet.transfer.probe import Probe, fit_probe
from lexnet.transfer.trunk import Extraction, Trunk, extract, open_trunk

GOLDEN = 8
WORST = 24
THUMBNAIL = 160


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has to show."""

    bundle: bytes
    metrics: dict[str, Any]
    """metrics.json without what depends on where the run is written."""
    manifest: Manifest
    probabilities: NDArray[np.float32]
    """(N, classes) for the held-out pictures, as the bundle gives them."""
    held_out: NDArray[np.int64]
    """(N,) their rows in the manifest."""
    mistakes: list[Mistake]


@dataclass
class Clock:
    """Seconds spent in each step, in order."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds what happens inside to the step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.perf_counter() - start


def learn(manifest: Manifest, plan: Plan, clock: Clock, tell: Listener) -> Outcome:
    """Trains on the train part, measures on what was held out, and verifies the file that ships.

    Raises `DataError` for pictures that turn out to be damaged, unless the plan says to go on, and
    `ParityError` where the exported graph disagrees with training.
    """
    config = plan.config
    workers = config.workers or available_cores()
    with clock.step("frozen net"):
        tell(Progress("frozen net", 0, len(manifest)))
        trunk = open_trunk(config.net, config.size, lambda text: tell(Warned(text)))
        extraction = extract(
            trunk,
            manifest,
            config.engine,
            workers,
            warn=lambda text: tell(Warned(text)),
            progress=lambda done, total: tell(Progress("frozen net", done, total)),
        )
    manifest = extraction.manifest
    refuse_damaged(manifest, config.skip_bad)
    check_classes(manifest)
    part = "test" if len(manifest.where("test")) else "val"
    held_out = manifest.where(part)
    if not len(held_out):
        raise DataError("no usable picture is left to measure the accuracy on; mend or add some")
    with clock.step("head"):
        train = manifest.where("train")
        probe = fit_probe(
            extraction.features[train],
            manifest.labels[train],
            [manifest.digests[i] for i in train],
            len(manifest.classes),
            config.probe,
            config.seed,
            workers,
            lambda done, total: tell(Progress("head", done, total)),
        )
    with clock.step("verify"):
        headed = append_head(trunk.graph, probe.weight, probe.bias, probe.temperature)
        engine = OnnxRuntime(headed.graph, workers)
        exported = _run(engine, trunk.spec, manifest, held_out, tell)
        measured = probe.probabilities(extraction.features[held_out])
        parity = check_parity(measured, exported, [manifest.paths[i] for i in held_out])
    scores = score(exported, manifest.labels[held_out], manifest.classes)
    facts = _facts(trunk, probe, manifest, plan, part, scores, parity, extraction)
    with clock.step("bundle"):
        golden = _golden(config.golden, engine, trunk.spec, manifest, held_out, config.seed)
        bundle = pack_bundle(headed.graph, facts, golden)
    return Outcome(
        bundle=bundle,
        metrics=_metrics(trunk, probe, extraction, part, scores)
        | {
            "params": headed.params,
            "macs": headed.macs,
            "bundle_bytes": len(bundle),
            "verification": {**asdict(parity), "golden": len(golden)},
        },
        manifest=manifest,
        probabilities=exported,
        held_out=held_out,
        mistakes=_mistakes(exported, manifest, held_out, trunk.spec),
    )


def _run(
    engine: Engine,
    spec: PreprocessSpec,
    manifest: Manifest,
    rows: NDArray[np.int64],
    tell: Listener,
) -> NDArray[np.float32]:
    """(N, classes) probabilities of the exported graph, from the files themselves."""
    results = []
    pictures = stream(rows, lambda i: load_row(manifest, int(i), spec), engine)
    for done, (_, result) in enumerate(pictures, start=1):
        if isinstance(result, PictureError):
            raise result
        results.append(result["probabilities"][0])
        tell(Progress("verify", done, len(rows)))
    return np.stack(results)


def _golden(
    kind: str,
    engine: Engine,
    spec: PreprocessSpec,
    manifest: Manifest,
    held_out: NDArray[np.int64],
    seed: int,
) -> list[tuple[Pixels, NDArray[np.float32]]]:
    """Pictures as the net sees them, with what the graph says of them: one of each class in turn."""
    if kind == "none":
        return []
    if kind == "synthetic":
        pictures = synthetic_pictures(GOLDEN, spec.size, spec.channels)
    else:
        order = sorted(held_out, key=lambda i: address(seed, "golden", manifest.digests[i]))
        turn: dict[int, int] = {}
        ranked = []
        for i in order:
            label = int(manifest.labels[i])
            turn[label] = turn.get(label, 0) + 1
            ranked.append((turn[label], int(i)))
        ranked.sort(key=lambda pair: pair[0])
        pictures = [load_row(manifest, i, spec) for _, i in ranked[:GOLDEN]]
    return [(pixels, engine.run(pixels[None])["probabilities"][0]) for pixels in pictures]


def _mistakes(
    probabilities: NDArray[np.float32], manifest: Manifest, rows: NDArray[np.int64], spec: PreprocessSpec
) -> list[Mistake]:
    """The wrong answers it was surest of, with what the net saw."""
    predicted, labels = probabilities.argmax(axis=1), manifest.labels[rows]
    confidence = probabilities.max(axis=1)
    wrong = sorted(np.flatnonzero(predicted != labels), key=lambda i: -confidence[i])
    return [
        Mistake(
            path=manifest.paths[rows[i]],
            label=manifest.classes[labels[i]],
            predicted=manifest.classes[predicted[i]],
            probability=float(confidence[i]),
            thumbnail=_thumbnail(load_row(manifest, int(rows[i]), spec)),
        )
        for i in wrong[:WORST]
    ]


def _thumbnail(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _counts(manifest: Manifest) -> dict[str, int]:
    parts = {part: len(manifest.where(part)) for part in ("train", "val", "test")}
    # The probe is calibrated on out-of-fold predictions for the train part: nothing is set apart for it.
    return {"train": parts["train"], "val": parts["val"], "calibration": 0, "test": parts["test"]}


def _facts(
    trunk: Trunk,
    probe: Probe,
    manifest: Manifest,
    plan: Plan,
    part: str,
    scores: Scores,
    parity: Parity,
    extraction: Extraction,
) -> dict[str, Any]:
    """The bundle's manifest: nothing in it depends on when, where or how fast it was made."""
    return {
        "lexnet": __version__,
        "net": trunk.net,
        "mode": plan.config.mode,
        "cut": None,
        "classes": manifest.classes,
        "preprocess": asdict(trunk.spec),
        "threshold": 0.0,
        "guard": None,
        "temperature": probe.temperature,
        "split": {"sha256": split_hash(manifest), "counts": _counts(manifest)},
        "training": {
            "seed": plan.config.seed,
            "C": probe.C,
            "folds": plan.config.probe.folds,
            "engine": extraction.engine,
            "versions": versions(),
        },
        "measured": {
            "part": part,
            "count": scores.count,
            "accuracy": scores.accuracy,
            "interval": list(scores.interval),
            "macro_f1": scores.macro_f1,
        },
        "verification": asdict(parity),
        "weights": [_weights(trunk)],
    }


def _weights(trunk: Trunk) -> dict[str, str]:
    weights = trunk.weights
    return {
        "net": weights.net,
        "tag": weights.tag,
        "source": weights.source,
        "licence": weights.licence,
        "sha256": weights.sha256,
    }


def _metrics(
    trunk: Trunk,
    probe: Probe,
    extraction: Extraction,
    part: str,
    scores: Scores,
) -> dict[str, Any]:
    manifest = extraction.manifest
    val, held_out, train = manifest.where("val"), manifest.where(part), manifest.where("train")
    val_accuracy = None
    if len(val):
        right = probe.logits(extraction.features[val]).argmax(axis=1) == manifest.labels[val]
        val_accuracy = scores.accuracy if part == "val" else float(right.mean())
    commonest = int(np.bincount(manifest.labels[train]).argmax())
    tested = part == "test"
    return {
        "net": trunk.net,
        "mode": "probe",
        "cut": None,
        "classes": manifest.classes,
        "counts": _counts(manifest),
        "measured_on": part,
        "test_accuracy": scores.accuracy if tested else None,
        "test_interval": list(scores.interval) if tested else None,
        "val_accuracy": val_accuracy,
        "accuracy": scores.accuracy,
        "interval": list(scores.interval),
        "macro_f1": scores.macro_f1,
        "log_loss": scores.log_loss,
        "ece": scores.ece,
        "majority_accuracy": float((manifest.labels[held_out] == commonest).mean()),
        "per_class": scores.per_class,
        "confusion": scores.confusion,
        "data": _table(manifest),
        "skipped": [{"path": skip.path, "reason": skip.reason} for skip in manifest.skipped],
        "regularisation": {
            "C": probe.C,
            "candidates": probe.candidates,
            "cv_log_loss": probe.cv_log_loss,
            "cv_accuracy": probe.cv_accuracy,
        },
        "temperature": probe.temperature,
        "trunk": {
            "engine": extraction.engine,
            "computed": extraction.computed,
            "from_cache": extraction.from_cache,
        },
        "weights": _weights(trunk),
        "versions": versions(),
        "machine": f"{platform.machine()}, {available_cores()} cores, {platform.system()}",
        "lexnet": __version__,
    }


def versions() -> dict[str, str]:
    """Of what can change a number, without importing any of it."""
    names = ("numpy", "pillow", "onnxruntime", "openvino", "scikit-learn")
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in names if _has(name)
    }


def _has(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _table(manifest: Manifest) -> list[dict[str, Any]]:
    """Pictures of each class in each part."""
    counts = {part: manifest.counts(part) for part in ("train", "val", "test")}
    return [
        {"class": name, **{part: int(counts[part][i]) for part in counts}}
        for i, name in enumerate(manifest.classes)
    ]
