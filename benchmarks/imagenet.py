"""EfficientNet-Lite0's own ImageNet head on one photograph each of 200 classes, through our preprocessing.

python benchmarks/imagenet.py [--quick]
"""

import numpy as np
from common import Benchmark, arguments, pictures

from lexnet.config import available_cores
from lexnet.export.graph import append_head
from lexnet.preprocess import load
from lexnet.runtime.engines import OnnxRuntime
from lexnet.runtime.stream import stream
from lexnet.transfer.trunk import open_trunk
from lexnet.weights.create import create_net

arguments(__doc__)
files = sorted((pictures() / "imagenet-sample").glob("*.JPEG"))
assert len(files) == 200, "every fifth class, in the order of their names"
trunk = open_trunk("efficientnet_lite0", None, print)
fc = create_net("efficientnet_lite0", weights="imagenet").get_submodule("head.fc").state_dict()
graph = append_head(trunk.graph, fc["weight"].numpy(), fc["bias"].numpy(), 1.0).graph
results = stream(files, lambda file: load(file, trunk.spec), OnnxRuntime(graph, available_cores()))
logits = np.stack([outputs["logits"][0] for _, outputs in results])  # type: ignore[index]
truth = 5 * np.arange(200)
top5 = (np.argsort(-logits, axis=1)[:, :5] == truth[:, None]).any(axis=1)
benchmark = Benchmark("imagenet")
benchmark.add("top-1, 200 pictures", [float((logits.argmax(axis=1) == truth).mean())], "share", (">=", 0.85))
benchmark.add("top-5, 200 pictures", [float(top5.mean())], "share")
benchmark.finish()
