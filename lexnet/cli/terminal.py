"""Pictures in a terminal: by kitty's or iTerm2's protocol, else two coloured pixels a character."""

import base64
import os

from PIL import Image

from lexnet.report.sheet import png

CHUNK = 4096  # the most that kitty takes at a time


def picture(image: Image.Image, columns: int) -> str | None:
    """What to print to show the image; None for a terminal that is not known to show any."""
    program, kind = os.environ.get("TERM_PROGRAM", ""), os.environ.get("TERM", "")
    if "KITTY_WINDOW_ID" in os.environ or "kitty" in kind or program == "ghostty":
        return _kitty(base64.standard_b64encode(png(image)).decode(), columns)
    if program in ("iTerm.app", "WezTerm"):
        content = base64.standard_b64encode(png(image)).decode()
        return f"\x1b]1337;File=inline=1;width={columns}:{content}\x07"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return _blocks(image, columns)
    return None


def _kitty(content: str, columns: int) -> str:
    chunks = [content[i : i + CHUNK] for i in range(0, len(content), CHUNK)]
    more = [int(i < len(chunks)) for i in range(1, len(chunks) + 1)]
    first = f"a=T,f=100,c={columns},"
    return "".join(
        f"\x1b_G{first if not i else ''}m={m};{chunk}\x1b\\"
        for i, (m, chunk) in enumerate(zip(more, chunks, strict=True))
    )


def _blocks(image: Image.Image, columns: int) -> str:
    """An upper half block a character: its colour is the upper pixel's, its background the lower's."""
    rows = max(2, round(image.height * columns / image.width / 2) * 2)
    small = image.convert("RGB").resize((columns, rows))
    lines = []
    for y in range(0, rows, 2):
        line = ""
        for x in range(columns):
            upper, lower = small.getpixel((x, y)), small.getpixel((x, y + 1))
            line += f"\x1b[38;2;{_levels(upper)};48;2;{_levels(lower)}m▀"
        lines.append(f"{line}\x1b[0m")
    return "\n".join(lines)


def _levels(pixel: object) -> str:
    assert isinstance(pixel, tuple)
    return ";".join(map(str, pixel))
