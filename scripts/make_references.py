"""Makes tests/weights/references.json: what torchvision's and timm's own nets say, in float64.

    make bench-env && .venv-peers/bin/python scripts/make_references.py

Each net gets seeded weights under its own names and seeded pictures of two sizes (the same size
twice for nets that take only one). The tests rename these weights, load them into our nets and
compare logits, and need neither library. The last run used torchvision 0.28.0, timm 1.0.31 and torch
2.13.0.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/weights"), str(ROOT / "benchmarks")]

from peers import timm, torchvision  # noqa: E402
from seeded import digest, tensor, waves  # noqa: E402

FIXED, ANY = (224, 224), (224, 193)


def resnet50_v1() -> torch.nn.Module:
    """torchvision's ResNet-50 with its strides moved to where the paper has them."""
    net = torchvision.models.resnet50()
    for layer in net.modules():
        if isinstance(layer, torchvision.models.resnet.Bottleneck):
            layer.conv1.stride, layer.conv2.stride = layer.conv2.stride, (1, 1)
    return net


def of_torchvision(name: str) -> torch.nn.Module:
    return getattr(torchvision.models, name)()


NETS = [  # (our name, layout, their net, sizes)
    ("alexnet", "torchvision", lambda: of_torchvision("alexnet"), FIXED),
    ("vgg11", "torchvision", lambda: of_torchvision("vgg11"), FIXED),
    ("vgg16_bn", "torchvision", lambda: of_torchvision("vgg16_bn"), FIXED),
    ("vgg11", "timm", lambda: timm.create_model("vgg11"), FIXED),
    ("googlenet", "torchvision", lambda: torchvision.models.googlenet(init_weights=False), ANY),
    ("resnet18", "torchvision", lambda: of_torchvision("resnet18"), ANY),
    ("resnet50", "torchvision", lambda: of_torchvision("resnet50"), ANY),
    ("resnet50_v1", "torchvision", resnet50_v1, ANY),
    ("mobilenet_v1", "timm", lambda: timm.create_model("mobilenetv1_100"), ANY),
    ("mobilenet_v2", "torchvision", lambda: of_torchvision("mobilenet_v2"), ANY),
    ("mobilenet_v2_050", "timm", lambda: timm.create_model("mobilenetv2_050"), ANY),
    ("efficientnet_lite0", "timm", lambda: timm.create_model("tf_efficientnet_lite0"), ANY),
    ("efficientnet_lite2", "timm", lambda: timm.create_model("tf_efficientnet_lite2"), (260, 193)),
]


def note(into: dict[str, torch.Tensor], name: str, head: torch.nn.Module) -> Callable[..., None]:
    """A hook that runs a side head, which torchvision does in training only."""

    def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        into[name] = head(output)

    return hook


def main() -> None:
    records = []
    for ours, layout, build, sizes in NETS:
        net = build().double().eval()
        shapes = {name: list(value.shape) for name, value in net.state_dict().items()}
        net.load_state_dict({n: torch.from_numpy(tensor(n, tuple(s))) for n, s in shapes.items()})
        sides: dict[str, torch.Tensor] = {}
        if ours == "googlenet":
            net.inception4a.register_forward_hook(note(sides, "aux1", net.aux1))
            net.inception4d.register_forward_hook(note(sides, "aux2", net.aux2))
        runs = []
        for number, size in enumerate(sizes):
            pixels = torch.from_numpy(waves(size) * (1 + number))
            with torch.inference_mode():
                logits = [net(pixels), *sides.values()]
            runs.append({"size": size, "scale": 1 + number, "logits": [digest(x.numpy()) for x in logits]})
        records.append({"net": ours, "layout": layout, "runs": runs, "tensors": shapes})
        print(ours, layout, len(shapes), np.ptp(runs[0]["logits"][0][:20]))
    text = ",\n".join(json.dumps(record) for record in records)
    (ROOT / "tests/weights/references.json").write_text(f"[{text}]\n")


if __name__ == "__main__":
    main()
