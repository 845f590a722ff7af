"""What the tests of augmentation share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexnet.preprocess import Pixels


@pytest.fixture(scope="session")
def photos(test_data: Path) -> Pixels:
    """(200, 256, 320, 3) photographs of 200 things, all made one size."""
    files = sorted((test_data / "imagenet-sample").glob("*.JPEG"))
    small = [
        Image.open(file).convert("RGB").resize((320, 256), Image.Resampling.BICUBIC, reducing_gap=2)
        for file in files
    ]
    return np.stack([np.asarray(image) for image in small])


@pytest.fixture(scope="session")
def clothes(test_data: Path) -> list[Pixels]:
    """Photographs of clothing as they were taken, the short side 400."""
    files = sorted((test_data / "clothing/test").glob("*/*.jpg"))[::25]
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]
