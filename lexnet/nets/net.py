"""The one class that every net is an instance of.

    pixels ── stem ── stage1 ── stage2 ── ... ── head ── logits

A family is a function that returns a `Net`; because every net has the same three parts, whatever
is done to nets (costing, cutting, freezing, exporting) is written once.
"""

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn


@final
class Net(nn.Module):
    """(N, C, H, W) normalised pixels → (N, classes) logits, or (N, width) features without classes."""

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential()
        for number, stage in enumerate(stages, start=1):
            self.stages.add_module(f"stage{number}", stage)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)))
