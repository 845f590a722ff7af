"""A manifest's pictures as a net sees them."""

import hashlib

from lexnet.config import PreprocessSpec
from lexnet.data.manifest import Manifest
from lexnet.errors import PictureError
from lexnet.preprocess import Pixels, load_bytes


def load_row(manifest: Manifest, row: int, spec: PreprocessSpec) -> Pixels:
    """(size, size, channels) uint8; raises `PictureError` for a file that is damaged or has changed."""
    content = manifest.read(row)
    where = manifest.source.where(manifest.paths[row])
    if hashlib.sha256(content).hexdigest() != manifest.digests[row]:
        raise PictureError(where, "has changed since it was listed; run again")
    return load_bytes(content, spec, where)
