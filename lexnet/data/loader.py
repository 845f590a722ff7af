"""A manifest's pictures as a net sees them: decoded once, then read from disk."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import PIL
from numpy.typing import NDArray

from lexnet.config import PreprocessSpec, available_cores
from lexnet.data.manifest import Manifest
from lexnet.data.store import Store, fill
from lexnet.data.threads import measured
from lexnet.errors import DataError, PictureError
from lexnet.files import free_bytes
from lexnet.preprocess import Pixels, load_bytes, load_views
from lexnet.runtime.stream import ahead, in_order, sound

SHARD = 32 * 2**20  # bytes of pictures that are kept together, and so the most that a kill can lose
SHARE = 0.5  # of the free disk that pictures may take


def load_row(manifest: Manifest, row: int, spec: PreprocessSpec) -> Pixels:
    """(size, size, channels) uint8; raises `PictureError` for a file that is damaged or has changed."""
    content, where = read_row(manifest, row)
    return load_bytes(content, spec, where)


def load_row_views(manifest: Manifest, row: int, spec: PreprocessSpec) -> Pixels:
    """(views, size, size, channels) uint8, as the spec's test-time augmentation has it."""
    content, where = read_row(manifest, row)
    return load_views(content, spec, where)


def read_row(manifest: Manifest, row: int) -> tuple[bytes, str]:
    """The picture's bytes, which are those listed, and its name for errors."""
    content = manifest.read(row)
    where = manifest.source.where(manifest.paths[row])
    if hashlib.sha256(content).hexdigest() != manifest.digests[row]:
        raise PictureError(where, "has changed since it was listed; run again")
    return content, where


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """N pictures, each a (size, size, channels) uint8 square."""

    manifest: Manifest
    """Without those that turned out to be damaged, if they were decoded; these are in its `skipped`."""
    spec: PreprocessSpec
    workers: int | None
    stored: tuple[Store, NDArray[np.int64]] | None
    """Where they were decoded to, and the place of each; none where the disk has no room for them."""

    def __len__(self) -> int:
        return len(self.manifest)

    def read(self, rows: NDArray[np.int64]) -> Pixels:
        """(n, size, size, channels) of these rows, in one piece of memory.

        Raises `PictureError` where a picture has to be decoded and cannot be.
        """
        if self.stored is not None:
            store, places = self.stored
            return store.read(places[rows]).reshape(len(rows), *self.spec.shape)
        result = np.empty((len(rows), *self.spec.shape), np.uint8)
        load = partial(load_row, self.manifest, spec=self.spec)
        found = in_order(rows.tolist(), load, self.workers or available_cores())
        for i, pixels in enumerate(sound(found)):
            result[i] = pixels
        return result

    def batches(self, order: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
        """(rows, their pictures) in this order, `size` at a time, read one batch ahead of the caller."""
        return ahead([order[i : i + size] for i in range(0, len(order), size)], self.read)


def open_pictures(
    manifest: Manifest,
    spec: PreprocessSpec,
    workers: int | None,
    *,
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Pictures:
    """Decodes what was not decoded before; by how many threads is measured where `workers` does not say.

    Where the pictures would take over half of the free disk, `warn` is told so and they are decoded
    whenever they are read. `progress(done, total)` counts those that are decoded now.
    """
    recipe = {
        "size": spec.size,
        "short_side": spec.short_side,
        "interpolation": spec.interpolation,
        "channels": spec.channels,
        "rules": spec.rules,
        "pillow": PIL.__version__,
    }
    store = Store("pictures", recipe, warn)
    each = int(np.prod(spec.shape))
    needed, free = each * int((store.find(manifest.digests) < 0).sum()), free_bytes(store.folder)
    if needed > SHARE * free:
        warn(
            f"decoded, the pictures take {needed / 1e9:.1f} GB, over half of the {free / 1e9:.1f} GB "
            f"free at {store.folder}; they are decoded each time (LEXNET_CACHE names another place)"
        )
        return Pictures(manifest=manifest, spec=spec, workers=workers, stored=None)
    load = partial(load_row, manifest, spec=spec)
    whole, _ = fill(
        store,
        manifest,
        lambda rows: measured(rows, load) if workers is None else in_order(rows, load, workers),
        max(1, SHARD // each),
        progress,
    )
    return Pictures(manifest=whole, spec=spec, workers=workers, stored=(store, store.find(whole.digests)))


def seen_again(before: Manifest, after: Manifest) -> None:
    """Raises `DataError` for a picture of `before` that could not be had a second time: every row was
    looked at once, and its label and features are counted on."""
    for skip in after.skipped[len(before.skipped) :]:
        reason = skip.reason.removesuffix("; run again")
        raise DataError(f"{skip.path} {reason}, after it was seen once; run again")
