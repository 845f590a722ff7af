"""scikit-learn's conventions, where they make sense for pictures."""

import inspect
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

import lexnet
from lexnet.cli.options import settings
from lexnet.config import TrainConfig
from lexnet.data.samples import sample_folder
from lexnet.errors import DataError
from lexnet.job.events import Event, Warned
from lexnet.runtime.engines import OnnxRuntime

CLIPART = sample_folder("clipart")
pytestmark = pytest.mark.filterwarnings("ignore:only .* test pictures")  # they are few on purpose
PATHS = [path for name in ("birds", "flags", "fruit") for path in sorted((CLIPART / name).iterdir())[:12]]
NAMES = [path.parent.name for path in PATHS]


@pytest.fixture(scope="module")
def fitted(shared_cache: Path) -> lexnet.Classifier:
    return lexnet.Classifier().fit(PATHS, NAMES)


def test_its_parameters_are_the_command_lines_flags() -> None:
    parameters = inspect.signature(lexnet.Classifier).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        f.name: f.default
        for f, *_ in settings(TrainConfig)
        if f.name != "raised"  # which only plans record
    }


def test_it_predicts_in_the_engine_and_the_threads_it_was_given() -> None:
    classifier = lexnet.Classifier(engine="onnxruntime", workers=1).fit(PATHS, NAMES)
    engines = [one._fitted().engine for one in (classifier, pickle.loads(pickle.dumps(classifier)))]
    assert all(isinstance(engine, OnnxRuntime) and engine.callers == 1 for engine in engines)


def test_warnings_are_pythons_where_nobody_listens(tmp_path: Path) -> None:
    for path in PATHS:
        part = "train" if path in PATHS[:10] + PATHS[12:22] else "test"
        target = tmp_path / part / path.parent.name / path.name
        if path.parent.name != "fruit":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    shutil.copy(PATHS[0], tmp_path / "train/birds/copy.png")
    with Image.open(PATHS[0]) as image:
        image.convert("RGB").save(tmp_path / "test/birds/copy.jpg", quality=95)
    with pytest.warns(UserWarning, match="near copies lie in two parts") as warned:
        lexnet.Classifier(mode="probe").fit(tmp_path)
    assert {one.filename for one in warned} == {__file__}, "the line that called fit, not one of ours"
    told: list[Event] = []
    lexnet.Classifier(mode="probe").fit(tmp_path, on_event=told.append)
    assert any(isinstance(event, Warned) for event in told)


def test_parameters_round_trip_and_clone() -> None:
    classifier = lexnet.Classifier(seed=3, candidates=(0.1, 1.0))
    assert classifier.get_params()["seed"] == 3
    copy = clone(classifier.set_params(folds=3))
    assert copy.get_params() == classifier.get_params() and copy.folds == 3
    assert is_classifier(classifier)
    assert "seed=3" in repr(classifier)


def test_constructing_checks_nothing_and_fitting_does() -> None:
    with pytest.raises(ValueError, match=r"test=0.9 must lie in \[0.05, 0.5\]"):
        lexnet.Classifier(test=0.9).fit(PATHS, NAMES)


def test_using_it_unfitted_says_so() -> None:
    for use in ("predict", "predict_proba", "embed"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(lexnet.Classifier(), use)(PATHS)
    with pytest.raises(NotFittedError):
        lexnet.Classifier().save("x.lexnet")


def test_fit_returns_itself_and_sets_attributes(fitted: lexnet.Classifier) -> None:
    assert fitted.classes_.tolist() == ["birds", "flags", "fruit"]
    assert (
        fitted.metrics_["counts"]["train"]
        + fitted.metrics_["counts"]["val"]
        + fitted.metrics_["counts"]["test"]
        == 36
    )
    assert vars(lexnet.Classifier()).keys() == fitted.get_params().keys()


def test_predictions_have_scikit_learns_shapes(fitted: lexnet.Classifier) -> None:
    probabilities = fitted.predict_proba(PATHS)
    assert probabilities.shape == (36, 3)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (fitted.predict(PATHS) == fitted.classes_[probabilities.argmax(axis=1)]).all()
    assert fitted.score(PATHS, NAMES) == np.mean(fitted.predict(PATHS) == np.array(NAMES))
    assert fitted.embed(PATHS[:2]).shape == (2, 1280)


def test_labels_keep_their_type() -> None:
    numbers = [10 if name == "birds" else 2 for name in NAMES]
    classifier = lexnet.Classifier().fit(PATHS, numbers)
    assert classifier.classes_.tolist() == [2, 10]
    assert set(classifier.predict(PATHS[:3])) <= {2, 10}


def test_a_folder_and_its_paths_with_labels_give_the_same_net(
    tmp_path: Path, fitted: lexnet.Classifier
) -> None:
    for path in PATHS:
        target = tmp_path / "data" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    folder = lexnet.Classifier().fit(tmp_path / "data")
    assert np.array_equal(folder.predict_proba(PATHS), fitted.predict_proba(PATHS))
    assert folder.score(tmp_path / "data") == fitted.score(PATHS, NAMES)


def test_the_saved_bundle_says_the_same(tmp_path: Path, fitted: lexnet.Classifier) -> None:
    fitted.save(tmp_path / "a.lexnet")
    model = lexnet.load(tmp_path / "a.lexnet")
    assert np.array_equal(model.predict_proba(PATHS), fitted.predict_proba(PATHS))
    assert np.array_equal(model.embed(PATHS[:2]), fitted.embed(PATHS[:2]))
    assert model.classes_.tolist() == fitted.classes_.tolist()


def test_few_pictures_to_measure_on_are_warned_of(fitted: lexnet.Classifier) -> None:
    told: list[Event] = []
    lexnet.Classifier().fit(PATHS, NAMES, on_event=told.append)
    texts = [event.text for event in told if isinstance(event, Warned)]
    assert any(text.startswith("only ") and "may be anywhere from" in text for text in texts)


def test_pictures_may_count_more_than_others(fitted: lexnet.Classifier) -> None:
    as_before = lexnet.Classifier().fit(PATHS, NAMES, sample_weight=np.full(len(PATHS), 3.0))
    np.testing.assert_allclose(as_before.predict_proba(PATHS), fitted.predict_proba(PATHS), atol=1e-6)
    weights = np.where(np.asarray(NAMES) == NAMES[0], 100.0, 1.0)
    more = lexnet.Classifier().fit(PATHS, NAMES, sample_weight=weights)
    of = fitted.classes_.tolist().index(NAMES[0])
    assert more.predict_proba(PATHS)[:, of].mean() > fitted.predict_proba(PATHS)[:, of].mean() + 0.02


def test_wrong_calls_say_what_to_give() -> None:
    with pytest.raises(DataError, match="a bytes is among the paths; write pictures to files"):
        lexnet.Classifier().fit([PATHS[0].read_bytes(), *PATHS[1:]], NAMES)  # type: ignore[list-item]
    for odd in (None, 0, np.zeros((9, 9, 3), np.uint8)):
        with pytest.raises(DataError, match=f"a {type(odd).__name__} is among the paths"):
            lexnet.Classifier().fit([odd] * 4, ["a", "a", "b", "b"])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"weights of shape \(2,\) for 36 paths"):
        lexnet.Classifier().fit(PATHS, NAMES, sample_weight=[1, 2])
    with pytest.raises(DataError, match="the weight nan in place 1; weights lie between"):
        lexnet.Classifier().fit(PATHS[:2], NAMES[:2], sample_weight=[1, np.nan])
    with pytest.raises(DataError, match="sample_weight needs a list of paths"):
        lexnet.Classifier().fit(str(CLIPART), sample_weight=[1])
    with pytest.raises(DataError, match="36 paths but 35 labels"):
        lexnet.Classifier().fit(PATHS, NAMES[:-1])
    with pytest.raises(DataError, match="a list of paths needs the labels y"):
        lexnet.Classifier().fit(PATHS)
    with pytest.raises(DataError, match="only with a list of paths"):
        lexnet.Classifier().fit(str(CLIPART), NAMES)
