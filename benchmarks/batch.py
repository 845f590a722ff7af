"""Augmentation of a whole batch on a GPU: 512 pictures to 224 px through the recipe `lecture`.

    python benchmarks/batch.py [--quick]

The pictures, 256 x 256 uint8 as a store holds them (48 ImageNet photos, over and over), are on the device,
and so are the numbers of their views. Timed by the device's clock from one end of `apply_batch` to the other,
and by the wall's what comes before: drawing, composing and moving the numbers.
"""

import sys
import time
from functools import partial

import numpy as np
import torch
from common import Benchmark, arguments, pictures
from PIL import Image

from lexnet.augment.batch import Prepared, apply_batch, prepare
from lexnet.augment.colour import principal_axes
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import sample_all
from lexnet.config import PreprocessSpec

BATCH, SHORT, SPEC = 512, 256, PreprocessSpec(size=224, short_side=256)
RECIPE = RECIPES["lecture"]

options = arguments(__doc__)
benchmark = Benchmark("batch")
if not torch.cuda.is_available():
    sys.exit("torch sees no GPU here")
files = sorted((pictures() / "imagenet-sample").glob("*.JPEG"))[:48]
arrays = [np.array(Image.open(file).convert("RGB").resize((SHORT, SHORT))) for file in files]
axes = principal_axes(np.stack(arrays))
many = np.stack([arrays[i % len(arrays)] for i in range(BATCH)])
stack = torch.from_numpy(many).permute(0, 3, 1, 2).contiguous().cuda()


def prepared(epoch: int) -> Prepared:
    views = sample_all(RECIPE, 0, "train", [(epoch, str(item)) for item in range(BATCH)])
    return prepare(views, (3, SHORT, SHORT), SPEC, axes).to("cuda")


applied, before = [], []
for epoch in range(4 if options.quick else 12):
    torch.cuda.synchronize()
    began = time.perf_counter()
    numbers = prepared(epoch)
    torch.cuda.synchronize()
    before.append(1000 * (time.perf_counter() - began))
    once = partial(apply_batch, stack, numbers)
    once()
    for _ in range(5):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        once()
        stop.record()
        torch.cuda.synchronize()
        applied.append(start.elapsed_time(stop))
benchmark.add("a batch of 512", applied, "ms", ("<=", 5.0))
benchmark.add("its numbers", before, "ms")
benchmark.finish()
