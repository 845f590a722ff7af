import re
from dataclasses import replace

import pytest
import torch

from lexnet.errors import WeightsError
from lexnet.nets import NETS
from lexnet.weights.files import WEIGHTS, Https, Hub, Package, Weights, find_weights
from lexnet.weights.layouts import LAYOUTS


def name_of(weights: Weights) -> str:
    return f"{weights.net}-{weights.tag}"


@pytest.mark.parametrize("weights", WEIGHTS, ids=name_of)
def test_an_entry_fits_its_net(weights: Weights) -> None:
    entry = NETS[weights.net]
    assert (weights.layout, weights.net) in LAYOUTS
    assert (weights.spec.size, weights.spec.channels) == (entry.size, entry.channels)
    assert weights.classes == entry.classes
    assert weights.spec.short_side in (entry.size, entry.size + 32)


@pytest.mark.parametrize("weights", WEIGHTS, ids=name_of)
def test_an_entry_is_complete(weights: Weights) -> None:
    assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
    assert 0 < weights.top1 < 1
    assert weights.licence in ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause")
    assert weights.tag and weights.source.startswith("https://")
    named = weights.origin.file if isinstance(weights.origin, Package) else weights.source
    short = re.search(r"-([0-9a-f]{8})\.(pth|th)$", named)  # the publisher's own check, in the name
    assert short is None or weights.sha256.startswith(short[1])


@pytest.mark.parametrize("weights", WEIGHTS, ids=name_of)
def test_the_bytes_are_those_of_the_nets_numbers(weights: Weights) -> None:
    """And of their names, which are 1.4 % of the smallest file; a wrong entry is off by far more."""
    entry = NETS[weights.net]
    with torch.device("meta"):
        parts = [entry.build(), *(entry.sides().values() if entry.sides else [])]
    numbers = sum(t.numel() * t.element_size() for part in parts for t in part.state_dict().values())
    assert 0.999 * numbers <= weights.bytes <= 1.015 * numbers


def test_no_set_is_listed_twice() -> None:
    assert len({(w.net, w.tag) for w in WEIGHTS}) == len({w.sha256 for w in WEIGHTS}) == len(WEIGHTS)


def test_what_is_found() -> None:
    assert find_weights("resnet18") is find_weights("resnet18", "imagenet")
    assert find_weights("resnet20").tag == "cifar10"
    with pytest.raises(WeightsError, match=r"^no 'imagenet' weights are known for resnet20; `lexnet weights"):
        find_weights("resnet20", "imagenet")
    with pytest.raises(WeightsError, match=r"^no pretrained weights are known for lenet5; .* ls` lists what"):
        find_weights("lenet5")


def test_the_source_is_where_a_reader_finds_it() -> None:
    weights = find_weights("resnet18")
    assert weights.source == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert replace(weights, origin=Hub("timm/some")).source == "https://huggingface.co/timm/some"
    assert (
        replace(weights, origin=Package("some-model", "a.pth")).source
        == "https://pypi.org/project/some-model"
    )
    assert replace(weights, origin=Https("https://a.example/b")).source == "https://a.example/b"
