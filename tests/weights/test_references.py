"""Our nets say what torchvision's and timm's say: the same weights, the same pictures, to 1e-9.

references.json was made by scripts/make_references.py with the other libraries' own code. Seeded
batch norms are far from the identity, so another eps, padding, stride or order of layers shows.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lexnet.nets import NETS
from lexnet.nets.taps import Tapped
from lexnet.weights.layouts import LAYOUTS
from lexnet.weights.rename import load_strictly, rename

FOLDER = Path(__file__).parent
REFERENCES = json.loads((FOLDER / "references.json").read_text())


def load_seeded() -> Any:
    spec = importlib.util.spec_from_file_location("seeded", FOLDER / "seeded.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


seeded = load_seeded()


@pytest.mark.parametrize("record", REFERENCES, ids=lambda r: f"{r['net']}-{r['layout']}")
def test_logits_equal_the_other_library(record: dict[str, Any]) -> None:
    entry = NETS[record["net"]]
    theirs = {
        name: torch.from_numpy(seeded.tensor(name, tuple(shape))) for name, shape in record["tensors"].items()
    }
    state = rename(theirs, LAYOUTS[record["layout"], record["net"]]())
    del theirs
    with torch.device("meta"):
        net: torch.nn.Module = entry.build()
        if entry.sides:
            net = Tapped(net, entry.sides())  # type: ignore[arg-type]
            state = {k if k.startswith("sides.") else f"net.{k}": v for k, v in state.items()}
    load_strictly(net.eval(), state)
    for run in record["runs"]:
        with torch.inference_mode():
            out = net(torch.from_numpy(seeded.waves(run["size"]) * run["scale"]))
        logits = [out[0], *out[1]] if entry.sides else [out]
        assert len(logits) == len(run["logits"])
        for ours, expected in zip(logits, run["logits"], strict=True):
            got, want = np.array(seeded.digest(ours.numpy())), np.array(expected)
            assert np.ptp(want[:20]) > 0.01 * np.abs(want[:20]).max()  # they do tell classes apart
            assert np.abs(got - want).max() <= 1e-9 * np.abs(want[:20]).max()


def test_the_proof_would_see_another_eps() -> None:
    record = next(r for r in REFERENCES if r["net"] == "mobilenet_v2_050")
    theirs = {
        name: torch.from_numpy(seeded.tensor(name, tuple(shape))) for name, shape in record["tensors"].items()
    }
    net = NETS["mobilenet_v2_050"].build().eval()
    load_strictly(net, rename(theirs, LAYOUTS["timm", "mobilenet_v2_050"]()))
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eps = 1.1e-5
    run = record["runs"][0]
    with torch.inference_mode():
        got = np.array(seeded.digest(net(torch.from_numpy(seeded.waves(run["size"]))).numpy()))
    want = np.array(run["logits"][0])
    assert np.abs(got - want).max() > 1e-7 * np.abs(want[:20]).max()
