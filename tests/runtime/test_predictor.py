"""A bundle at work."""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from io import BytesIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from picture_makers import noise
from PIL import Image
from tiny import CLASSES, SPEC, forged, tiny_bundle

import lexnet
from lexnet.data.samples import sample_folder
from lexnet.errors import BundleError, ConfigError, DataError, PictureError
from lexnet.preprocess import load, load_views
from lexnet.runtime.predictor import Prediction, Predictor, load_predictor

CLIPART = sample_folder("clipart")
BIRDS = sorted((CLIPART / "birds").iterdir())[:4]


@pytest.fixture(scope="module")
def model(bundle: str) -> Predictor:
    return lexnet.load(bundle)


def tiny(folder: Path, **facts: Any) -> Predictor:
    path = folder / "tiny.lexnet"
    path.write_bytes(tiny_bundle(**facts))
    return lexnet.load(path)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jpg"
    path.write_text("this is no picture")
    return path


def test_shapes(model: Predictor) -> None:
    labels, probabilities = model.predict(BIRDS), model.predict_proba(BIRDS)
    assert labels.shape == (4,) and labels.dtype == object
    assert probabilities.shape == (4, 12) and probabilities.dtype == np.float32
    assert model.embed(BIRDS).shape == (4, 1280)
    assert list(model.classes_) == sorted(folder.name for folder in CLIPART.iterdir())
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert list(labels) == list(model.classes_[probabilities.argmax(axis=1)])


def test_probabilities_are_the_calibrated_logits(model: Predictor) -> None:
    outputs = model.engine.run(np.stack([load(path, model.spec) for path in BIRDS]))
    scaled = np.exp(outputs["logits"] / model.bundle.manifest["temperature"])
    np.testing.assert_allclose(
        outputs["probabilities"], scaled / scaled.sum(axis=1, keepdims=True), atol=1e-6
    )
    assert np.array_equal(model.predict_proba(BIRDS), outputs["probabilities"])


def test_every_way_to_give_a_picture_gives_the_same_bits(model: Predictor) -> None:
    first, content = BIRDS[0], BIRDS[0].read_bytes()
    expected = model.predict_proba([first])
    with Image.open(first) as unread:
        for given in (first, str(first), content, unread, [content], (str(first),), iter([first])):
            assert np.array_equal(model.predict_proba(given), expected), type(given)
        assert np.array_equal(model.predict_proba(np.array([str(first)])), expected)
        assert np.array_equal(model.predict_proba(np.array([first], dtype=object)), expected)


def test_arrays_alone_and_in_a_batch(model: Predictor) -> None:
    with Image.open(BIRDS[0]) as image:
        rgb = np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")))
    array = rgb[:, :, :3]
    expected = model.predict_proba(BIRDS[0])
    assert np.array_equal(model.predict_proba(array), expected)
    assert np.array_equal(model.predict_proba(np.stack([array, array])), np.concatenate([expected] * 2))
    grey = array[:, :, 0]
    assert np.array_equal(model.predict_proba(grey), model.predict_proba(np.stack([grey] * 3, axis=2)))


def test_a_tensor_is_as_an_array(model: Predictor) -> None:
    array = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    tensor, expected = torch.from_numpy(array), model.predict_proba(array)
    for given in (tensor, tensor[None], [tensor]):
        assert np.array_equal(model.predict_proba(given), expected)  # type: ignore[arg-type]
    with pytest.raises(PictureError, match=r"\(3, 40, 50\)"):
        model.predict(tensor.permute(2, 0, 1))  # type: ignore[arg-type]


def test_a_table_is_no_list_of_pictures(model: Predictor) -> None:
    with pytest.raises(DataError, match=r"give its column of paths, such as df\['path'\]"):
        model.predict(SimpleNamespace(columns=["path"]))  # type: ignore[arg-type]


def test_which_of_several_without_a_name_is_bad_is_said(model: Predictor) -> None:
    good = np.zeros((30, 30, 3), np.uint8)
    with pytest.raises(PictureError, match="array in place 2: is float"):
        model.predict([good, good, good.astype(float)])
    with pytest.raises(PictureError, match="picture in place 1: is text"):
        model.predict([good, b"hello"])


def test_a_changed_threshold_is_the_copys_too(model: Predictor) -> None:
    model = copy.copy(model)
    model.threshold = 0.9999
    for one in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert one.threshold == 0.9999 and one.predict(BIRDS[:1]).tolist() == [None]


def test_predictions_can_be_compared_and_kept_in_sets(model: Predictor) -> None:
    one, other = (next(iter(model.stream(BIRDS[:1])))[1] for _ in range(2))
    sure = Prediction(one.label, 1.0, one.probabilities, None)
    assert one == other and one != sure and len({one, other, sure}) == 2


def test_a_folder_is_all_pictures_below_it_in_natural_order(model: Predictor, tmp_path: Path) -> None:
    for name, path in zip(("10.png", "2.png", "sub/1.png"), BIRDS, strict=False):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(path.read_bytes())
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / ".hidden.png").write_bytes(b"not looked at")
    assert np.array_equal(model.predict_proba(tmp_path), model.predict_proba([BIRDS[1], BIRDS[0], BIRDS[2]]))


def test_nothing_in_nothing_out(model: Predictor, tmp_path: Path) -> None:
    for nothing in ([], (), tmp_path, np.zeros((0, 8, 8, 3), np.uint8)):
        assert model.predict(nothing).shape == (0,)
        assert model.predict_proba(nothing).shape == (0, 12)
        assert model.embed(nothing).shape[0] == 0
    assert list(model.stream([])) == []


def test_a_bad_picture_is_an_error_that_names_it(model: Predictor, text: Path) -> None:
    for call in (model.predict, model.predict_proba, model.embed):
        with pytest.raises(PictureError, match=r"notes\.jpg: is text, not a picture"):
            call([*BIRDS, text])
    with pytest.raises(PictureError, match="No such file"):
        model.predict(text.parent / "gone.jpg")
    with pytest.raises(PictureError, match="give uint8"):
        model.predict(np.zeros((8, 8, 3)))


def test_in_a_stream_a_bad_picture_becomes_a_reason(model: Predictor, text: Path) -> None:
    pictures = [BIRDS[0], text, BIRDS[1]]
    results = list(model.stream(pictures))
    assert [picture for picture, _ in results] == pictures
    bad = results[1][1]
    assert (bad.label, bad.probability, bad.probabilities) == (None, None, None)
    assert bad.reason == "is text, not a picture"
    for (_, prediction), path in zip(results[::2], BIRDS, strict=False):
        assert prediction.label == model.predict(path)[0] and prediction.reason is None
        assert prediction.probability == pytest.approx(model.predict_proba(path).max())


def test_a_folder_of_which_something_is_left_out_is_refused(model: Predictor, tmp_path: Path) -> None:
    noise(0).save(tmp_path / "a.png")
    noise(1).save(tmp_path / "b\n.png")
    with pytest.raises(PictureError, match=r"has a name that is not printable UTF-8"):
        model.predict(tmp_path)


def test_a_stream_takes_a_single_picture_and_a_folder_as_its_siblings_do(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    expected = model.predict_proba(BIRDS[0])[0]
    content = BIRDS[0].read_bytes()
    with Image.open(BIRDS[0]) as image, BIRDS[0].open("rb") as file:
        encoded = content, bytearray(content), memoryview(content), BytesIO(content), file
        for given in (BIRDS[0], str(BIRDS[0]), *encoded, image):
            ((picture, prediction),) = model.stream(given)
            assert picture in (given, BIRDS[0])
            assert np.array_equal(prediction.probabilities, expected)
    assert len(list(model.stream(CLIPART / "birds"))) == len(list((CLIPART / "birds").iterdir()))


def test_what_python_gives_in_the_wrong_way_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("a picture")
    model, refused = tiny(tmp_path), "gives str and not bytes; open it with 'rb'"
    with (tmp_path / "a.png").open() as file, pytest.raises(PictureError, match=refused):
        model.predict(file)
    with pytest.raises(PictureError, match="is no path; give a file or a folder"):
        model.predict("")
    for workers in (0, -1):
        with pytest.raises(ConfigError, match=f"workers={workers} must be 1 or more"):
            load_predictor(tmp_path / "tiny.lexnet", workers=workers)
    with pytest.raises(BundleError, match=r"cannot be read \(embedded null byte\)"):
        lexnet.load("a\0b")


def test_a_stream_is_taken_from_as_it_goes(tmp_path: Path) -> None:
    """From whatever can be iterated, not from iterators alone."""
    taken = []

    class Endless:
        def __iter__(self) -> Iterator[Path]:
            for number in count():
                taken.append(number)
                yield BIRDS[number % 4]

    results = tiny(tmp_path).stream(Endless())
    assert next(results)[0] == BIRDS[0] and 0 < len(taken) < 1000
    results.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_a_reason_and_no_label(value: float, tmp_path: Path) -> None:
    model = tiny(tmp_path)
    for place in range(3):
        probabilities = np.array([0.2, 0.3, 0.5], np.float32)
        probabilities[place] = value
        assert model.judge(probabilities) == Prediction(
            None, None, None, "gets no finite probabilities: the bundle is not sound"
        )


def test_it_abstains_under_its_threshold(tmp_path: Path) -> None:
    sure = tiny(tmp_path).predict_proba(BIRDS).max(axis=1)
    assert len(set(sure)) == len(BIRDS)
    threshold = float(np.sort(sure)[2])
    model = tiny(tmp_path, threshold=threshold)
    predictions = [prediction for _, prediction in model.stream(BIRDS)]
    for prediction, share in zip(predictions, sure, strict=True):
        assert prediction.probability == pytest.approx(share)
        assert prediction.probabilities is not None and prediction.probabilities.shape == (3,)
        if share < threshold:
            assert prediction.label is None
            assert prediction.reason == f"abstains: {share:.3f} is under the threshold {threshold:.3f}"
        else:
            assert prediction.label in CLASSES and prediction.reason is None
    assert [label is None for label in model.predict(BIRDS)] == list(sure < threshold)
    assert sum(label is None for label in model.predict(BIRDS)) == 2
    assert set(tiny(tmp_path, threshold=1.0).predict(BIRDS)) == {None}
    chosen = lexnet.load(tmp_path / "tiny.lexnet", threshold=threshold)  # in the place of the bundle's 1.0
    assert [label is None for label in chosen.predict(BIRDS)] == list(sure < threshold)
    with pytest.raises(ConfigError, match=r"threshold=1.5 is no probability; give one from 0 to 1"):
        lexnet.load(tmp_path / "tiny.lexnet", threshold=1.5)


def test_a_file_that_was_just_written_or_read_before_is_rewound(tmp_path: Path) -> None:
    model, buffer = tiny(tmp_path), BytesIO()
    with Image.open(BIRDS[0]) as image:
        image.save(buffer, "PNG")
    once, again = model.predict_proba(buffer), model.predict_proba(buffer)
    np.testing.assert_array_equal(once, model.predict_proba(BIRDS[0]))
    np.testing.assert_array_equal(again, once)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_model_is_copied_with_its_settings_and_without_its_engine(tmp_path: Path, engine: str) -> None:
    tiny(tmp_path)
    model = lexnet.load(tmp_path / "tiny.lexnet", engine=engine, workers=1, threshold=0.9)
    for one in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(one.predict_proba(BIRDS), model.predict_proba(BIRDS))
        assert (one.threshold, one.engine.name) == (0.9, model.engine.name)
        assert one.engine.callers == model.engine.callers and one.engine is not model.engine


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_processes_that_are_forked_have_a_model_that_works(tmp_path: Path, engine: str) -> None:
    """The threads in which OpenVINO computes do not come along."""
    tiny(tmp_path)
    code = """if True:
        import multiprocessing, sys, lexnet
        model = lexnet.load(sys.argv[1], engine=sys.argv[2])
        def said(path): return model.predict_proba(path).tolist()
        if __name__ == "__main__":
            first = said(sys.argv[3])
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(said, sys.argv[3:]) == [said(path) for path in sys.argv[3:]]
            assert first == said(sys.argv[3])
        """
    arguments = [sys.executable, "-c", code, tmp_path / "tiny.lexnet", engine, *BIRDS]
    assert subprocess.run(arguments, timeout=120, check=False).returncode == 0


def test_golden_pictures_come_out_as_recorded(model: Predictor, tmp_path: Path) -> None:
    assert len(model.bundle.golden) == 8
    assert model.check_golden() == []
    assert load_predictor(model.bundle.path, engine="openvino").check_golden() == []
    assert tiny(tmp_path).check_golden() == []


@pytest.mark.parametrize(("off", "sound"), [(5e-4, True), (2e-3, False)])
def test_a_golden_output_that_is_off_is_named(off: float, sound: bool, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["golden"][1]["probabilities"][0] += off

    path = tmp_path / "tiny.lexnet"
    path.write_bytes(forged(tiny_bundle(), change))
    problems = lexnet.load(path).check_golden()
    assert len(problems) == (0 if sound else 1)
    assert all("golden picture 1: a probability is off by" in problem for problem in problems)


def test_a_golden_picture_cut_short_is_a_bundle_error(tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        members["golden/0.png"] = members["golden/0.png"][:60]

    path = tmp_path / "tiny.lexnet"
    path.write_bytes(forged(tiny_bundle(), change))
    with pytest.raises(BundleError, match="not a sound PNG"):
        lexnet.load(path).check_golden()


def test_threads_and_order_change_nothing(bundle: str, model: Predictor) -> None:
    pictures = [sorted(folder.iterdir())[0] for folder in sorted(CLIPART.iterdir())]
    expected = model.predict_proba(pictures)
    one = lexnet.load(bundle, workers=1)
    assert one.engine.callers < model.engine.callers
    assert np.array_equal(one.predict_proba(pictures), expected)
    assert np.array_equal(model.predict_proba(pictures[::-1]), expected[::-1])


@pytest.mark.pictures
def test_photos_turned_by_their_camera_are_turned_back(model: Predictor, test_data: Path) -> None:
    photo = sorted((test_data / "clothing" / "test" / "dress").iterdir())[0]
    with Image.open(photo) as image:
        upright = image.convert("RGB")
    turned, plain = BytesIO(), BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    upright.save(plain, "PNG")
    assert np.array_equal(model.predict_proba(turned.getvalue()), model.predict_proba(plain.getvalue()))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_serving_loads_nothing_that_training_needs(bundle: str, engine: str) -> None:
    code = (
        "import sys, lexnet\n"
        f"model = lexnet.load({bundle!r}, engine={engine!r})\n"
        f"model.predict({str(BIRDS[0])!r}); model.embed({str(BIRDS[0])!r}); model.check_golden()\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'onnx', 'matplotlib', 'yaml', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


def test_several_views_are_answered_by_their_mean(tmp_path: Path) -> None:
    plain = tiny(tmp_path)
    spec = asdict(SPEC) | {"short_side": 20, "tta": "ten"}
    several = tiny(tmp_path, preprocess=spec)
    views = load_views(BIRDS[0], several.spec)
    each = plain.engine.run(views)
    assert len(views) == 10
    for name, got in (
        ("probabilities", several.predict_proba(BIRDS[0])),
        ("features", several.embed(BIRDS[0])),
    ):
        np.testing.assert_allclose(got[0], each[name].mean(axis=0), atol=1e-6)
    assert np.ptp(each["features"], axis=0).max() > 1e-2  # they do not all say the same
    one = next(several.stream(BIRDS[:1]))[1].probabilities
    np.testing.assert_array_equal(one, several.predict_proba(BIRDS[0])[0])
