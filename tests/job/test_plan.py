"""What is chosen where nobody chose suits what the pictures are called."""

from pathlib import Path
from typing import Any

import pytest

from lexnet.augment.recipes import RECIPES
from lexnet.config import FitConfig, ProbeConfig, Recipe, SplitConfig, TrainConfig, tail_epochs
from lexnet.errors import ConfigError
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


def test_a_tails_steps_are_counted_and_not_its_batches() -> None:
    """300 steps at least: of 32 pictures each, or of 4 times 32."""
    assert tail_epochs(FitConfig(), 320) == 30
    assert tail_epochs(FitConfig(accumulate=4), 320) == 120


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "scratch", "probe": ProbeConfig(cv=3)}, "mode=scratch fits no linear head, for which cv"),
        ({"mode": "scratch", "probe": ProbeConfig(candidates=(0.1,))}, "mode=scratch fits no linear head"),
        ({"recipe": Recipe(blur=0.01)}, "recipe: blur=0.01 does nothing without damage, their probability"),
        ({"split": SplitConfig(repeats=7)}, "repeats=7 is how often folds are divided anew; give folds too"),
    ],
)
def test_what_a_mode_would_ignore_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan("/data", TrainConfig(**settings))


@pytest.mark.parametrize("mode", ["probe", "tail"])
@pytest.mark.parametrize(
    ("recipe", "channels", "views"),
    [
        (Recipe(mixup=0.2), None, None),
        (Recipe(hue=20.0, pca=0.1), 1, None),
        (Recipe(hue=20.0, pca=0.1), None, 4),
        (Recipe(mirror=0.5, mixup=0.2), 1, 4),
    ],
)
def test_a_recipe_that_changes_nothing_here_makes_no_copies(
    mode: Any, recipe: Recipe, channels: int | None, views: int | None
) -> None:
    """Mixing is for whole nets, and grey pictures have no hue."""
    plan = make_plan("photos", TrainConfig(mode=mode, recipe=recipe, channels=channels))
    assert plan.config.views == views
