"""All colour in one 3×4: a gain for each pair of channels and a shift for each channel.

gamma ─ brightness ─ contrast ─ saturation ─ hue ─ grey ─ channel shift ─ PCA colour
table   └──────────────────────────── one matrix ───────────────────────────────┘
"""

import math

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.sample import View

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green, blue (ITU-R BT.601, as in JPEG)
MIDDLE = 127.5
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
GREY = np.tile(LUMA, (3, 1))  # a colour's luma, without its chroma
CHROMA = np.eye(3) - GREY
TURNED = np.linalg.solve(YIQ, np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ)  # the chroma, a quarter on


def matrix(view: View, axes: NDArray[np.float64] | None = None) -> NDArray[np.float32] | None:
    """(3, 4): levels (r, g, b, 1) → (r, g, b), not yet rounded and held to 0..255; None for no change.

    `axes` (3, 3) are the principal axes of the training pictures' colours (see `principal_axes`).
    """
    shifted = any(view.channels) or (axes is not None and any(view.pca))
    if view.brightness == view.contrast == view.saturation == 1 and not (view.hue or view.grey or shifted):
        return None
    turn = math.radians(view.hue)
    saturation = 0.0 if view.grey else view.saturation
    chroma = saturation * math.cos(turn) * CHROMA + saturation * math.sin(turn) * TURNED
    result = np.empty((3, 4), np.float32)
    result[:, :3] = view.brightness * view.contrast * (GREY + chroma)
    shift = MIDDLE * (1 - view.contrast) + 255 * np.array(view.channels)  # greys have no chroma to be changed
    result[:, 3] = shift if axes is None else shift + 255 * (axes @ view.pca)
    return result


def of_grey(matrix: NDArray[np.float32]) -> tuple[float, float]:
    """What the 3×4 does to a picture of one channel: gain and shift of its luma."""
    return float(LUMA @ matrix[:, :3].sum(axis=1)), float(LUMA @ matrix[:, 3])


def gamma_table(gamma: float) -> NDArray[np.uint8]:
    """(256,) the new level of each level."""
    return np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)


def principal_axes(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(3, 3) whose columns are the principal axes of (..., 3) colours in 0..1, each times its variance:
    what AlexNet (Krizhevsky et al., 2012, section 4.1) adds a normal multiple of."""
    colours = pixels.reshape(-1, 3)
    variances, axes = np.linalg.eigh(np.cov(colours, rowvar=False, dtype=np.float64) / 255**2)
    return np.asarray(axes * variances)
