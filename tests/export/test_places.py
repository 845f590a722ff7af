"""A graph of every stage, ended after one of them: the net that is cut there, to the bit."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lexnet.cost import cost
from lexnet.export.onnx import trunk_graph
from lexnet.export.places import ended, places, places_of
from lexnet.nets.adapt import truncated
from lexnet.weights.create import create_net

LEVELS = (127.5,) * 3


def run(graph: bytes, pixels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {"pixels": pixels})
    return np.asarray(features)


def weights(graph: bytes) -> dict[str, bytes]:
    return {one.name: one.raw_data for one in onnx.load_model_from_string(graph).graph.initializer}


@pytest.mark.parametrize("name", ["efficientnet_lite0", "googlenet", "nin_cifar", "mobilenet_v2", "resnet18"])
def test_a_graph_ended_after_a_stage_is_the_net_cut_there(name: str) -> None:
    torch.manual_seed(0)
    net = create_net(name, classes=0, weights=None).eval()
    staged = trunk_graph(net, 64, LEVELS, LEVELS, every_stage=True)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    *stages, last = [stage for stage, _ in net.stages.named_children()]
    assert [place.stage for place in places_of(staged)] == [*stages, None]
    to_the_last = trunk_graph(truncated(net, last, classes=0), 64, LEVELS, LEVELS)
    assert np.array_equal(run(ended(staged, None), pixels), run(to_the_last, pixels)), (
        "the head only averages"
    )
    for stage in (*stages, None):
        short = net if stage is None else truncated(net, stage, classes=0)
        own, part = trunk_graph(short, 64, LEVELS, LEVELS), ended(staged, stage)
        onnx.checker.check_model(part, full_check=True)
        assert weights(part) == weights(own) and len(part) < len(staged)
        assert np.array_equal(run(part, pixels), run(own, pixels))
        assert places_of(part)[-1] == places_of(own)[-1] == places(cost(short, 64))[-1]
        assert [place.stage for place in places_of(part)] == [
            *(one for one in stages if stage is None or one < stage),
            None,
        ]
        assert ended(part, None) == part
