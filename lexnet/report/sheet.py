"""A contact sheet: each picture as evaluation sees it, then as training does, with what was done under it."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from lexnet.files import is_printable
from lexnet.preprocess import Pixels

GAP, LINE, FONT = 6, 13, 11
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)


@dataclass(frozen=True)
class Row:
    """One picture of a sheet."""

    name: str
    plain: Pixels
    """(size, size, C) as evaluation sees it."""
    views: Sequence[Pixels]
    notes: Sequence[Mapping[str, object]] = ()
    """What was done in each view."""


def draw_sheet(rows: Sequence[Row], explain: bool) -> Image.Image:
    """The sheet as an RGB image; with `explain` the numbers of each view stand under it."""
    size = rows[0].plain.shape[0]
    cell = max(size, 120) if explain else size
    lines = max((len(note) for row in rows for note in row.notes), default=0) if explain else 0
    high = size + LINE * (1 + lines) + GAP
    wide = max(1 + len(row.views) for row in rows)
    sheet = Image.new("RGB", (wide * (cell + GAP) + GAP, len(rows) * high + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for number, row in enumerate(rows):
        top = GAP + number * high
        for column, pixels in enumerate([row.plain, *row.views]):
            left = GAP + column * (cell + GAP)
            sheet.paste(picture(pixels), (left, top))
            title = _fitting(row.name, draw, font, cell) if not column else f"view {column - 1}"
            draw.text((left, top + size + 1), title, FAINT if column else INK, font)
            if explain and column:
                for i, (name, value) in enumerate(row.notes[column - 1].items(), start=1):
                    text = _fitting(f"{name} {shown(value)}", draw, font, cell)
                    draw.text((left, top + size + 1 + i * LINE), text, INK, font)
    return sheet


def picture(pixels: Pixels) -> Image.Image:
    """(H, W, C) or (H, W) uint8 as a PIL image."""
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def png(image: Image.Image) -> bytes:
    """The image as a PNG file's bytes."""
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """The image as a JPEG file's bytes."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def shown(value: object) -> str:
    """A view's number, or several, for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return " ".join(map(shown, value)) if isinstance(value, tuple) else str(value)


def _fitting(text: str, draw: ImageDraw.ImageDraw, font: Font, wide: int) -> str:
    """The text, without its beginning where it is too long: a path says most at its end."""
    text = text if is_printable(text) else ascii(text)[1:-1]
    text = unicodedata.normalize("NFKD", text)  # the font has no letters beyond ASCII
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = text.encode("ascii", "replace").decode()
    if draw.textlength(text, font) <= wide:
        return text
    while text and draw.textlength(f"...{text}", font) > wide:
        text = text[1:]
    return f"...{text}"
