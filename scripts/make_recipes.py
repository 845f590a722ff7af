"""Draws docs/recipes/NAME.png: what each recipe does to the built-in pictures.

python scripts/make_recipes.py
"""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from lexnet.augment.apply import apply
from lexnet.augment.colour import principal_axes
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import sample
from lexnet.config import PreprocessSpec
from lexnet.data.samples import sample_folder
from lexnet.preprocess import decode, load_bytes
from lexnet.report.sheet import Row, draw_sheet

SPEC = PreprocessSpec(size=112, short_side=128)
VIEWS = 6
CLIPART = ("fruit/strawberry.png", "vehicles/ambulanza.png")
folder = Path(__file__).resolve().parent.parent / "docs" / "recipes"
folder.mkdir(exist_ok=True)
for name, recipe in RECIPES.items():
    if name == "digits":
        files = [sorted((sample_folder("digits") / label).iterdir())[0] for label in ("4", "6")]
    else:
        files = [sample_folder("clipart") / piece for piece in CLIPART]
    contents = [file.read_bytes() for file in files]
    axes = principal_axes(np.stack([load_bytes(content, SPEC) for content in contents]))
    rows = []
    for file, content in zip(files, contents, strict=True):
        digest = hashlib.sha256(content).hexdigest()
        picture = decode(content, SPEC)
        views = [sample(recipe, 0, "train", number, digest) for number in range(VIEWS)]
        seen = [apply(picture, view, SPEC, axes) for view in views]
        rows.append(Row(file.stem, load_bytes(content, SPEC), seen))
    sheet = draw_sheet(rows, explain=False)
    sheet.quantize(128, Image.Quantize.MEDIANCUT).save(folder / f"{name}.png", optimize=True)
