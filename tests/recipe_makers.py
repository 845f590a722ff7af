"""Any recipe at all, within its limits, and pictures of any shape for it."""

from typing import Any

from hypothesis import strategies as st

from lexnet.config import MAX_BEND, Recipe


def up_to(most: float) -> st.SearchStrategy[float]:
    return st.sampled_from([0.0, most]) | st.floats(0.0, most)


def between(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda pair: (min(pair), max(pair)))


SHARES = up_to(1.0)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "crop": st.sampled_from(["centre", "random", "resized"]), "pad": up_to(0.5), "area": between(0.02, 1.0),
    "aspect": between(0.2, 5.0), "mirror": SHARES, "flip": SHARES, "rotate": up_to(180.0),
    "shear": up_to(45.0), "translate": up_to(0.5), "zoom": between(0.2, 5.0), "perspective": up_to(0.4),
    "warp": up_to(0.1), "wavelength": st.floats(0.1, 2.0),
    "border": st.sampled_from(["reflect", "edge", "colour"]), "colour": st.tuples(*[st.integers(0, 255)] * 3),
    "brightness": up_to(0.9), "contrast": up_to(0.9), "saturation": up_to(1.0), "hue": up_to(180.0),
    "grey": SHARES, "channels": up_to(0.5), "pca": up_to(1.0), "gamma": between(0.2, 5.0), "damage": SHARES,
    "blur": up_to(0.05), "noise": up_to(0.5), "jpeg": st.integers(5, 100), "erase": SHARES,
    "erased": between(0.0, 0.8), "mixup": up_to(10.0), "cutmix": up_to(10.0),
}  # fmt: skip


def bounded(values: dict[str, Any]) -> Recipe:
    """With the warp held to what its wavelength allows."""
    values["warp"] = min(values.get("warp", 0.0), values.get("wavelength", 0.3) / MAX_BEND)
    return Recipe(**values)


ANY_RECIPE = st.fixed_dictionaries({}, optional=FIELDS).map(bounded)

ANY_SHAPE: dict[str, st.SearchStrategy[int]] = {
    "height": st.integers(1, 90), "width": st.integers(1, 90), "channels": st.sampled_from([1, 3]),
    "size": st.integers(16, 80), "rest": st.integers(0, 40),
}  # fmt: skip
"""Of a small picture, and of the view."""
