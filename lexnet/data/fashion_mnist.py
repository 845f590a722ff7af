"""Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017, arXiv:1708.07747), as a Parquet file with its pictures.

It is read from where Debian's package dataset-fashion-mnist puts it; nothing is downloaded.
"""

import gzip
import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.errors import DataError, MissingExtra
from lexnet.files import atomic_file, cache_folder

FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FILES = {  # part → (pictures, labels), each with its sha256
    "train": (
        ("train-images-idx3-ubyte.gz", "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"),
        ("train-labels-idx1-ubyte.gz", "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte.gz", "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"),
        ("t10k-labels-idx1-ubyte.gz", "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"),
    ),
}


def fashion_mnist() -> Path:
    """The file in the cache, made when first asked for; raises `DataError` where the set is not installed."""
    table = cache_folder("samples") / "fashion-mnist.parquet"
    if table.is_file():
        return table
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow") from error
    columns: dict[str, list[object]] = {"image": [], "label": [], "split": []}
    for part, (pictures, labels) in FILES.items():
        squares = _read(*pictures, header=16).reshape(-1, 28, 28)
        for square, label in zip(squares, _read(*labels, header=8), strict=True):
            buffer = BytesIO()
            Image.fromarray(square).save(buffer, "PNG", compress_level=1)
            columns["image"].append(buffer.getvalue())
            columns["label"].append(CLASSES[label])
            columns["split"].append(part)
    with atomic_file(table) as file:
        pq.write_table(pa.table(columns), file, row_group_size=5_000)
    return table


def _read(name: str, digest: str, *, header: int) -> NDArray[np.uint8]:
    """The bytes behind the header of an idx file, whose sha256 must be the known one."""
    path = FOLDER / name
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): `apt install dataset-fashion-mnist` puts it there"
        ) from error
    if hashlib.sha256(packed).hexdigest() != digest:
        raise DataError(f"{path} is not the published file; install dataset-fashion-mnist again")
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)
