"""Where a net may end, what it costs up to there, and its graph ended there; nothing here needs torch.

pixels ─ stem ─ stage1 ─ stage2 ─ ... ─ head ─ features
                  └──────── └─────────────────── stages      whatever ends early is a part of this
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from lexnet.cost import Cost


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a net could end, what it would cost up to there, and how wide it is."""

    stage: str | None
    """None for the whole net."""
    width: int
    params: int
    macs: int


def places(cost: "Cost") -> list[Place]:
    """Every stage of a net without classes, then the whole of it: which the last stage is too, where the head
    only averages."""
    params = macs = 0
    found = []
    for name, part in cost.stages().items():
        params, macs = params + part.params, macs + part.macs
        if name != "stem":
            stage = None if name == "head" else name
            found.append(Place(stage=stage, width=part.shape[0], params=params, macs=macs))
    return [one for one in found if one == found[-1] or replace(one, stage=None) != found[-1]]


def write_places(model: onnx.ModelProto, found: list[Place]) -> None:
    """Notes them in the model, in the place of what was noted before."""
    helper.set_model_props(model, {"places": json.dumps([asdict(place) for place in found])})


def read_places(model: onnx.ModelProto) -> list[Place]:
    """What is noted in a trunk's model: the last is the whole of it."""
    noted = {prop.key: prop.value for prop in model.metadata_props}
    return [Place(**place) for place in json.loads(noted["places"])]


def places_of(graph: bytes) -> list[Place]:
    """The same of a trunk's graph."""
    return read_places(onnx.load_model_from_string(graph))


def ended(graph: bytes, stage: str | None) -> bytes:
    """A graph of every stage without all that the features after one stage, or of the whole, do not need."""
    model = onnx.load_model_from_string(graph)
    found, made_by = read_places(model), {node.output[0]: node for node in model.graph.node}
    number = next(number for number, place in enumerate(found) if place.stage == stage)
    if stage is not None:
        features = made_by["features"]
        joined = made_by[made_by["stages"].input[0]]
        features.input[0] = joined.input[number]
    needed, left = set[str](), ["features"]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left += made_by[name].input if name in made_by else []
    nodes = [node for node in model.graph.node if node.output[0] in needed]
    weights = [weight for weight in model.graph.initializer if weight.name in needed]
    del model.graph.node[:], model.graph.initializer[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)
    width = found[number].width
    model.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width]))
    write_places(model, [*found[:number], replace(found[number], stage=None)])
    return bytes(model.SerializeToString())
