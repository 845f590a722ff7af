"""Every picture once, as a small square: enough to tell whether two are the same."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
from numpy.typing import NDArray

from lexnet.config import PreprocessSpec
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.transfer.cache import FeatureCache

SIDE = 48
SPEC = PreprocessSpec(size=SIDE, short_side=SIDE, interpolation="bilinear")
SHARD = 4096

Squares = NDArray[np.uint8]


def squares(
    manifest: Manifest, workers: int, warn: Callable[[str], None], progress: Callable[[int, int], None]
) -> Squares:
    """(N, 48, 48, 3) uint8: the centre of each picture, from the cache where it is there.

    Raises `PictureError` for a picture that cannot be decoded.
    """
    recipe = {"view": "square", "side": SIDE, "rules": SPEC.rules, "pillow": PIL.__version__}
    cache = FeatureCache(recipe, warn)
    first = {digest: row for row, digest in enumerate(manifest.digests) if digest not in cache}
    missing = list(first.values())
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(missing), SHARD):
            rows = missing[start : start + SHARD]
            found = []
            for pixels in pool.map(lambda row: load_row(manifest, row, SPEC), rows):
                found.append(pixels.reshape(-1))
                progress(start + len(found), len(missing))
            cache.add([manifest.digests[row] for row in rows], np.stack(found))
    return cache.read(manifest.digests).reshape(len(manifest), SIDE, SIDE, 3)
