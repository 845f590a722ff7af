"""A net by name, with random weights, pretrained, or out of a bundle."""

import os

import torch

from lexnet.errors import BundleError, ConfigError, WeightsError
from lexnet.nets import find, resolve
from lexnet.nets.adapt import truncated, with_channels, with_classes
from lexnet.nets.net import Net
from lexnet.nets.taps import Tapped
from lexnet.runtime.bundle import read_bundle
from lexnet.weights.files import find_weights
from lexnet.weights.layouts import LAYOUTS
from lexnet.weights.rename import COUNTER, load_strictly, rename
from lexnet.weights.store import read_state

SIDES = "sides."


def create_net(
    name: str, *, weights: str | None = None, classes: int | None = None, channels: int | None = None
) -> Net:
    """An `nn.Module`, in train mode, from (N, channels, H, W) normalised pixels to (N, classes) logits.

    `weights="imagenet"` (or the tag of another set, see `lexnet weights ls`) loads published weights; the
    size, mean and std of their pictures are in `lexnet.weights.files.find_weights(name, weights).spec`.
    The last layer is theirs too if `classes` is left out, new and linear for any number, and gone for
    `classes=0`, which gives (N, width) features. `channels` is 1 for grey or 3 for coloured pictures,
    and the net's own if left out; a pretrained first layer is adapted by the sum rule (see
    `with_channels`). Nothing is downloaded. Raises `UnknownNet`, `WeightsError`, `ConfigError`.
    """
    return _create(name, weights, classes, channels)[0]


def create_tapped(
    name: str, *, weights: str | None = None, classes: int | None = None, channels: int | None = None
) -> Tapped:
    """The same with its side classifiers, for training; raises `ConfigError` for a net that has none."""
    entry = find(name)
    if entry.sides is None:
        raise ConfigError(f"{resolve(name)} has no side classifiers; googlenet and googlenet_2014 have")
    if classes == 0:
        raise ConfigError("classes=0 leaves nothing for side classifiers to say; give 1 or more")
    net, state = _create(name, weights, classes, channels)
    sides = entry.sides(classes=entry.classes if classes is None else classes)
    tapped = Tapped(net, sides)
    if state and classes is None:
        load_strictly(tapped.sides, {key.removeprefix(SIDES): value for key, value in state.items()})
    return tapped


def _create(
    name: str, weights: str | None, classes: int | None, channels: int | None
) -> tuple[Net, dict[str, torch.Tensor]]:
    """The net, and those of its published weights that belong to side classifiers."""
    entry = find(name)
    if classes is not None and classes < 0:
        raise ConfigError(f"classes={classes} must be 0 (features) or more")
    if channels not in (None, 1, 3):
        raise ConfigError(f"channels={channels} must be 1 (grey) or 3 (colour)")
    sides: dict[str, torch.Tensor] = {}
    if weights is None:
        net = entry.build(classes=entry.classes if classes is None else classes)
    else:
        published = find_weights(resolve(name), weights)
        state = rename(read_state(published), LAYOUTS[published.layout, published.net]())
        sides = {key: state.pop(key) for key in list(state) if key.startswith(SIDES)}
        with torch.device("meta"):  # its random weights would be thrown away
            net = entry.build(classes=published.classes)
        load_strictly(net, state)
        if classes is not None:
            net = with_classes(net, classes)
    if channels not in (None, entry.channels):
        net = with_channels(net, channels)
    return net, sides


def net_from_bundle(path: str | os.PathLike[str]) -> Net:
    """The bundle's net as an `nn.Module`, in eval mode, with the very weights of its graph.

    How pictures are prepared for it is in `lexnet.load(path).spec`. Raises `BundleError`, `UnknownNet`.
    """
    import onnx
    from onnx import numpy_helper

    bundle = read_bundle(path)
    graph = onnx.load_model_from_string(bundle.model).graph
    values = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
    name = str(bundle.manifest.get("net"))
    entry = find(name)
    with torch.device("meta"):
        net = with_classes(entry.build(classes=entry.classes), len(bundle.classes))
        if cut := bundle.manifest.get("cut"):
            net = truncated(net, str(cut), len(bundle.classes))
    if bundle.spec.channels != entry.channels:
        net = with_channels(net, bundle.spec.channels)
    fitting = {key: values[key] for key in net.state_dict() if key in values}
    missing = [key for key in net.state_dict() if key not in fitting and not key.endswith(COUNTER)]
    if missing:
        raise BundleError(f"{path} lacks the weights {missing[:3]} of {name}")
    try:
        load_strictly(net, fitting)
    except WeightsError as error:
        raise BundleError(f"{path} does not hold the weights of {name} ({error})") from error
    return net.eval()
