"""scikit-learn's conventions, where they make sense for pictures."""

import inspect
import pickle
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from stopping import stopped_behind

import lexnet
from lexnet.config import ProbeConfig, Recipe, TrainConfig
from lexnet.data.samples import sample_folder
from lexnet.errors import ConfigError, DataError, OutputError
from lexnet.job.events import Event, Found, Warned
from lexnet.runtime.engines import OnnxRuntime
from lexnet.settings import settings

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
    said = re.findall(r"^    (\w+) : (.+)$", str(lexnet.Classifier.__doc__), re.MULTILINE)
    assert [name for name, _ in said] == list(parameters) and not any("--" in text for _, text in said)


def test_it_predicts_in_the_engine_and_the_threads_it_was_given() -> None:
    classifier = lexnet.Classifier(engine="onnxruntime", workers=1).fit(PATHS, NAMES)
    engines = [one._fitted().engine for one in (classifier, pickle.loads(pickle.dumps(classifier)))]
    assert all(isinstance(engine, OnnxRuntime) and engine.callers == 1 for engine in engines)


def test_a_dry_run_says_what_a_fit_would_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[Event] = []
    classifier = lexnet.Classifier(mode="probe", size=32, budget="1m")
    found = classifier.dry_run(PATHS, NAMES, on_event=told.append)
    assert found["chosen"]["mode"] == "probe" and 0 < found["chosen"]["seconds"] < 60
    assert "mode: probe" in found["plan"]
    assert not list(tmp_path.iterdir()) and not hasattr(classifier, "bundle_")
    assert any("measuring this machine" in str(event) for event in told)
    with pytest.raises(ConfigError, match="a dry run measures one net"):
        lexnet.Classifier(mode="probe", net="efficientnet_lite0,efficientnet_lite1").dry_run(PATHS, NAMES)


def test_an_interrupted_fit_goes_on_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bits of one that nobody interrupted; then with more epochs; never over what is another's."""

    def fit(out: Path, epochs: int = 3, seed: int = 0) -> lexnet.Classifier:
        tail = lexnet.Classifier(mode="tail", size=32, views=1, epochs=epochs, seed=seed)
        return tail.fit(PATHS, NAMES, out=out)

    with stopped_behind(1, monkeypatch):
        fit(tmp_path / "run")
    assert (tmp_path / "run/head.lexnet").exists()
    fitted, whole = fit(tmp_path / "run"), fit(tmp_path / "other")
    assert fitted.bundle_ == whole.bundle_ == (tmp_path / "run/model.lexnet").read_bytes()
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"report.html", "metrics.json", "predictions.csv", "plan.yaml"} < written
    assert "lexnet.Classifier(" in (tmp_path / "run/report.html").read_text("utf-8")
    more = fit(tmp_path / "run", epochs=4).metrics_
    assert len(more["history"]) == 4
    with pytest.raises(OutputError, match=r"run exists already; choose another out, or leave it out"):
        fit(tmp_path / "run", seed=1)
    with pytest.raises(OutputError, match="run exists already"):  # another list is another run
        lexnet.Classifier(mode="tail", size=32, views=1, epochs=5).fit(
            PATHS[:-1], NAMES[:-1], out=tmp_path / "run"
        )
    with pytest.raises(OutputError, match="lies inside the pictures' folder"):
        lexnet.Classifier().fit(CLIPART, out=CLIPART / "run")


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


def test_what_a_grid_search_hands_over_is_as_good_as_pythons_own(fitted: lexnet.Classifier) -> None:
    """Settings of numpy's types, which JSON and YAML do not know."""
    one = lexnet.Classifier(
        seed=np.int64(0),  # type: ignore[arg-type]
        val=np.float64(0.1),
        cv=np.int64(4),  # type: ignore[arg-type]
        candidates=np.array(ProbeConfig.candidates),  # type: ignore[arg-type]
        mode=np.str_("auto"),  # type: ignore[arg-type]
        recipe=Recipe(mirror=np.float64(0.5)),
        views=np.int64(1),  # type: ignore[arg-type]
    ).fit(PATHS, NAMES)
    assert "seed: 0" in one.plan_.to_yaml() and "mirror: 0.5" in one.plan_.to_yaml()
    plain = lexnet.Classifier(recipe=Recipe(mirror=0.5), views=1).fit(PATHS, NAMES)
    assert one.bundle_ == plain.bundle_


def test_fitted_or_not_is_known() -> None:
    with pytest.raises(NotFittedError):
        check_is_fitted(lexnet.Classifier())


def test_verbose_says_what_is_going_on(capsys: pytest.CaptureFixture[str]) -> None:
    lexnet.Classifier().fit(PATHS, NAMES, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "36 pictures of 3 classes"
    assert [line for line in lines if line.startswith("verify")] == ["verify (6)"]
    assert any("folds=5" in line for line in lines) and not any("--" in line for line in lines)


def test_pictures_of_a_group_stay_on_one_side() -> None:
    groups = [f"{name}{i % 4}" for i, name in enumerate(NAMES)]
    told: list[Event] = []
    lexnet.Classifier().fit(PATHS, NAMES, groups=groups, on_event=told.append)
    apart = next(event for event in told if isinstance(event, Found)).manifest
    side = dict[str, set[str]]()
    for group, part in zip(apart.groups, apart.parts, strict=True):
        side.setdefault(group, set()).add(part)
    assert len(side) == 12 and all(len(parts) == 1 for parts in side.values())


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
    with pytest.raises(DataError, match=r"sample_weight needs a list of paths.* column weight"):
        lexnet.Classifier().fit(str(CLIPART), sample_weight=[1])
    with pytest.raises(DataError, match=r"groups needs a list of paths.* column group"):
        lexnet.Classifier().fit(str(CLIPART), groups=[1])
    with pytest.raises(DataError, match=r"X is a table; give its columns, such as fit\(df\['path'\]"):
        lexnet.Classifier().fit(SimpleNamespace(columns=["path", "label"]))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="net=None must be a net's name"):
        lexnet.Classifier(net=None).fit(PATHS, NAMES)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"candidates=1\.0 must be positive numbers"):
        lexnet.Classifier(candidates=1.0).fit(PATHS, NAMES)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="36 paths but 35 labels"):
        lexnet.Classifier().fit(PATHS, NAMES[:-1])
    with pytest.raises(DataError, match="a list of paths needs the labels y"):
        lexnet.Classifier().fit(PATHS)
    with pytest.raises(DataError, match="only with a list of paths"):
        lexnet.Classifier().fit(str(CLIPART), NAMES)
