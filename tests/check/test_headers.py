"""What is worth knowing of a picture's header."""

from pathlib import Path

import numpy as np
import pytest
from picture_makers import ORIENTATIONS, encode, noise, stored_as
from PIL import Image

from lexnet.check.headers import TINY, all_grey, oddities, tiny
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.errors import PictureError

PLAIN = noise(0, 48, 40)


def listed(root: Path, name: str, content: bytes) -> Manifest:
    """One file, before another that is plain."""
    (root / "a").mkdir(exist_ok=True)
    (root / "a" / name).write_bytes(content)
    (root / "a" / "~plain.png").write_bytes(encode(PLAIN))
    manifest = read_folder(root)
    assert list(manifest.paths) == [f"a/{name}", "a/~plain.png"]
    assert (manifest.sizes[1].tolist(), manifest.modes[1]) == ([48, 40], "RGB")
    return manifest


def oddities_of(root: Path, name: str, content: bytes) -> tuple[str, ...]:
    odd, plain = oddities(listed(root, name, content), lambda done, total: None)
    assert plain == ()
    return odd


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation(orientation: int, tmp_path: Path) -> None:
    told = () if orientation == 1 else ("is stored turned, to be shown upright",)
    assert oddities_of(tmp_path, "x.jpg", stored_as(PLAIN, orientation, "JPEG")) == told


def test_an_orientation_of_0_is_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 0
    assert oddities_of(tmp_path, "x.jpg", encode(PLAIN, "JPEG", exif=exif)) == ()


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0nothing"])
def test_exif_that_breaks_off_turns_nothing(exif: bytes, tmp_path: Path) -> None:
    assert oddities_of(tmp_path, "x.webp", encode(PLAIN, "WEBP", exif=exif)) == ()


def test_a_mode_that_is_out_of_the_ordinary(tmp_path: Path) -> None:
    image = Image.new("I;16", (48, 40), 700)
    assert oddities_of(tmp_path, "x.png", encode(image)) == ("has mode I;16",)


def test_a_print_shops_jpeg_has_mode_cmyk(tmp_path: Path) -> None:
    assert oddities_of(tmp_path, "x.jpg", encode(PLAIN.convert("CMYK"), "JPEG")) == ("has mode CMYK",)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1"])
def test_ordinary_modes_are_nothing_odd(mode: str, tmp_path: Path) -> None:
    assert oddities_of(tmp_path, "x.png", encode(PLAIN.convert(mode))) == ()


@pytest.mark.parametrize(
    ("kind", "suffix"), [("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")]
)
def test_a_film_is_nothing_odd(kind: str, suffix: str, tmp_path: Path) -> None:
    film = encode(PLAIN, kind, save_all=True, append_images=[noise(1, 48, 40), noise(2, 48, 40)])
    assert oddities_of(tmp_path, f"x.{suffix}", film) == ()
    assert listed(tmp_path, f"x.{suffix}", film).sizes[0].tolist() == [48, 40]


@pytest.mark.parametrize("share", [0.34, 0.4, 0.7])
def test_a_film_that_breaks_off_after_its_first_frame_still_has_that(share: float, tmp_path: Path) -> None:
    """Its first frame decodes, so it is trained on; that its end is missing ends nothing."""
    film = encode(PLAIN, "GIF", save_all=True, append_images=[noise(1), noise(2)])
    manifest = listed(tmp_path, "x.gif", film[: round(share * len(film))])
    assert manifest.sizes[0].tolist() == [48, 40]
    assert not oddities(manifest, lambda done, total: None)[0]


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("PNG", "x.jpg", "is PNG, called .jpg"),
        ("JPEG", "x.png", "is JPEG, called .png"),
        ("WEBP", "x.jpeg", "is WEBP, called .jpeg"),
        ("JPEG", "x.JPG", None),
        ("JPEG", "x.jpe", None),
        ("TIFF", "x.tiff", None),
        ("BMP", "x.bmp", None),
        ("AVIF", "x.avif", None),
        ("PPM", "x.ppm", None),
    ],
)
def test_a_suffix_that_lies(kind: str, name: str, told: str | None, tmp_path: Path) -> None:
    assert oddities_of(tmp_path, name, encode(PLAIN, kind)) == ((told,) if told else ())


@pytest.mark.parametrize(
    ("size", "small"),
    [((TINY, TINY), False), ((TINY - 1, 200), True), ((200, TINY - 1), True), ((8, 8), True)],
)
def test_tiny_by_the_shorter_side(size: tuple[int, int], small: bool, tmp_path: Path) -> None:
    manifest = listed(tmp_path, "x.png", encode(noise(1, *size)))
    assert manifest.sizes[0].tolist() == list(size) and tiny(manifest).tolist() == [small, False]
    odd = oddities(manifest, lambda done, total: None)[0]
    assert odd == ((f"is {size[0]}x{size[1]}, very small",) if small else ())


@pytest.mark.parametrize(
    ("mode", "grey"), [("L", True), ("LA", True), ("1", True), ("RGB", False), ("P", False)]
)
def test_all_are_grey_or_not(mode: str, grey: bool, tmp_path: Path) -> None:
    manifest = listed(tmp_path, "x.png", encode(PLAIN.convert(mode)))
    assert not all_grey(manifest), "one is in colour"
    assert all_grey(manifest.take(np.array([0]))) == grey


def test_all_that_is_odd_is_told(tmp_path: Path) -> None:
    content = stored_as(noise(1, 20, 16).convert("CMYK"), 6, "JPEG")
    assert oddities_of(tmp_path, "x.png", content) == (
        "is JPEG, called .png",
        "is stored turned, to be shown upright",
        "has mode CMYK",
        "is 16x20, very small",
    )


def test_they_come_in_order_and_progress_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for width in range(22, 42):
        noise(width, width, 40).save(tmp_path / "a" / f"{width}.png")
    told: list[tuple[int, int]] = []
    manifest = read_folder(tmp_path)
    assert manifest.sizes[:, 0].tolist() == list(range(22, 42))
    found = oddities(manifest.take(np.arange(20)), lambda done, total: told.append((done, total)))
    assert found == [(f"is {width}x40, very small",) * (width < 32) for width in range(22, 42)]
    assert told == [(16, 20), (20, 20)]


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    PLAIN.save(tmp_path / "a" / "1.png")
    manifest = read_folder(tmp_path)
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(PictureError, match=r"a/1\.png: cannot be read"):
        oddities(manifest, lambda done, total: None)


def test_a_picture_that_is_text_by_now_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    PLAIN.save(tmp_path / "a" / "1.png")
    manifest = read_folder(tmp_path)
    (tmp_path / "a" / "1.png").write_text("404 Not Found")
    with pytest.raises(PictureError, match=r"a/1\.png: is text, not a picture"):
        oddities(manifest, lambda done, total: None)


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((120, 40), "is 120x40, of which a square shows 33 %"),
        ((40, 400), "is 40x400, of which a square shows 10 %"),
        ((119, 40), None),
        ((320, 330), "is 320x330, and 40 on the shorter side is usual here"),
        ((319, 330), None),
        ((90, 20), "is 90x20, very small"),
    ],
)
def test_a_shape_or_a_size_unlike_the_others(size: tuple[int, int], told: str | None, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    noise(1, *size).save(tmp_path / "a/0.png")
    for number in range(1, 10):
        noise(number, 48, 40).save(tmp_path / "a" / f"{number}.png")
    odd, *others = oddities(read_folder(tmp_path), lambda done, total: None)
    assert odd == ((told,) if told else ()) and not any(others)
