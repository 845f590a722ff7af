"""A net by name, empty, pretrained, or out of a bundle."""

import os
from io import BytesIO

import torch
from torch import nn

from lexnet.errors import BundleError, ConfigError
from lexnet.nets import find
from lexnet.nets.net import Net
from lexnet.runtime.bundle import read_bundle
from lexnet.weights.files import find_weights
from lexnet.weights.rename import efficientnet_pytorch, load_strictly

RULES = {("efficientnet_lite0", "imagenet"): efficientnet_pytorch}


def create_net(name: str, *, weights: str | None = None, classes: int | None = None) -> Net:
    """An `nn.Module` from (N, 3, H, W) normalised pixels to (N, classes) logits.

    `weights="imagenet"` loads the published weights; the last layer is theirs too if `classes` is
    left out, new for any other number, and gone for `classes=0`, which gives (N, width) features.
    Raises `UnknownNet`, `WeightsError`.
    """
    entry = find(name)
    if classes is not None and classes < 0:
        raise ConfigError(f"classes={classes} must be 0 (pooled features) or more")
    if weights is None:
        return entry.build(classes=1000 if classes is None else classes)
    published = find_weights(name, weights)
    net = entry.build(classes=published.classes)
    state = torch.load(BytesIO(published.read()), map_location="cpu", weights_only=True)
    load_strictly(net, state, RULES[name, weights]())
    if classes == 0:
        del net.head.fc
    elif classes is not None:
        net.head.fc = nn.Linear(net.head.fc.in_features, classes)  # type: ignore[arg-type, union-attr]
    return net


def net_from_bundle(path: str | os.PathLike[str]) -> Net:
    """The bundle's net as an `nn.Module`, with the very weights of its graph.

    Raises `BundleError`, `UnknownNet`.
    """
    import onnx
    from onnx import numpy_helper

    bundle = read_bundle(path)
    graph = onnx.load_model_from_string(bundle.model).graph
    values = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
    name = str(bundle.manifest.get("net"))
    net = find(name).build(classes=len(bundle.classes))
    state = net.state_dict()
    fitting = {key: w for key, w in values.items() if key in state and w.shape == state[key].shape}
    missing = [key for key in state if key not in fitting and not key.endswith("num_batches_tracked")]
    if missing:
        raise BundleError(f"{path} lacks the weights {missing[:3]} of {name}")
    net.load_state_dict(state | fitting)
    return net.eval()
