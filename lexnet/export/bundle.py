"""Writes a `.lexnet` file; `runtime.bundle` says what is in one."""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.preprocess import Pixels
from lexnet.runtime.bundle import DIGEST_BYTES, FORMAT, MANIFEST, MODEL

EPOCH = (1980, 1, 1, 0, 0, 0)  # the same training gives the same bytes on any day


def pack_bundle(
    model: bytes, facts: dict[str, Any], golden: Iterable[tuple[Pixels, NDArray[np.float32]]]
) -> bytes:
    """The bytes of a bundle. `facts` are the manifest's entries besides those made here:
    the format, the golden pictures' list and the members' digests."""
    members = {MODEL: model}
    expected = []
    for number, (pixels, probabilities) in enumerate(golden):
        name = f"golden/{number}.png"
        members[name] = _png(pixels)
        expected.append({"file": name, "probabilities": [float(p) for p in probabilities]})
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    manifest = {"format": FORMAT, **facts, "golden": expected, "members": digests}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    return _zip({MANIFEST: text.encode(), **members})


def synthetic_pictures(count: int, size: int, channels: int) -> list[Pixels]:
    """(size, size, channels) uint8 pictures of nobody's: sums of a few seeded waves."""
    rows, columns = np.mgrid[0:size, 0:size] / size
    pictures = []
    for number in range(count):
        random = np.random.Generator(np.random.Philox(key=number))
        waves = np.zeros((size, size, channels))
        for _ in range(6):
            x, y = random.uniform(-12, 12, 2)
            phase, height = random.uniform(0, 7, channels), random.uniform(10, 45, channels)
            waves += height * np.sin((x * columns + y * rows)[..., None] * np.pi + phase)
        pictures.append(np.clip(np.rint(waves + 127.5), 0, 255).astype(np.uint8))
    return pictures


def _zip(members: dict[str, bytes]) -> bytes:
    """An uncompressed zip file whose comment, its last 32 bytes, is the sha256 of all before."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
        archive.comment = bytes(DIGEST_BYTES)
    body = buffer.getvalue()[:-DIGEST_BYTES]
    return body + hashlib.sha256(body).digest()


def _png(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()
