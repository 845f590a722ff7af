"""One path for pixels: a picture file becomes the uint8 square that a net sees.

    bytes ─ header checks ─ decode ─ first frame ─ orient ─ 8 bits ─ RGB on white ─ resize + crop

Training, evaluation, the command line and the bundle's runtime all come through here, so what was
measured is what is served. Resizing and cropping are one antialiased resampling of the crop's box.
"""

import os
import re
import stat
import threading
from collections.abc import Sequence
from io import BytesIO
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features

from lexnet.config import MAX_ASPECT, MAX_BYTES, MAX_PIXELS, PreprocessSpec
from lexnet.errors import PictureError

Pixels = NDArray[np.uint8]
Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[Any]
"""A path, an encoded file's bytes, an open file, a PIL image or a decoded uint8 array (H, W) or (H, W, 3)."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".heic", ".heif"}
)
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
WHITE = (255, 255, 255, 255)
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = {  # how a picture with this value is turned
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS, FLIPPED_X, FLIPPED_Y = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)  # what its values do
MARGIN = 2
BLACK = 4096  # of 65,536: 16-bit grey with all levels below is a picture of 8 or 12 bits in disguise
SCAN, MAX_SCANS = b"\xff\xda", 100  # a progressive JPEG has about ten; a small file can have thousands
END = b"\xff\xd9"
MAX_MARKERS = 10_000  # a photo has some dozens, and a few more for each megabyte of a colour profile
PLAIN, MAX_COMMENTS = (b"P1", b"P2", b"P3"), 100  # PPM in digits, out of which Pillow cuts them one by one
MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")  # the end, and those of a JPEG that say how long they are
NO_MEMORY = "needs more memory than there is; fewer workers may help"
Upright = tuple[Image.Image, tuple[float, float], tuple[float, float]]
"""A decoded picture, and the size and place in it of what is shown."""


def load(picture: Picture, spec: PreprocessSpec, name: str = "picture") -> Pixels:
    """The picture as the net sees it: (size, size, channels) uint8. `name` is that of encoded bytes.

    An image file that is open but not decoded yet stays so: its pixels are those of the file.
    Raises `PictureError` with the picture's name and the reason.
    """
    if isinstance(picture, (str, os.PathLike)):
        return load_bytes(read(picture), spec, os.fspath(picture))
    if hasattr(picture, "read"):
        name = str(getattr(picture, "name", name))
        stream = cast(IO[bytes], picture)
        if hasattr(stream, "seekable") and stream.seekable():
            stream.seek(0)  # as Pillow does: it was perhaps just written, or read before
        if not isinstance(picture := stream.read(), bytes):
            raise PictureError(name, f"gives {type(picture).__name__} and not bytes; open it with 'rb'")
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return load_bytes(bytes(picture), spec, name)
    if isinstance(picture, Image.Image):
        name = getattr(picture, "filename", "") or "PIL image"
        if content := _undecoded(picture):
            return load_bytes(content, spec, name)
        return _sampled(_upright(_checked(picture, name), picture.size, name), spec)
    return _square(_from_array(picture), spec, "array")


def load_bytes(content: bytes, spec: PreprocessSpec, name: str = "picture") -> Pixels:
    """An encoded picture as the net sees it: (size, size, channels) uint8."""
    return _square(_open(content, name), spec, name)


def load_each(content: bytes, specs: Sequence[PreprocessSpec], name: str = "picture") -> list[Pixels]:
    """An encoded picture as each of several nets sees it, decoded once where they want it equally large."""
    decoded: dict[tuple[int, ...], Upright] = {}
    squares = []
    for spec in specs:
        image = _open(content, name)
        full = _shrink(image, spec, name)
        if (shrunk := image.size) not in decoded:
            decoded[shrunk] = _upright(image, full, name)
        squares.append(_sampled(decoded[shrunk], spec))
    return squares


def load_views(picture: Picture, spec: PreprocessSpec, name: str = "picture") -> Pixels:
    """The picture in each view of the spec's test-time augmentation: (views, size, size, channels) uint8.

    Crops are whole-pixel cuts of the central square whose side is the spec's short side.
    """
    if spec.tta in ("none", "mirror"):
        views = [load(picture, spec, name)]
    else:
        square = load(picture, spec.around(), name)
        room = spec.short_side - spec.size
        corners = [(room // 2, room // 2), (0, 0), (0, room), (room, 0), (room, room)]
        views = [square[y : y + spec.size, x : x + spec.size] for y, x in corners]
    if spec.tta in ("mirror", "ten"):
        views += [view[:, ::-1] for view in views]
    return np.stack(views)


def decode(content: bytes, spec: PreprocessSpec, name: str = "picture") -> Pixels:
    """The whole picture, upright and in 8 bits: (H, W, channels) uint8, for augmentation to sample from.

    A large JPEG is shrunk by its decoder, as for `load`.
    """
    image, _, _ = _whole(_open(content, name), spec, name)
    return _array(image, spec)


def read_header(content: bytes, name: str = "picture") -> tuple[int, int, str]:
    """Width, height and Pillow's mode as stored; raises `PictureError` for what the header alone betrays.

    Decodes nothing.
    """
    image = _open(content, name)
    return image.width, image.height, image.mode


def read(path: str | os.PathLike[str]) -> bytes:
    """The file's bytes, or a `PictureError` that says why not."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would keep us waiting, a device would never end
            raise PictureError(os.fspath(path), "is not a regular file")
        if status.st_size > MAX_BYTES:
            raise PictureError(os.fspath(path), f"has {status.st_size:,} bytes, over {MAX_BYTES:,}")
        with open(path, "rb", buffering=0) as file:
            content = file.read(status.st_size + 1)
            if len(content) != status.st_size:  # it grows, or is of those that say 0
                content += file.read(MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise PictureError(os.fspath(path), f"has over {MAX_BYTES:,} bytes")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        # Windows has words of its own for what is not there
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise PictureError(os.fspath(path), f"cannot be read ({why})") from error
    if not content:
        raise PictureError(os.fspath(path), "is empty (0 bytes)")
    return content


_reading = threading.Lock()
"""Threads that are given one open image file would else move it under each other."""


def _undecoded(image: Image.Image) -> bytes | None:
    """The whole file of an image that is still to be decoded, where it can be read; it is left as it was."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.fp is None:
        return None
    if image.format not in (*FORMATS, "MPO") or image.tell():  # a later frame of several
        return None
    with _reading:
        try:
            place = image.fp.tell()
            image.fp.seek(0)
            content = image.fp.read()
            image.fp.seek(place)
        except (OSError, ValueError):  # ValueError: it was closed
            return None
    return content


def _open(content: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError(name, _what_it_is(content)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(name, f"has over {MAX_PIXELS:,} pixels; make it smaller") from None
    except Exception as error:
        raise _refusal(error, name, "has a broken header") from error
    if image.format in ("JPEG", "MPO") and (scans := _scans(content)) > MAX_SCANS:
        raise PictureError(name, f"has {scans:,} scans, over {MAX_SCANS}, each of which takes time")
    if content.startswith(PLAIN) and (comments := content.count(b"#")) > MAX_COMMENTS:
        raise PictureError(name, f"has {comments:,} comments, over {MAX_COMMENTS}, each of which takes time")
    return _checked(image, name)


def _scans(content: bytes) -> int:
    """How many scans a JPEG has, or a few more; what follows its end, as a phone's film, has none."""
    if (most := content.count(SCAN)) <= MAX_SCANS:
        return most
    scans = at = 0
    for _ in range(MAX_MARKERS):
        if not (marker := MARKER.search(content, at)) or marker[0] == END:
            return scans
        scans += marker[0] == SCAN
        at = marker.end() + max(2, int.from_bytes(content[marker.end() : marker.end() + 2]))
    return most


def _refusal(error: Exception, name: str, what: str) -> PictureError:
    """What to raise for an error of Pillow's, whose decoders raise nearly everything on broken files."""
    return PictureError(name, NO_MEMORY if isinstance(error, MemoryError) else f"{what} ({error})")


def _checked(image: Image.Image, name: str) -> Image.Image:
    """The same image if its header is sane; nothing is decoded yet."""
    width, height = image.size
    if not width * height:
        raise PictureError(name, f"is {width}x{height}, so it has no pixels")
    if width * height > MAX_PIXELS:
        raise PictureError(name, f"has {width}x{height} pixels, over {MAX_PIXELS:,}; make it smaller")
    if max(width, height) > MAX_ASPECT * max(1, min(width, height)):
        raise PictureError(name, f"is {width}x{height}, longer than {MAX_ASPECT} times its width; crop it")
    return image


def _what_it_is(content: bytes) -> str:
    if not content:
        return "is empty (0 bytes)"
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"heim", b"hevc"):
        return "is HEIC, which Pillow cannot decode here; convert it to JPEG"
    if content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"avis"):
        if features.check("avif"):
            return "is damaged AVIF"
        return "is AVIF, which this Pillow was built without; convert it to JPEG"
    if all(byte in b"\t\n\r" or byte >= 32 for byte in content[:64]):
        return "is text, not a picture"
    return "is damaged or not in a known format; convert it to JPEG or PNG"


def _square(image: Image.Image, spec: PreprocessSpec, name: str) -> Pixels:
    """Decodes, and samples the centre of the picture onto the net's square."""
    return _sampled(_whole(image, spec, name), spec)


def _sampled(upright: Upright, spec: PreprocessSpec) -> Pixels:
    image, (width, height), (left, top) = upright
    side = spec.side(width, height)
    left, top = left + (width - side) / 2, top + (height - side) / 2
    box = (left, top, left + side, top + side)
    return _array(image.resize((spec.size, spec.size), FILTERS[spec.interpolation], box=box), spec)


def _whole(image: Image.Image, spec: PreprocessSpec, name: str) -> Upright:
    return _upright(image, _shrink(image, spec, name), name)


def _shrink(image: Image.Image, spec: PreprocessSpec, name: str) -> tuple[int, int]:
    """Has the decoder of a JPEG far larger than the net's square shrink it to 1/2, 1/4 or 1/8 on the way, to
    no less than `MARGIN` times what is needed; returns the size that it has in full."""
    full = image.size
    try:
        image.draft(None, (MARGIN * spec.short_side,) * 2)
    except Exception as error:
        raise _refusal(error, name, "is damaged") from error
    return full


def _upright(image: Image.Image, full: tuple[int, int], name: str) -> Upright:
    """Decodes it, of whatever size it was shrunk to."""
    try:
        scale = round(full[0] / image.width)
        image.load()
        orientation = image.getexif().get(ORIENTATION)  # only now: loading turns a TIFF by itself
        if orientation in UPRIGHT:  # ImageOps would write the EXIF anew, and stumble where it is odd
            image = image.transpose(UPRIGHT[orientation])
        image = _plain(image, name)
    except PictureError:
        raise
    except Exception as error:
        raise _refusal(error, name, "is damaged") from error
    (width, height), left, top = map(float, image.size), 0.0, 0.0
    if scale > 1:  # rounded up: what was the last row or column may show less than a whole pixel
        width, height = (n / scale for n in (full[::-1] if orientation in SIDEWAYS else full))
        left = (image.width - width) * (orientation in FLIPPED_X)
        top = (image.height - height) * (orientation in FLIPPED_Y)
    return image, (width, height), (left, top)


def _array(image: Image.Image, spec: PreprocessSpec) -> Pixels:
    if spec.channels == 1:
        return np.asarray(image.convert("L"))[:, :, None]
    return np.asarray(image)


def _plain(image: Image.Image, name: str) -> Image.Image:
    """8-bit RGB, with whatever is transparent on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = _eight_bits(image, name)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, WHITE), rgba)
    return image.convert("RGB")


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """16-bit grey by its high byte; Pillow's own conversion clips everything above 255 to white."""
    if image.mode == "F":
        raise PictureError(
            name, "has levels in floating point, of no certain range; convert it to 8 or 16 bits"
        )
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65_535:
        raise PictureError(name, "has levels beyond 16 bits; convert it to 8 or 16 bits")
    if 0 < values.max() < BLACK:
        raise PictureError(
            name,
            f"uses {values.max():,} of its 65,535 levels and would be black; make use of all 16 bits",
        )
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" not in image.info:
        return grey
    opaque = values != image.info["transparency"]
    return Image.merge("LA", (grey, Image.fromarray(opaque.astype(np.uint8) * 255)))


def _from_array(array: NDArray[Any]) -> Image.Image:
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise PictureError(
            "array",
            f"is {array.dtype} {array.shape}; give uint8 of shape (H, W), (H, W, 1) or (H, W, 3), RGB",
        )
    if array.size == 0:
        raise PictureError("array", f"of shape {array.shape} is empty")
    return _checked(Image.fromarray(np.ascontiguousarray(array)), "array")
