"""Every score against scikit-learn's, or by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from lexnet.evaluate.intervals import clustered_wilson, wilson
from lexnet.evaluate.metrics import calibration_error_of_chance, expected_calibration_error, score

CLASSES = ["a", "b", "c", "d"]


def sample(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right about half the time, and unbalanced labels."""
    draw = np.random.default_rng(0)
    labels = draw.choice(4, count, p=[0.6, 0.2, 0.15, 0.05])
    logits = draw.normal(size=(count, 4)) * 1.5
    logits[np.arange(count), labels] += 1
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_scikit_learn_agrees() -> None:
    probabilities, labels = sample()
    predicted = probabilities.argmax(axis=1)
    scores = score(probabilities, labels, CLASSES)
    assert scores.count == 200
    assert scores.accuracy == pytest.approx(sk.accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    normed = probabilities.astype(np.float64)
    normed /= normed.sum(axis=1, keepdims=True)
    assert scores.log_loss == pytest.approx(sk.log_loss(labels, normed), abs=1e-6)
    assert scores.confusion == sk.confusion_matrix(labels, predicted).tolist()
    precision, recall, f1, counts = sk.precision_recall_fscore_support(labels, predicted)
    for i, row in enumerate(scores.per_class):
        assert row["class"] == CLASSES[i] and row["count"] == counts[i]
        assert row["precision"] == pytest.approx(precision[i])
        assert row["recall"] == pytest.approx(recall[i])
        assert row["f1"] == pytest.approx(f1[i])


def test_accuracy_is_a_recount() -> None:
    """Pitfall 12: one picture at a time, no batches to pad or to average over."""
    probabilities, labels = sample(101)
    hits = sum(int(np.argmax(row)) == label for row, label in zip(probabilities, labels, strict=True))
    scores = score(probabilities, labels, CLASSES)
    assert scores.accuracy == hits / 101
    assert scores.interval == pytest.approx(wilson(hits, 101))
    for i, row in enumerate(scores.per_class):
        mine = [probabilities[k] for k in range(101) if labels[k] == i]
        found = sum(int(np.argmax(p)) == i for p in mine)
        assert row["recall_interval"] == pytest.approx(wilson(found, len(mine)))


def test_the_interval_of_a_recall_knows_what_belongs_together() -> None:
    """Twenty units of six pictures, each wholly right or wholly wrong."""
    labels, units = np.repeat([0, 1], 60), np.repeat(np.arange(20), 6)
    right = units % 4 > 0
    probabilities = np.eye(2)[np.where(right, labels, 1 - labels)]
    for label, row in enumerate(score(probabilities, labels, ["a", "b"], units=units).per_class):
        mine = labels == label
        assert tuple(row["recall_interval"]) == clustered_wilson(right[mine], units[mine])
        assert tuple(row["recall_interval"]) != clustered_wilson(right[mine])


def test_a_class_without_pictures_does_not_count_for_the_mean() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0]])
    scores = score(probabilities, np.array([0, 1, 1]), ["a", "b", "none"])
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)
    none = scores.per_class[2]
    assert (none["count"], none["precision"], none["recall"], none["f1"]) == (0, None, None, None)
    assert scores.confusion == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    scores = score(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ["a", "b"])
    row = scores.per_class[1]
    assert (row["precision"], row["recall"], row["f1"]) == (None, 0.0, 0.0)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_calibration_error_by_hand() -> None:
    """Bins of a fifteenth: three answers of 0.9, two of them right, and one of 0.5, right."""
    confidence = np.array([0.9, 0.9, 0.9, 0.5])
    right = np.array([True, True, False, True])
    expected = 3 / 4 * abs(0.9 - 2 / 3) + 1 / 4 * abs(0.5 - 1)
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)
    # 0.90 and 0.93 share the bin from 13/15 to 14/15: their gaps cancel
    assert expected_calibration_error(np.array([0.9, 0.93]), np.array([True, True])) == pytest.approx(0.085)
    assert expected_calibration_error(np.array([0.88, 0.92]), np.array([True, False]), 15) == pytest.approx(
        0.4
    )


def test_calibration_error_at_its_ends() -> None:
    assert expected_calibration_error(np.ones(5), np.ones(5, bool)) == 0
    assert expected_calibration_error(np.ones(5), np.zeros(5, bool)) == 1
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0


def test_what_is_answered_follows_the_threshold() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.45, 0.55]])
    labels = np.array([0, 1, 1, 1])
    all_of_them = score(probabilities, labels, ["a", "b"])
    assert (all_of_them.answered, all_of_them.wrong_among_answered) == (1.0, 0.25)
    sure = score(probabilities, labels, ["a", "b"], threshold=0.7)
    assert (sure.answered, sure.wrong_among_answered) == (0.5, 0.0)
    assert sure.accuracy == 0.75  # of the likeliest class, answered or not
    nobody = score(probabilities, labels, ["a", "b"], threshold=0.95)
    assert (nobody.answered, nobody.wrong_among_answered) == (0.0, None)


def test_a_certain_mistake_costs_much_but_not_all() -> None:
    scores = score(np.array([[1.0, 0.0]]), np.array([1]), ["a", "b"])
    assert scores.log_loss == pytest.approx(-np.log(1e-15))


def test_scores_are_plain_numbers() -> None:
    """So that they can be written as JSON."""
    import json
    from dataclasses import asdict

    json.dumps(asdict(score(*sample(), CLASSES)), allow_nan=False)


def test_what_chance_shows_of_calibration_is_said() -> None:
    """The error of answers that are right exactly as often as they say: much with few, little with many."""
    random = np.random.default_rng(1)
    for count, least, most in ((100, 0.06, 0.14), (20_000, 0.003, 0.012)):
        confidence = random.uniform(0.4, 1, count)
        chance = calibration_error_of_chance(confidence)
        seen = [expected_calibration_error(confidence, random.random(count) < confidence) for _ in range(20)]
        assert least < chance < most and abs(np.mean(seen) - chance) < 0.15 * chance
