"""Pictures that a run keeps: golden ones for its bundle, its worst mistakes for the report."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.config import Golden, PreprocessSpec
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.evaluate.metrics import Floats, Ints
from lexnet.export.bundle import synthetic_pictures
from lexnet.job.plan import Plan
from lexnet.preprocess import Pixels
from lexnet.report.page import Mistake
from lexnet.report.sheet import Row, draw_sheet, jpeg, picture
from lexnet.transfer.views import augmented

GOLDEN = 8
WORST = 24
THUMBNAIL = 160  # longest side, pixels
SHEET_ROWS, SHEET_VIEWS, SHEET_SIZE = 6, 5, 144


def golden_pictures(
    kind: Golden, manifest: Manifest, held_out: NDArray[np.int64], spec: PreprocessSpec, seed: int
) -> list[Pixels]:
    """Up to `GOLDEN` pictures as the net sees them: held out, of each class in turn; made up; or none."""
    if kind == "none":
        return []
    if kind == "synthetic":
        return synthetic_pictures(GOLDEN, spec.size, spec.channels)
    turns: Counter[int] = Counter()
    ranked = []
    for row in sorted(held_out, key=lambda i: address(seed, "golden", manifest.digests[i])):
        label = int(manifest.labels[row])
        turns[label] += 1
        ranked.append((turns[label], int(row)))
    ranked.sort(key=lambda pair: pair[0])
    return [load_row(manifest, row, spec) for _, row in ranked[:GOLDEN]]


def worst_mistakes(
    probabilities: Floats, manifest: Manifest, held_out: Ints, spec: PreprocessSpec
) -> list[Mistake]:
    """The wrong answers it was surest of, with what the net saw.

    `probabilities` (N, classes) are those of the rows `held_out` (N,).
    """
    predicted, labels = probabilities.argmax(axis=1), manifest.labels[held_out]
    confidence = probabilities.max(axis=1)
    wrong = sorted(np.flatnonzero(predicted != labels), key=lambda i: -confidence[i])
    return [
        Mistake(
            path=manifest.paths[held_out[i]],
            label=manifest.classes[labels[i]],
            predicted=manifest.classes[predicted[i]],
            probability=float(confidence[i]),
            thumbnail=_thumbnail(load_row(manifest, int(held_out[i]), spec)),
        )
        for i in wrong[:WORST]
    ]


def training_sheet(
    plan: Plan,
    manifest: Manifest,
    spec: PreprocessSpec,
    axes: NDArray[np.float64] | None,
    epochs: int | None = None,
) -> bytes:
    """A JPEG of some training pictures, each of another class: as they are, and their changed copies, of
    which a whole net sees a new one in each of its `epochs`."""
    count = min(plan.config.views or epochs or SHEET_VIEWS, SHEET_VIEWS)
    train = manifest.where("train").tolist()
    first = {int(manifest.labels[row]): row for row in reversed(train)}
    rows = []
    for row in list(first.values())[:SHEET_ROWS]:
        views = _views(plan, manifest, row, spec, axes, count)
        plain = load_row(manifest, row, spec)
        rows.append(
            Row(manifest.classes[manifest.labels[row]], _fitted(plain), [_fitted(view) for view in views])
        )
    return jpeg(draw_sheet(rows, explain=False), quality=85)


def _views(
    plan: Plan,
    manifest: Manifest,
    row: int,
    spec: PreprocessSpec,
    axes: NDArray[np.float64] | None,
    count: int,
) -> Pixels:
    """(count, size, size, channels): views that were learned from; of whole nets, by the first epochs."""
    recipe, seed, digest = plan.recipe(), plan.config.seed, manifest.digests[row]
    if plan.config.mode not in ("finetune", "scratch"):
        return augmented(recipe, seed, count, axes).show_row(manifest, row, spec)
    from lexnet.augment.apply import Changes
    from lexnet.augment.sample import sample_all

    square = load_row(manifest, row, spec.around())
    epochs = sample_all(recipe, seed, "train", [(epoch, digest) for epoch in range(count)])
    changes = Changes(epochs, square.shape, spec, axes)
    return np.stack([changes(epoch, square) for epoch in range(count)])


def _fitted(pixels: Pixels) -> Pixels:
    """As large as the sheet shows it: tiny pictures a whole number of times larger."""
    image = picture(pixels)
    if (times := SHEET_SIZE // max(image.size)) > 1:
        image = image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST)
    image.thumbnail((SHEET_SIZE, SHEET_SIZE))
    return np.asarray(image)


def _thumbnail(pixels: Pixels) -> bytes:
    image = picture(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return jpeg(image)
