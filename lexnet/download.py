"""One file over HTTP: a download that breaks off goes on where it stopped.

Who calls this knows what the file must be and checks it; nothing here is trusted.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from lexnet.errors import DownloadError, OutputError
from lexnet.files import alone_in

Progress = Callable[[int, int], None]
"""Told (bytes so far, bytes in all or 0)."""
TRIES = 4
SECONDS = 30.0  # without a byte, and a try is over
PAUSE = 0.25  # seconds before the second try, twice as long before each further one
PASSING = frozenset((408, 429, 500, 502, 503, 504))  # troubles of a server that a later try may not meet
PIECE = 2**20


@contextmanager
def for_downloads(folder: Path) -> Iterator[Path]:
    """The folder, made if need be, into which no other process downloads meanwhile.

    Raises `OutputError` where one does, or where it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; set LEXNET_CACHE") from error
    with alone_in(folder, f"another process is fetching into {folder}; wait for it"):
        yield folder


def download(url: str, part: Path, progress: Progress) -> None:
    """Makes `part` the whole file, going on from what it holds; it stays where that fails.

    Raises `DownloadError` where the file cannot be had, `OutputError` where it cannot be written.
    """
    for attempt in range(TRIES):
        try:
            return _go_on(url, part, progress)
        except OutputError:
            raise
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            final = isinstance(error, urllib.error.HTTPError) and error.code not in PASSING
            if final or attempt == TRIES - 1:
                raise DownloadError(f"cannot fetch {url} ({reason})") from error
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
        with _written_to(part):
            file = part.open("ab" if done else "wb")
        with file:
            while piece := response.read(PIECE):
                with _written_to(part):
                    file.write(piece)
                done += len(piece)
                progress(done, total)
    if total and done < total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


@contextmanager
def _written_to(part: Path) -> Iterator[None]:
    """What goes wrong inside is the disk's fault, and no other try over the network would mend it."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {part}: {error.strerror}; set LEXNET_CACHE") from error
