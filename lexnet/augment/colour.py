"""All colour in one 3×4: a gain for each pair of channels and a shift for each channel.

gamma ─ brightness ─ contrast ─ saturation ─ hue ─ grey ─ channel shift ─ PCA colour
table   └──────────────────────────── one matrix ───────────────────────────────┘
"""

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.sample import Number, View

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green, blue (ITU-R BT.601, as in JPEG)
MIDDLE = 127.5
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
GREY = np.tile(LUMA, (3, 1))  # a colour's luma, without its chroma
CHROMA = np.eye(3) - GREY
TURNED = np.linalg.solve(YIQ, np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ)  # the chroma, a quarter on


def matrix(view: View, axes: NDArray[np.float64] | None = None) -> NDArray[np.float32] | None:
    """(3, 4), or (N, 3, 4) for N views: levels (r, g, b, 1) → (r, g, b), not yet rounded and held to 0..255.

    None for no change. `axes` (3, 3) are the principal axes of the training pictures' colours (see
    `principal_axes`).
    """
    factors = view.brightness, view.contrast, view.saturation
    shifts = view.hue, view.grey, *view.channels, *(view.pca if axes is not None else ())
    if all(np.all(one == 1) for one in factors) and not any(map(np.any, shifts)):
        return None
    saturation, turn = np.where(view.grey, 0.0, view.saturation), np.radians(view.hue)
    gain, even, odd = view.brightness * view.contrast, saturation * np.cos(turn), saturation * np.sin(turn)
    chroma = np.multiply.outer(even, CHROMA) + np.multiply.outer(odd, TURNED)
    linear = np.multiply.outer(gain, np.ones((3, 3))) * (GREY + chroma)
    shift = np.multiply.outer(MIDDLE * (1 - view.contrast), np.ones(3))  # greys have no chroma to be changed
    shift = shift + 255 * _vectors(view.channels)
    if axes is not None:
        shift = shift + 255 * _vectors(view.pca) @ axes.T
    result = np.empty((*np.broadcast_shapes(linear.shape[:-2], shift.shape[:-1]), 3, 4), np.float32)
    result[..., :3], result[..., 3] = linear, shift
    return result


def _vectors(numbers: tuple[Number, ...]) -> NDArray[np.float64]:
    """(3,), or (N, 3)"""
    return np.stack(np.broadcast_arrays(*numbers), axis=-1)


def of_grey(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """(..., 2) what the 3×4 does to a picture of one channel: gain and shift of its luma."""
    return np.stack([matrix[..., :3].sum(-1) @ LUMA, matrix[..., 3] @ LUMA], axis=-1)


def gamma_table(gamma: float) -> NDArray[np.uint8]:
    """(256,) the new level of each level."""
    return np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)


def principal_axes(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(3, 3) whose columns are the principal axes of (..., 3) colours in 0..1, each times its variance:
    what AlexNet (Krizhevsky et al., 2012, section 4.1) adds a normal multiple of."""
    colours = pixels.reshape(-1, 3)
    variances, axes = np.linalg.eigh(np.cov(colours, rowvar=False, dtype=np.float64) / 255**2)
    return np.asarray(axes * variances)
