"""What of a picture the frozen net is shown, where that is not the plain square."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import PreprocessSpec, Recipe
from lexnet.data.loader import load_row, read_row
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.preprocess import Pixels, decode, load_views

AXES_FROM = 500  # pictures whose colours are enough to know how all their colours vary


@dataclass(frozen=True)
class Look:
    """Several squares of one picture."""

    key: Any
    """All that they depend on besides the picture and the preprocessing: part of the cache's key."""
    show: Callable[[bytes, PreprocessSpec, str, str], Pixels]
    """(its bytes, spec, name, sha256) → (views, size, size, channels) uint8"""

    def show_row(self, manifest: Manifest, row: int, spec: PreprocessSpec) -> Pixels:
        """`show` of a manifest's picture."""
        content, name = read_row(manifest, row)
        return self.show(content, spec, name, manifest.digests[row])


def answering(spec: PreprocessSpec) -> Look:
    """The views of the spec's test-time augmentation."""
    return Look({"tta": spec.tta}, lambda content, plain, name, digest: load_views(content, spec, name))


def augmented(recipe: Recipe, seed: int, count: int, axes: NDArray[np.float64] | None) -> Look:
    """So many views by the recipe, the same ones whenever the picture is met again."""
    import cv2

    from lexnet.augment.apply import Changes
    from lexnet.augment.sample import sample_all

    def show(content: bytes, spec: PreprocessSpec, name: str, digest: str) -> Pixels:
        picture = decode(content, spec, name)
        views = sample_all(recipe, seed, "train", [(number, digest) for number in range(count)])
        changes = Changes(views, picture.shape, spec, axes)
        return np.stack([changes(i, picture) for i in range(count)])

    kept = None if axes is None else axes.tolist()
    key = {"recipe": asdict(recipe), "seed": seed, "views": count, "axes": kept}
    return Look(key | {"opencv": cv2.__version__, "code": _code()}, show)


def _code() -> str:
    """Digest of the code that makes a view, so that no older view is taken for it."""
    files = sorted((Path(__file__).parent.parent / "augment").glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def colour_axes(
    recipe: Recipe, manifest: Manifest, rows: NDArray[np.int64], spec: PreprocessSpec, seed: int
) -> NDArray[np.float64] | None:
    """(3, 3) the principal axes of the colours of these pictures, for a recipe that shifts along them."""
    from lexnet.augment.colour import principal_axes

    if not recipe.pca or spec.channels == 1:
        return None
    some = sorted(rows.tolist(), key=lambda row: address(seed, "colour axes", manifest.digests[row]))
    pixels = [load_row(manifest, row, spec)[::4, ::4] for row in some[:AXES_FROM]]
    return np.round(principal_axes(np.stack(pixels)), 9)
