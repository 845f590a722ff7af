"""LexNet: a folder of labelled pictures in, a small, verified, portable image classifier out.

    clf = lexnet.Classifier(seed=0).fit("photos/")     # needs lexnet[train]
    clf.save("shirts.lexnet")
    model = lexnet.load("shirts.lexnet")               # needs no torch
    model.predict(["a.jpg", "b.jpg"])

Names are imported when first used, so that `import lexnet` costs next to nothing.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexnet.errors import LexNetError
    from lexnet.job.classifier import Classifier
    from lexnet.runtime.predictor import Prediction, Predictor
    from lexnet.runtime.predictor import load_predictor as load
    from lexnet.weights.create import create_net, create_tapped, net_from_bundle

__version__ = "0.1.0"
__all__ = [
    "Classifier",
    "LexNetError",
    "Prediction",
    "Predictor",
    "__version__",
    "create_net",
    "create_tapped",
    "load",
    "net_from_bundle",
]

_HOMES = {
    "Classifier": ("lexnet.job.classifier", "Classifier"),
    "LexNetError": ("lexnet.errors", "LexNetError"),
    "Prediction": ("lexnet.runtime.predictor", "Prediction"),
    "Predictor": ("lexnet.runtime.predictor", "Predictor"),
    "create_net": ("lexnet.weights.create", "create_net"),
    "create_tapped": ("lexnet.weights.create", "create_tapped"),
    "load": ("lexnet.runtime.predictor", "load_predictor"),
    "net_from_bundle": ("lexnet.weights.create", "net_from_bundle"),
}
_NEED_TRAIN = ("lexnet.job", "lexnet.weights")
if find_spec("torch") is None:  # what cannot be had is not offered
    __all__ = [name for name in __all__ if not _HOMES.get(name, ("",))[0].startswith(_NEED_TRAIN)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        if name.startswith("_") or find_spec(f"lexnet.{name}") is None:
            raise AttributeError(f"module 'lexnet' has no attribute {name!r}")
        return import_module(f"lexnet.{name}")
    module, attribute = _HOMES[name]
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if module.startswith(_NEED_TRAIN) and not str(error.name).startswith("lexnet"):
            from lexnet.errors import MissingExtra

            raise MissingExtra(str(error.name)) from error
        raise


def __dir__() -> list[str]:
    return __all__
