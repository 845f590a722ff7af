"""Small published weights that tests make for themselves, and a web server on this machine for them."""

import hashlib
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any, Self

import torch

from lexnet.weights.files import Https, Hub, Package, Weights, find_weights

Origin = Package | Https | Hub
URL = "https://weights.example/small.pth"


def small_state() -> dict[str, torch.Tensor]:
    """A few tensors, the same every time; one is not contiguous."""
    draw = torch.Generator().manual_seed(0)
    table = torch.randn(40, 250, generator=draw)
    return {"layer.weight": table.T, "layer.bias": torch.randn(40, generator=draw), "steps": torch.tensor(7)}


def same(state: Any) -> bool:
    """Whether it is the small state again."""
    whole = small_state()
    return state.keys() == whole.keys() and all(torch.equal(state[name], whole[name]) for name in whole)


def pickled(content: Any) -> bytes:
    """As `torch.save` writes it."""
    buffer = BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def entry_for(content: bytes, origin: Origin = Https(URL)) -> Weights:  # noqa: B008
    """The entry of resnet20, with a file of this content in the place of its own."""
    digest = hashlib.sha256(content).hexdigest()
    return replace(find_weights("resnet20"), origin=origin, sha256=digest, bytes=len(content))


def flip(path: Path) -> None:
    """Changes one bit in the middle of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def files_below(folder: Path) -> list[str]:
    """The names of all files, the hidden ones too."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class Server(ThreadingHTTPServer):
    """One file on 127.0.0.1, in a thread: `with Server(content) as server: server.url`"""

    daemon_threads = True

    def __init__(self, content: bytes, *, cuts: int = 0, ranges: bool = True, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = content
        self.cuts = cuts
        """So many answers still end half way."""
        self.ranges = ranges
        """Whether it heeds the header Range."""
        self.status = status
        """Another one is all it answers."""
        self.asked: list[str | None] = []
        """The header Range of each request."""
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pth"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        body = server.content[start:]
        if not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *line: object) -> None:
        """Says nothing."""
