"""Getting published weights: the only part of LexNet that uses the network, and only when asked to.

A download that breaks off goes on where it stopped. What arrives is taken only if its sha256 is the
published one.
"""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from lexnet.errors import OutputError, WeightsError
from lexnet.weights.files import Https, Hub, Package, Weights
from lexnet.weights.store import folder, how_to_get, intact, keep, locate, packaged

Progress = Callable[[int, int], None]
"""Told (bytes so far, bytes in all or 0)."""
TRIES = 4
SECONDS = 30.0  # without a byte, and a try is over
PAUSE = 0.25  # seconds before the second try, twice as long before each further one
PASSING = frozenset((408, 429, 500, 502, 503, 504))  # troubles of a server that a later try may not meet
PIECE = 2**20


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
    part = folder(weights) / "download.part"
    _download(weights, weights.origin, part, progress)
    try:
        return keep(weights, part)
    finally:
        part.unlink(missing_ok=True)


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


def _download(weights: Weights, origin: Https, part: Path, progress: Progress) -> None:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {part.parent}: {error.strerror}; set LEXNET_CACHE") from error
    for attempt in range(TRIES):
        try:
            return _go_on(origin.url, part, progress)
        except OutputError:
            raise
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            final = isinstance(error, urllib.error.HTTPError) and error.code not in PASSING
            if final or attempt == TRIES - 1:
                raise WeightsError(f"cannot fetch {origin.url} ({reason}); {by_hand(weights)}") from error
            time.sleep(PAUSE * 2**attempt)


def _go_on(url: str, part: Path, progress: Progress) -> None:
    """Downloads what the part lacks; raises where the connection ends before the file does."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing is left to send
            return
        raise
    with response:
        if response.status != 206:  # this server begins anew
            done = 0
        left = response.headers.get("Content-Length")
        total = done + int(left) if left else 0
        with part.open("ab" if done else "wb") as file:
            while piece := response.read(PIECE):
                try:
                    file.write(piece)
                except OSError as error:
                    raise OutputError(f"cannot write {part}: {error.strerror}; set LEXNET_CACHE") from error
                done += len(piece)
                progress(done, total)
    if total and done < total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")
