"""A pretrained net without its last layer, frozen, as a graph in an inference engine."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL
from numpy.typing import NDArray

from lexnet.config import EngineChoice, PreprocessSpec
from lexnet.data.loader import load_row, read_row
from lexnet.data.manifest import Manifest
from lexnet.data.store import SideBySide, Store, fill
from lexnet.errors import LexNetError, MissingExtra
from lexnet.files import cache_folder, write_atomic
from lexnet.preprocess import Pixels, load_each
from lexnet.runtime.bundle import Bundle
from lexnet.runtime.engines import Engine, Outputs, open_engine
from lexnet.runtime.graph import check_self_contained
from lexnet.runtime.stream import in_order
from lexnet.transfer.views import Look
from lexnet.weights.files import Bundled, Weights, find_weights

if TYPE_CHECKING:
    from lexnet.nets.net import Net

SHARD = 512  # pictures whose features are kept together: what a kill can lose

Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """What turns (size, size, 3) uint8 pixels into (width,) features, before any engine is chosen."""

    net: str
    weights: Weights
    spec: PreprocessSpec
    graph: bytes
    """ONNX: `pixels` → `features`, and with `every_stage` → `stages`."""
    cut: str | None = None
    """The last stage, where it is cut short."""
    pooled: bool = True
    """Whether features are averages over all positions; else (C, H, W), as they come out of the cut."""

    def torch_net(self) -> "Net":
        """The net in torch, without its last layer and not cut short."""
        return pretrained(self.weights, self.spec.channels, classes=0)

    @property
    def end(self) -> str | None:
        """The last stage of the net, where it was cut short now or before."""
        return self.cut or (self.weights.origin.cut if isinstance(self.weights.origin, Bundled) else None)


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The features of a manifest's pictures."""

    store: Store
    places: NDArray[np.int64]
    """(N,) where in the store the rows of `manifest` are."""
    manifest: Manifest
    """Without the pictures that turned out to be damaged; they are in its `skipped`."""
    engine: str
    computed: int
    from_cache: int

    @cached_property
    def features(self) -> Features:
        """(N, width), or (N, views, width), in memory."""
        return self.store.read(self.places)

    def read(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """(n, ...) of these rows, and where there are several views of one view each."""
        return self.store.read(self.places[rows], views)


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
    With `every_stage` its graph also says what comes out of each stage. Raises `UnknownStage`.
    """
    weights = find_weights(net) if isinstance(net, str) else net
    spec = weights.spec
    if size is not None and size != spec.size:
        spec = replace(spec, size=size, short_side=size + spec.short_side - spec.size)
    if channels not in (None, spec.channels):
        spec = replace(spec, channels=channels, mean=_for(channels, spec.mean), std=_for(channels, spec.std))
    graph = _graph(weights, spec, cut, pooled, every_stage, warn)
    return Trunk(net=weights.net, weights=weights, spec=spec, graph=graph, cut=cut, pooled=pooled)


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
        licence=", ".join(str(one["licence"]) for one in manifest.get("weights", [])) or "yours",
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


def extract(
    trunk: Trunk,
    manifest: Manifest,
    choice: EngineChoice,
    workers: int,
    *,
    look: Look | None = None,
    output: str = "features",
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Extraction:
    """Features of every picture, (N, width), from the cache where they are there.

    With a `look` they are those of each of its views: (N, views, width). `output` is another output of
    the trunk's graph to take instead.

    `warn` is told of damaged cache files, `progress(done, total)` of the pictures that are run.
    Raises `LexNetError` where the engine that was asked for cannot be had.
    """
    engine = _open_engine(trunk, choice, workers, warn)
    store = _store(trunk, engine, look, output, warn)

    def features(row: int) -> NDArray[Any]:
        if look is not None:
            views = look.show(*read_row(manifest, row, trunk.spec), manifest.digests[row])
            found = engine.run(views)[output]
        else:
            found = engine.run(load_row(manifest, row, trunk.spec)[None])[output][0]
        return found if trunk.pooled else found.astype(np.float16)

    shard = SHARD if trunk.pooled else SHARD // 4
    whole, computed = fill(
        store, manifest, lambda rows: in_order(rows, features, engine.callers), shard, progress
    )
    return _extraction(store, trunk, whole, engine, computed)


def extract_each(
    trunks: Sequence[Trunk],
    manifest: Manifest,
    choice: EngineChoice,
    workers: int,
    *,
    output: str = "features",
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> list[Extraction]:
    """What `extract` finds with each of several pooled trunks, every picture being decoded once for all."""
    engines = [_open_engine(trunk, choice, workers, warn) for trunk in trunks]
    stores = [
        _store(trunk, engine, None, output, warn) for trunk, engine in zip(trunks, engines, strict=True)
    ]
    lacking = [store.find(manifest.digests) < 0 for store in stores]
    blank = [np.zeros((1, t.spec.size, t.spec.size, t.spec.channels), np.uint8) for t in trunks]
    widths = [engine.run(x)[output].shape[1] for engine, x in zip(engines, blank, strict=True)]

    def features(row: int) -> Features:
        """Of those nets that lack them; zeros, which nobody keeps, for the others."""
        content, _, name = read_row(manifest, row, trunks[0].spec)
        wanted = [i for i, rows in enumerate(lacking) if rows[row]]
        found = [np.zeros(width, np.float32) for width in widths]
        for i, square in zip(wanted, load_each(content, [trunks[i].spec for i in wanted], name), strict=True):
            found[i] = engines[i].run(square[None])[output][0]
        return np.concatenate(found)

    whole, _ = fill(
        SideBySide(stores, widths),
        manifest,
        lambda rows: in_order(rows, features, min(engine.callers for engine in engines)),
        SHARD,
        progress,
    )
    kept = set(whole.digests)
    there = np.asarray([digest in kept for digest in manifest.digests])
    return [
        _extraction(store, trunk, whole, engine, int((rows & there).sum()))
        for store, trunk, engine, rows in zip(stores, trunks, engines, lacking, strict=True)
    ]


def _store(
    trunk: Trunk, engine: Engine, look: Look | None, output: str, warn: Callable[[str], None]
) -> Store:
    recipe = {
        "preprocess": asdict(trunk.spec),
        "view": "plain" if look is None else look.key,
        "net": trunk.net,
        "weights": trunk.weights.sha256,
        "graph": hashlib.sha256(trunk.graph).hexdigest(),
        "cut": trunk.cut,
        "output": f"{output} {'float32' if trunk.pooled else 'float16'}",
        "engine": engine.name,
        "precision": "f32",
        "pillow": PIL.__version__,
    }
    return Store("features" if trunk.pooled else "activations", recipe, warn)


def _extraction(store: Store, trunk: Trunk, whole: Manifest, engine: Engine, computed: int) -> Extraction:
    found = Extraction(
        store=store,
        places=store.find(whole.digests),
        manifest=whole,
        engine=engine.name,
        computed=computed,
        from_cache=len(whole) - computed,
    )
    if trunk.pooled:
        found.features  # noqa: B018  read while the digests that were just checked still hold
    return found


def _open_engine(trunk: Trunk, choice: EngineChoice, workers: int, warn: Callable[[str], None]) -> Engine:
    """The engine that was asked for; on auto the first that works, eager torch as the last resort."""
    if choice == "torch":
        return TorchEngine(trunk, workers)
    try:
        return open_engine(choice, trunk.graph, workers)
    except LexNetError as error:
        if choice != "auto":
            raise
        warn(f"no inference engine runs the net here ({error}); eager torch does, more slowly")
        return TorchEngine(trunk, workers)


class TorchEngine:
    """The trunk in eager torch: for where no inference engine runs, and to compare with."""

    def __init__(self, trunk: Trunk, workers: int) -> None:
        import torch

        from lexnet.nets.adapt import EveryStage

        self._net = EveryStage(_net(trunk.weights, trunk.spec.channels, trunk.cut, trunk.pooled)).eval()
        self._mean, self._std = torch.tensor(trunk.spec.mean), torch.tensor(trunk.spec.std)
        self.name = f"torch {torch.__version__}"
        self.callers = workers

    def run(self, pixels: Pixels) -> Outputs:
        """All outputs for (N, H, W, C) uint8 pixels."""
        import torch

        with torch.inference_mode():
            x = (torch.from_numpy(pixels.copy()).float() - self._mean) / self._std
            features, stages = self._net(x.permute(0, 3, 1, 2).contiguous())
            return {"features": features.numpy(), "stages": stages.numpy()}


def _graph(
    weights: Weights,
    spec: PreprocessSpec,
    cut: str | None,
    pooled: bool,
    every_stage: bool,
    warn: Callable[[str], None],
) -> bytes:
    """The trunk's ONNX graph: from the cache, else built with torch and kept there."""
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
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == file.stem:
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
    files = [*sorted(package.glob("nets/*.py")), package / "export/onnx.py", package / "weights/layouts.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
