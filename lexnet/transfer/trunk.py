"""A pretrained net without its last layer, frozen, as a graph in an inference engine."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import EngineChoice, PreprocessSpec
from lexnet.data.manifest import Manifest, Skipped
from lexnet.errors import MissingExtra, PictureError
from lexnet.files import cache_folder, write_atomic
from lexnet.preprocess import Pixels, load_bytes, read
from lexnet.runtime.engines import Engine, Outputs, open_engine
from lexnet.runtime.stream import stream
from lexnet.transfer.cache import FeatureCache
from lexnet.weights.files import Weights, find_weights

GRAPH_VERSION = 1  # raise it when `export.onnx` writes another graph for the same net
SHARD = 512  # pictures whose features are kept together: what a kill can lose

Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """What turns (size, size, 3) uint8 pixels into (width,) features, before any engine is chosen."""

    net: str
    weights: Weights
    spec: PreprocessSpec
    graph: bytes
    """ONNX: `pixels` → `features`."""


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The features of a manifest's pictures."""

    features: Features
    """(N, width), for the rows of `manifest`."""
    manifest: Manifest
    """Without the pictures that turned out to be damaged; they are in its `skipped`."""
    engine: str
    computed: int
    from_cache: int


def open_trunk(net: str, size: int | None, warn: Callable[[str], None]) -> Trunk:
    """The net's trunk at a picture size; its graph is built once and kept in the cache."""
    weights = find_weights(net)
    spec = weights.spec
    if size is not None and size != spec.size:
        spec = replace(spec, size=size, short_side=size + spec.short_side - spec.size)
    return Trunk(net=net, weights=weights, spec=spec, graph=_graph(weights, spec, warn))


def extract(
    trunk: Trunk,
    manifest: Manifest,
    choice: EngineChoice,
    workers: int,
    *,
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Extraction:
    """Features of every picture, from the cache where they are there. `progress(done, total)`."""
    engine: Engine = TorchEngine(trunk) if choice == "torch" else open_engine(choice, trunk.graph, workers)
    recipe = {
        "preprocess": asdict(trunk.spec),
        "view": "plain",
        "net": trunk.net,
        "weights": trunk.weights.sha256,
        "graph": hashlib.sha256(trunk.graph).hexdigest(),
        "cut": None,
        "output": "features float32",
        "engine": engine.name,
        "precision": "f32",
    }
    cache = FeatureCache(recipe, warn)
    wanted = {d: i for i, d in reversed(list(enumerate(manifest.digests))) if d not in cache}
    missing = sorted(wanted.values())
    bad = _compute(cache, trunk.spec, engine, manifest, missing, workers, progress)
    keep = np.asarray([i for i, d in enumerate(manifest.digests) if d in cache], np.int64)
    whole = manifest.take(keep, bad) if bad else manifest
    return Extraction(
        features=cache.read(whole.digests),
        manifest=whole,
        engine=engine.name,
        computed=len(missing) - len(bad),
        from_cache=len(whole) - len(missing) + len(bad),
    )


def _compute(
    cache: FeatureCache,
    spec: PreprocessSpec,
    engine: Engine,
    manifest: Manifest,
    missing: list[int],
    workers: int,
    progress: Callable[[int, int], None],
) -> list[Skipped]:
    """Runs the missing pictures and caches what comes out; returns those that could not be used."""
    bad: list[Skipped] = []
    rows: list[tuple[str, Features]] = []

    def pixels(i: int) -> Pixels:
        path = manifest.file(i)
        content = read(path)
        if hashlib.sha256(content).hexdigest() != manifest.digests[i]:
            raise PictureError(str(path), "has changed since it was listed; run again")
        return load_bytes(content, spec, str(path))

    def keep() -> None:
        if rows:
            cache.add([digest for digest, _ in rows], np.stack([row for _, row in rows]))
            rows.clear()

    try:
        for done, (i, result) in enumerate(stream(missing, pixels, engine, workers), start=1):
            if isinstance(result, PictureError):
                bad.append(Skipped(manifest.paths[i], result.reason, bad=True))
            else:
                rows.append((manifest.digests[i], result["features"][0]))
            if len(rows) == SHARD:
                keep()
            progress(done, len(missing))
    finally:
        keep()  # also when interrupted: what was computed is not computed again
    return bad


class TorchEngine:
    """The trunk in eager torch: for where no inference engine runs, and to compare with."""

    def __init__(self, trunk: Trunk) -> None:
        import torch

        from lexnet.weights.create import create_net

        self._net = create_net(trunk.net, weights=trunk.weights.tag, classes=0).eval()
        self._mean, self._std = torch.tensor(trunk.spec.mean), torch.tensor(trunk.spec.std)
        self.name = f"torch {torch.__version__}"

    def run(self, pixels: Pixels) -> Outputs:
        """All outputs for (N, H, W, C) uint8 pixels."""
        import torch

        with torch.inference_mode():
            x = (torch.from_numpy(pixels.copy()).float() - self._mean) / self._std
            return {"features": self._net(x.permute(0, 3, 1, 2).contiguous()).numpy()}


def _graph(weights: Weights, spec: PreprocessSpec, warn: Callable[[str], None]) -> bytes:
    """The trunk's ONNX graph: from the cache, else built with torch and kept there."""
    key: dict[str, Any] = {"weights": weights.sha256, "preprocess": asdict(spec), "version": GRAPH_VERSION}
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder("trunks", name)
    for file in sorted(folder.glob("*.onnx")):
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == file.stem:
            return content
        file.replace(file.with_suffix(".damaged"))
        warn(f"the cached graph {file} was damaged; it is built again")
    weights.read()  # says what to install before torch takes its seconds to load
    try:
        from lexnet.export.onnx import trunk_graph
        from lexnet.weights.create import create_net
    except ImportError as error:
        raise MissingExtra(str(error.name)) from error
    net = create_net(weights.net, weights=weights.tag, classes=0)
    content = trunk_graph(net, spec.size, spec.mean, spec.std)
    write_atomic(folder / f"{hashlib.sha256(content).hexdigest()}.onnx", content)
    return content
