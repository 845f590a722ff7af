"""A frozen net: run once on each picture, whatever else happens."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from lexnet.config import EngineChoice
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.data.samples import sample_folder
from lexnet.errors import WeightsError
from lexnet.transfer import extract as module
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.trunk import Trunk, open_trunk

CLIPART = sample_folder("clipart")
WIDTH = 1280


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def trunk(shared_cache: Path) -> Trunk:
    return open_trunk("efficientnet_lite0", None, pytest.fail)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of six pieces of clip art."""
    for name in ("birds", "music"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for path in sorted((CLIPART / name).iterdir())[:6]:
            shutil.copy(path, tmp_path / "pictures" / name)
    return tmp_path / "pictures"


def extracted(
    trunk: Trunk,
    manifest: Manifest,
    choice: EngineChoice = "onnxruntime",
    workers: int = 2,
    warn: Callable[[str], object] = pytest.fail,
    progress: Callable[[int, int], None] = silent,
) -> Extraction:
    return extract(trunk, manifest, choice, workers, warn=warn, progress=progress)  # type: ignore[arg-type]


def test_the_second_time_nothing_is_computed(
    trunk: Trunk, cache: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_folder(pictures)
    told: list[tuple[int, int]] = []
    first = extracted(trunk, manifest, progress=lambda *numbers: told.append(numbers))
    assert told == [(done, 12) for done in range(1, 13)]
    assert first.features.shape == (12, WIDTH) and first.features.dtype == np.float32
    assert (first.computed, first.from_cache) == (12, 0)
    monkeypatch.setattr("lexnet.transfer.extract.open_engine", pytest.fail)
    again = extracted(trunk, manifest, progress=pytest.fail)
    assert (again.computed, again.from_cache) == (0, 12)
    assert np.array_equal(again.features, first.features)
    assert again.engine == first.engine


def test_what_another_engine_computes_than_was_expected_is_kept_as_its_own(
    trunk: Trunk, cache: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_folder(pictures)
    with monkeypatch.context() as patch:
        patch.setattr("lexnet.transfer.extract.expected_name", lambda choice: "onnxruntime 0.1")
        first = extracted(trunk, manifest)
        assert first.engine.startswith("onnxruntime ") and first.engine != "onnxruntime 0.1"
    assert extracted(trunk, manifest).computed == 0


def test_features_do_not_depend_on_other_pictures(
    trunk: Trunk, cache: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_folder(pictures)
    together = extracted(trunk, manifest, workers=3)
    monkeypatch.setenv("LEXNET_CACHE", str(cache / "other"))
    few = manifest.take(np.array([7, 2]))
    alone = extracted(trunk, few, workers=1)
    assert alone.computed == 2
    assert np.array_equal(alone.features, together.features[[7, 2]])


def test_new_pictures_are_added_to_the_old_ones(trunk: Trunk, cache: Path, pictures: Path) -> None:
    manifest = read_folder(pictures)
    extracted(trunk, manifest.take(np.arange(5)))
    whole = extracted(trunk, manifest)
    assert (whole.computed, whole.from_cache) == (7, 5)


def test_a_renamed_picture_is_known_again(trunk: Trunk, cache: Path, pictures: Path) -> None:
    before = extracted(trunk, read_folder(pictures))
    (pictures / "birds").rename(pictures / "zebras")
    after = extracted(trunk, read_folder(pictures))
    assert after.computed == 0
    assert np.array_equal(after.features, np.concatenate([before.features[6:], before.features[:6]]))


def test_copies_are_computed_once(trunk: Trunk, cache: Path, pictures: Path) -> None:
    original = sorted((pictures / "birds").iterdir())[0]
    shutil.copy(original, pictures / "birds" / "zz-copy.png")
    extraction = extracted(trunk, read_folder(pictures))
    assert (len(extraction.manifest), extraction.computed) == (13, 12)
    assert np.array_equal(extraction.features[0], extraction.features[6])


def other_graph(trunk: Trunk) -> bytes:
    """One that computes the same and is not the same file."""
    model = onnx.load_model_from_string(trunk.graph)
    model.doc_string = "another"
    return model.SerializeToString()


def test_another_engine_spec_or_graph_starts_anew(trunk: Trunk, cache: Path, pictures: Path) -> None:
    manifest = read_folder(pictures).take(np.arange(2))
    variants: list[tuple[Trunk, EngineChoice]] = [
        (trunk, "onnxruntime"),
        (trunk, "openvino"),
        (trunk, "torch"),
        (replace(trunk, spec=replace(trunk.spec, short_side=240)), "onnxruntime"),
        (replace(trunk, spec=replace(trunk.spec, interpolation="bilinear")), "onnxruntime"),
        (replace(trunk, graph=other_graph(trunk)), "onnxruntime"),
    ]
    for variant, choice in variants:
        assert extracted(variant, manifest, choice).computed == 2, choice
    for variant, choice in variants:
        assert extracted(variant, manifest, choice).computed == 0, choice
    assert len(list((cache / "features").iterdir())) == len(variants)
    renamed = replace(trunk, weights=replace(trunk.weights, net="another", sha256="0" * 64))
    assert extracted(renamed, manifest).computed == 0, "the graph has the weights in it, whoever brought them"


def test_another_pillow_which_may_decode_otherwise_starts_anew(
    trunk: Trunk, cache: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_folder(pictures).take(np.arange(2))
    with monkeypatch.context() as patch:
        patch.setattr(module, "PIL", SimpleNamespace(__version__="99.0"))
        assert extracted(trunk, manifest).computed == 2
    assert extracted(trunk, manifest).computed == 2
    assert extracted(trunk, manifest).computed == 0


def test_what_was_computed_before_an_interruption_is_kept(trunk: Trunk, cache: Path, pictures: Path) -> None:
    manifest = read_folder(pictures)

    def stop_at_five(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extracted(trunk, manifest, progress=stop_at_five)
    rest = extracted(trunk, manifest)
    assert (rest.computed, rest.from_cache) == (7, 5)


def test_rows_are_kept_in_shards_on_the_way(
    trunk: Trunk, cache: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill, which runs no handler, can lose is one shard."""
    monkeypatch.setattr(module, "SHARD", 5)
    kept = []

    def count(done: int, total: int) -> None:
        kept.append(len(list(cache.glob("features/*/*.npy"))))

    extracted(trunk, read_folder(pictures), progress=count)
    assert kept == [0] * 4 + [1] * 5 + [2] * 3
    assert len(list(cache.glob("features/*/*.npy"))) == 3


def test_a_damaged_row_is_computed_again_to_the_same_bits(trunk: Trunk, cache: Path, pictures: Path) -> None:
    manifest = read_folder(pictures)
    first = extracted(trunk, manifest)
    (file,) = cache.glob("features/*/*.npy")
    content = bytearray(file.read_bytes())
    content[-7] ^= 0x40
    file.write_bytes(content)
    warnings: list[str] = []
    again = extracted(trunk, manifest, warn=warnings.append)
    assert len(warnings) == 1 and "was damaged" in warnings[0]
    assert again.computed == 12 and np.array_equal(again.features, first.features)
    assert extracted(trunk, manifest).computed == 0


def test_damaged_pictures_and_their_copies_are_left_out_with_a_reason(
    trunk: Trunk, cache: Path, pictures: Path
) -> None:
    whole = sorted((pictures / "birds").iterdir())[1].read_bytes()
    for name in ("cut.png", "cut again.png"):
        (pictures / "music" / name).write_bytes(whole[: len(whole) // 2])
    extraction = extracted(trunk, read_folder(pictures))
    assert (len(extraction.manifest), extraction.computed) == (12, 12)
    assert extraction.features.shape == (12, WIDTH)
    reasons = {skip.path: skip.reason for skip in extraction.manifest.skipped if skip.bad}
    assert set(reasons) == {"music/cut.png", "music/cut again.png"}
    assert all(reason.startswith("is damaged") for reason in reasons.values())
    with_cache = extracted(trunk, read_folder(pictures))
    assert (with_cache.computed, with_cache.from_cache) == (0, 12)
    assert len(with_cache.manifest.skipped) == 2


def test_a_picture_that_changed_after_it_was_listed_is_left_out(
    trunk: Trunk, cache: Path, pictures: Path
) -> None:
    manifest = read_folder(pictures)
    first, second = sorted((pictures / "birds").iterdir())[:2]
    shutil.copy(second, first)
    extraction = extracted(trunk, manifest)
    assert [skip.reason for skip in extraction.manifest.skipped] == [
        "has changed since it was listed; run again"
    ]
    assert extraction.manifest.paths == list(manifest.paths)[1:]


@pytest.fixture
def no_building(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A graph that had to be built would show."""
    monkeypatch.setattr("lexnet.export.onnx.trunk_graph", pytest.fail)
    yield


def test_the_graph_is_built_once(trunk: Trunk, no_building: None) -> None:
    assert open_trunk("efficientnet_lite0", None, pytest.fail).graph == trunk.graph


def test_a_damaged_graph_is_told_once_set_aside_and_built_again(trunk: Trunk, cache: Path) -> None:
    assert open_trunk("efficientnet_lite0", None, pytest.fail).graph == trunk.graph
    (file,) = cache.glob("trunks/*/*.onnx")
    intact = file.read_bytes()
    content = bytearray(intact)
    content[1000] ^= 1
    file.write_bytes(content)
    warnings: list[str] = []
    assert open_trunk("efficientnet_lite0", None, warnings.append).graph == trunk.graph
    assert len(warnings) == 1 and "was damaged; it is built again" in warnings[0]
    assert file.read_bytes() == intact
    assert file.with_suffix(".damaged").read_bytes() == content
    os.mkfifo(other := file.with_name(f"{'0' * 64}.onnx"))
    assert open_trunk("efficientnet_lite0", None, warnings.append).graph == trunk.graph
    assert len(warnings) == 2 and f"{other} was damaged" in warnings[1]
    assert not other.exists() and file.read_bytes() == intact
    open_trunk("efficientnet_lite0", None, pytest.fail)


def test_another_size_is_another_trunk(trunk: Trunk, cache: Path, pictures: Path) -> None:
    small = open_trunk("efficientnet_lite0", 96, pytest.fail)
    assert (small.spec.size, small.spec.short_side) == (96, 128)
    assert small.graph != trunk.graph
    assert extracted(small, read_folder(pictures).take(np.arange(2))).features.shape == (2, WIDTH)


def test_a_net_without_weights_is_refused() -> None:
    with pytest.raises(WeightsError, match="no pretrained weights are known for plain18"):
        open_trunk("plain18", None, pytest.fail)
    with pytest.raises(
        WeightsError, match="weights of resnet18 are not here: `lexnet weights fetch resnet18`"
    ):
        open_trunk("resnet18", None, pytest.fail)
