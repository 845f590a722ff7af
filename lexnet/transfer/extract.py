"""Pictures through a frozen net, or through several, each picture once: what comes out is kept on disk."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from lexnet.config import EngineChoice
from lexnet.data.loader import load_row, read_row
from lexnet.data.manifest import Manifest
from lexnet.data.store import SideBySide, Store, fill
from lexnet.errors import LexNetError, TrainingError
from lexnet.preprocess import Pixels, load_each
from lexnet.runtime.engines import Engine, Outputs, expected_name, open_engine
from lexnet.runtime.stream import in_order
from lexnet.transfer.trunk import Trunk
from lexnet.transfer.views import Look

SHARD = 512  # pictures whose features are kept together: what a kill can lose

Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The features of a manifest's pictures."""

    store: Store
    places: NDArray[np.int64]
    """(N,) where in the store the rows of `manifest` are."""
    manifest: Manifest
    """Without the pictures that turned out to be damaged; they are in its `skipped`."""
    width: int | None
    """Of the features; none for activations, which are (C, H, W)."""
    engine: str
    computed: int
    from_cache: int

    @cached_property
    def stages(self) -> Features:
        """(N, sum of widths) of each stage and then of the whole, side by side, from a trunk that keeps
        every stage; else as `features`."""
        return self.store.read(self.places)

    @property
    def features(self) -> Features:
        """(N, width), or (N, views, width), in memory: a view of `stages`."""
        return self.stages if self.width is None else self.stages[..., -self.width :]

    def read(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """(n, ...) of these rows, and where there are several views of one view each."""
        return self.store.read(self.places[rows], views)


def extract(
    trunk: Trunk,
    manifest: Manifest,
    choice: EngineChoice,
    workers: int,
    *,
    look: Look | None = None,
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Extraction:
    """Features of every picture, (N, width), from the cache where they are there.

    With a `look` they are those of each of its views: (N, views, width).

    `warn` is told of damaged cache files, `progress(done, total)` of the pictures that are run.
    Raises `LexNetError` where the engine that was asked for cannot be had.
    """
    name = expected_name(choice)
    store = None if name is None else _store(trunk, name, look, warn)
    if name is not None and store is not None and (store.find(manifest.digests) >= 0).all():
        return _extraction(store, trunk, manifest, name, 0)  # to open an engine takes half a second
    engine = frozen_engine(trunk, choice, workers, warn)
    if store is None or engine.name != name:
        store = _store(trunk, engine.name, look, warn)

    def features(row: int) -> NDArray[Any]:
        if look is not None:
            found = _kept(trunk, engine, look.show_row(manifest, row, trunk.spec))
        else:
            found = _kept(trunk, engine, load_row(manifest, row, trunk.spec)[None])[0]
        return found if trunk.pooled else _halved(found)

    shard = SHARD if trunk.pooled else SHARD // 4
    whole, computed = fill(
        store, manifest, lambda rows: in_order(rows, features, engine.callers), shard, progress
    )
    return _extraction(store, trunk, whole, engine.name, computed)


def extract_each(
    trunks: Sequence[Trunk],
    manifest: Manifest,
    choice: EngineChoice,
    workers: int,
    *,
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> list[Extraction]:
    """What `extract` finds with each of several pooled trunks, every picture being decoded once for all."""
    engines = [frozen_engine(trunk, choice, workers, warn) for trunk in trunks]
    stores = [_store(trunk, engine.name, None, warn) for trunk, engine in zip(trunks, engines, strict=True)]
    lacking = [store.find(manifest.digests) < 0 for store in stores]
    blank = [np.zeros((1, *t.spec.shape), np.uint8) for t in trunks]
    widths = [_kept(*one).shape[1] for one in zip(trunks, engines, blank, strict=True)]

    def features(row: int) -> Features:
        """Of those nets that lack them; zeros, which nobody keeps, for the others."""
        content, name = read_row(manifest, row)
        wanted = [i for i, rows in enumerate(lacking) if rows[row]]
        found = [np.zeros(width, np.float32) for width in widths]
        for i, square in zip(wanted, load_each(content, [trunks[i].spec for i in wanted], name), strict=True):
            found[i] = _kept(trunks[i], engines[i], square[None])[0]
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
        _extraction(store, trunk, whole, engine.name, int((rows & there).sum()))
        for store, trunk, engine, rows in zip(stores, trunks, engines, lacking, strict=True)
    ]


def _halved(activations: NDArray[np.float32]) -> NDArray[np.float16]:
    """In half precision; raises `TrainingError` for what that cannot hold."""
    if not np.abs(activations).max() <= np.finfo(np.float16).max:
        raise TrainingError(
            f"the net's activations reach {np.abs(activations).max():.3g}, over the 65,504 that are kept; "
            "train with --mode finetune, or --cut elsewhere"
        )
    return activations.astype(np.float16)


def lacking(trunk: Trunk, manifest: Manifest, engine: Engine, warn: Callable[[str], None]) -> float:
    """The share of the pictures whose features are not in the cache."""
    return float((_store(trunk, engine.name, None, warn).find(manifest.digests) < 0).mean())


def _kept(trunk: Trunk, engine: Engine, pixels: Pixels) -> NDArray[Any]:
    """(N, ...) what of the engine's outputs is kept."""
    found = engine.run(pixels)
    return np.hstack([found["stages"], found["features"]]) if trunk.every_stage else found["features"]


def _store(trunk: Trunk, engine: str, look: Look | None, warn: Callable[[str], None]) -> Store:
    output = "stages and features" if trunk.every_stage else "features"
    recipe = {
        "preprocess": asdict(trunk.spec),
        "view": "plain" if look is None else look.key,
        "graph": hashlib.sha256(trunk.graph).hexdigest(),  # has the weights in it, whoever brought them
        "output": f"{output} {'float32' if trunk.pooled else 'float16'}",
        "engine": engine,
        "precision": "f32",
        "pillow": PIL.__version__,
    }
    return Store("features" if trunk.pooled else "activations", recipe, warn)


def _extraction(store: Store, trunk: Trunk, whole: Manifest, engine: str, computed: int) -> Extraction:
    found = Extraction(
        store=store,
        places=store.find(whole.digests),
        manifest=whole,
        width=trunk.width if trunk.pooled else None,
        engine=engine,
        computed=computed,
        from_cache=len(whole) - computed,
    )
    if trunk.pooled:
        found.stages  # noqa: B018  read while the digests that were just checked still hold
    return found


def frozen_engine(trunk: Trunk, choice: EngineChoice, workers: int, warn: Callable[[str], None]) -> Engine:
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

        self._net = EveryStage(trunk.frozen_net(), len(trunk.places()) - 1).eval()
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
