"""Getting published weights, when asked to. What arrives is taken only if its sha256 is the published one."""

import os
from pathlib import Path

from lexnet.download import Progress, download, for_downloads
from lexnet.errors import DownloadError, WeightsError
from lexnet.weights.files import Https, Hub, Package, Weights
from lexnet.weights.store import folder, how_to_get, intact, keep, locate, packaged


def fetch(weights: Weights, progress: Progress, *, file: Path | None = None, offline: bool = False) -> Path:
    """Makes sure that the weights are on this machine, and returns where.

    `file` is a copy that somebody brought; with `offline` nothing is downloaded.
    Raises `WeightsError` where they cannot be had, which names what to fetch and what to do with it.
    """
    if file is not None:
        if not file.is_file():
            raise WeightsError(f"{file} is not a file")
        return keep(weights, file)
    for here in (locate(weights), packaged(weights)):
        if here is not None and intact(weights, here):
            return here
    if isinstance(weights.origin, Package):
        raise WeightsError(f"the weights of {weights.net} come in a package: {how_to_get(weights)}")
    if offline:
        raise WeightsError(f"offline, and the weights of {weights.net} are not here; {by_hand(weights)}")
    if isinstance(weights.origin, Hub):
        file = _from_hub(weights, weights.origin)
        if not intact(weights, file):  # the hub's own cache may hold a damaged one
            file = _from_hub(weights, weights.origin, again=True)
        return keep(weights, file)
    if not isinstance(weights.origin, Https):
        raise WeightsError(f"the weights of {weights.net} are those of {weights.source}, not published")
    with for_downloads(folder(weights)) as place:
        part = place / "download.part"
        try:
            download(weights.origin.url, part, progress)
        except DownloadError as error:
            raise WeightsError(f"{error}; {by_hand(weights)}") from error
        try:
            kept = keep(weights, part)
        except WeightsError:  # it is another file; whatever else went wrong, this one is sound and stays
            part.unlink()
            raise
        part.unlink()
        return kept


def by_hand(weights: Weights) -> str:
    """What somebody with another network can do."""
    origin = weights.origin
    place = f"{weights.source}/resolve/main/{origin.file}" if isinstance(origin, Hub) else weights.source
    return f"download {place} elsewhere, then `lexnet weights fetch {weights.net} --file PATH`"


def _from_hub(weights: Weights, origin: Hub, again: bool = False) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(origin.repo, origin.file, force_download=again))
    except Exception as error:  # of many kinds, which change with its versions
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"cannot fetch from {weights.source} ({reason}); {by_hand(weights)}") from error
