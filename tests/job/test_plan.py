"""What is chosen where nobody chose suits what the pictures are called."""

from pathlib import Path
from typing import Any

import pytest

from lexnet.augment.recipes import RECIPES
from lexnet.config import Recipe, TrainConfig
from lexnet.job.plan import decided, make_plan, read_plan

DIGITS = [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    ("mode", "classes", "recipe", "told"),
    [
        ("scratch", DIGITS, RECIPES["digits"], "recipe digits: mirrored, signs such as '0' and '1'"),
        ("tail", ["A", "B"], "photo", "recipe photo without its mirror: mirrored, signs such as 'A'"),
        (
            "scratch",
            ["left", "right"],
            "cifar",
            "recipe cifar without its mirror: mirror turns left into right",
        ),
        ("finetune", ["TurnLeft", "Stop"], "photo", "recipe photo without its mirror: mirror turns left"),
    ],
)
def test_a_recipe_that_nobody_chose_keeps_the_classes_apart(
    mode: Any, classes: list[str], recipe: Recipe | str, told: str
) -> None:
    plan = make_plan("/data", TrainConfig(mode=mode), classes)
    assert any(reason.startswith(told) for reason in plan.reasons)
    usual = RECIPES[recipe] if isinstance(recipe, str) else recipe
    assert plan.recipe().mirror == 0 and plan.recipe().crop == usual.crop and plan.risks(classes) == []
    assert make_plan("/data", plan.config).config == plan.config, "the saved plan does the same"
    name = "digits" if plan.recipe() == RECIPES["digits"] else f"{recipe} without its mirror"
    assert plan.recipe_name() == name


def test_a_saved_plan_that_left_the_mode_open_suits_the_classes_too(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(make_plan("/data", TrainConfig()).to_yaml(), encoding="utf-8")
    plan = decided(read_plan(tmp_path / "plan.yaml", DIGITS), mode="tail")
    assert plan.recipe().mirror == 0


@pytest.mark.parametrize("mode", ["probe", "tail", "finetune", "scratch"])
def test_for_other_classes_it_is_the_usual_one(mode: Any) -> None:
    usual = make_plan("/data", TrainConfig(mode=mode))
    plan = make_plan("/data", TrainConfig(mode=mode), ["cat", "dog"])
    assert plan.config == usual.config and plan.reasons == usual.reasons


def test_a_recipe_that_was_named_stays_and_is_warned_of() -> None:
    plan = make_plan("/data", TrainConfig(mode="tail", recipe="photo"), DIGITS)
    assert plan.config.recipe == "photo"
    assert plan.risks(DIGITS) == [
        "recipe photo may change what a picture shows: mirrored, signs such as '0' and '1' are others or none"
    ]


@pytest.mark.parametrize(("tta", "warned"), [("none", 0), ("crops", 0), ("mirror", 1), ("ten", 1)])
def test_answers_by_mirrored_views_are_warned_of_where_they_show_another_class(tta: Any, warned: int) -> None:
    plan = make_plan("/data", TrainConfig(mode="probe", tta=tta))
    risks = plan.risks(["left", "right"])
    assert len(risks) == warned and all(risk.startswith(f"tta {tta} also looks at") for risk in risks)
    assert plan.risks(["cat", "dog"]) == []
