"""How the nets are tested."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

NUMBERS = torch.randn(99_991, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Layers this small run hardly faster on two, and far slower where something else runs beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def quick_weights() -> Iterator[None]:
    """Normal numbers, the same few over and over: to draw all of them takes longer than the tests do."""

    def draw(weight: Tensor, *settings: Any, std: float | None = None, **more: Any) -> Tensor:
        std = std if std is not None else (3 * weight[0].numel()) ** -0.5
        if not weight.is_meta:
            for some in weight.detach().view(-1).split(len(NUMBERS)):
                torch.mul(NUMBERS[: len(some)], std, out=some)
        return weight

    with patch.object(nn.init, "normal_", draw), patch.object(nn.init, "kaiming_uniform_", draw):
        yield
