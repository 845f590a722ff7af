"""The linear head: scikit-learn's own numbers, chosen honestly, the same on every machine size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lexnet.config import ProbeConfig
from lexnet.data.folder import read_folder
from lexnet.data.samples import sample_folder
from lexnet.errors import ConfigError, DataError
from lexnet.evaluate.metrics import expected_calibration_error
from lexnet.transfer.extract import extract
from lexnet.transfer.folds import assign_folds
from lexnet.transfer.probe import Examples, Probe, fit_probe, softmax
from lexnet.transfer.trunk import open_trunk

Data = tuple[np.ndarray, np.ndarray, list[str]]


def digests(count: int) -> list[str]:
    return [f"{i:064x}" for i in range(count)]


def clouds(classes: int, each: int, apart: float, width: int = 12, seed: int = 0) -> Data:
    """Gaussian clouds whose centres lie `apart` standard deviations from the middle, on uneven axes."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(classes, width))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.repeat(np.arange(classes), each)
    x = centres[labels] + draw.normal(size=(classes * each, width))
    return (3 + 0.2 * x).astype(np.float32), labels, digests(len(labels))


def silent(done: int, total: int) -> None:
    pass


def fitted(
    data: Data,
    candidates: tuple[float, ...] = (0.01, 0.1, 1.0),
    workers: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] = silent,
    weights: np.ndarray | None = None,
    tta_views: np.ndarray | None = None,
) -> Probe:
    x, labels, names = data
    if weights is None:
        weights = np.ones(len(labels), np.float32)
    examples = Examples(features=x, labels=labels, weights=weights, units=names, tta_views=tta_views)
    config = ProbeConfig(candidates=candidates)
    return fit_probe(examples, int(labels.max()) + 1, config, seed, workers, progress)


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / np.float32(x.std())


def exactly(data: Data, C: float) -> LogisticRegression:
    x, labels, _ = data
    exact = standardised(x).astype(np.float64)
    return LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(exact, labels)


def same_bits(one: Probe, other: Probe) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("weight", "bias", "temperature", "C", "candidates", "cv_log_loss", "cv_accuracy")
    )


def test_it_tells_classes_apart_that_can_be() -> None:
    x, labels, _ = data = clouds(4, 30, apart=6)
    probe = fitted(data)
    assert (probe.weight.shape, probe.bias.shape) == ((4, 12), (4,))
    assert probe.weight.dtype == probe.bias.dtype == np.float32
    assert (probe.logits(x).argmax(axis=1) == labels).all()
    new, truth, _ = clouds(4, 200, apart=6)
    assert (probe.probabilities(new).argmax(axis=1) == truth).mean() > 0.99
    assert max(probe.cv_accuracy) > 0.98


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_head_is_scikit_learns(classes: int) -> None:
    """Two classes included, for which scikit-learn keeps but one row."""
    x, _, _ = data = clouds(classes, 25, apart=1.5)
    probe = fitted(data, candidates=(0.1,))
    exact, other = (exactly(data, C).predict_proba(standardised(x)) for C in (0.1, 0.11))
    assert np.abs(softmax(probe.logits(x)) - exact).max() < 1e-3 < np.abs(other - exact).max()
    assert probe.weight.shape == (classes, 12)


def test_raw_features_give_what_standardised_ones_would() -> None:
    x, _, _ = data = clouds(5, 20, apart=2)
    probe = fitted(data, candidates=(0.5,))
    model = exactly(data, 0.5)
    explicit = standardised(x) @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(probe.logits(x), explicit, atol=0.005)


def test_probabilities_are_calibrated_on_predictions_out_of_the_fold() -> None:
    """Far too little regularisation for 40 pictures in 60 dimensions: sure of itself, and wrong."""
    data = clouds(2, 20, apart=1, width=60)
    probe = fitted(data, candidates=(100.0,))
    assert probe.temperature > 1.5
    x, labels, _ = clouds(2, 500, apart=1, width=60, seed=0)
    new = np.random.default_rng(5).permutation(len(labels))[:600]
    raw, mild = softmax(probe.logits(x[new])), probe.probabilities(x[new])
    gaps = [expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == labels[new]) for p in (raw, mild)]
    assert gaps[1] < gaps[0]
    np.testing.assert_allclose(mild, softmax(probe.logits(x[new]) / np.float32(probe.temperature)))


def test_the_order_of_the_pictures_does_not_matter() -> None:
    x, labels, names = data = clouds(4, 25, apart=2)
    order = np.random.default_rng(1).permutation(len(labels))
    one, other = fitted(data), fitted((x[order], labels[order], [names[i] for i in order]))
    assert one.C == other.C
    scale = np.abs(one.weight).max()
    np.testing.assert_allclose(one.weight, other.weight, atol=1e-4 * scale)
    np.testing.assert_allclose(one.bias, other.bias, atol=1e-4 * np.abs(one.bias).max())
    np.testing.assert_allclose(one.probabilities(x), other.probabilities(x), atol=1e-4)


def test_the_number_of_threads_changes_no_bit() -> None:
    data = clouds(5, 20, apart=1.5)
    one = fitted(data, workers=1)
    for workers in (1, 2, 3):
        assert same_bits(one, fitted(data, workers=workers)), workers


def test_it_chooses_by_cross_validation_and_says_what_it_saw() -> None:
    data = clouds(3, 30, apart=1)
    probe = fitted(data, candidates=(1.0, 0.001, 0.03))
    assert probe.candidates == [0.001, 0.03, 1.0]
    assert len(probe.cv_log_loss) == len(probe.cv_accuracy) == 3
    assert probe.candidates[int(np.argmin(probe.cv_log_loss))] == probe.C
    assert probe.cv_log_loss[2] > probe.cv_log_loss[1]  # hardly regularised, it is too sure of itself
    assert same_bits(probe, fitted(data, candidates=(0.03, 1.0, 0.001)))


def test_what_is_weaker_than_a_candidate_much_worse_than_the_best_is_not_tried() -> None:
    data, told = clouds(3, 40, apart=1), list[tuple[int, int]]()
    probe = fitted(data, (0.001, 0.01, 0.1, 10.0, 1e3, 1e5), progress=lambda *numbers: told.append(numbers))
    every = [fitted(data, (C,)).cv_log_loss[0] for C in (10.0, 1e3, 1e5)]
    assert min(every) > 1.05 * min(probe.cv_log_loss)  # it would not have been better
    assert probe.candidates == [0.001, 0.01, 0.1, 10.0]
    assert len(probe.cv_log_loss) == len(probe.cv_accuracy) == 4
    assert told[-1] == (7, 7)


def test_many_classes_are_fitted_as_exactly_as_few() -> None:
    """Each of 150 has a fifteenth of the slope that each of ten has."""
    x, _, _ = data = clouds(150, 8, apart=3, width=40)
    exact = exactly(data, 4.0).predict_proba(standardised(x))
    assert np.abs(softmax(fitted(data, (4.0,)).logits(x)) - exact).max() < 0.004


def test_too_many_answers_for_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexnet.transfer.probe.MAX_MEMORY", 2 * 4 * 30 * 3 - 1)
    with pytest.raises(DataError, match=r"30 pictures, 3 classes each, need .* give --limit"):
        fitted(clouds(3, 10, apart=2))


def test_progress_counts_candidates_and_the_last_fit() -> None:
    told: list[tuple[int, int]] = []
    fitted(clouds(3, 8, apart=2), progress=lambda *numbers: told.append(numbers))
    assert told == [(done, 4) for done in range(1, 5)]  # 3 candidates, and the last fit


@pytest.mark.parametrize(("candidates", "chosen"), [((1e-6, 1e-5), 1e-5), ((10.0, 1000.0), 10.0)])
def test_the_best_may_lie_at_the_edge(candidates: tuple[float, ...], chosen: float) -> None:
    x, labels, _ = data = clouds(3, 20, apart=1.5)
    probe = fitted(data, candidates=candidates)
    assert chosen == probe.C
    assert np.isfinite(probe.weight).all() and np.isfinite(probe.temperature)
    assert (probe.logits(x).argmax(axis=1) == labels).mean() > 0.6


@pytest.mark.parametrize("candidates", [(), (0.0,), (-1.0, 1.0)])
def test_impossible_candidates_are_refused(candidates: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        ProbeConfig(candidates=candidates)


def test_two_pictures_of_a_class_are_enough() -> None:
    """Beside 60 and 20 of others: the folds go down to two, and the class is not lost."""
    x, labels, _ = clouds(3, 60, apart=6)
    rows = np.r_[0:60, 60:80, 120:122]
    data = x[rows], labels[rows], digests(len(rows))
    assert set(assign_folds(data[1], data[2], 4, 0)) == {0, 1}
    probe = fitted(data)
    assert (probe.logits(x[120:]).argmax(axis=1) == 2).mean() > 0.9


def test_a_weight_is_as_good_as_so_many_copies() -> None:
    """Pictures that count three times pull the border as three would."""
    x, labels, names = clouds(2, 60, apart=2)
    weights = np.where(labels == 1, 3, 1).astype(np.float32)
    times = np.repeat(np.arange(len(labels)), weights.astype(int))
    weighted = fitted((x, labels, names), (4.0,), weights=weights)
    copied = fitted((x[times], labels[times], [names[i] for i in times]), (2.0,))  # of twice as many
    plain = fitted((x, labels, names), (4.0,))
    said = [(probe.logits(x).argmax(axis=1) == 1).mean() for probe in (plain, weighted, copied)]
    assert said[1] > said[0] + 0.03 and abs(said[1] - said[2]) < 0.02
    assert same_bits(weighted, fitted((x, labels, names), (4.0,), weights=weights * 4))


def test_what_hardly_counts_hardly_moves_the_temperature_and_the_log_loss() -> None:
    """Every second picture has the wrong label, and a thousandth of the weight."""
    x, labels, names = clouds(2, 200, apart=2)
    noisy = np.arange(len(labels)) % 2 == 0
    weights = np.where(noisy, 1e-3, 1).astype(np.float32)
    probe = fitted((x, np.where(noisy, 1 - labels, labels), names), (1.0,), weights=weights)
    assert probe.temperature < 3
    assert probe.cv_log_loss[0] < 0.3


def test_an_answer_is_the_mean_of_the_probabilities_of_its_views_and_not_of_their_logits() -> None:
    """One of three views is sure of the wrong class: the two others outvote it."""
    x, labels, names = clouds(2, 60, apart=6)
    x = x - x.mean(axis=0)
    views = np.stack([x, x, -3 * x], axis=1)
    probe = fitted((x, labels, names), (1.0,), tta_views=views)
    assert probe.cv_accuracy[0] > 0.95 and probe.right.mean() > 0.95
    assert (probe.probabilities(views).argmax(axis=1) == labels).mean() > 0.95


def test_shuffled_labels_score_at_chance() -> None:
    """Pitfall 10: whatever cross-validation sees of noise must look like noise."""
    x, labels, names = clouds(4, 60, apart=6)
    shuffled = np.random.default_rng(0).permutation(labels)
    probe = fitted((x, shuffled, names))
    assert 0.15 < max(probe.cv_accuracy) < 0.35
    assert probe.cv_log_loss[probe.candidates.index(probe.C)] > np.log(4) - 0.02


def test_shuffled_labels_score_at_chance_even_where_each_picture_is_there_five_times() -> None:
    """Copies on both sides of a fold would be learned by heart."""
    x, labels, names = clouds(2, 40, apart=0, width=100)
    copied = np.tile(x, (5, 1)), np.tile(np.random.default_rng(3).permutation(labels), 5), names * 5
    assert 0.3 < max(fitted(copied, candidates=(1.0,)).cv_accuracy) < 0.7
    apart = copied[0], copied[1], digests(400)
    assert max(fitted(apart, candidates=(1.0,)).cv_accuracy) > 0.9  # what it would look like


def test_real_features_under_shuffled_labels_score_at_chance(shared_cache: Path) -> None:
    trunk = open_trunk("efficientnet_lite0", None, pytest.fail)
    manifest = read_folder(sample_folder("clipart"))
    manifest = manifest.take(np.flatnonzero(manifest.labels < 4))
    extraction = extract(trunk, manifest, "auto", 2, warn=pytest.fail, progress=silent)
    labels = extraction.manifest.labels
    chance = np.bincount(labels).max() / len(labels)
    true = fitted((extraction.features, labels, manifest.digests), candidates=(0.004, 0.064))
    assert max(true.cv_accuracy) > chance + 0.3
    shuffled = np.random.default_rng(0).permutation(labels)
    noise = fitted((extraction.features, shuffled, manifest.digests), candidates=(0.004, 0.064))
    assert max(noise.cv_accuracy) < chance + 0.08


def test_softmax_survives_large_logits() -> None:
    logits = np.array([[1e4, 0, -1e4], [-3e4, -3e4, -3e4]], np.float32)
    np.testing.assert_allclose(softmax(logits), [[1, 0, 0], [1 / 3] * 3])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_told_as_such(value: float) -> None:
    x, labels, digests = clouds(3, 8, apart=2)
    x[5, 1] = value
    with pytest.raises(
        DataError, match="the net gives no finite features for 1 of 24 pictures: its weights are"
    ):
        fitted((x, labels, digests))


def test_features_that_are_all_the_same_are_refused_by_name() -> None:
    x, labels, digests = clouds(3, 8, apart=2)
    with pytest.raises(DataError, match="all pictures look the same to the net"):
        fitted((np.ones_like(x), labels, digests))
