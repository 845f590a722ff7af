"""What is written: the same bytes for the same training, and the very net that was trained."""

import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tiny import forged

import lexnet
from lexnet.data.samples import sample_folder
from lexnet.errors import BundleError
from lexnet.export.bundle import pack_bundle, synthetic_pictures
from lexnet.job.events import Event
from lexnet.preprocess import load

CLIPART = sample_folder("clipart")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of eight pieces of clip art."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("birds", "flags", "music"):
        (root / name).mkdir()
        for path in sorted((CLIPART / name).iterdir())[:8]:
            (root / name / path.name).write_bytes(path.read_bytes())
    return root


def quiet(event: Event) -> None:
    pass


def test_the_same_training_gives_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another number of threads, and with no feature taken from a cache."""
    first = lexnet.Classifier(seed=3, workers=1).fit(folder, on_event=quiet)
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path))
    second = lexnet.Classifier(seed=3, workers=3).fit(folder, on_event=quiet)
    assert second.metrics_["trunk"]["from_cache"] == 0
    assert hashlib.sha256(first.bundle_).digest() == hashlib.sha256(second.bundle_).digest()


def test_members_come_one_after_another_uncompressed() -> None:
    pictures = [(pixels, np.array([0.25, 0.75], np.float32)) for pixels in synthetic_pictures(2, 16, 3)]
    content = pack_bundle(b"graph", {"classes": ["a", "é"]}, pictures)
    assert content[-32:] == hashlib.sha256(content[:-32]).digest()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.namelist() == ["manifest.json", "model.onnx", "golden/0.png", "golden/1.png"]
        manifest = json.loads(archive.read("manifest.json"))
        digests = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()[1:]}
    assert manifest == {
        "format": 1,
        "classes": ["a", "é"],
        "golden": [{"file": f"golden/{i}.png", "probabilities": [0.25, 0.75]} for i in range(2)],
        "members": digests,
    }


def test_what_json_cannot_say_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack_bundle(b"graph", {"threshold": float("nan")}, [])


@pytest.mark.parametrize("channels", [1, 3])
def test_made_up_pictures_are_the_same_every_time_and_not_flat(channels: int) -> None:
    pictures = synthetic_pictures(4, 32, channels)
    for one, again in zip(pictures, synthetic_pictures(4, 32, channels), strict=True):
        assert one.shape == (32, 32, channels) and one.dtype == np.uint8
        assert np.array_equal(one, again) and one.std() > 20
    assert len({one.tobytes() for one in pictures}) == 4


def logits_in_torch(path: str, pixels: np.ndarray) -> np.ndarray:
    spec = lexnet.load(path).spec
    planes = (torch.from_numpy(pixels).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    net = lexnet.net_from_bundle(path)
    assert not net.training
    with torch.inference_mode():
        return net(planes.permute(0, 3, 1, 2)).numpy()


def test_the_net_comes_back_out_of_the_bundle(bundle: str) -> None:
    model = lexnet.load(bundle)
    pictures = [sorted(folder.iterdir())[3] for folder in sorted(CLIPART.iterdir())[:6]]
    pixels = np.stack([load(path, model.spec) for path in pictures])
    expected = model.engine.run(pixels)["logits"]
    rounding = 1e-5 * np.abs(expected).max()  # two engines in float32, as in test_onnx
    np.testing.assert_allclose(logits_in_torch(bundle, pixels), expected, rtol=0, atol=rounding)


@pytest.mark.pictures
def test_the_net_out_of_the_bundle_says_the_same_of_photos(bundle: str, test_data: Path) -> None:
    model = lexnet.load(bundle)
    photos = [sorted(folder.iterdir())[0] for folder in sorted((test_data / "clothing" / "test").iterdir())]
    pixels = np.stack([load(path, model.spec) for path in photos])
    expected = model.engine.run(pixels)["logits"]
    rounding = 1e-5 * np.abs(expected).max()  # two engines in float32, as in test_onnx
    np.testing.assert_allclose(logits_in_torch(bundle, pixels), expected, rtol=0, atol=rounding)


def test_a_bundle_that_names_another_net_gives_none(bundle: str, tmp_path: Path) -> None:
    def resnet(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["net"] = "resnet18"

    path = tmp_path / "model.lexnet"
    path.write_bytes(forged(Path(bundle).read_bytes(), resnet))
    with pytest.raises(BundleError, match=r"lacks the weights .* of resnet18"):
        lexnet.net_from_bundle(path)


@pytest.mark.parametrize("net", [None, 7, "no such net"])
def test_a_bundle_of_no_known_net_gives_none(bundle: str, net: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.lexnet"
    path.write_bytes(forged(Path(bundle).read_bytes(), lambda manifest, _: manifest.update(net=net)))
    with pytest.raises(lexnet.LexNetError, match="net"):
        lexnet.net_from_bundle(path)


def test_a_bundle_with_other_shapes_gives_none(bundle: str, tmp_path: Path) -> None:
    def shrink(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        model = onnx.load_model_from_string(members["model.onnx"])
        for weight in model.graph.initializer:
            if weight.name == "head.fc.bias":
                weight.CopyFrom(numpy_helper.from_array(np.zeros(1, np.float32), weight.name))
        members["model.onnx"] = model.SerializeToString()

    path = tmp_path / "model.lexnet"
    path.write_bytes(forged(Path(bundle).read_bytes(), shrink))
    with pytest.raises(BundleError, match=r"head\.fc\.bias"):
        lexnet.net_from_bundle(path)
