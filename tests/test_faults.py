"""Bad pictures, odd folders, full disks and interruptions, through the command line.

A net of 32 pixels on a few pieces of clip art: what is tried is what happens around the learning.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_makers import (
    CLIPART,
    HEIC,
    class_folder,
    clipart_folder,
    encode,
    noise,
    png_header,
    state_of,
    stored_as,
)
from PIL import Image

from lexnet.cli import main
from lexnet.files import HIDDEN
from lexnet.job.folder import CHOICE, DONE, PLAN, RESERVE
from lexnet.job.run import HISTORY, PREDICTIONS, REPORT, SPLIT
from lexnet.runtime.bundle import BUNDLE
from lexnet.transfer.trunk import open_trunk

FLAGS = ("--size", "32", "--engine", "onnxruntime", "--workers", "1")
WHOLE = {PLAN, DONE, BUNDLE, HISTORY, PREDICTIONS, REPORT, SPLIT}
"""The files of a finished run."""
BIRD = sorted((CLIPART / "birds").iterdir())[0]


@dataclass(frozen=True)
class Said:
    """What the command line answered."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Command]:
    """`lexnet train` in an empty working folder. The test fails if it changes the pictures' folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before: dict[Path, str] = {}

    def call(data: Path | str, *arguments: object) -> Said:
        before.setdefault(Path(data), state_of(Path(data)))
        monkeypatch.setattr(sys, "argv", ["lexnet", "train", *map(str, (data, *FLAGS, *arguments))])
        with pytest.raises(SystemExit) as end:
            main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    yield call
    for folder, state in before.items():
        assert state_of(folder) == state, f"training changed something in {folder}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of eight pictures."""
    return clipart_folder(tmp_path / "data")


@pytest.fixture(scope="module")
def undisturbed(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bundle that nobody interrupted, made in another process from the same pictures elsewhere."""
    folder = tmp_path_factory.mktemp("undisturbed")
    clipart_folder(folder / "pictures")
    subprocess.run(
        [sys.executable, "-m", "lexnet", "train", "pictures", *FLAGS],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return (folder / "runs/pictures" / BUNDLE).read_bytes()


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / DONE).read_text(encoding="utf-8"))


def skipped(folder: Path) -> dict[str, str]:
    return {skip["path"]: skip["reason"] for skip in metrics(folder)["skipped"]}


def only_whole_files(folder: Path) -> bool:
    """Whether nothing in the run folder is temporary and what is there can be read to its end."""
    names = set(os.listdir(folder))
    if BUNDLE in names:
        with zipfile.ZipFile(folder / BUNDLE) as bundle:
            assert bundle.testzip() is None
    return names <= WHOLE | {CHOICE, RESERVE}


# --- pictures that cannot be used


def truncated(file: Path) -> bytes:
    """A header that promises more than there is: only decoding finds out."""
    with Image.open(file) as image:
        return encode(image.convert("RGB"), "JPEG", quality=95)[:-400]


BAD = {
    "truncated.jpg": (truncated(BIRD), "is damaged (image file is truncated"),
    "empty.jpg": (b"", "is empty (0 bytes)"),
    "text.jpg": (b"<html>404 Not Found</html>", "is text, not a picture"),
    "phone.heic": (HEIC, "is HEIC, which Pillow cannot decode here; convert it to JPEG"),
    "bomb.png": (png_header(60_000, 60_000), "has over 64,000,000 pixels; make it smaller"),
    "large.png": (png_header(8001, 8000), "has 8001x8000 pixels, over 64,000,000; make it smaller"),
    "line.png": (png_header(1, 65_535), "is 1x65535, longer than 100 times its width; crop it"),
    "float.tif": (
        encode(Image.new("F", (8, 8), 0.5), "TIFF"),
        "has levels in floating point, of no certain range; convert it to 8 or 16 bits",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_refused_by_name_with_its_reason(train: Command, data: Path, name: str) -> None:
    content, reason = BAD[name]
    (data / "birds" / name).write_bytes(content)
    said = train(data)
    assert said.code == 2
    message = said.err[said.err.index("lexnet: ") :]
    assert message.startswith(f"lexnet: 1 picture cannot be used:\n  birds/{name} {reason}")
    assert message.endswith("or go on without them with --skip-bad\n")
    assert "Traceback" not in said.err and said.out == ""


def test_with_skip_bad_it_goes_on_and_records_each_skip(train: Command, data: Path) -> None:
    for name, (content, _) in BAD.items():
        (data / "fruit" / name).write_bytes(content)
    (data / "fruit/notes.txt").write_text("not a picture, and not called one")
    said = train(data, "--skip-bad", "--out", "run")
    assert said.code == 0
    recorded = skipped(Path("run"))
    assert set(recorded) == {f"fruit/{name}" for name in (*BAD, "notes.txt")}
    for name, (_, reason) in BAD.items():
        assert recorded[f"fruit/{name}"].startswith(reason)
    assert sum(metrics(Path("run"))["counts"].values()) == 16
    assert "skipped fruit/empty.jpg: is empty (0 bytes)" in said.err


def test_nothing_left_to_measure_on_is_told(train: Command, tmp_path: Path) -> None:
    """Where the held-out pictures are damaged in a way that only decoding finds."""
    class_folder(tmp_path / "data/train", cat=3, dog=3)
    for name, file in zip(("cat", "dog"), sorted((CLIPART / "birds").iterdir())[:2], strict=True):
        (tmp_path / "data/test" / name).mkdir(parents=True)
        (tmp_path / "data/test" / name / "0.jpg").write_bytes(truncated(file))
    said = train(tmp_path / "data", "--skip-bad")
    assert said.code == 2
    assert "no usable picture is left to measure the accuracy on; mend or add some" in said.err


def test_every_mode_and_orientation_is_trained_on(train: Command, tmp_path: Path) -> None:
    root = tmp_path / "data"
    for label, name in enumerate(("noise", "more noise")):
        folder = root / name
        folder.mkdir(parents=True)
        for k, mode in enumerate(("1", "L", "LA", "P", "RGB", "RGBA")):
            noise(100 * label + k).convert("RGB").convert(mode).save(folder / f"{k}.png")
        grey = np.asarray(noise(100 * label + 6).convert("L"))
        Image.fromarray(grey.astype(np.uint16) << 8).save(folder / "deep.png")
        noise(100 * label + 20).convert("CMYK").save(folder / "cmyk.jpg")
        noise(100 * label + 21).convert("L").save(folder / "grey.jpg")
        for k in range(1, 9):
            (folder / f"turned{k}.jpg").write_bytes(stored_as(noise(100 * label + 30 + k), k, "JPEG"))
        for kind in ("GIF", "WEBP", "PNG"):
            frames = [noise(100 * label + 50 + k) for k in range(3)]
            frames[0].save(folder / f"film.{kind.lower()}", save_all=True, append_images=frames[1:])
    said = train(root)
    assert said.code == 0, said.err
    assert sum(metrics(Path("runs/data"))["counts"].values()) == 2 * 20
    assert skipped(Path("runs/data")) == {}


# --- folders that cannot be trained on


def one_class(root: Path) -> None:
    class_folder(root, cat=5)


def one_picture_a_class(root: Path) -> None:
    class_folder(root, cat=1, dog=1)


def an_empty_class(root: Path) -> None:
    class_folder(root, cat=5, dog=5, emu=0)


def nothing(root: Path) -> None:
    root.mkdir()


def pictures_without_classes(root: Path) -> None:
    root.mkdir()
    noise(0).save(root / "0.png")


def a_class_only_in_test(root: Path) -> None:
    class_folder(root / "train", cat=3, dog=3)
    class_folder(root / "test", cat=1, emu=1)


def no_train_part(root: Path) -> None:
    class_folder(root / "val", cat=3, dog=3)
    class_folder(root / "test", cat=3, dog=3)


def two_labels(root: Path) -> None:
    class_folder(root, cat=5, dog=5)
    shutil.copy(root / "cat/0.png", root / "dog/same.png")


def both_sides(root: Path) -> None:
    class_folder(root / "train", cat=4, dog=4)
    (root / "test/cat").mkdir(parents=True)
    noise(55).save(root / "test/cat/own.png")
    shutil.copy(root / "train/cat/0.png", root / "test/cat/same.png")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (one_class, ["has 1 class (cat)", "a classifier needs two or more"]),
        (
            one_picture_a_class,
            ["class 'cat' has 1 different picture, at least 3 are needed", "add some or drop"],
        ),
        (an_empty_class, ["class 'emu' has no usable picture", "add some or drop the class"]),
        (nothing, ["holds no pictures in class folders; give ROOT/CLASS/PICTURE.jpg"]),
        (
            pictures_without_classes,
            ["holds no pictures in class folders (", " outside them); give ROOT/CLASS/PICTURE.jpg"],
        ),
        (
            a_class_only_in_test,
            ["class 'emu' in ", "data/test/emu is not among the 2 classes", "rename it or leave it out"],
        ),
        (no_train_part, ["holds test, val but no train folder; add one"]),
        (
            two_labels,
            [
                "cat/0.png is the same file as dog/same.png, which has another label",
                "dog/same.png",
                "--skip-bad",
            ],
        ),
        (
            both_sides,
            ["train/cat/0.png is the same file as test/cat/same.png, which is in another part", "--skip-bad"],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_folder_that_cannot_be_trained_on_is_told_what_to_do(
    train: Command, tmp_path: Path, make: Callable[[Path], None], told: list[str]
) -> None:
    make(tmp_path / "data")
    said = train(tmp_path / "data")
    assert said.code == 2
    for words in told:
        assert words in said.err
    assert "Traceback" not in said.err
    assert not Path("runs").exists(), "a refusal leaves nothing behind"


def test_a_folder_that_is_not_there_is_told_what_else_there_is(train: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, told in (("nowhere", "there is no folder"), ("file", "is a file of another kind; give")):
        said = train(tmp_path / path)
        assert (said.code, told in said.err) == (2, True)


@pytest.mark.parametrize(
    ("make", "gone"),
    [(two_labels, {"cat/0.png", "dog/same.png"}), (both_sides, {"train/cat/0.png"})],
    ids=["two labels", "both sides"],
)
def test_with_skip_bad_spoilt_pictures_are_left_out_and_recorded(
    train: Command, tmp_path: Path, make: Callable[[Path], None], gone: set[str]
) -> None:
    make(tmp_path / "data")
    assert train(tmp_path / "data", "--skip-bad").code == 0
    recorded = skipped(Path("runs/data"))
    assert set(recorded) == gone
    assert all(reason.startswith("is the same file as ") for reason in recorded.values())
    split = Path("runs/data", SPLIT).read_text()
    assert not [path for path in gone if path in split]


def test_a_class_missing_in_a_part_is_warned_of_and_shifts_nothing(train: Command, tmp_path: Path) -> None:
    class_folder(tmp_path / "data/train", ant=4, bee=4, cow=4)
    class_folder(tmp_path / "data/test", **{"cow": 3})
    for file in (tmp_path / "data/test/cow").iterdir():
        noise(900 + int(file.stem)).save(file)
    said = train(tmp_path / "data")
    assert said.code == 0
    warning = "the test part has no picture of ant, bee: accuracy on them is not measured there"
    assert f"warning: {warning}" in said.err
    hardly = "under 5 training pictures of ant, bee, cow: they will hardly be recognised; add some"
    assert f"warning: {hardly}" in said.err
    found = metrics(Path("runs/data"))
    assert found["classes"] == ["ant", "bee", "cow"] and warning in found["warnings"]
    assert [row["test"] for row in found["data"]] == [0, 0, 3]


def test_odd_names_and_links_do_no_harm_and_are_recorded(train: Command, tmp_path: Path) -> None:
    names = ("Größe, 漢字 🐦", 'a\'b "c" <d>&$')
    root = class_folder(tmp_path / "data", **dict.fromkeys(names, 6))
    inside = root / names[0]
    os.rename(inside / "0.png", inside / "été\u202f(1) – naïve.png")
    for hidden in (".git", ".DS_Store dir", "__MACOSX"):
        (root / hidden).mkdir()
        noise(70).save(root / hidden / "0.png")
    noise(71).save(inside / os.fsdecode(b"caf\xe9.png"), "PNG")
    noise(72).save(inside / "two\nlines.png", "PNG")
    (root / os.fsdecode(b"klasse\xff")).mkdir()
    (root / os.fsdecode(b"klasse\xff") / "notes.txt").touch()
    (inside / "up").symlink_to("..")
    (root / "ring").symlink_to("ring")
    os.mkfifo(inside / "pipe.png")
    said = train(root)
    assert said.code == 2 and "3 pictures cannot be used:" in said.err
    assert f"{names[0]}/caf\\xe9.png has a name that is not printable UTF-8" in said.err
    said = train(root, "--skip-bad")
    assert said.code == 0, said.err
    run = Path("runs/data")
    assert metrics(run)["classes"] == sorted(names)
    assert skipped(run) == {
        ".git": HIDDEN,
        ".DS_Store dir": HIDDEN,
        "__MACOSX": HIDDEN,
        f"{names[0]}/caf\\xe9.png": "has a name that is not printable UTF-8",
        rf"{names[0]}/two\u000alines.png": "has a name that is not printable UTF-8",
        "klasse\\xff/notes.txt": "has a name that is not printable UTF-8",
        f"{names[0]}/up": "is a link to a folder that is seen elsewhere",
        "ring": "is a link to nothing",
        f"{names[0]}/pipe.png": "is not a regular file",
    }
    assert "été\u202f(1) – naïve.png" in (run / SPLIT).read_text(encoding="utf-8")
    assert "<d>" not in (run / REPORT).read_text(encoding="utf-8"), "names are escaped in the report"


def test_a_folder_whose_name_is_not_utf_8_is_an_error_and_no_traceback(
    train: Command, tmp_path: Path
) -> None:
    said = train(class_folder(tmp_path / os.fsdecode(b"caf\xe9"), cat=3, dog=3))
    assert said.code == 2
    assert "caf\\xe9 is not written in UTF-8; rename it" in said.err


# --- where the run goes


def test_a_second_run_gets_the_next_number_and_leaves_the_first_alone(train: Command, data: Path) -> None:
    assert train(data).code == 0
    first = state_of(Path("runs/data"))
    said = train(data)
    assert said.code == 0 and "runs/data-2/model.lexnet" in said.out
    assert state_of(Path("runs/data")) == first
    said = train(data, "--out", "runs/data")
    assert said.code == 2
    assert "runs/data exists already; choose another --out, or leave it out" in said.err
    assert state_of(Path("runs/data")) == first
    assert Path("runs/data", BUNDLE).read_bytes() == Path("runs/data-2", BUNDLE).read_bytes()


def test_an_unfinished_run_of_another_plan_is_left_alone(train: Command, data: Path) -> None:
    assert train(data, "--seed", "1").code == 0
    (Path("runs/data") / DONE).unlink()
    before = state_of(Path("runs/data"))
    assert train(data, "--out", "runs/data").code == 2
    assert train(data).code == 0
    assert state_of(Path("runs/data")) == before
    assert only_whole_files(Path("runs/data-2"))


def a_file(path: Path) -> None:
    path.write_text("precious")


def below_a_file(path: Path) -> None:
    path.parent.write_text("precious")


@pytest.mark.parametrize(
    ("out", "make", "told"),
    [
        ("run", a_file, "run exists already; choose another --out"),
        ("file/run", below_a_file, "cannot make file/run: Not a directory; choose another --out"),
    ],
)
def test_a_file_in_place_of_the_run_folder_is_kept(
    train: Command, data: Path, out: str, make: Callable[[Path], None], told: str
) -> None:
    make(Path(out))
    said = train(data, "--out", out)
    assert (said.code, told in said.err) == (2, True)
    assert Path(out.split("/")[0]).read_text() == "precious"


def test_a_read_only_place_is_told_before_any_work_is_done(
    train: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def deny(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if "x" in mode:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", deny)
    monkeypatch.setattr("lexnet.job.run.learn", lambda *_: pytest.fail("the work was begun"))
    said = train(data)
    assert said.code == 2
    assert "cannot write runs/data/plan.yaml: Permission denied; choose another folder" in said.err
    assert not Path("runs/data").exists()


def test_the_run_is_not_written_among_the_pictures(
    train: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    for place, arguments in ((".", ()), ("../data", ("--out", "birds/run"))):
        said = train(place, *arguments)
        assert said.code == 2
        assert "lies inside the pictures' folder" in said.err and "give an --out elsewhere" in said.err


def test_the_run_is_named_after_the_folder_even_if_dots_lead_there(train: Command, data: Path) -> None:
    assert train(f"{data}/birds/..").code == 0
    assert os.listdir("runs") == ["data"]


def test_a_full_disk_takes_no_folder_that_was_there_before(
    train: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine").mkdir()

    def full(source: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    said = train(data, "--out", "mine")
    assert said.code == 2 and "cannot write mine/plan.yaml: No space left on device" in said.err
    assert Path("mine").is_dir()
    assert train(data, "--out", "new").code == 2 and not Path("new").exists()


def test_a_full_disk_is_told_and_the_same_command_goes_on(
    train: Command, data: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target).name == BUNDLE:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        said = train(data)
    assert said.code == 2
    assert "cannot write runs/data/model.lexnet: No space left on device; nothing was changed" in said.err
    assert only_whole_files(Path("runs/data")) and not Path("runs/data", BUNDLE).exists()
    said = train(data)
    assert said.code == 0 and "going on with the unfinished run in runs/data" in said.err
    assert set(os.listdir("runs/data")) == WHOLE and os.listdir("runs") == ["data"]
    assert Path("runs/data", BUNDLE).read_bytes() == undisturbed


# --- interruptions

STEPS = [
    "lexnet.job.run.read_data",
    "lexnet.job.job.open_trunk",
    "lexnet.transfer.extract.load_row",
    "lexnet.job.learn.fit_probe",
    "lexnet.job.ship.append_head",
    "lexnet.job.ship.check_parity",
    "lexnet.job.ship.pack_bundle",
    "lexnet.job.run.split_csv",
    "lexnet.job.run.history_csv",
    "lexnet.job.run.check_bundle",
    "lexnet.job.run.render",
]


@pytest.fixture
def own_cache(
    shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: bytes
) -> Path:
    """A cache that knows the frozen net's graph but no picture."""
    shutil.copytree(shared_cache / "trunks", tmp_path / "cache/trunks")
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_at_any_step_leaves_whole_files_and_the_same_command_goes_on(
    train: Command, data: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls = 0

    def stop(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, stop)
        said = train(data)
    assert calls > 0, f"{step} was never called"
    assert said.code == 130
    assert said.err.endswith(
        "lexnet: stopped; nothing is half written, and the same command goes on with what was kept\n"
    )
    begun = Path("runs/data").exists()
    assert begun or step.endswith("read_data")
    assert not begun or (only_whole_files(Path("runs/data")) and not Path("runs/data", DONE).exists())
    said = train(data)
    assert said.code == 0
    assert ("going on with the unfinished run in runs/data" in said.err) == begun
    assert os.listdir("runs") == ["data"]
    assert set(os.listdir("runs/data")) == WHOLE
    assert Path("runs/data", BUNDLE).read_bytes() == undisturbed


DRIVER = """
import itertools, signal, time
import lexnet.transfer.extract as extract
from lexnet.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
load, turn = extract.load_row, itertools.count(1)
def slow(*arguments):
    mine = next(turn)
    if mine > 5:
        time.sleep(0.3)
    if mine == 6:
        print("in the middle", flush=True)
    if mine > 5:
        time.sleep(0.5)
    return load(*arguments)
extract.load_row = slow
main()
"""
"""`lexnet` that says when it is in the middle of the pictures, and then is slow."""


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_process_stopped_among_the_pictures_goes_on_to_the_same_bits(
    own_cache: Path, tmp_path: Path, data: Path, undisturbed: bytes, kill: signal.Signals
) -> None:
    before = state_of(data)
    arguments = ["train", str(data), *FLAGS]
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == "in the middle\n"
    process.send_signal(kill)
    _, err = process.communicate(timeout=60)
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert err.endswith(
            "stopped; nothing is half written, and the same command goes on with what was kept\n"
        )
    else:
        assert process.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path / "runs/data") == [PLAN]
    again = subprocess.run(
        [sys.executable, "-m", "lexnet", *arguments, "--json"], cwd=tmp_path, check=True, capture_output=True
    )
    found = json.loads(again.stdout)
    assert found["run"] == "runs/data" and b"going on with the unfinished run in runs/data" in again.stderr
    assert found["trunk"]["computed"] + found["trunk"]["from_cache"] == 16
    if kill == signal.SIGINT:
        assert found["trunk"]["from_cache"] > 0, "what was computed before Ctrl-C is not computed again"
    assert set(os.listdir(tmp_path / "runs/data")) == WHOLE
    assert (tmp_path / "runs/data" / BUNDLE).read_bytes() == undisturbed
    assert state_of(data) == before


KILLED_WHILE_WRITING = """
import os, signal
from lexnet.cli import main
replace = os.replace
def die(source, target):
    if os.path.basename(target) == "model.lexnet":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = die
main()
"""


@pytest.mark.usefixtures("own_cache")
def test_killed_while_writing_the_bundle_there_is_no_half_bundle(
    tmp_path: Path, data: Path, undisturbed: bytes
) -> None:
    arguments = ["train", str(data), *FLAGS]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, *arguments], cwd=tmp_path, capture_output=True
    )
    run = tmp_path / "runs/data"
    assert killed.returncode == -signal.SIGKILL
    assert not (run / BUNDLE).exists() and not (run / DONE).exists()
    assert {name for name in os.listdir(run) if not name.endswith(".part")} <= WHOLE | {CHOICE, RESERVE}
    subprocess.run(
        [sys.executable, "-m", "lexnet", *arguments], cwd=tmp_path, check=True, capture_output=True
    )
    assert set(os.listdir(run)) == WHOLE, "nor are temporary files left once it is finished"
    assert (run / BUNDLE).read_bytes() == undisturbed


@pytest.mark.usefixtures("own_cache")
def test_a_picture_that_changes_while_it_is_trained_on_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its features would be kept under another picture's digest."""
    victim = sorted((data / "birds").iterdir())[0]

    def meddle(*arguments: object, **options: object) -> object:
        noise(5).save(victim)
        return open_trunk(*arguments, **options)

    monkeypatch.setattr("lexnet.job.job.open_trunk", meddle)
    monkeypatch.setattr(sys, "argv", ["lexnet", "train", str(data), *FLAGS, "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert f"birds/{victim.name} has changed since it was listed; run again" in capsys.readouterr().err
