"""The built-in sample sets: labelled pictures to try everything on; Fashion-MNIST may need fetching."""

import os
import shutil
import tempfile
from difflib import get_close_matches
from pathlib import Path

from lexnet.errors import DataError, MissingExtra, OutputError, did_you_mean
from lexnet.files import cache_folder

DIGITS = 1797
SAMPLES = {
    "clipart": "621 pieces of public-domain clip art, up to 160 px, in 12 classes from birds to vehicles",
    "digits": "1,797 handwritten digits, 8 x 8 px grey, in 10 classes (scikit-learn's load_digits)",
    "fashion-mnist": "70,000 pieces of clothing, 28 x 28 px grey, in 10 classes (fetched or Debian's)",
}


def sample_path(name: str) -> Path:
    """Where a built-in set lies: a folder of class folders, or a table made in the cache."""
    if name == "fashion-mnist":
        from lexnet.data.fashion_mnist import fashion_mnist

        return fashion_mnist()
    return sample_folder(name)


def sample_folder(name: str) -> Path:
    """The folder of class folders of a built-in set; `digits` is written to the cache when first asked for.

    Raises `DataError` for an unknown name, `MissingExtra` where `digits` needs scikit-learn and it
    is not installed, and `OutputError` where the cache cannot be written.
    """
    if name not in SAMPLES:
        hint = did_you_mean(get_close_matches(name, SAMPLES, n=2, cutoff=0.5))
        raise DataError(f"no sample set named {name!r}{hint}; there are {', '.join(SAMPLES)}")
    if name == "clipart":
        return Path(__file__).with_name("clipart")
    folder = cache_folder("samples") / "digits"
    if sum(1 for _ in folder.glob("*/*.png")) != DIGITS:  # none, or what a removal left that was stopped
        shutil.rmtree(folder, ignore_errors=True)
        _write_digits(folder)
    return folder


def _write_digits(folder: Path) -> None:
    """CLASS/0000.png, numbered as in the set. Whole or not there: of two processes the first one's stays."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("scikit-learn") from error
    import numpy as np
    from PIL import Image

    digits = load_digits()
    pictures = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), from 0..16
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            made = Path(temporary, folder.name)
            for label in digits.target_names:
                (made / str(label)).mkdir(parents=True)
            for index, (picture, label) in enumerate(zip(pictures, digits.target, strict=True)):
                Image.fromarray(picture).save(made / str(label) / f"{index:04}.png")
            try:
                os.replace(made, folder)
            except OSError:
                if not folder.is_dir():  # if it is, another process was first
                    raise
    except OSError as error:
        hint = "set LEXNET_CACHE to another folder"
        raise OutputError(f"cannot write {folder}: {error.strerror}; {hint}") from error
