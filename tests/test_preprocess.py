"""One path for pixels: whatever a picture is stored as, the net sees the same."""

import os
import stat
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_makers import CLIPART, HEIC, ORIENTATIONS, encode, noise, png_header, stored_as
from PIL import Image, ImageOps

from lexnet.config import MAX_BYTES, MAX_PIXELS, TTA_VIEWS, Interpolation, PreprocessSpec
from lexnet.errors import ConfigError, PictureError
from lexnet.preprocess import (
    FILTERS,
    Picture,
    Pixels,
    decode,
    load,
    load_bytes,
    load_views,
    read,
    read_header,
)

SPEC = PreprocessSpec(size=64, short_side=64)
SAME = PreprocessSpec(size=64, short_side=64, interpolation="bilinear")
GREY = PreprocessSpec(size=64, short_side=64, channels=1, mean=(0.0,), std=(255.0,))
WHITE, RED = (255, 255, 255), (255, 0, 0)


def plain(colour: tuple[int, ...] | int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (64, 64), colour)


def middle(picture: Picture, spec: PreprocessSpec = SPEC) -> tuple[int, ...]:
    """The colour in the middle of what the net sees."""
    return tuple(int(value) for value in load(picture, spec)[32, 32])


def refusal(picture: Picture) -> str:
    with pytest.raises(PictureError) as caught:
        load(picture, SPEC)
    return str(caught.value)


@pytest.fixture
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if any picture's pixels are asked for."""

    def refuse(self: Image.Image, *_: object) -> None:
        pytest.fail(f"a picture of {self.size} was decoded; its header should have been enough")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    monkeypatch.setattr("PIL.Image.Image.load", refuse)


# --- orientation


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})],
    ids=["PNG", "TIFF", "WEBP"],
)
def test_all_eight_orientations_decode_to_one_array(
    kind: str, options: dict[str, bool], orientation: int
) -> None:
    upright = noise(0, 90, 70)
    seen = load(stored_as(upright, orientation, kind, **options), SPEC)
    assert np.array_equal(seen, load(upright, SPEC))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_all_eight_orientations_of_a_jpeg_show_one_picture(orientation: int) -> None:
    upright = Image.open(next((CLIPART / "birds").iterdir())).convert("RGB")
    seen = load(stored_as(upright, orientation, "JPEG", quality=100, subsampling=0), SPEC)
    difference = np.abs(seen.astype(int) - load(upright, SPEC))
    assert difference.max() <= 12 and difference.mean() < 1  # JPEG's own rounding, block by block


@pytest.mark.pictures
def test_all_eight_orientations_of_a_photo_show_one_picture(test_data: Path) -> None:
    file = sorted((test_data / "clothing/test").glob("*/*.jpg"))[0]
    upright = Image.open(file).convert("RGB")
    expected = load(upright, PreprocessSpec())
    for orientation in ORIENTATIONS:
        seen = load(stored_as(upright, orientation, "PNG"), PreprocessSpec())
        assert np.array_equal(seen, expected), f"orientation {orientation}"


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(load(encode(noise(0), exif=exif), SPEC), load(noise(0), SPEC))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_pictures_are_turned_as_pillow_turns_them(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(noise(1, 90, 70), kind, exif=exif)
    with Image.open(BytesIO(content)) as image:
        assert np.array_equal(load(content, SPEC), load(ImageOps.exif_transpose(image), SPEC))


def exif_of(*entries: tuple[int, int, bytes]) -> bytes:
    """An EXIF block of one value of up to four bytes for each (tag, type)."""
    fields = b"".join(struct.pack(">HHI4s", tag, kind, 1, value) for tag, kind, value in entries)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, len(entries)) + fields + bytes(4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("tag", "type_", "value"),
    [
        (0x011A, 2, b"7"),
        (0x0100, 2, b"7"),
        (0x0131, 11, struct.pack(">f", 1.5)),
        (0x0103, 4, b"\xff" * 4),
        (0xA005, 2, b"7"),
    ],
    ids=["XResolution", "ImageWidth", "Software", "Compression", "interoperability"],
)
def test_a_turned_photo_whose_exif_is_odd_elsewhere_is_turned(
    tag: int, type_: int, value: bytes, kind: str
) -> None:
    """Pillow reads such a value, but cannot write it again."""
    image = noise(1, 90, 70)
    turned = (0x0112, 3, b"\0\6\0\0")
    odd, plain = (exif_of(*entries) for entries in (sorted([turned, (tag, type_, value)]), [turned]))
    seen, expected, lying = (load(encode(image, kind, exif=exif), SPEC) for exif in (odd, plain, b""))
    assert np.array_equal(seen, expected) and not np.array_equal(seen, lying)


# --- every kind of input


def every_kind(file: Path) -> Iterator[tuple[str, Picture]]:
    with Image.open(file) as image:
        decoded = image.convert("RGB")
    with Image.open(file) as unread:
        yield "str", str(file)
        yield "Path", file
        yield "bytes", file.read_bytes()
        yield "unread PIL file", unread
        yield "PIL file from memory", Image.open(BytesIO(file.read_bytes()))
        yield "decoded PIL image", decoded
        yield "array", np.asarray(decoded)
        yield "array, not contiguous", np.asfortranarray(np.asarray(decoded))


@pytest.mark.pictures
def test_every_kind_of_input_gives_the_same_bits(test_data: Path) -> None:
    files = sorted((test_data / "clothing/test").glob("*/*.jpg"))[:8]
    assert len(files) == 8
    for file in files:
        expected = load(file, PreprocessSpec())
        for kind, picture in every_kind(file):
            assert np.array_equal(load(picture, PreprocessSpec()), expected), f"{kind} of {file.name}"


def test_every_kind_of_input_gives_the_same_bits_for_a_palette_png(tmp_path: Path) -> None:
    file = tmp_path / "palette.png"
    noise(1, 90, 70).quantize(32).save(file)
    expected = load(file, SPEC)
    for kind, picture in every_kind(file):
        assert np.array_equal(load(picture, SPEC), expected), kind


@pytest.mark.pictures
@pytest.mark.parametrize(("width", "height"), [(1101, 1467), (1601, 1203)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_jpeg_is_shrunk_by_its_decoder_and_nobody_sees(
    test_data: Path, tmp_path: Path, width: int, height: int, orientation: int
) -> None:
    """At odd sizes, where the decoder rounds up, a wrong box would show at every edge."""
    photo = sorted((test_data / "clothing/test").glob("*/*.jpg"))[0]
    with Image.open(photo) as image:
        large = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    large.save(tmp_path / "large.jpg", quality=95, exif=exif)
    content = (tmp_path / "large.jpg").read_bytes()
    shrunk = load(content, PreprocessSpec())
    with Image.open(BytesIO(content)) as image:
        image.load()  # what is decoded already cannot be shrunk by its decoder
        whole = load(image, PreprocessSpec())
    difference = np.abs(shrunk.astype(int) - whole)
    assert difference.max() <= 6 and difference.mean() < 0.8
    with Image.open(tmp_path / "large.jpg") as unread:
        assert np.array_equal(load(unread, PreprocessSpec()), shrunk)
    assert np.array_equal(load(tmp_path / "large.jpg", PreprocessSpec()), shrunk)


@pytest.mark.pictures
def test_the_photos_of_the_benchmarks_are_decoded_whole(test_data: Path) -> None:
    photo = sorted((test_data / "clothing/test").glob("*/*.jpg"))[0]
    with Image.open(photo) as image:
        assert min(image.size) < 2 * PreprocessSpec().short_side * 2
        image.load()
        assert np.array_equal(load(image, PreprocessSpec()), load(photo, PreprocessSpec()))


def test_grey_arrays_may_have_a_channel_axis_or_none() -> None:
    grey = np.asarray(noise(2).convert("L"))
    assert np.array_equal(load(grey, SPEC), load(grey[:, :, None], SPEC))


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((8, 8, 3), np.float32), "float32 (8, 8, 3)"),
        (np.zeros((8, 8, 4), np.uint8), "uint8 (8, 8, 4)"),
        (np.zeros((3, 8, 8, 3), np.uint8), "uint8 (3, 8, 8, 3)"),
        (np.zeros((0, 8, 3), np.uint8), "is empty"),
    ],
)
def test_an_array_of_another_kind_is_refused_with_what_it_is(array: np.ndarray, told: str) -> None:
    assert told in refusal(array)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "AVIF"])
def test_an_open_image_file_is_left_as_it_was(kind: str, tmp_path: Path) -> None:
    """Also a JPEG so large that its decoder shrinks it: the second answer is the first."""
    image = noise(3, 610, 450)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "x").write_bytes(encode(image, kind, exif=exif))
    expected = load(tmp_path / "x", SPEC)
    for source in (tmp_path / "x", BytesIO((tmp_path / "x").read_bytes())):
        with Image.open(source) as given, Image.open(tmp_path / "x") as untouched:
            untouched.getexif()
            for _ in range(2):
                assert np.array_equal(load(given, SPEC), expected)
            assert (given.size, given.mode) == (untouched.size, untouched.mode)
            assert dict(given.getexif()) == dict(untouched.getexif())
            assert given.tobytes() == untouched.tobytes()
            decoded = load(untouched, SPEC)  # by its caller: then its decoder cannot shrink it any more
            assert np.array_equal(load(given, SPEC), decoded)


def test_threads_may_share_an_open_image_file(tmp_path: Path) -> None:
    noise(3, 610, 450).save(tmp_path / "x.jpg")
    with Image.open(tmp_path / "x.jpg") as given, ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda one: load(one, SPEC), [given] * 64))
    assert all(np.array_equal(one, load(tmp_path / "x.jpg", SPEC)) for one in seen)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "MPO"])
def test_the_frame_that_an_image_stands_at_is_seen(kind: str) -> None:
    frames = [plain(RED).resize((200, 200)), plain((0, 0, 255)).resize((200, 200))]
    with Image.open(BytesIO(encode(frames[0], kind, save_all=True, append_images=frames[1:]))) as image:
        image.seek(1)
        assert np.abs(np.subtract(middle(image), (0, 0, 255))).max() <= 3
        assert image.size == (200, 200) and image.tell() == 1


def test_an_image_of_a_kind_that_is_not_read_from_files_is_taken_as_it_is() -> None:
    assert middle(Image.open(BytesIO(encode(plain(RED), "TGA")))) == RED


def test_an_image_whose_file_was_closed_is_refused(tmp_path: Path) -> None:
    plain(RED).save(tmp_path / "x.jpg")
    with Image.open(tmp_path / "x.jpg") as image:
        pass
    assert "x.jpg: is damaged" in refusal(image)
    content = BytesIO((tmp_path / "x.jpg").read_bytes())
    image = Image.open(content)
    content.close()
    assert "is damaged" in refusal(image)


# --- depth, colour, transparency


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_a_16_bit_ramp_keeps_its_256_levels(kind: str) -> None:
    ramp = Image.fromarray(np.arange(65_536, dtype=np.uint16).reshape(256, 256))
    full = PreprocessSpec(size=256, short_side=256)
    seen = load(encode(ramp.convert("I") if kind == "PPM" else ramp, kind), full)
    assert np.array_equal(seen[:, 0, 0], np.arange(256)), "each row is one level of the high byte"
    assert np.array_equal(np.unique(seen), np.arange(256))


def png_of(side: int, bits: int, kind: int, lines: bytes) -> bytes:
    """A square PNG of a depth that Pillow does not write."""
    content = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", side, side, bits, kind, 0, 0, 0)
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "LA", "RGBA"])
def test_a_16_bit_ramp_in_colour_or_with_alpha_keeps_its_256_levels(kind: int, channels: int) -> None:
    ramp = np.repeat(np.arange(65_536, dtype=">u2").reshape(256, 256, 1), channels, axis=2)
    if kind != 2:
        ramp[:, :, -1] = 65_535  # opaque
    lines = b"".join(b"\0" + row.tobytes() for row in ramp)
    seen = load(png_of(256, 16, kind, lines), PreprocessSpec(size=256, short_side=256))
    assert np.array_equal(seen[:, 0], np.repeat(np.arange(256)[:, None], 3, axis=1))


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_images_of_either_byte_order_are_read(order: str) -> None:
    assert middle(Image.fromarray(np.full((64, 64), 0x80FF, order))) == (128, 128, 128)


@pytest.mark.parametrize("value", [-1, 65_536])
def test_values_beyond_16_bits_are_refused(value: int) -> None:
    assert "beyond 16 bits; convert it" in refusal(Image.new("I", (8, 8), value))


def test_floating_point_pictures_are_refused_in_words() -> None:
    assert "in floating point" in refusal(encode(Image.new("F", (8, 8), 0.5), "TIFF"))


@pytest.mark.parametrize("bits", [8, 12])
def test_fewer_bits_in_the_place_of_16_are_refused_and_not_black(bits: int) -> None:
    ramp = np.linspace(0, 2**bits - 1, 64 * 64).astype(np.uint16).reshape(64, 64)
    assert f"uses {2**bits - 1:,} of its 65,535 levels" in refusal(encode(Image.fromarray(ramp), "PNG"))
    assert middle(Image.fromarray(np.zeros((64, 64), np.uint16))) == (0, 0, 0)


def palette_red(transparency: int | bytes) -> bytes:
    image = plain(1, "P")
    image.putpalette([0, 0, 255, *RED])
    return encode(image, transparency=transparency)


@pytest.mark.parametrize(
    "picture",
    [
        encode(plain((*RED, 0), "RGBA")),
        encode(plain((*RED, 0), "RGBA"), "WEBP", lossless=True, exact=True),
        encode(plain((76, 0), "LA")),
        palette_red(1),
        palette_red(b"\xff\x00"),
        encode(plain(RED), transparency=RED),
        encode(plain(76, "L"), transparency=76),
        encode(plain(0, "1"), transparency=0),
        encode(plain(7000, "I;16"), transparency=7000),
    ],
    ids=["RGBA", "WEBP", "LA", "P", "P bytes", "RGB tRNS", "L tRNS", "1 tRNS", "I;16 tRNS"],
)
def test_what_is_transparent_is_white(picture: bytes) -> None:
    assert middle(picture) == WHITE


def test_half_transparent_red_is_pink_on_white() -> None:
    assert middle(encode(plain((*RED, 128), "RGBA"))) == (255, 127, 127)


def test_an_opaque_palette_colour_beside_a_transparent_one_keeps_its_colour() -> None:
    assert middle(palette_red(0)) == RED


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_the_colours_it_stands_for(kind: str) -> None:
    options = {"quality": 100} if kind == "JPEG" else {}
    red, green, blue = middle(encode(plain((0, 255, 255, 0), "CMYK"), kind, **options))
    assert red >= 250 and green <= 5 and blue <= 5


@pytest.mark.parametrize("value", [0, 255])
def test_1_bit_pictures_are_black_and_white(value: int) -> None:
    assert middle(encode(plain(value, "1"))) == (value,) * 3


SWATCHES = {"red": RED, "green": (0, 255, 0), "blue": (0, 0, 255), "orange": (255, 128, 0)}


@pytest.mark.parametrize("name", SWATCHES)
def test_colours_keep_the_order_of_their_channels_on_every_path(name: str, tmp_path: Path) -> None:
    image = plain(SWATCHES[name])
    for kind, options in {
        "PNG": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "GIF": {},
        "WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100}, "JPEG2000": {},
    }.items():  # fmt: skip
        file = tmp_path / f"swatch.{kind}"
        file.write_bytes(encode(image, kind, **options))
        with Image.open(file) as opened:
            for picture in (file, file.read_bytes(), opened):
                assert np.abs(np.subtract(middle(picture), SWATCHES[name])).max() <= 3, kind
    assert middle(np.asarray(image)) == SWATCHES[name]


def test_grey_and_colour_pictures_for_grey_and_colour_nets() -> None:
    grey = noise(4).convert("L")
    three, one = load(encode(grey), SPEC), load(encode(grey), GREY)
    assert three.shape == (64, 64, 3) and one.shape == (64, 64, 1)
    assert np.array_equal(three, np.repeat(one, 3, axis=2)), "the three channels are the grey one"
    assert middle(plain(RED), GREY) == (76,)  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_seen(kind: str) -> None:
    frames = [plain(RED), plain((0, 255, 0)), plain((0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(BytesIO(content)).n_frames == 3
    assert middle(content) == RED


def test_of_a_phones_pair_of_jpegs_in_one_file_the_first_is_seen() -> None:
    frames = [plain(RED), plain((0, 0, 255))]
    content = encode(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=100)
    assert Image.open(BytesIO(content)).n_frames == 2
    assert np.abs(np.subtract(middle(content), RED)).max() <= 3


# --- resampling


def test_shrinking_is_antialiased() -> None:
    checkers = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    for spec in (SPEC, SAME):
        seen = load(checkers, spec)[2:-2, 2:-2].astype(int)
        assert np.abs(seen - 127).max() <= 2, "a fine chequerboard is grey from afar, not stripes"


def reference(image: Image.Image, spec: PreprocessSpec) -> Pixels:
    """The textbook's way: resize the short side, then cut out the centre."""
    scale = spec.short_side / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    resized = image.resize((width, height), FILTERS[spec.interpolation])
    left, top = (width - spec.size) // 2, (height - spec.size) // 2
    return np.asarray(resized.crop((left, top, left + spec.size, top + spec.size)))


def assert_resize_then_crop(image: Image.Image, interpolation: Interpolation, name: str) -> None:
    """Equal to one level of rounding, for a picture whose crop starts on a whole pixel."""
    unit = min(image.size[0] // 3, image.size[1] // 2) // 2 * 2
    image = image.crop((0, 0, 3 * unit, 2 * unit))  # to 384 x 256, of which 80 and 16 are cut off
    spec = PreprocessSpec(size=224, short_side=256, interpolation=interpolation)
    inner = slice(4, -4)  # at its edge the resize still sees what the crop then cuts off
    difference = load(image, spec)[inner, inner].astype(int) - reference(image, spec)[inner, inner]
    assert np.abs(difference).max() <= 1, name


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_one_resampling_equals_resize_then_crop(interpolation: Interpolation) -> None:
    for file in sorted((CLIPART / "flags").iterdir())[:4]:
        image = Image.open(file).convert("RGB")
        assert_resize_then_crop(image, interpolation, file.name)
        assert_resize_then_crop(image.resize((901, 700)), interpolation, file.name)


@pytest.mark.pictures
def test_photos_look_as_after_resize_then_crop(test_data: Path) -> None:
    for file in sorted((test_data / "clothing/test").glob("*/*.jpg"))[::40]:
        assert_resize_then_crop(Image.open(file).convert("RGB"), "bicubic", file.name)


def test_the_centre_is_cut_out_and_not_squeezed() -> None:
    stripes = np.zeros((64, 192, 3), np.uint8)
    stripes[:, :64], stripes[:, 64:128], stripes[:, 128:] = RED, (0, 255, 0), (0, 0, 255)
    seen = load(stripes, SPEC)
    assert np.array_equal(seen, np.broadcast_to(np.uint8((0, 255, 0)), (64, 64, 3)))


# --- sizes, judged from the header


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (100, 1), (2, 3)])
def test_tiny_pictures_work(size: tuple[int, int]) -> None:
    seen = load(encode(Image.new("RGB", size, RED)), PreprocessSpec())
    assert np.array_equal(seen, np.broadcast_to(np.uint8(RED), (224, 224, 3)))


@pytest.mark.usefixtures("never_decoded")
@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((1, 65_535), "is 1x65535, longer than 100 times its width; crop it"),
        ((65_535, 1), "is 65535x1, longer than 100 times its width; crop it"),
        ((8001, 8000), "has 8001x8000 pixels, over 64,000,000; make it smaller"),
        ((13_000, 13_000), "has 13000x13000 pixels, over 64,000,000; make it smaller"),
        ((60_000, 60_000), "has over 64,000,000 pixels; make it smaller"),
        ((2**31 - 1, 2**31 - 1), "has over 64,000,000 pixels; make it smaller"),
    ],
)
def test_sizes_beyond_the_limits_are_refused_from_the_header(size: tuple[int, int], reason: str) -> None:
    bomb = png_header(*size)
    assert len(bomb) < 100
    with pytest.raises(PictureError) as caught:
        read_header(bomb, "bomb.png")
    if max(size) == 13_000:  # above the size at which Pillow warns and below the one at which it refuses
        assert caught.value.reason in (reason, "has over 64,000,000 pixels; make it smaller")
    else:
        assert caught.value.reason == reason
    assert refusal(bomb) == f"picture: {caught.value.reason}"


def test_a_bomb_takes_no_memory() -> None:
    bomb = png_header(8001, 8000)
    refusal(bomb)  # what Pillow imports on first use is not the bomb's
    tracemalloc.start()
    refusal(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.usefixtures("never_decoded")
def test_a_header_at_the_limit_passes_the_check() -> None:
    assert MAX_PIXELS == 8000 * 8000
    read_header(png_header(8000, 8000))
    read_header(png_header(100, 1))


def test_an_image_without_pixels_is_refused() -> None:
    assert "is 0x5, so it has no pixels" in refusal(Image.new("RGB", (0, 5)))


# --- what is no picture


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<html><body>404 Not Found</body></html>", "is text, not a picture"),
        ("¡Hola! ¿Qué tal?".encode(), "is text, not a picture"),
        (HEIC, "is HEIC, which Pillow cannot decode here; convert it to JPEG"),
        (bytes(range(256)), "is damaged or not in a known format; convert it to JPEG or PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is damaged or not in a known format"),
        (b"%PDF-1.7\n\0\1\2", "is damaged or not in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is text, not a picture"),
    ],
    ids=["empty", "html", "utf-8", "heic", "garbage", "png stub", "pdf", "eps is never run"],
)
def test_what_is_no_picture_is_named_with_its_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(content)
    with pytest.raises(PictureError) as caught:
        load(file, SPEC)
    assert caught.value.path == str(file)
    assert reason in caught.value.reason
    assert str(caught.value) == f"{file}: {caught.value.reason}"
    assert reason in refusal(content), "the same reason without a file"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000"])
def test_a_file_cut_in_half_is_refused(kind: str) -> None:
    whole = encode(noise(5, 200, 200), kind)
    load(whole, SPEC)
    with pytest.raises(PictureError, match=r"holiday: (is damaged|has a broken header)"):
        load_bytes(whole[: len(whole) // 2], SPEC, "holiday")


@pytest.mark.pictures
def test_a_truncated_photo_is_refused_and_not_half_grey(test_data: Path) -> None:
    content = sorted((test_data / "clothing/test").glob("*/*.jpg"))[0].read_bytes()
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(PictureError, match=r"holiday: is damaged .*truncated"):
            load_bytes(content[: int(len(content) * share)], SPEC, "holiday")


def test_a_damaged_avif_is_not_taken_for_a_missing_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = encode(noise(5), "AVIF")[:100]
    assert refusal(cut) == "picture: is damaged AVIF"
    monkeypatch.setattr("PIL.features.check", lambda codec: False)
    assert "which this Pillow was built without; convert it" in refusal(cut)


def test_a_file_that_is_not_there_or_not_a_file_is_named(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "no.jpg") == f"{tmp_path / 'no.jpg'}: cannot be read (No such file or directory)"
    )
    assert refusal(tmp_path) == f"{tmp_path}: is not a regular file"
    assert "cannot be read (embedded null byte)" in refusal("a\0b.jpg")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.jpg").write_bytes(b"x")
    monkeypatch.setattr("lexnet.preprocess.open", deny, raising=False)
    assert refusal(tmp_path / "a.jpg").endswith("a.jpg: cannot be read (Permission denied)")


@pytest.mark.parametrize(
    "step", ["Image.open", *(f"PngImagePlugin.PngImageFile.{name}" for name in ("draft", "load"))]
)
def test_a_picture_that_does_not_fit_into_memory_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "a.png").write_bytes(encode(noise(6), "PNG"))
    monkeypatch.setattr(f"PIL.{step}", full)
    assert "needs more memory than there is" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("size", [0, 100])
def test_a_file_longer_than_it_says_is_read_to_its_end_and_no_further_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (tmp_path / "a.png").write_bytes(bytes(1_000))
    status = list((tmp_path / "a.png").stat())
    status[stat.ST_SIZE] = size
    monkeypatch.setattr("lexnet.preprocess.os.stat", lambda path: os.stat_result(status))
    assert read(tmp_path / "a.png") == bytes(1_000)
    monkeypatch.setattr("lexnet.preprocess.MAX_BYTES", 999)
    with pytest.raises(PictureError, match=r"a\.png: has over 999 bytes"):
        read(tmp_path / "a.png")


# --- anything at all

QUICK = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SEEDS = [
    encode(noise(6), kind, **options)
    for kind, options in [
        ("PNG", {}), ("JPEG", {}), ("GIF", {}), ("WEBP", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}),
        ("TIFF", {"compression": "tiff_lzw"}), ("JPEG2000", {}), ("AVIF", {}),
    ]
]  # fmt: skip
STARTS = [seed[:n] for seed in SEEDS for n in (4, 12, 32)]


def only_a_picture_error(content: bytes) -> None:
    try:
        seen = load(content, SPEC)
    except PictureError as error:
        assert error.reason and str(error) == f"picture: {error.reason}"
    else:
        assert seen.shape == (64, 64, 3) and seen.dtype == np.uint8


@QUICK
@given(start=st.sampled_from([b"", *STARTS]), rest=st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_a_picture_error(start: bytes, rest: bytes) -> None:
    only_a_picture_error(start + rest)


@QUICK
@given(data=st.data(), seed=st.sampled_from(SEEDS))
def test_mutated_pictures_raise_nothing_but_a_picture_error(data: st.DataObject, seed: bytes) -> None:
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(seed) - 1, 400)) | st.integers(0, len(seed) - 1))
        content[place] = data.draw(st.integers(0, 255))
    only_a_picture_error(bytes(content[: data.draw(st.integers(1, len(seed)) | st.just(len(seed)))]))


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "HSV", "LAB", "PA", "RGBX", "RGBa"]


@QUICK
@given(
    mode=st.sampled_from(MODES),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    size=st.integers(16, 80),
    margin=st.integers(0, 40),
    channels=st.sampled_from([1, 3]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_every_size_and_mode_comes_out_square_and_uint8(
    mode: str, width: int, height: int, size: int, margin: int, channels: int, interpolation: str
) -> None:
    spec = PreprocessSpec(
        size=size, short_side=size + margin, channels=channels, mean=(0.0,) * channels,
        std=(1.0,) * channels, interpolation=interpolation,
    )  # fmt: skip
    seen = load(Image.new(mode, (width, height)), spec)
    assert seen.shape == (size, size, channels)
    assert seen.dtype == np.uint8
    assert len(np.unique(seen.reshape(-1, channels), axis=0)) == 1, "one colour in, one colour out"


def test_what_would_never_end_is_not_read(tmp_path: Path) -> None:
    assert refusal("/dev/zero") == "/dev/zero: is not a regular file"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "pipe.jpg").endswith("is not a regular file")
    with (tmp_path / "vast.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: no bytes on the disk
    assert refusal(tmp_path / "vast.jpg").endswith("has 536,870,913 bytes, over 536,870,912")


@pytest.mark.parametrize(("tta", "count"), TTA_VIEWS.items())
def test_the_views_that_are_answered_by(tta: Any, count: int) -> None:
    spec = PreprocessSpec(size=32, short_side=40, tta=tta)
    content = encode(noise(0, 40, 40))  # 40 px like the short side: nothing is resampled
    views = load_views(content, spec)
    assert views.shape == (count, 32, 32, 3)
    pixels = np.asarray(noise(0, 40, 40))
    places = [(4, 4), (0, 0), (0, 8), (8, 0), (8, 8)] if tta in ("crops", "ten") else [(4, 4)]
    cuts = [pixels[y : y + 32, x : x + 32] for y, x in places]
    cuts += [cut[:, ::-1] for cut in cuts] if tta in ("mirror", "ten") else []
    np.testing.assert_array_equal(views, cuts)
    np.testing.assert_array_equal(views[0], load(content, spec))


def test_crops_need_room() -> None:
    with pytest.raises(ConfigError, match="tta='crops' has no room: short_side=32 is size itself"):
        PreprocessSpec(size=32, short_side=32, tta="crops")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_whole_picture_is_upright(orientation: int, channels: Literal[1, 3]) -> None:
    image = noise(1, 48, 40)
    spec = PreprocessSpec(size=32, channels=channels, mean=(0.0,) * channels, std=(255.0,) * channels)
    whole = decode(stored_as(image, orientation, "PNG"), spec)
    expected = np.asarray(image if channels == 3 else image.convert("L")).reshape(40, 48, channels)
    np.testing.assert_array_equal(whole, expected)


def test_a_large_jpeg_is_decoded_small_for_augmentation_too() -> None:
    content = encode(Image.linear_gradient("L").resize((1600, 1200)).convert("RGB"), "JPEG")
    assert decode(content, PreprocessSpec(size=64, short_side=72)).shape == (150, 200, 3)
    assert decode(content, PreprocessSpec(size=224, short_side=256)).shape == (600, 800, 3)


def test_a_jpeg_whose_scans_would_take_for_ever_is_refused() -> None:
    """The last scan of a progressive one, over and over: a small file."""
    picture = encode(noise(0, 64, 64), "JPEG", progressive=True)
    last, end = picture.rindex(b"\xff\xda"), picture.rindex(b"\xff\xd9")
    assert 2 < picture.count(b"\xff\xda") < 20
    load(picture, SPEC)
    many = picture[:end] + picture[last:end] * 200 + picture[end:]
    count = picture.count(b"\xff\xda") + 200
    assert refusal(many) == f"picture: has {count} scans, over 100, each of which takes time"


def test_what_follows_a_jpeg_has_no_scans() -> None:
    """A phone's motion photo is a JPEG with a film behind it, whose bytes are anything."""
    scan = b"\xff\xda"
    for options in ({}, {"progressive": True}, {"exif": scan * 200}, {"restart_marker_rows": 1}):
        picture = encode(noise(0, 64, 64), "JPEG", **options)
        np.testing.assert_array_equal(load(picture + scan * 200, SPEC), load(picture, SPEC))


def test_a_jpeg_of_markers_alone_is_not_walked_to_its_end() -> None:
    """Millions of them would take minutes."""
    picture = encode(noise(0, 64, 64), "JPEG")
    many = picture[:2] + b"\xff\xfe\x00\x02" * 20_000 + picture[2:] + b"\xff\xda" * 101
    assert refusal(many) == "picture: has 102 scans, over 100, each of which takes time"
    assert load(picture[:2] + many[2 : 2 + 4 * 20_000] + picture[2:], SPEC).shape == (SPEC.size, SPEC.size, 3)


@pytest.mark.parametrize(
    "ahead", [b"\xff\xfe\x00\x04\xff\xd9", b"\xff\xd3\x7f\xff", b"\xff\x05\x7f\xff", b"\xff\xff", b"junk"]
)
def test_no_scans_hide_behind_an_end_in_a_comment_or_a_marker_without_a_length(ahead: bytes) -> None:
    picture = encode(noise(0, 64, 64), "JPEG", progressive=True)
    last, end = picture.rindex(b"\xff\xda"), picture.rindex(b"\xff\xd9")
    many = picture[:last] + ahead + picture[last:end] * 200 + picture[end:]
    assert "scans, over 100, each of which takes time" in refusal(many)


@pytest.mark.parametrize("kind", ["P1", "P2", "P3"])
def test_a_plain_ppm_whose_comments_would_take_for_ever_is_refused(kind: str) -> None:
    depth = "" if kind == "P1" else "1"
    picture = f"{kind} # made by hand\n4 4 {depth}\n#\n{'1 ' * 48}".encode()
    assert np.array_equal(load(picture, SPEC), np.full((64, 64, 3), 0 if kind == "P1" else 255))
    many = picture + b"#\n" * 200
    assert refusal(many) == "picture: has 202 comments, over 100, each of which takes time"


def test_a_binary_ppm_has_no_comments_among_its_pixels() -> None:
    picture = encode(Image.new("RGB", (64, 64), (35, 35, 35)), "PPM")
    assert picture.count(b"#") == 64 * 64 * 3
    assert np.array_equal(load(picture, SPEC), np.full((64, 64, 3), 35))
