import pytest
import torch
from torch import nn
from weight_makers import same, small_state

from lexnet.errors import WeightsError
from lexnet.weights.layouts import LAYOUTS
from lexnet.weights.rename import COUNTER, Rules, load_strictly, rename


def normed() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))


def other_numbers(net: nn.Module) -> dict[str, torch.Tensor]:
    """Its tensors with 1 added to each."""
    return {name: tensor + 1 for name, tensor in net.state_dict().items()}


def test_the_first_rule_that_matches_a_whole_name_is_taken() -> None:
    rules: Rules = [
        (r"steps", "steps"),
        (r"layer\.bias", "layer.bias"),
        (r"lay", "never: matches the beginning only"),
        (r"(\w+)\.(\w+)", lambda layer, kind: f"{layer}.{kind}"),
        (r".*", "never: comes last"),
    ]
    assert same(rename(small_state(), rules))


def test_a_name_without_a_rule_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"no rule renames 'steps'; these weights are of another net"):
        rename(small_state(), [(r"layer\.(\w+)", r"a.\1")])


def test_two_names_that_become_one_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"two of the weights become a; these weights are of another net"):
        rename(small_state(), [(r".*", "a")])


@pytest.mark.parametrize(("layout", "net"), LAYOUTS, ids="-".join)
def test_rules_are_made_for_the_net_and_refuse_other_names(layout: str, net: str) -> None:
    rules = LAYOUTS[layout, net]()
    with pytest.raises(WeightsError, match=r"no rule renames 'stem\.weight'"):
        rename({"stem.weight": torch.zeros(1)}, rules)


def test_all_tensors_are_taken_also_by_a_net_without_memory() -> None:
    state = other_numbers(normed())
    with torch.device("meta"):
        net = normed()
    load_strictly(net, state)
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    assert all(weight.requires_grad for weight in net.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": None}, r"1 names differ, first \['0\.weight'\]"),
        ({"2.weight": torch.zeros(4)}, r"1 names differ, first \['2\.weight'\]"),
        ({"0.weight": None, "1.bias": None, "a": torch.zeros(1)}, r"3 names differ, first \['0\.weight', "),
        ({"1.bias": torch.zeros(5)}, r"1\.bias has shape \(5,\), the net \(4,\)"),
        ({"0.weight": torch.zeros(4, 3)}, r"0\.weight has shape \(4, 3\), the net \(4, 3, 1, 1\)"),
    ],
    ids=["missing", "too many", "both", "shape", "dimensions"],
)
def test_what_does_not_fit_is_refused_and_the_net_stays(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    net = normed()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = {name: t for name, t in (other_numbers(net) | change).items() if t is not None}
    with pytest.raises(WeightsError, match=message):
        load_strictly(net, state)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_counters_may_be_missing() -> None:
    net = normed()
    load_strictly(net, {k: v for k, v in other_numbers(net).items() if not k.endswith(COUNTER)})
    assert net[1].num_batches_tracked == 0 and net[1].weight.tolist() == [2] * 4
    load_strictly(net, other_numbers(net))
    assert net[1].num_batches_tracked == 1


def test_a_convolution_over_all_of_its_input_is_a_dense_layer() -> None:
    net = nn.Linear(2 * 3 * 3, 5)
    weight = torch.arange(90.0).reshape(5, 2, 3, 3)
    load_strictly(net, {"weight": weight, "bias": torch.zeros(5)})
    assert torch.equal(net.weight, weight.flatten(1))
    with pytest.raises(WeightsError, match=r"weight has shape \(5, 19\), the net \(5, 18\)"):
        load_strictly(net, {"weight": torch.zeros(5, 19, 1, 1), "bias": torch.zeros(5)})
