"""Pictures and folders of pictures that tests make for themselves."""

import hashlib
import shutil
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lexnet.data.samples import sample_folder

CLIPART = sample_folder("clipart")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
ORIENTATIONS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a picture must be stored so that the EXIF tag of this value turns it upright."""


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image as a file of this kind."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stored_as(image: Image.Image, orientation: int, kind: str, **options: Any) -> bytes:
    """A file that shows the image once its EXIF orientation is heeded."""
    turn = ORIENTATIONS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image if turn is None else image.transpose(turn), kind, exif=exif, **options)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds next to nothing: a bomb of under 100 bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def noise(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """A picture unlike any other."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def class_folder(root: Path, **counts: int) -> Path:
    """ROOT/CLASS/0.png, 1.png …: that many different pictures for each class."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            noise(1000 * label + i, 8, 8).save(root / name / f"{i}.png")
    return root


def clipart_folder(root: Path, classes: tuple[str, ...] = ("birds", "fruit"), count: int = 8) -> Path:
    """The first pieces of clip art of some classes, copied."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for file in sorted((CLIPART / name).iterdir())[:count]:
            shutil.copy(file, root / name)
    return root


def state_of(root: Path) -> str:
    """A digest of every name, size, time and content below a folder."""
    lines = []
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        lines.append(f"{path!r} {status.st_size} {status.st_mtime_ns} {status.st_mode} {content}")
    return "\n".join(lines)
