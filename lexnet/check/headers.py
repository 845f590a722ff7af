"""What a picture's header says that somebody may want to know before training on it."""

from collections.abc import Callable
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.data.manifest import Manifest
from lexnet.data.threads import quickly
from lexnet.preprocess import FORMATS, ORIENTATION, read_header

TINY = 32
"""Pictures with a shorter side have too few pixels to tell a near copy from a look-alike."""
LONG = 3  # times as long as wide: of most of it a net sees nothing
FAR = 8  # times as large or as small as is usual among the pictures
GREY = ("L", "LA", "1", "I", "F", "I;16", "I;16B", "I;16L")
ORDINARY = ("RGB", "L", "RGBA", "LA", "P", "PA", "1")
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
}


def tiny(manifest: Manifest) -> NDArray[np.bool_]:
    """(N,) whether each picture's shorter side is under `TINY`; False where its size is not known."""
    short = manifest.sizes.min(axis=1)
    return np.asarray((short > 0) & (short < TINY))


def all_grey(manifest: Manifest) -> bool:
    """Whether no picture is stored in colour."""
    _, modes = manifest.modes.codes()
    return set(modes) <= set(GREY)


def oddities(manifest: Manifest, progress: Callable[[int, int], None]) -> list[tuple[str, ...]]:
    """(N,) what is odd of each. Raises `PictureError` for a picture that can no longer be read."""
    short = manifest.sizes.min(axis=1)
    usual = float(np.median(short[short > 0])) if short.any() else 0.0
    return quickly(range(len(manifest)), lambda row: _oddities(manifest, row, usual), progress)


def _oddities(manifest: Manifest, row: int, usual: float) -> tuple[str, ...]:
    content = manifest.read(row)
    read_header(content, manifest.source.where(manifest.paths[row]))  # so that it can be opened
    with Image.open(BytesIO(content), formats=FORMATS) as image:
        kind, suffix = str(image.format), PurePosixPath(manifest.paths[row]).suffix.lower()
        odd = []
        if suffix and kind in SUFFIXES and suffix not in SUFFIXES[kind]:
            odd.append(f"is {kind}, called {suffix}")
        try:
            turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
        except Exception:  # Pillow raises nearly everything on broken ones
            turned = False
        if turned:
            odd.append("is stored turned, to be shown upright")
        if image.mode not in ORDINARY:
            odd.append(f"has mode {image.mode}")
        short, long = sorted(image.size)
        if short < TINY:
            odd.append(f"is {image.width}x{image.height}, very small")
        elif long >= LONG * short:
            odd.append(f"is {image.width}x{image.height}, of which a square shows {100 * short / long:.0f} %")
        elif usual and not usual / FAR < short < usual * FAR:
            odd.append(f"is {image.width}x{image.height}, and {usual:.0f} on the shorter side is usual here")
        return tuple(odd)
