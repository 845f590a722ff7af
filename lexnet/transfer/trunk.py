"""A pretrained net without its last layer, frozen, as a graph in an inference engine."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexnet.config import PreprocessSpec
from lexnet.errors import MissingExtra
from lexnet.files import cache_folder, write_atomic
from lexnet.runtime.bundle import Bundle
from lexnet.runtime.graph import check_self_contained, read_ports
from lexnet.weights.files import Bundled, Weights, find_weights

if TYPE_CHECKING:
    from lexnet.export.places import Place
    from lexnet.nets.net import Net


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """What turns (size, size, channels) uint8 pixels into (width,) features, before any engine is chosen."""

    weights: Weights
    spec: PreprocessSpec
    graph: bytes
    """ONNX: `pixels` → `features`, and with `every_stage` → `stages`."""
    cut: str | None = None
    """The last stage, where it is cut short."""
    pooled: bool = True
    """Whether features are averages over all positions; else (C, H, W), as they come out of the cut."""
    every_stage: bool = False
    """Whether what comes out of each stage is averaged and kept too."""

    def places(self) -> "list[Place]":
        """Where it may end; the last is the whole of it."""
        from lexnet.export.places import places_of  # loads onnx

        return places_of(self.graph)

    def frozen_net(self) -> "Net":
        """The very net of the graph, in torch."""
        return _net(self.weights, self.spec.channels, self.cut, self.pooled)

    @property
    def width(self) -> int:
        """Of its features, where they are pooled."""
        return read_ports(self.graph)[1]["features"][1][1]

    @property
    def end(self) -> str | None:
        """The last stage of the net, or block of it, where it was cut short now or before."""
        before = self.weights.origin.cut if isinstance(self.weights.origin, Bundled) else None
        inside = before is not None and before.startswith(f"{self.cut}.")
        return before if self.cut is None or inside else self.cut


def open_trunk(
    net: str | Weights,
    size: int | None,
    warn: Callable[[str], None],
    *,
    channels: int | None = None,
    cut: str | None = None,
    pooled: bool = True,
    every_stage: bool = False,
) -> Trunk:
    """A pretrained net's trunk at a picture size, whole or up to a stage; its graph is built once and cached.

    Without `pooled` its features are what comes out of the cut, (C, H, W), and are kept as float16.
    With `every_stage` its graph also says what comes out of each stage, if it has any (a net that was cut
    after its stem has none). Raises `UnknownStage`.
    """
    weights = find_weights(net) if isinstance(net, str) else net
    spec = weights.spec
    if size is not None and size != spec.size:
        spec = replace(spec, size=size, short_side=size + spec.short_side - spec.size)
    if channels not in (None, spec.channels):
        spec = replace(spec, channels=channels, mean=_for(channels, spec.mean), std=_for(channels, spec.std))
    graph = _graph(weights, spec, cut, pooled, every_stage, warn)
    staged = "stages" in read_ports(graph)[1]
    return Trunk(weights=weights, spec=spec, graph=graph, cut=cut, pooled=pooled, every_stage=staged)


def _for(channels: int | None, levels: tuple[float, ...]) -> tuple[float, ...]:
    """Grey pictures are normalised by the colours' mean, coloured ones as the grey ones were."""
    return (sum(levels) / len(levels),) * (channels or len(levels))


def weights_of(bundle: Bundle) -> Weights:
    """What a bundle was trained to know, to go on from."""
    manifest = bundle.manifest
    return Weights(
        net=str(manifest["net"]),
        tag="bundle",
        layout="bundle",
        origin=Bundled(bundle.path, manifest.get("cut")),
        sha256=hashlib.sha256(bundle.model).hexdigest(),
        licence=", ".join(dict.fromkeys(one["licence"] for one in manifest.get("weights", []))) or "yours",
        bytes=len(bundle.model),
        classes=len(bundle.classes),
        top1=float(manifest.get("measured", {}).get("accuracy", 0)),
        spec=replace(bundle.spec, tta="none"),
    )


def pretrained(weights: Weights, channels: int, classes: int | None = None) -> "Net":
    """The net with these weights; its own last layer, a new one, or with `classes=0` none."""
    from lexnet.nets.adapt import with_channels, with_classes
    from lexnet.weights.create import create_net, net_from_bundle

    if not isinstance(weights.origin, Bundled):
        return create_net(weights.net, weights=weights.tag, classes=classes, channels=channels)
    net = net_from_bundle(weights.origin.path)
    if classes is not None:
        net = with_classes(net, classes)
    return net if channels == weights.spec.channels else with_channels(net, channels)


def _graph(
    weights: Weights,
    spec: PreprocessSpec,
    cut: str | None,
    pooled: bool,
    every_stage: bool,
    warn: Callable[[str], None],
) -> bytes:
    """The trunk's ONNX graph: from the cache, else built with torch and kept there.

    One that ends after a stage, or with the whole net, is a part of that of every stage.
    """
    if pooled and not every_stage:
        from lexnet.export.places import ended, places_of

        graph = _graph(weights, spec, None, True, True, warn)
        if cut in [place.stage for place in places_of(graph)]:
            return ended(graph, cut)
    key: dict[str, Any] = {
        "weights": weights.sha256,
        "preprocess": asdict(spec),
        "cut": cut,
        "pooled": pooled,
        "every_stage": every_stage,
        "code": _graph_code(),
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder("trunks", name)
    for file in sorted(folder.glob("*.onnx")):
        # a pipe would keep us waiting
        if file.is_file() and hashlib.sha256(content := file.read_bytes()).hexdigest() == file.stem:
            check_self_contained(content)
            return content
        file.replace(file.with_suffix(".damaged"))
        warn(f"the cached graph {file} was damaged; it is built again")
    try:
        from lexnet.export.onnx import trunk_graph
    except ImportError as error:
        raise MissingExtra(str(error.name)) from error
    content = trunk_graph(
        _net(weights, spec.channels, cut, pooled), spec.size, spec.mean, spec.std, every_stage
    )
    write_atomic(folder / f"{hashlib.sha256(content).hexdigest()}.onnx", content)
    return content


def _net(weights: Weights, channels: int, cut: str | None, pooled: bool) -> "Net":
    """The net without classes, whole or up to a stage."""
    from lexnet.nets.adapt import truncated, unpooled

    net = pretrained(weights, channels, classes=0)
    if cut is None:
        return net
    return truncated(net, cut, classes=0) if pooled else unpooled(net, cut)


def _graph_code() -> str:
    """Digest of the code that decides what a graph looks like, so that no older graph is taken for it."""
    package = Path(__file__).parent.parent
    own = ("cost.py", "export/graph.py", "export/onnx.py", "export/places.py", "weights/layouts.py")
    files = [*sorted(package.glob("nets/*.py")), *(package / name for name in own)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
