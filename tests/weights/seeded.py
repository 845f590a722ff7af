"""Weights and pictures that are the same on every machine: for the script that makes the references
with other people's nets, and for the tests that compare ours. Needs NumPy only."""

import hashlib
from math import prod

import numpy as np

Array = np.ndarray


def tensor(name: str, shape: tuple[int, ...]) -> Array:
    """float64 numbers that depend on the name alone; batch norms come out far from the identity."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    raw = np.random.Philox(key=key).random_raw(prod(shape))
    u = np.ldexp((raw >> 11).astype(np.float64), -52) - 1  # even in [-1, 1)
    u = u.reshape(shape)
    if name.endswith("running_var"):
        return 0.3 + np.abs(u)
    if len(shape) > 1:
        return u * np.sqrt(6 / prod(shape[1:]))
    return 1 + 0.5 * u if name.endswith("weight") else 0.2 * u


def waves(size: int) -> Array:
    """(1, 3, size, size) float64."""
    i = np.arange(size, dtype=np.float64)
    return np.stack([np.sin(i[:, None] * f / 9) * np.cos(i[None] * f / 13) for f in (1, 2, 3)])[None]


def digest(logits: Array) -> list[float]:
    """Twenty of the logits and the length of all, so that none can be wrong unseen."""
    flat = np.asarray(logits, np.float64).ravel()
    return [*flat[:: len(flat) // 20][:20].tolist(), float(np.sqrt(np.square(flat).sum()))]
