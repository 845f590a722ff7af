"""torchvision and timm, from the environment that `make bench-env` builds.

torchvision's wheel on PyPI is compiled for another build of torch and refuses to be imported beside a
CPU build, for want of a few operators that no classifier uses. They are declared here, empty.
"""

import torch

_library = torch.library.Library("torchvision", "DEF")
for _operator in ("nms", "qnms"):
    _library.define(f"{_operator}(Tensor x) -> Tensor")

import timm  # noqa: E402
import torchvision  # noqa: E402

__all__ = ["timm", "torchvision"]
