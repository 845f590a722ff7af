"""The graph that is written says what the net in torch says, layer by layer and number by number."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from made_nets import lively, narrow, noise, pictures, shift, small
from onnx import numpy_helper
from tiny import tiny_graph, tiny_net
from torch import nn

from lexnet.config import PreprocessSpec
from lexnet.cost import cost, params
from lexnet.data.samples import sample_folder
from lexnet.export.graph import append_head
from lexnet.export.onnx import trunk_graph
from lexnet.export.places import places_of
from lexnet.nets import NETS
from lexnet.nets.lenet import Distance, Maps, Squash, SubSampling
from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv
from lexnet.nets.resnet import ZeroPad
from lexnet.preprocess import Pixels, load
from lexnet.runtime.graph import check_operators
from lexnet.runtime.sizes import check_sizes
from lexnet.weights.create import create_net

MEAN, STD = (120.0, 116.0, 104.0), (58.0, 57.0, 57.5)


PUBLISHED = "efficientnet_lite0-imagenet"
SERVED = (PUBLISHED, "resnet18", "lenet5", "googlenet_2014")
"""Those that see photos too."""
CONSTANTS: dict[type, tuple[str, ...]] = {
    nn.ReLU6: ("min", "max"),
    ZeroPad: ("starts", "ends", "axes", "steps", "zeros"),
    Squash: ("slope", "height"),
    SubSampling: ("four",),
    Maps: ("maps",),
    Distance: ("axis",),
}
"""Numbers that a layer's translation needs and torch has in its code."""


class Exported(NamedTuple):
    net: Net
    graph: bytes
    size: int
    channels: int


@pytest.fixture(scope="module", params=[PUBLISHED, *NETS])
def exported(request: pytest.FixtureRequest) -> Exported:
    """Every net of the lexicon, seeded and with batch norms far from the identity, and a published one.

    Those that see no photos take small pictures.
    """
    name = request.param.partition("-")[0]
    entry = NETS[name]
    size = entry.size
    if request.param == PUBLISHED:
        net = create_net(name, weights="imagenet")
    elif name in SERVED:
        net = lively(narrow(name), noise(4, entry.channels, min(64, size)), shift(name))
    else:
        x = pictures(name, 4)
        net, size = lively(small(name), x, shift(name)), x.shape[-1]
    graph = trunk_graph(net, size, MEAN[: entry.channels], STD[: entry.channels])
    return Exported(net, graph, size, entry.channels)


def square(path: Path, exported: Exported) -> Pixels:
    mean, std = MEAN[: exported.channels], STD[: exported.channels]
    size, channels = exported.size, exported.channels
    return load(path, PreprocessSpec(size=size, short_side=size, channels=channels, mean=mean, std=std))


def squares(exported: Exported, n: int) -> Pixels:
    """(n, size, size, C)"""
    folders = sorted(sample_folder("clipart").iterdir())[:n]
    return np.stack([square(sorted(folder.iterdir())[2], exported) for folder in folders])


def session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def in_torch(net: Net, pixels: Pixels) -> np.ndarray:
    mean, std = (torch.tensor(values[: pixels.shape[-1]]) for values in (MEAN, STD))
    planes = (torch.from_numpy(pixels).float() - mean) / std
    with torch.inference_mode():
        return net.eval()(planes.permute(0, 3, 1, 2)).numpy()


def assert_equal_but_for_rounding(got: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-5 of the largest logit; another eps or padding shows up in the third digit."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_logits_are_those_of_torch_in_any_batch(exported: Exported) -> None:
    pixels, runtime = squares(exported, 3), session(exported.graph)
    expected = in_torch(exported.net, pixels)
    assert np.ptp(expected, axis=0).max() > 1e-4 * np.abs(expected).max()  # pictures differ beyond rounding
    for n in (1, 3):
        (got,) = runtime.run(None, {"pixels": pixels[:n]})
        assert_equal_but_for_rounding(got, expected[:n])
    check_operators(exported.graph)
    shapes = check_sizes(exported.graph)
    inferred = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(exported.graph)).graph
    assert len(inferred.value_info) > 5
    for value in inferred.value_info:
        found = tuple(axis.dim_value or 1 for axis in value.type.tensor_type.shape.dim)
        assert shapes[value.name.encode()] == found, value.name


@pytest.mark.parametrize("name", ["resnet110", "nin_cifar"])
def test_the_largest_that_is_trained_is_not_refused(name: str) -> None:
    """The one makes the most numbers in all, the other the most in one value."""
    net = create_net(name, classes=0)
    graph = trunk_graph(net, 512, (122.0,) * 3, (62.0,) * 3)
    check_operators(graph)
    assert check_sizes(graph)


@pytest.mark.pictures
@pytest.mark.parametrize("exported", SERVED, indirect=True)
def test_logits_are_those_of_torch_on_photos(exported: Exported, test_data: Path) -> None:
    photos = sorted((test_data / "clothing" / "test" / "hat").iterdir())[:3]
    pixels = np.stack([square(photo, exported) for photo in photos])
    (got,) = session(exported.graph).run(None, {"pixels": pixels})
    assert_equal_but_for_rounding(got, in_torch(exported.net, pixels))


def test_every_weight_keeps_its_name_and_its_bits(exported: Exported) -> None:
    graph = onnx.load_model_from_string(exported.graph).graph
    written = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    state = exported.net.state_dict()
    state = {k: v.numpy() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    for name, value in state.items():
        assert np.array_equal(written[name], value), name
    constants = {
        f"{name}.{part}" for name, m in exported.net.named_modules() for part in CONSTANTS.get(type(m), ())
    }
    assert set(written) - set(state) == {"mean", "std"} | constants
    channels = exported.channels
    assert written["mean"].tolist() == list(MEAN[:channels])
    assert written["std"].tolist() == list(STD[:channels])


def test_what_it_costs_is_written_down(exported: Exported) -> None:
    whole, counted = places_of(exported.graph)[-1], cost(exported.net, exported.size, exported.channels)
    assert (whole.params, whole.macs, whole.stage) == (params(exported.net), counted.macs, None)


def test_batch_norms_stay_apart_and_nothing_trains(exported: Exported) -> None:
    net = exported.net
    nodes = onnx.load_model_from_string(exported.graph).graph.node
    norms = [node for node in nodes if node.op_type == "BatchNormalization"]
    assert len(norms) == sum(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    eps = {layer.eps for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)}
    for norm in norms:
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in norm.attribute}
        assert settings.get("training_mode", 0) == 0 and len(norm.output) == 1
        assert settings["epsilon"] == pytest.approx(*eps)
    assert not {node.op_type for node in nodes} & {"Dropout", "RandomNormal", "RandomUniform"}
    assert {node.domain for node in nodes} == {""}


def test_one_picture_at_a_time_is_no_condition(exported: Exported) -> None:
    graph = onnx.load_model_from_string(exported.graph).graph
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "N"
    assert [value.name for value in graph.input] == ["pixels"]


def test_a_net_in_training_is_exported_as_it_will_serve() -> None:
    """Dropout on and batch statistics in use would show at once."""
    torch.manual_seed(0)
    net = Net(conv(3, 8, 3, 2), [conv(8, 8, 3)], classifier(8, 5, dropout=0.9)).train()
    graph = trunk_graph(net, 16, MEAN, STD)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    (got,) = session(graph).run(None, {"pixels": pixels})
    np.testing.assert_allclose(got, in_torch(net, pixels), atol=1e-5)
    assert not any(layer.training for layer in net.modules())


def test_the_same_net_gives_the_same_bytes() -> None:
    assert trunk_graph(tiny_net(), 16, MEAN, STD) == trunk_graph(tiny_net(), 16, MEAN, STD)
    assert tiny_graph() == tiny_graph()


def test_a_layer_without_a_translation_is_named() -> None:
    net = Net(conv(3, 4, 3), [nn.PReLU(4)], classifier(4, 0))
    with pytest.raises(NotImplementedError, match=r"no ONNX translation for PReLU \(stages\.stage1\)"):
        trunk_graph(net, 16, MEAN, STD)


def test_the_head_is_linear_and_its_probabilities_are_calibrated() -> None:
    draw = np.random.default_rng(1)
    trunk = trunk_graph(tiny_net(), 16, MEAN, STD)
    weight, bias = draw.normal(size=(5, 8)).astype(np.float32), draw.normal(size=5).astype(np.float32)
    headed = append_head(trunk, weight, bias, 2.5)
    pixels = draw.integers(0, 256, (7, 16, 16, 3), np.uint8)
    probabilities, logits, features = session(headed.graph).run(
        ["probabilities", "logits", "features"], {"pixels": pixels}
    )
    (bare,) = session(trunk).run(None, {"pixels": pixels})
    assert np.array_equal(features, bare)
    np.testing.assert_allclose(logits, features @ weight.T + bias, atol=1e-5)
    scaled = np.exp(logits / 2.5)
    np.testing.assert_allclose(probabilities, scaled / scaled.sum(axis=1, keepdims=True), atol=1e-6)
    convolutions, norms = 3 * 4 * 9 + 4 * 8 * 9, 2 * (4 + 8)
    assert headed.params == convolutions + norms + 8 * 5 + 5
    assert headed.macs == 3 * 4 * 9 * 8 * 8 + 4 * 8 * 9 * 4 * 4 + 8 * 5
