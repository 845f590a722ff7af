"""Published weights do here what their publishers measured: names, eps, padding and pixels in one number.

Measured on 2 cores with torch 2.13 (CPU): EfficientNet-Lite 0, 1, 2 get 90.0, 90.5 and 92.5 % of the
200 photographs right, ResNet-20, 32 and 56 18.97, 17.44 and 16.80 % of the 10,000 small pictures wrong.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lexnet.config import PreprocessSpec
from lexnet.preprocess import Pixels, load, load_bytes
from lexnet.weights.create import create_net
from lexnet.weights.fetch import fetch
from lexnet.weights.files import find_weights

pytestmark = pytest.mark.pictures

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of the weights' outputs; the folders have the same names."""


def planes(pixels: list[Pixels], spec: PreprocessSpec) -> torch.Tensor:
    """(N, H, W, C) uint8 as (N, C, H, W) normalised."""
    scaled = (torch.from_numpy(np.stack(pixels)).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    return scaled.permute(0, 3, 1, 2)


def answers(net: torch.nn.Module, pictures: torch.Tensor, batch: int) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([net.eval()(part).argmax(1) for part in pictures.split(batch)])


@pytest.mark.parametrize("name", [f"efficientnet_lite{n}" for n in range(3)])
def test_imagenet_weights_know_imagenet(name: str, test_data: Path) -> None:
    """One photograph each of 200 classes; an independent run of lite0 over all 1,000 classes got 88.8 %."""
    files = sorted((test_data / "imagenet-sample").glob("*.JPEG"))
    assert len(files) == 200
    spec = find_weights(name).spec
    net = create_net(name, weights="imagenet")
    given = answers(net, planes([load(file, spec) for file in files], spec), batch=20)
    truth = 5 * torch.arange(200)  # every fifth class, in the order of their names
    right = (given == truth).float().mean().item()
    assert right >= 0.85, f"{name} gets only {right:.1%} right"


@pytest.fixture(scope="module")
def cifar(test_data: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(10000, 3, 32, 32) as the spec prepares them, and (10000,): the test pictures and their classes."""
    spec = find_weights("resnet20").spec
    pixels, truth = [], []
    with tarfile.open(test_data / "cifar10-test.tar") as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)):
                pixels.append(load_bytes(file.read(), spec, member.name))
                truth.append(CIFAR10.index(Path(member.name).parent.name))
    assert np.bincount(truth).tolist() == [1000] * 10
    return planes(pixels, spec), torch.tensor(truth)


@pytest.mark.parametrize(("name", "error"), [("resnet20", 18.97), ("resnet32", 17.44), ("resnet56", 16.80)])
def test_cifar_weights_err_as_often_as_elsewhere(
    name: str, error: float, cifar: tuple[torch.Tensor, torch.Tensor], cache: Path, test_data: Path
) -> None:
    """An independent implementation with these weights gets these errors on these recompressed pictures."""
    weights = find_weights(name)
    assert weights.spec == find_weights("resnet20").spec
    file = test_data / "resnet-cifar10-weights" / weights.source.rpartition("/")[2]
    fetch(weights, lambda done, total: None, file=file)
    pictures, truth = cifar
    wrong = answers(create_net(name, weights="cifar10"), pictures, batch=250) != truth
    assert 100 * wrong.double().mean().item() == pytest.approx(error, abs=0.03)
