"""Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017, arXiv:1708.07747), as a Parquet file with its pictures.

It is read from where Debian's package dataset-fashion-mnist puts it, or from where `fetch` did.
"""

import gzip
import hashlib
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.download import Progress, download, for_downloads
from lexnet.errors import DataError, MissingExtra
from lexnet.files import atomic_file, cache_folder, is_sealed, seal

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SITE = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
BYTES, LICENCE = 30_878_645, "MIT"
CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FILES = {  # name → (bytes, sha256), both unpacked: Debian packs the same content otherwise than the authors
    "train-images-idx3-ubyte": (
        47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte": (
        60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte": (
        7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    "t10k-labels-idx1-ubyte": (
        10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}  # fmt: skip
PARTS = {"train": "train", "t10k": "test"}


def fashion_mnist() -> Path:
    """The table in the cache, made when first asked for and where it is damaged.

    Raises `DataError` where the files are not here.
    """
    table = cache_folder("samples") / "fashion-mnist.parquet"
    if is_sealed(table):
        return table
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow") from error
    columns: dict[str, list[object]] = {"image": [], "label": [], "split": []}
    for prefix, part in PARTS.items():
        squares = _read(f"{prefix}-images-idx3-ubyte")[16:].reshape(-1, 28, 28)  # after their headers
        labels = _read(f"{prefix}-labels-idx1-ubyte")[8:]
        for square, label in zip(squares, labels, strict=True):
            buffer = BytesIO()
            Image.fromarray(square).save(buffer, "PNG", compress_level=1)
            columns["image"].append(buffer.getvalue())
            columns["label"].append(CLASSES[label])
            columns["split"].append(part)
    with atomic_file(table) as file:
        pq.write_table(pa.table(columns), file, row_group_size=5_000)
    seal(table)
    return table


def is_here() -> bool:
    """Whether nothing has to be fetched."""
    return all((DEBIAN / f"{name}.gz").is_file() or _kept(name).is_file() for name in FILES)


def fetch(progress: Progress, site: str = SITE) -> Path:
    """Downloads the authors' four files, unless they are here, and makes the table of them.

    Raises `DownloadError` where they cannot be had, `DataError` where they are others.
    """
    with for_downloads(cache_folder("samples", "fashion-mnist")):
        for name in FILES:
            if not _kept(name).is_file() and not (DEBIAN / f"{name}.gz").is_file():
                part = _kept(name).with_suffix(".part")
                download(f"{site}/{name}.gz", part, progress)
                try:
                    _unpacked(name, part)
                except DataError:  # it is another file
                    part.unlink()
                    raise
                part.replace(_kept(name))
    return fashion_mnist()


def _read(name: str) -> NDArray[np.uint8]:
    """The bytes of an idx file."""
    for path in (DEBIAN / f"{name}.gz", _kept(name)):
        if path.is_file():
            return np.frombuffer(_unpacked(name, path), np.uint8)
    raise DataError(
        "fashion-mnist is not on this machine: `lexnet samples fetch fashion-mnist` brings it "
        f"({BYTES / 1e6:.0f} MB, {LICENCE}, from {SITE}), or `apt install dataset-fashion-mnist`"
    )


def _kept(name: str) -> Path:
    return cache_folder("samples", "fashion-mnist") / f"{name}.gz"


def _unpacked(name: str, path: Path) -> bytes:
    """What is packed in the file; raises `DataError` if that is not what was published."""
    size, digest = FILES[name]
    try:
        with gzip.open(path) as stream:
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch or install it again") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{path} is not the published {name}; fetch or install it again")
    return content
