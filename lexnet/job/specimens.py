"""Pictures that a run keeps: golden ones for its bundle, its worst mistakes for the report."""

from collections import Counter
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.config import Golden, PreprocessSpec
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.export.bundle import synthetic_pictures
from lexnet.preprocess import Pixels
from lexnet.report.page import Mistake

GOLDEN = 8
WORST = 24
THUMBNAIL = 160  # longest side, pixels


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
    probabilities: NDArray[np.float32], manifest: Manifest, held_out: NDArray[np.int64], spec: PreprocessSpec
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


def _thumbnail(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
