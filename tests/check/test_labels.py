"""Wrong labels and strange pictures: the closed forms against what they stand for."""

import shutil
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from picture_makers import CLIPART

from lexnet.check import labels as module
from lexnet.check.labels import FAR, PENALTY, SUSPECT, Doubt, outliers
from lexnet.data.folder import read_folder
from lexnet.job.plan import DEFAULT_NET
from lexnet.transfer.extract import extract
from lexnet.transfer.trunk import open_trunk

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


def doubts(features: Features, labels: Labels, classes: int, units: Labels | None = None) -> list[Doubt]:
    """Each picture by itself, unless it is said what belongs together."""
    return module.doubts(features, labels, classes, np.arange(len(labels)) if units is None else units)


def leave_one_out(features: Features, labels: Labels, classes: int) -> NDArray[np.float64]:
    return module.leave_one_out(features, labels, classes, np.arange(len(labels)))


def problem(count: int, width: int, classes: int, seed: int = 0) -> tuple[Features, Labels]:
    """Overlapping clouds, one for each class."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = 1.5 * draw.normal(size=(classes, width))
    return (centres[labels] + draw.normal(size=(count, width))).astype(np.float32), labels


def refitted(features: Features, labels: Labels, classes: int) -> NDArray[np.float64]:
    """Scores of each row by a ridge that really is fitted again without it."""
    rows = range(len(labels))
    return np.concatenate([without(features, labels, classes, np.array([row])) for row in rows])


def without(features: Features, labels: Labels, classes: int, rows: Labels) -> NDArray[np.float64]:
    """Scores of these rows by a ridge that is fitted to the others, by scikit-learn.

    Each column is centred and scaled by what all rows say, as in `leave_one_out`; the intercept is free.
    """
    from sklearn.linear_model import Ridge

    x = features.astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    target = 2.0 * np.eye(classes)[labels] - 1
    rest = np.delete(np.arange(len(x)), rows)
    ridge = Ridge(alpha=PENALTY * len(x), fit_intercept=True, solver="cholesky")
    return np.asarray(ridge.fit(x[rest], target[rest]).predict(x[rows]))


@pytest.mark.parametrize(
    ("count", "width", "classes"),
    [(60, 10, 3), (15, 40, 3), (11, 10, 2), (10, 10, 2), (40, 5, 2)],
    ids=["more rows", "fewer rows", "as many rows as columns", "one row fewer", "two classes"],
)
def test_leaving_one_out_is_fitting_without_it(count: int, width: int, classes: int) -> None:
    features, labels = problem(count, width, classes)
    assert np.allclose(
        leave_one_out(features, labels, classes), refitted(features, labels, classes), atol=1e-8
    )


@pytest.mark.parametrize(("count", "width"), [(24, 60), (60, 8)])
def test_leaving_out_units_is_fitting_without_them(count: int, width: int) -> None:
    features, labels = problem(count, width, 3)
    units = np.arange(count) // 4 * 4  # fours
    found = module.leave_one_out(features, labels, 3, units)
    for unit in range(0, count, 4):
        rows = np.arange(unit, unit + 4)
        np.testing.assert_allclose(found[rows], without(features, labels, 3, rows), atol=1e-6)


def test_copies_under_a_wrong_label_do_not_vouch_for_one_another(
    clipart: tuple[Features, Labels, list[str]],
) -> None:
    features, labels, classes = clipart

    def probability(row: int) -> float:
        """That its label is wrong, where it alone has another."""
        flipped = np.where(np.arange(len(labels)) == row, 1, labels)
        return next(one.confidence for one in doubts(features, flipped, len(classes)) if one.row == row)

    wrong = np.array(sorted(np.flatnonzero(labels == 0)[:8].tolist(), key=probability)[-2:])
    assert probability(wrong[0]) > SUSPECT
    rows = np.concatenate([np.arange(len(labels)), *[wrong] * 2])
    given = labels[rows].copy()
    given[np.isin(rows, wrong)] = 1
    found = doubts(features[rows], given, len(classes), rows)
    suspect = {int(rows[doubt.row]) for doubt in found if doubt.confidence >= SUSPECT}
    assert set(wrong.tolist()) <= suspect
    alone = doubts(features[rows], given, len(classes))
    assert all(one.confidence < 0.1 for one in alone if rows[one.row] in wrong), "each by the other copies"


def test_both_ways_of_solving_give_the_same() -> None:
    """A column of noise more or less decides which matrix is inverted; 16 rows, then 15 and 16 columns."""
    features, labels = problem(16, 15, 2)
    padded = np.concatenate([features, np.zeros((16, 1), np.float32)], axis=1)  # says nothing
    assert np.allclose(leave_one_out(features, labels, 2), leave_one_out(padded, labels, 2), atol=1e-9)


@pytest.fixture(scope="module")
def clipart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Features, Labels, list[str]]:
    """Features of 40 pieces of each of four classes that a net tells apart."""
    root = tmp_path_factory.mktemp("clipart")
    for name in ("flags", "fruit", "music", "mammals"):
        (root / name).mkdir()
        for file in sorted((CLIPART / name).iterdir())[:40]:
            shutil.copy(file, root / name)
    manifest = read_folder(root)

    def warn(text: str) -> None:
        raise AssertionError(text)

    trunk = open_trunk(DEFAULT_NET, None, warn)
    quiet: Any = lambda done, total: None  # noqa: E731
    found = extract(trunk, manifest, "onnxruntime", 2, warn=warn, progress=quiet)
    return found.features, manifest.labels, manifest.classes


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_of_real_pictures_come_first(
    clipart: tuple[Features, Labels, list[str]], seed: int
) -> None:
    features, labels, classes = clipart
    draw = np.random.default_rng(seed)
    flipped = draw.choice(len(labels), 8, replace=False)
    wrong = labels.copy()
    wrong[flipped] = (labels[flipped] + draw.integers(1, len(classes), 8)) % len(classes)
    found = doubts(features, wrong, len(classes))
    first = {doubt.row for doubt in found[:12]}
    hit = first & set(flipped.tolist())
    assert len(hit) >= 7, f"only {len(hit)} of 8 flipped labels are among the first 12"
    right = [doubt.label == labels[doubt.row] for doubt in found if doubt.row in hit]
    assert np.mean(right) >= 0.85, "they are suspected, but called something that they are not"
    assert sum(doubt.confidence >= SUSPECT for doubt in found if doubt.row in hit) >= 6


@pytest.mark.parametrize("sizes", [(40, 40, 12, 12), (40, 6, 40, 6)])
def test_flipped_labels_come_first_where_classes_differ_in_size(
    clipart: tuple[Features, Labels, list[str]], sizes: tuple[int, ...]
) -> None:
    """How large a class is must not tell a row of it what it is not, by way of the intercept."""
    every, all_labels, classes = clipart
    rows = np.concatenate([np.flatnonzero(all_labels == k)[:size] for k, size in enumerate(sizes)])
    features, labels = every[rows], all_labels[rows]
    draw = np.random.default_rng(0)
    flipped = draw.choice(len(labels), 6, replace=False)
    wrong = labels.copy()
    wrong[flipped] = (labels[flipped] + draw.integers(1, len(classes), 6)) % len(classes)
    found = doubts(features, wrong, len(classes))
    assert len({doubt.row for doubt in found[:12]} & set(flipped.tolist())) >= 5


def test_flipped_labels_of_digits_come_first() -> None:
    """By their pixels, which do as features: 1,797 rows, so the way of more rows than columns."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    features, labels = digits.data.astype(np.float32), digits.target.astype(np.int64)
    draw = np.random.default_rng(0)
    flipped = draw.choice(len(labels), 40, replace=False)
    wrong = labels.copy()
    wrong[flipped] = (labels[flipped] + draw.integers(1, 10, 40)) % 10
    first = [doubt.row for doubt in doubts(features, wrong, 10)[:60]]
    assert len(set(first) & set(flipped.tolist())) >= 34


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("width", [4, 80])
def test_a_doubt_is_a_probability_that_grows_with_the_margin(classes: int, width: int) -> None:
    features, labels = problem(50, width, classes)
    found = doubts(features, labels, classes)
    assert sorted(doubt.row for doubt in found) == list(range(50))
    assert all(doubt.label != labels[doubt.row] and 0 <= doubt.label < classes for doubt in found)
    scores = leave_one_out(features, labels, classes)
    margins = [scores[doubt.row, doubt.label] - scores[doubt.row, labels[doubt.row]] for doubt in found]
    shares = [doubt.confidence for doubt in found]
    assert shares == sorted(shares, reverse=True)
    for label in range(classes):
        mine = [m for m, doubt in zip(margins, found, strict=True) if labels[doubt.row] == label]
        assert mine == sorted(mine, reverse=True)
    assert min(shares) >= 0 and max(shares) <= 1
    assert all(margin > 0 for share, margin in zip(shares, margins, strict=True) if share > 0.5)
    best = np.where(np.arange(classes) == labels[:, None], -np.inf, scores).argmax(axis=1)
    assert all(doubt.label == best[doubt.row] for doubt in found)


def test_few_pictures_of_a_class_are_not_suspect_for_being_few(
    clipart: tuple[Features, Labels, list[str]],
) -> None:
    """Two classes of forty and two of six, all of them labelled rightly."""
    every, all_labels, classes = clipart
    rows = np.concatenate([np.flatnonzero(all_labels == k)[:n] for k, n in enumerate((40, 40, 6, 6))])
    labels = all_labels[rows]
    suspect = [
        doubt.row for doubt in doubts(every[rows], labels, len(classes)) if doubt.confidence >= SUSPECT
    ]
    assert not any(labels[suspect] >= 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_messy_class_hides_no_wrong_labels(seed: int) -> None:
    """Half of whose pictures look like those of others: photos of anything else, say."""
    draw = np.random.default_rng(seed)
    centres, classes = 1.2 * draw.normal(size=(5, 32)), np.repeat(np.arange(5), 150)
    centres[4] = centres[:4].mean(axis=0)
    spread = np.where(classes == 4, 2.0, 1.0)[:, None]
    features = (centres[classes] + spread * draw.normal(size=(750, 32))).astype(np.float32)
    changed = draw.choice(750, 37, replace=False)
    labels = classes.copy()
    labels[changed] = (classes[changed] + draw.integers(1, 5, 37)) % 5
    found = doubts(features, labels, 5, np.arange(750))
    suspect = [doubt.row for doubt in found if doubt.confidence >= SUSPECT]
    assert np.isin(changed, suspect).mean() >= 0.8 and len(suspect) <= 75


def test_random_labels_are_not_called_certain() -> None:
    """Where labels mean nothing, nothing speaks clearly against one of them."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(300, 40)).astype(np.float32)
    found = doubts(features, draw.integers(0, 3, 300), 3)
    assert sum(doubt.confidence >= SUSPECT for doubt in found) <= 6


def test_classes_that_are_far_apart_overflow_nothing() -> None:
    """Black and white pictures, say: the curve is as steep as it may be and all margins are wide."""
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    features = (2.0 * labels[:, None] - 1 + 0.01 * draw.normal(size=(100, 20))).astype(np.float32)
    assert max(doubt.confidence for doubt in doubts(features, labels, 2)) < SUSPECT


def test_a_class_with_one_picture_is_doubted_without_fault() -> None:
    """Nothing was trained on its class without it, so every other class wins; that is a finite number."""
    features, labels = problem(21, 30, 3)
    labels = np.where(labels == 2, 0, labels)
    labels[20] = 2
    found = doubts(features, labels, 3)
    assert len(found) == 21 and np.isfinite([doubt.confidence for doubt in found]).all()
    assert next(doubt for doubt in found if doubt.row == 20).label in (0, 1)


def test_features_that_never_change_say_nothing() -> None:
    features, labels = problem(30, 6, 2)
    dead = np.concatenate([features, np.full((30, 2), 0.1, np.float32)], axis=1)
    assert np.allclose(leave_one_out(dead, labels, 2), leave_one_out(features, labels, 2), atol=1e-6)


def test_a_planted_outlier_is_found_and_nothing_else() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(3, 32))
    features = centres[np.arange(90) % 3] + 0.3 * draw.normal(size=(90, 32))
    features[17] = 4 * draw.normal(size=32)
    found = outliers(features.astype(np.float32))
    assert [row for row, _ in found] == [17] and found[0][1] > FAR


def test_outliers_come_farthest_first_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    features = (np.ones(16) + 0.1 * draw.normal(size=(60, 16))).astype(np.float32)
    features[:30] *= -1
    for row in (5, 40, 59):
        features[row] = draw.normal(size=16)
    whole = outliers(features)
    assert {row for row, _ in whole} >= {5, 40, 59}
    assert [far for _, far in whole] == sorted((far for _, far in whole), reverse=True)
    monkeypatch.setattr(module, "BLOCK", 7)
    parts = outliers(features)
    assert [row for row, _ in parts] == [row for row, _ in whole]
    assert np.allclose([far for _, far in parts], [far for _, far in whole], rtol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_hardly_any_or_equal_pictures_have_no_outlier(count: int) -> None:
    assert outliers(np.ones((count, 8), np.float32)) == []


def test_the_thresholds_are_those_that_the_benchmarks_were_measured_with() -> None:
    assert (PENALTY, SUSPECT, FAR) == (0.3, 0.75, 4.0)


@pytest.mark.parametrize(("count", "width"), [(30, 50), (80, 50), (300, 20)])
def test_leaving_out_by_formula_is_leaving_out(count: int, width: int) -> None:
    """With fewer pictures than features, more, and a unit of more pictures than features."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(count, width)).astype(np.float32)
    labels = draw.integers(0, 3, count)
    together = np.arange(count)
    together[: count // 2] = 0
    scores = module.leave_one_out(features, labels, 3, together)
    x = features.astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    target = np.where(np.arange(3) == labels[:, None], 1.0, -1.0)
    for unit in (0, count - 1):
        left, out = together != unit, together == unit
        ones = np.ones((left.sum(), 1))
        design = np.hstack([x[left], ones])
        penalty = np.diag([PENALTY * count] * width + [0.0])
        fitted = np.linalg.solve(design.T @ design + penalty, design.T @ target[left])
        np.testing.assert_allclose(
            scores[out], np.hstack([x[out], np.ones((out.sum(), 1))]) @ fitted, atol=1e-9
        )
