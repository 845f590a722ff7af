"""The temperature that makes probabilities mean what they say."""

import numpy as np
import pytest
from scipy.special import softmax

from lexnet.evaluate.calibrate import HIGH, LOW, fit_temperature


def drawn(temperature: float, count: int = 20_000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from softmax(logits / temperature)."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(count, classes)) * 2 * max(1.0, temperature)
    noise = draw.gumbel(size=logits.shape)
    return logits, (logits / temperature + noise).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


def test_scaling_the_logits_scales_the_temperature() -> None:
    logits, labels = drawn(1.5)
    once, thrice = fit_temperature(logits, labels), fit_temperature(3 * logits, labels)
    assert thrice == pytest.approx(3 * once, rel=1e-3)


def test_an_offset_of_a_row_changes_nothing() -> None:
    logits, labels = drawn(2.0, count=500)
    offset = logits + np.linspace(-1000, 1000, 500)[:, None]
    assert fit_temperature(offset, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-6)


def test_no_other_temperature_is_likelier() -> None:
    logits, labels = drawn(1.7, count=300)
    best = fit_temperature(logits.astype(np.float32), labels)

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        log_sum = np.log(np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1)) + scaled.max(axis=1)
        target = (1 - 1 / 302) * scaled[np.arange(300), labels] + 1 / 302 * scaled.mean(axis=1)
        return float((log_sum - target).mean())

    assert all(loss(best) <= loss(best * step) + 1e-9 for step in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_it_stays_within_its_bounds() -> None:
    logits = np.eye(3)
    assert LOW <= fit_temperature(logits, np.array([0, 1, 2])) <= HIGH
    assert 0.9 * HIGH < fit_temperature(logits, np.array([1, 2, 0])) <= HIGH  # always wrong: never sure


@pytest.mark.parametrize("count", [6, 30, 300])
def test_always_right_on_a_few_is_not_certain(count: int) -> None:
    """Without the doubt the likelihood has no maximum here, and every answer would get 100 %."""
    labels = np.arange(count) % 3
    logits = 5 * np.eye(3)[labels]
    scaled = np.exp(logits / fit_temperature(logits, labels))
    confidence = (scaled.max(axis=1) / scaled.sum(axis=1)).mean()
    assert 1 - 3 / count < confidence < 1 - 0.5 / (count + 2)


def test_a_picture_that_counts_twice_is_as_two() -> None:
    logits, labels = drawn(2.0)
    twice = np.arange(len(labels)) % 3 == 0
    weighted = fit_temperature(logits, labels, 1.0 + twice)
    repeated = fit_temperature(
        np.concatenate([logits, logits[twice]]), np.concatenate([labels, labels[twice]])
    )
    assert weighted == pytest.approx(repeated, rel=2e-3) and weighted != fit_temperature(logits, labels)


def test_of_views_that_disagree_the_mean_probability_is_what_counts() -> None:
    """Labels drawn from the mean over three views at temperature 2; a mean of logarithms finds 10."""
    draw = np.random.default_rng(0)
    views = 4 * draw.normal(size=(4000, 3, 4))
    shares = softmax(views / 2, axis=2).mean(axis=1)
    labels = (shares.cumsum(axis=1) > draw.random((4000, 1))).argmax(axis=1)
    assert fit_temperature(views, labels) == pytest.approx(2, rel=0.05)
