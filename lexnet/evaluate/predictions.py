"""What a net said of pictures whose labels are known, as a table."""

import csv
from io import StringIO

from lexnet.data.manifest import Manifest
from lexnet.evaluate.metrics import Floats, Ints


def predictions_csv(manifest: Manifest, rows: Ints, probabilities: Floats, threshold: float = 0.0) -> str:
    """path, sha256, split, label, predicted, a probability for each class: one line a picture.

    rows: (N,) of the manifest
    probabilities: (N, classes); where the largest is under `threshold`, predicted is empty
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "sha256", "split", "label", "predicted", *manifest.classes))
    for i, shares in zip(rows, probabilities, strict=True):
        predicted = manifest.classes[shares.argmax()] if float(shares.max()) >= threshold else ""
        facts = (
            manifest.paths[i],
            manifest.digests[i],
            manifest.parts[i],
            manifest.classes[manifest.labels[i]],
        )
        writer.writerow((*facts, predicted, *(f"{share:.6f}" for share in shares)))
    return text.getvalue()
