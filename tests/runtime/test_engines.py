"""The engines say the same, and what they say of a picture depends on nothing else."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from tiny import SPEC, tiny_bundle, tiny_graph

from lexnet.config import PreprocessSpec
from lexnet.data.samples import sample_folder
from lexnet.errors import BundleError, ConfigError, GraphError
from lexnet.preprocess import Pixels, load
from lexnet.runtime.engines import Engine, OnnxRuntime, OpenVino, expected_name, open_engine
from lexnet.runtime.predictor import load_predictor
from lexnet.transfer.extract import TorchEngine
from lexnet.transfer.trunk import Trunk, open_trunk


def fail(*arguments: object) -> NoReturn:
    raise AssertionError(f"unexpected: {arguments}")


@pytest.fixture(scope="module")
def trunk(shared_cache: Path) -> Trunk:
    return open_trunk("efficientnet_lite0", None, fail)


@pytest.fixture(scope="module")
def squares(trunk: Trunk) -> Pixels:
    """(7, 224, 224, 3): a piece of clip art from each of seven classes."""
    folders = sorted(sample_folder("clipart").iterdir())[:7]
    return np.stack([load(sorted(folder.iterdir())[0], trunk.spec) for folder in folders])


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def engine(request: pytest.FixtureRequest, trunk: Trunk) -> Engine:
    return open_engine(request.param, trunk.graph, 2)


def features(engine: Engine, pixels: Pixels) -> np.ndarray:
    return engine.run(pixels)["features"]


def test_three_engines_agree_on_features(trunk: Trunk, squares: Pixels) -> None:
    expected = features(TorchEngine(trunk, 2), squares)
    assert expected.shape == (7, 1280) and expected.std() > 0.1
    for engine in (OnnxRuntime(trunk.graph, 2), OpenVino(trunk.graph, 2)):
        got = features(engine, squares)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, atol=1e-4, err_msg=engine.name)


@pytest.mark.pictures
def test_three_engines_agree_on_photos(trunk: Trunk, test_data: Path) -> None:
    folders = sorted((test_data / "clothing" / "test").iterdir())
    photos = np.stack([load(sorted(folder.iterdir())[1], trunk.spec) for folder in folders])
    expected = features(TorchEngine(trunk, 2), photos)
    for engine in (OnnxRuntime(trunk.graph, 2), OpenVino(trunk.graph, 2)):
        np.testing.assert_allclose(features(engine, photos), expected, atol=1e-4, err_msg=engine.name)


def test_a_row_does_not_depend_on_its_batch(engine: Engine, squares: Pixels) -> None:
    seven = features(engine, squares)
    assert np.array_equal(features(engine, squares[:2]), seven[:2])
    for i in range(7):
        assert np.array_equal(features(engine, squares[i : i + 1])[0], seven[i])
    assert np.array_equal(features(engine, squares[::-1]), seven[::-1])


def test_threads_do_not_disturb_one_another(engine: Engine, squares: Pixels) -> None:
    alone = features(engine, squares)
    with ThreadPoolExecutor(5) as pool:
        jobs = [i % 7 for i in range(35)]
        rows = list(pool.map(lambda i: features(engine, squares[i : i + 1])[0], jobs))
    for i, row in zip(jobs, rows, strict=True):
        assert np.array_equal(row, alone[i])


def test_threads_may_be_the_first_to_call(tmp_path: Path) -> None:
    """OpenVINO's binding hangs in most fresh processes where several threads make its first call."""
    (tmp_path / "graph.onnx").write_bytes(tiny_graph())
    code = (
        "import pathlib, sys, threading, numpy as np\n"
        "from lexnet.runtime.engines import OpenVino\n"
        f"engine = OpenVino(pathlib.Path({str(tmp_path / 'graph.onnx')!r}).read_bytes(), 2)\n"
        "sys.setswitchinterval(1e-6)\n"
        "barrier, pixels = threading.Barrier(8), np.zeros((1, 16, 16, 3), np.uint8)\n"
        "run = lambda: (barrier.wait(), engine.run(pixels))\n"
        "threads = [threading.Thread(target=run, daemon=True) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join(20)\n"
        "sys.exit(any(thread.is_alive() for thread in threads))\n"
    )
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, f"a thread hangs {done.stderr}"


def test_results_are_copies_that_later_runs_leave_alone(engine: Engine, squares: Pixels) -> None:
    first = features(engine, squares[:1])
    kept = first.copy()
    features(engine, squares[1:2])
    assert np.array_equal(first, kept)


def test_the_pixels_given_are_left_alone(engine: Engine, squares: Pixels) -> None:
    pixels = squares[:2].copy()
    engine.run(pixels)
    assert np.array_equal(pixels, squares[:2])


def test_all_outputs_come_by_name() -> None:
    pixels = np.zeros((2, SPEC.size, SPEC.size, 3), np.uint8)
    for choice in ("onnxruntime", "openvino"):
        outputs = open_engine(choice, tiny_graph(), 1).run(pixels)
        assert {name: rows.shape for name, rows in outputs.items()} == {
            "probabilities": (2, 3),
            "logits": (2, 3),
            "features": (2, 8),
        }


def test_a_name_says_engine_and_version(engine: Engine) -> None:
    kind, version = engine.name.split(" ")
    assert kind in ("onnxruntime", "openvino") and version[0].isdigit() and "." in version
    assert engine.name == expected_name(kind)


def test_the_name_can_be_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expected_name("auto") == open_engine("auto", tiny_graph(), 1).name
    assert expected_name("torch") is None

    def version_of(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("lexnet.runtime.engines.version", version_of)
    assert expected_name("auto") is None


def test_auto_takes_openvino_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_engine("auto", tiny_graph(), 1).name.startswith("openvino ")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert open_engine("auto", tiny_graph(), 1).name.startswith("onnxruntime ")


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ConfigError, match="engine='tpu' must be auto, openvino or onnxruntime"):
        open_engine("tpu", tiny_graph(), 1)


@pytest.mark.parametrize("choice", ["onnxruntime", "openvino"])
def test_a_graph_that_is_none_is_a_bundle_error(choice: str) -> None:
    with pytest.raises(BundleError, match="refuses the graph"):
        open_engine(choice, b"not a graph", 1)


def test_openvino_is_opened_without_its_reporter(tmp_path: Path) -> None:
    """In a fresh process, since a module once imported stays."""
    bundle = tmp_path / "model.lexnet"
    bundle.write_bytes(tiny_bundle())
    code = (
        "import sys, lexnet\n"
        f"lexnet.load({str(bundle)!r}, engine='openvino')\n"
        "assert 'openvino' in sys.modules\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert not [m for m in sys.modules if m.startswith('openvino_telemetry.')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("choice", ["onnxruntime", "openvino"])
def test_predicting_opens_no_connection(bundle: str, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for call in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, call, fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    predictor = load_predictor(bundle, engine=choice)
    birds = sorted((sample_folder("clipart") / "birds").iterdir())[:3]
    assert predictor.predict_proba(birds).shape == (3, 12)
    assert predictor.check_golden() == []


def test_the_spec_is_that_of_the_published_weights(trunk: Trunk) -> None:
    assert trunk.spec == PreprocessSpec(size=224, short_side=256, mean=(127.5,) * 3, std=(127.5,) * 3)


def test_what_openvino_raises_at_work_is_a_graph_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def infer(self, *_: object, **__: object) -> NoReturn:
            raise RuntimeError("Exception from src/inference")

    engine = OpenVino(tiny_graph(), 1)
    monkeypatch.setattr(engine, "_request", Broken)
    with pytest.raises(GraphError, match=r"openvino [\d.]+ cannot run the graph: Exception from"):
        engine.run(np.zeros((1, SPEC.size, SPEC.size, 3), np.uint8))
