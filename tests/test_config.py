"""Every setting has limits, and an error that tells them."""

import math
import os
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from lexnet.config import (
    MAX_PIXELS,
    MODES,
    FitConfig,
    PreprocessSpec,
    ProbeConfig,
    SplitConfig,
    TrainConfig,
    available_cores,
    tail_epochs,
)
from lexnet.errors import ConfigError, LexNetError

INFINITY, NAN = math.inf, math.nan

LIMITS = [
    (PreprocessSpec, "size", 16, 256),  # up to short_side's default
    (PreprocessSpec, "short_side", 224, 2048),
    (SplitConfig, "val", 0.0, 0.5),
    (SplitConfig, "test", 0.05, 0.5),
    (ProbeConfig, "cv", 2, 20),
    (SplitConfig, "folds", 2, 20),
    (SplitConfig, "repeats", 1, 100),
    (FitConfig, "epochs", 1, 10_000),
    (FitConfig, "lr", 1e-8, 100.0),
    (FitConfig, "batch_size", 1, 4096),
    (FitConfig, "accumulate", 1, 10_000),
    (FitConfig, "weight_decay", 0.0, 10.0),
    (FitConfig, "layer_decay", 0.01, 1.0),
    (FitConfig, "warmup", 0.0, 10_000.0),
    (FitConfig, "clip", 1e-6, 1e6),
    (FitConfig, "ema", 0.0, 0.99999),
    (FitConfig, "smoothing", 0.0, 0.9),
    (FitConfig, "patience", 1, 10_000),
    (FitConfig, "steps", 1, 10**9),
    (TrainConfig, "size", 16, 512),
    (TrainConfig, "seed", 0, 2**63 - 1),
    (TrainConfig, "workers", 1, 256),
]


@pytest.mark.parametrize("kind", [PreprocessSpec, SplitConfig, ProbeConfig, FitConfig, TrainConfig])
def test_the_defaults_are_within_their_own_limits(kind: type[Any]) -> None:
    kind()


@pytest.mark.parametrize(("kind", "name", "low", "high"), LIMITS)
def test_the_limits_themselves_are_allowed(kind: type[Any], name: str, low: float, high: float) -> None:
    assert getattr(kind(**{name: low}), name) == low
    assert getattr(kind(**{name: high}), name) == high


@pytest.mark.parametrize(("kind", "name", "low", "high"), LIMITS)
def test_a_value_beyond_a_limit_is_told_with_the_limit(
    kind: type[Any], name: str, low: float, high: float
) -> None:
    step = 1 if isinstance(low, int) else 0.001
    for value in (low - step, high + step, INFINITY, -INFINITY, NAN, "12", True):
        with pytest.raises(ConfigError) as caught:
            kind(**{name: value})
        message = str(caught.value)
        if name == "size" and kind is PreprocessSpec and value == high + step:
            assert message == "short_side=256 must lie in [257, 2048]"
        else:
            assert f"{name}={value!r} must lie in [{low}, " in message


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        (PreprocessSpec, "interpolation", "bicubic, bilinear"),
        (PreprocessSpec, "channels", "1, 3"),
        (TrainConfig, "mode", "auto, probe, tail, finetune, scratch"),
        (TrainConfig, "engine", "auto, openvino, onnxruntime, torch"),
        (TrainConfig, "golden", "real, synthetic, none"),
        (TrainConfig, "channels", "None, 1, 3"),
        (TrainConfig, "class_weight", "none, balanced, sampled"),
        (FitConfig, "optimiser", "adamw, sgd"),
        (FitConfig, "schedule", "cosine, steps"),
        (FitConfig, "norms", "None, frozen, trained"),
        (FitConfig, "precision", "auto, float32, bfloat16"),
        (FitConfig, "device", "auto, cpu, cuda"),
    ],
)
def test_a_choice_that_does_not_exist_is_told_with_the_choices(
    kind: type[Any], name: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(**{name: "lanczos"})
    assert str(caught.value) == f"{name}='lanczos' must be one of {allowed}"


def test_mean_and_std_need_a_value_for_each_channel() -> None:
    with pytest.raises(ConfigError, match=r"mean=\(0\.0,\) and std=.* need 3 values each"):
        PreprocessSpec(mean=(0.0,))
    with pytest.raises(ConfigError, match="need 1 values each"):
        PreprocessSpec(channels=1)
    PreprocessSpec(channels=1, mean=(0.0,), std=(1.0,))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, name, low, _ in LIMITS if isinstance(low, int)]
)
def test_what_is_counted_must_be_whole(kind: type[Any], name: str) -> None:
    value = kind(**{name: 224}).__dict__[name] + 0.5 if name in ("size", "short_side") else 2.5
    with pytest.raises(ConfigError, match=f"^{name}={value} must be a whole number$"):
        kind(**{name: value})


def test_mean_must_be_finite() -> None:
    with pytest.raises(ConfigError, match=r"mean=\(0\.0, nan, 0\.0\) must be finite"):
        PreprocessSpec(mean=(0.0, NAN, 0.0))


@pytest.mark.parametrize("std", [(1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, NAN, 1.0), (1.0, INFINITY, 1.0)])
def test_std_must_be_positive(std: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"std=\(1\.0, .* must be positive"):
        PreprocessSpec(std=std)


@pytest.mark.parametrize("candidates", [(), (1.0, 0.0), (-1.0,), (1.0, NAN), (INFINITY,)])
def test_candidates_must_be_positive(candidates: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"candidates=\(.*\) must be positive numbers"):
        ProbeConfig(candidates=candidates)


@pytest.mark.parametrize("mode", MODES)
def test_what_nobody_chose_comes_from_the_mode(mode: str) -> None:
    open_ones = {f.name for f in fields(FitConfig) if f.default is None} - {"patience", "steps"}
    assert open_ones == set(MODES[mode]), "every mode decides all that is left open"
    resolved = FitConfig().resolved(mode)
    assert {name: getattr(resolved, name) for name in open_ones} == MODES[mode]
    assert FitConfig(epochs=3, lr=0.5).resolved(mode) == resolved.__class__(
        **{**resolved.__dict__, "epochs": 3, "lr": 0.5}
    )


def test_finetuning_goes_more_slowly_near_the_pixels_and_only_from_scratch_norms_learn() -> None:
    tail, finetune, scratch = (FitConfig().resolved(mode) for mode in ("tail", "finetune", "scratch"))
    assert (tail.layer_decay, finetune.layer_decay, scratch.layer_decay) == (1.0, 0.7, 1.0)
    assert (tail.norms, finetune.norms, scratch.norms) == ("frozen", "frozen", "trained")


@pytest.mark.parametrize("mode", MODES)
def test_sgd_has_a_rate_and_a_decay_of_its_own_unless_they_are_given(mode: str) -> None:
    adamw, sgd = FitConfig().resolved(mode), FitConfig(optimiser="sgd").resolved(mode)
    assert sgd.lr == pytest.approx(100 * adamw.lr) and sgd.weight_decay == 5e-4
    given = FitConfig(optimiser="sgd", lr=0.2, weight_decay=0.0).resolved(mode)
    assert (given.lr, given.weight_decay) == (0.2, 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_rate_is_given_or_measured(mode: str) -> None:
    assert FitConfig(find_lr=True).resolved(mode).find_lr
    with pytest.raises(ConfigError, match=r"lr=0\.1 and find_lr: give the rate, or have it measured"):
        FitConfig(find_lr=True, lr=0.1)


def test_a_warm_up_ends_within_the_modes_own_epochs() -> None:
    FitConfig(warmup=20).resolved("scratch")
    with pytest.raises(ConfigError, match=r"val=10 is no share; give 0.1 for 10 %"):
        SplitConfig(val=10)
    with pytest.raises(ConfigError, match=r"warmup=20 must lie in \[0.0, 6.0\]"):
        FitConfig(warmup=20).resolved("finetune")
    with pytest.raises(ConfigError, match=r"warmup=20 must lie in \[0.0, 6.0\]"):
        FitConfig(warmup=20, epochs=6).resolved("tail")
    assert FitConfig(warmup=7.5).resolved("tail").epochs == 8, "a tail has as many as its pictures ask for"
    assert tail_epochs(FitConfig(warmup=7.5), 62) > 100 and tail_epochs(FitConfig(warmup=7.5), 10**6) == 8


def test_a_config_error_is_a_value_error_and_ours() -> None:
    assert issubclass(ConfigError, ValueError) and issubclass(ConfigError, LexNetError)


@pytest.mark.parametrize("kind", [PreprocessSpec, SplitConfig, ProbeConfig, FitConfig, TrainConfig])
def test_settings_are_frozen_and_given_by_name(kind: type[Any]) -> None:
    name = fields(kind)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(kind(), name, getattr(kind(), name))
    with pytest.raises(TypeError):
        kind(getattr(kind(), name))


def test_our_pixel_limit_is_well_below_pillows() -> None:
    from PIL import Image

    assert Image.MAX_IMAGE_PIXELS is not None, "Pillow's own guard is left on"
    assert MAX_PIXELS < Image.MAX_IMAGE_PIXELS


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert available_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert available_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1
