"""Randomness that is addressed, not drawn.

A random number belongs to (seed, purpose, item). It is the same whatever was drawn before it, in
whichever order, thread or process, so adding a picture or a worker changes nobody else's.
"""

import hashlib


def address(seed: int, purpose: str, item: str) -> int:
    """A uniform 64-bit number for this item."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{purpose}|{item}".encode()).digest()[:8], "big")
