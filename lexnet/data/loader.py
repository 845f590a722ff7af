"""A manifest's pictures as a net sees them."""

import hashlib

from lexnet.config import PreprocessSpec
from lexnet.data.manifest import Manifest
from lexnet.errors import PictureError
from lexnet.preprocess import Pixels, load_bytes, read


def load_row(manifest: Manifest, row: int, spec: PreprocessSpec) -> Pixels:
    """(size, size, channels) uint8; raises `PictureError` for a file that is damaged or has changed."""
    path = manifest.file(row)
    content = read(path)
    if hashlib.sha256(content).hexdigest() != manifest.digests[row]:
        raise PictureError(str(path), "has changed since it was listed; run again")
    return load_bytes(content, spec, str(path))
