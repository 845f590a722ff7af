"""The code in the README and in docs does what they say of it."""

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_makers import noise

import lexnet
from lexnet.augment.recipes import RECIPES
from lexnet.preprocess import load
from lexnet.transfer.views import augmented

ROOT = Path(__file__).parents[1]


def ran(file: str, needle: str) -> dict[str, Any]:
    """What the names of the file's block of Python that holds this text stand for, once it has run."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text("utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if needle in block)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_every_recipe_is_on_its_page_with_a_picture() -> None:
    page = (ROOT / "docs/augmentation.md").read_text("utf-8")
    shown = re.findall(r"^\| `(\w+)` \| .+ \| !\[\1\]\(recipes/\1\.png\) \|$", page, re.MULTILINE)
    assert sorted(shown) == sorted(RECIPES)
    assert {file.stem for file in (ROOT / "docs/recipes").iterdir()} == set(RECIPES)


@pytest.fixture
def jpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo's worth of pixels, in the folder that is worked in."""
    monkeypatch.chdir(tmp_path)
    noise(3, 301, 260).resize((601, 520)).save(tmp_path / "a.jpg", quality=90)
    return tmp_path / "a.jpg"


def test_the_bare_graph_is_given_what_the_bundle_sees(bundle: str, jpeg: Path) -> None:
    shutil.copy(bundle, "photos.lexnet")
    names, model = ran("README.md", "onnxruntime.InferenceSession"), lexnet.load(bundle, engine="onnxruntime")
    assert (names["square"](jpeg) == load(jpeg, model.spec)).all()
    np.testing.assert_allclose(names["probabilities"], model.predict_proba([jpeg]), atol=1e-6)


def test_a_published_net_is_given_what_a_bundles_graph_makes_of_the_pixels(bundle: str, jpeg: Path) -> None:
    names = ran("README.md", "find_weights")
    assert names["logits"].shape == (1, 1000)
    trunk = lexnet.create_net("efficientnet_lite0", weights="imagenet", classes=0).eval()
    with torch.no_grad():
        features = trunk(names["normalised"].permute(2, 0, 1)[None])
    np.testing.assert_allclose(features, lexnet.load(bundle).embed([jpeg]), atol=1e-3)


def test_a_new_net_is_in_train_mode_and_one_from_a_bundle_is_not(bundle: str) -> None:
    assert lexnet.create_net("resnet18", classes=5).training
    assert lexnet.create_net("efficientnet_lite0", weights="imagenet", classes=5, channels=1).training
    assert not any(part.training for part in lexnet.net_from_bundle(bundle).modules())


def test_a_changed_copy_is_the_one_that_training_sees(jpeg: Path) -> None:
    names = ran("docs/augmentation.md", "sample(RECIPES")
    seen = augmented(RECIPES["photo"], seed=0, count=4, axes=None)
    digest = hashlib.sha256(jpeg.read_bytes()).hexdigest()
    assert (seen.show(jpeg.read_bytes(), names["spec"], "a.jpg", digest)[3] == names["square"]).all()
