"""A faulty copy of the clothing photos, and what was done to it: the ground truth of `check`'s benchmark.

40 broken files of 8 kinds · 60 exact copies: 30 beside the original, 20 in another part, 10 under
another label · 200 near copies of 5 kinds · 5 % of the train part's labels changed
"""

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

PARTS = ("train", "validation", "test")
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "header only": lambda content: content[:120],
    "empty": lambda content: b"",
    "text": lambda content: b"the camera was full\n" * 50,
    "html": lambda content: b"<!DOCTYPE html><html><body>404</body></html>",
    "noise": lambda content: random.Random(len(content)).randbytes(4000),
    "archive": lambda content: b"PK\x03\x04" + content[:2000],
    "bomb": lambda content: _bomb(),
}


def recompressed(image: Image.Image, draw: random.Random) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=draw.randint(40, 70))
    return Image.open(buffer).convert("RGB")


def resized(image: Image.Image, draw: random.Random) -> Image.Image:
    scale = draw.uniform(0.5, 1.5)
    return image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))))


def cropped(image: Image.Image, draw: random.Random) -> Image.Image:
    """2 to 8 % of each side's length, shared out between its two ends."""
    width, height = image.size
    lost_x, lost_y = (round(n * draw.uniform(0.02, 0.08)) for n in (width, height))
    left, top = draw.randint(0, lost_x), draw.randint(0, lost_y)
    return image.crop((left, top, left + width - lost_x, top + height - lost_y))


def brightened(image: Image.Image, draw: random.Random) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1 + draw.choice((-1, 1)) * draw.uniform(0.05, 0.15))


def mirrored(image: Image.Image, draw: random.Random) -> Image.Image:
    return ImageOps.mirror(image)


NEAR = (recompressed, resized, cropped, brightened, mirrored)


def plant(source: Path, target: Path, seed: int = 0) -> dict[str, Any]:
    """Copies the photos, spoils the copy and returns what is wrong with it, by path."""
    draw = random.Random(seed)
    shutil.copytree(source, target)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.jpg"))
    draw.shuffle(files)
    take = iter(files)
    truth: dict[str, Any] = {"broken": {}, "exact": [], "near": [], "flipped": {}}
    for kind, spoil in BROKEN.items():
        for _ in range(5):
            path = next(take)
            (target / path).write_bytes(spoil((target / path).read_bytes()))
            truth["broken"][path] = kind
    for number in range(60):
        path = next(take)
        part, label, _ = path.split("/")
        if number < 20:
            part = draw.choice([p for p in PARTS if p != part])
        elif number < 30:
            label = _another(target, part, label, draw)
        copy = f"{part}/{label}/copy-{number:03}.jpg"
        shutil.copyfile(target / path, target / copy)
        truth["exact"].append([path, copy])
    for number in range(200):
        path, change = next(take), NEAR[number % len(NEAR)]
        part, label, _ = path.split("/")
        copy = f"{draw.choice(PARTS)}/{label}/near-{number:03}.jpg"
        with Image.open(target / path) as image:
            change(image.convert("RGB"), draw).save(target / copy, quality=90)
        truth["near"].append([path, copy, change.__name__])
    train = [path for path in take if path.startswith("train/")]
    for path in train[: round(0.05 * sum(f.startswith("train/") for f in files))]:
        part, label, name = path.split("/")
        moved = f"{part}/{_another(target, part, label, draw)}/{name}"
        shutil.move(target / path, target / moved)
        truth["flipped"][moved] = label
    return truth


def _another(root: Path, part: str, label: str, draw: random.Random) -> str:
    return draw.choice(sorted(f.name for f in (root / part).iterdir() if f.name != label))


def _bomb() -> bytes:
    """A few kilobytes of PNG that would be 400 million pixels."""
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    import sys

    print(json.dumps(plant(Path(sys.argv[1]), Path(sys.argv[2]))))
