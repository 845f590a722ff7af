"""Other people's names for weights, in ours: one table a source, strict in both directions."""

import re

from torch import Tensor, nn

from lexnet.errors import WeightsError
from lexnet.nets.efficientnet_lite import TABLE_1

Rules = list[tuple[str, str]]
"""(regular expression, replacement), the first that matches the whole name is taken."""

NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


def efficientnet_pytorch() -> Rules:
    """Names of the `efficientnet_pytorch` lineage, for EfficientNet-Lite0: blocks are counted through."""
    rules: Rules = [
        (r"_conv_stem\.weight", "stem.conv.weight"),
        (rf"_bn0\.{NORM}", r"stem.norm.\1"),
        (r"_conv_head\.weight", "stages.stage8.conv.weight"),
        (rf"_bn1\.{NORM}", r"stages.stage8.norm.\1"),
        (r"_fc\.(weight|bias)", r"head.fc.\1"),
    ]
    block = 0
    for row, (expand, _, depth, _, _) in enumerate(TABLE_1, start=1):
        for place in range(depth):
            ours, theirs = f"stages.stage{row}.{place}.residual", rf"_blocks\.{block}"
            parts = ("expand", "depthwise", "project") if expand > 1 else ("depthwise", "project")
            for part in parts:
                number = ("expand", "depthwise", "project").index(part)
                rules.append((rf"{theirs}\._{part}_conv\.weight", f"{ours}.{part}.conv.weight"))
                rules.append((rf"{theirs}\._bn{number}\.{NORM}", rf"{ours}.{part}.norm.\1"))
            block += 1
    return rules


def load_strictly(net: nn.Module, state: dict[str, Tensor], rules: Rules) -> None:
    """Fills the net; raises `WeightsError` for a name or shape too many, missing or different."""
    renamed = {_rename(name, rules): tensor for name, tensor in state.items()}
    own = net.state_dict()
    if set(renamed) != set(own) or len(renamed) != len(state):
        odd = sorted(set(renamed) ^ set(own))
        raise WeightsError(f"the weights do not fit the net: {len(odd)} names differ, first {odd[:3]}")
    for name, tensor in renamed.items():
        if tensor.shape != own[name].shape:
            raise WeightsError(f"{name} has shape {tuple(tensor.shape)}, the net {tuple(own[name].shape)}")
    net.load_state_dict(renamed)


def _rename(name: str, rules: Rules) -> str:
    for pattern, ours in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    raise WeightsError(f"no rule renames {name!r}; these weights are of another net")
