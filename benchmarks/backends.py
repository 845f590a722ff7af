"""One meaning: the same views by OpenCV, one by one, and by torch, a batch at a time, on a GPU if it can.

    python benchmarks/backends.py [--quick]

200 ImageNet photos of 320 x 256 px, three views of each (one with --quick) to 224 px by every recipe: how
many levels the two are apart in the mean over a view, and for how many views EfficientNet-Lite0 gives the
same of its 1,000 classes.
"""

import numpy as np
import torch
from common import Benchmark, arguments, pictures
from PIL import Image

from lexnet.augment.apply import Changes
from lexnet.augment.batch import apply_batch, prepare
from lexnet.augment.colour import principal_axes
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import sample_all
from lexnet.config import available_cores
from lexnet.export.onnx import trunk_graph
from lexnet.preprocess import Pixels
from lexnet.runtime.engines import open_engine
from lexnet.runtime.stream import stream
from lexnet.weights.create import create_net
from lexnet.weights.files import find_weights

WIDE, HIGH = 320, 256
options = arguments(__doc__)
device = "cuda" if torch.cuda.is_available() else "cpu"
files = sorted((pictures() / "imagenet-sample").glob("*.JPEG"))
photos = np.stack([np.asarray(Image.open(file).convert("RGB").resize((WIDE, HIGH))) for file in files])
batch = torch.from_numpy(photos).permute(0, 3, 1, 2).contiguous().to(device)
axes = principal_axes(photos[:, ::4, ::4])
spec = find_weights("efficientnet_lite0").spec
net = create_net("efficientnet_lite0", weights="imagenet")
engine = open_engine("auto", trunk_graph(net, spec.size, spec.mean, spec.std), available_cores())


def answers(views: Pixels) -> Pixels:
    """(N,) the likeliest class of each."""
    rows = stream(range(len(views)), lambda i: views[i], engine)
    return np.asarray(
        [outputs["features"][0].argmax() for _, outputs in rows if not isinstance(outputs, Exception)]
    )


benchmark = Benchmark("backends")
for name, recipe in RECIPES.items():
    apart, same = list[float](), list[float]()
    for epoch in range(1 if options.quick else 3):
        views = sample_all(recipe, 0, "train", [(epoch, file.name) for file in files])
        changes = Changes(views, (HIGH, WIDE, 3), spec, axes)
        one_by_one = np.stack([changes(i, photo) for i, photo in enumerate(photos)])
        prepared = prepare(views, (3, HIGH, WIDE), spec, axes).to(device)
        together = apply_batch(batch, prepared).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        apart += np.abs(together.astype(int) - one_by_one).mean((1, 2, 3)).tolist()
        same += (answers(together) == answers(one_by_one)).astype(float).tolist()
    benchmark.add(f"{name}: levels apart, the mean of a view", apart, "of 255", ("<=", 1.5))
    benchmark.add(f"{name}: the same class", [float(np.mean(same))], "share", (">=", 0.99))
benchmark.finish()
