"""A bundle of a few kilobytes around a real, small net: for tests that read thousands of them."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import torch

from lexnet.config import PreprocessSpec
from lexnet.export.bundle import pack_bundle, synthetic_pictures
from lexnet.export.graph import append_head
from lexnet.export.onnx import trunk_graph
from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv
from lexnet.runtime.engines import OnnxRuntime

CLASSES = ["hat", "shirt", "shoes"]
SPEC = PreprocessSpec(size=16, short_side=16, mean=(127.5,) * 3, std=(127.5,) * 3)
GOLDEN = synthetic_pictures(2, SPEC.size, SPEC.channels)


def tiny_net() -> Net:
    """Two convolutions, 8 features."""
    torch.manual_seed(0)
    return Net(conv(3, 4, 3, 2), [conv(4, 8, 3, 2)], classifier(8, 0))


def tiny_graph(classes: int = len(CLASSES), size: int = SPEC.size) -> bytes:
    """pixels → probabilities, logits, features."""
    draw = np.random.default_rng(0)
    trunk = trunk_graph(tiny_net(), size, SPEC.mean, SPEC.std)
    weight, bias = draw.normal(size=(classes, 8)) * 5, draw.normal(size=classes)
    return append_head(trunk, weight.astype(np.float32), bias.astype(np.float32), 1.5).graph


def tiny_bundle(graph: bytes | None = None, **facts: Any) -> bytes:
    """A sound bundle; `facts` replace entries of its manifest."""
    graph = graph or tiny_graph()
    engine = OnnxRuntime(graph, 1)
    golden = [(pixels, engine.run(pixels[None])["probabilities"][0]) for pixels in GOLDEN]
    known = {"net": "tiny", "classes": CLASSES, "preprocess": asdict(SPEC), "threshold": 0.0}
    return pack_bundle(graph, known | facts, golden)


def redigested(content: bytes) -> bytes:
    """The same bytes with a right digest at their end, as a careful forger would leave them."""
    return content[:-32] + hashlib.sha256(content[:-32]).digest()


def forged(
    content: bytes,
    change: Callable[[dict[str, Any], dict[str, bytes]], object],
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """The bundle after `change(manifest, members)`, zipped again with all digests made to fit.

    Entries that `change` makes in `manifest["members"]` are left as it made them.
    """
    with zipfile.ZipFile(BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    before = dict(manifest["members"])
    change(manifest, members)
    if manifest.get("members") == before:
        manifest["members"] = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    return zipped([("manifest.json", json.dumps(manifest).encode()), *members.items()], compression)


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file that ends in the sha256 of all before."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
        archive.comment = bytes(32)
    return redigested(buffer.getvalue())
