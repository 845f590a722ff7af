"""What the reader accepts, and everything it has to refuse."""

import copy
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import CLASSES, GOLDEN, SPEC, forged, redigested, tiny_bundle, tiny_graph, zipped

import lexnet
from lexnet.data.samples import sample_folder
from lexnet.errors import BundleError, GraphError
from lexnet.runtime.bundle import Bundle, read_bundle
from lexnet.runtime.engines import OnnxRuntime, OpenVino
from lexnet.runtime.graph import check_self_contained

TINY = tiny_bundle()
Manifest, Members = dict[str, Any], dict[str, bytes]


def reading(content: bytes, folder: Path) -> Bundle:
    path = folder / "model.lexnet"
    path.write_bytes(content)
    return read_bundle(path)


def test_what_was_packed_is_read_back(tmp_path: Path) -> None:
    bundle = reading(TINY, tmp_path)
    assert (bundle.classes, bundle.spec, bundle.model) == (CLASSES, SPEC, tiny_graph())
    assert len(bundle.golden) == len(GOLDEN)
    for (pixels, probabilities), packed in zip(bundle.golden, GOLDEN, strict=True):
        assert np.array_equal(pixels, packed)
        assert probabilities.shape == (3,) and probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_grey_golden_pictures_keep_their_channel_axis(tmp_path: Path) -> None:
    pixels, png = GOLDEN[0][:, :, :1], BytesIO()
    Image.fromarray(pixels[:, :, 0]).save(png, "PNG")
    bundle = Bundle("x", {"golden": [{"file": "g", "probabilities": [1.0]}]}, {"g": png.getvalue()})
    assert np.array_equal(bundle.golden[0][0], pixels)


def test_a_bundle_is_a_plain_zip_file_that_ends_in_its_digest(bundle: str) -> None:
    content = Path(bundle).read_bytes()
    assert content[-32:] == hashlib.sha256(content[:-32]).digest()
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        manifest = json.loads(archive.read("manifest.json"))
    assert [e.filename for e in entries[:2]] == ["manifest.json", "model.onnx"]
    assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
    assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert set(manifest["members"]) | {"manifest.json"} == {e.filename for e in entries}


def test_no_byte_can_change_unseen(tmp_path: Path) -> None:
    """Each byte of a whole bundle in turn: manifest, graph, golden pictures, directory, digest."""
    accepted = []
    for place in range(len(TINY)):
        flipped = bytearray(TINY)
        flipped[place] ^= 1 << place % 8
        try:
            reading(bytes(flipped), tmp_path)
            accepted.append(place)
        except BundleError:
            pass
    assert accepted == []


def test_damage_to_a_real_bundle_names_the_member(bundle: str, tmp_path: Path) -> None:
    content = Path(bundle).read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        starts = {e.filename: e.header_offset + 30 + len(e.filename) for e in archive.infolist()}
        directory = archive.start_dir
    places = [start + step for start in starts.values() for step in (0, 40)]
    places += [starts["model.onnx"] + 1_000_003 * k for k in range(1, 12)]
    for place in [*places, directory + 5, len(content) - 60, len(content) - 1]:
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        with pytest.raises(BundleError, match="damaged") as refusal:
            reading(bytes(flipped), tmp_path)
        if place in places:
            member = max((s, name) for name, s in starts.items() if s <= place)[1]
            assert member in str(refusal.value)


@pytest.mark.parametrize("keep", [0, 1, 31, 32, 33, 100, 0.5, -33, -32, -1])
def test_a_part_of_a_bundle_is_refused(keep: float, tmp_path: Path) -> None:
    end = int(keep * len(TINY)) if isinstance(keep, float) else keep
    with pytest.raises(BundleError, match=r"model\.lexnet"):
        reading(TINY[:end], tmp_path)


@pytest.mark.parametrize("more", [b"\0", b"x" * 32, TINY], ids=["a byte", "32 bytes", "another bundle"])
def test_bytes_before_or_after_are_refused(more: bytes, tmp_path: Path) -> None:
    for content in (TINY + more, more + TINY):
        with pytest.raises(BundleError, match=r"damaged|not a LexNet bundle"):
            reading(content, tmp_path)


def test_the_last_bytes_must_be_the_zip_files_own_comment(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a LexNet bundle"):
        reading(redigested(TINY + bytes(32)), tmp_path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    picture = next((sample_folder("clipart") / "birds").iterdir())
    jpeg, plain = BytesIO(), BytesIO()
    Image.open(picture).convert("RGB").save(jpeg, "JPEG")
    with zipfile.ZipFile(plain, "w") as archive:
        archive.write(picture, "bird.png")
    for content in (jpeg.getvalue(), picture.read_bytes(), b"PK\x05\x06" + bytes(18), tiny_graph()):
        with pytest.raises(BundleError, match="not a LexNet bundle"):
            reading(content, tmp_path)
    with pytest.raises(BundleError, match="is a zip file but not a LexNet bundle"):
        reading(plain.getvalue(), tmp_path)
    with pytest.raises(BundleError, match="cannot be read"):
        (tmp_path / "no run").mkdir()
        read_bundle(tmp_path / "no run")
    with pytest.raises(BundleError, match="No such file"):
        read_bundle(tmp_path / "none.lexnet")


@pytest.mark.parametrize("member", ["model.onnx", "golden/0.png", "golden/1.png"])
def test_a_changed_member_is_refused_by_its_own_digest(member: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(TINY)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = members[member][:-1] + b"?"
    with pytest.raises(BundleError, match=f"{member} does not match its sha256"):
        reading(zipped(list(members.items())), tmp_path)


def test_a_forger_who_changes_nothing_is_let_in(tmp_path: Path) -> None:
    """So that the refusals below are for what each changes."""
    assert reading(forged(TINY, lambda manifest, members: None), tmp_path).classes == CLASSES


def setting(*path: str | int, to: Any) -> Callable[[Manifest, Members], None]:
    def change(manifest: Any, members: Members) -> None:
        for step in path[:-1]:
            manifest = manifest[step]
        manifest[path[-1]] = to

    return change


def dropping(*path: str | int) -> Callable[[Manifest, Members], None]:
    def change(manifest: Any, members: Members) -> None:
        for step in path[:-1]:
            manifest = manifest[step]
        del manifest[path[-1]]

    return change


def unlisted(manifest: Manifest, members: Members) -> None:
    manifest["members"]["golden/9.png"] = "0" * 64


def smuggled(manifest: Manifest, members: Members) -> None:
    members["extra.bin"] = b"x"
    manifest["members"]["golden/0.png"] = manifest["members"]["golden/0.png"].upper()


def no_model(manifest: Manifest, members: Members) -> None:
    del members["model.onnx"]


def named(name: str) -> Callable[[Manifest, Members], None]:
    def change(manifest: Manifest, members: Members) -> None:
        members[name] = b"x"

    return change


def picture(mode: str, size: tuple[int, int]) -> Callable[[Manifest, Members], None]:
    def change(manifest: Manifest, members: Members) -> None:
        png = BytesIO()
        Image.new(mode, size).save(png, "PNG")
        members["golden/0.png"] = png.getvalue()

    return change


def cut_picture(manifest: Manifest, members: Members) -> None:
    members["golden/0.png"] = b"not a picture"


FORGERIES = {
    "format of the future": (setting("format", to=2), "has format 2, this lexnet reads 1"),
    "format as a word": (setting("format", to="1"), "has format '1'"),
    "no format": (dropping("format"), "no readable manifest"),
    "one class": (setting("classes", to=["hat"]), "classes are not"),
    "a class twice": (setting("classes", to=["hat", "hat", "shoes"]), "classes are not"),
    "numbers for classes": (setting("classes", to=[0, 1, 2]), "classes are not"),
    "no classes": (dropping("classes"), "makes no sense"),
    "a class too many": (setting("classes", to=[*CLASSES, "socks"]), "does not fit its classes"),
    "classes other than the graph's": (
        lambda m, _: m.update(classes=[*CLASSES, "socks"], golden=[]),
        r"probabilities \(1, \(0, 3\)\) for 4 classes",
    ),
    "threshold over 1": (setting("threshold", to=1.5), "threshold 1.5 is no probability"),
    "threshold under 0": (setting("threshold", to=-0.1), "is no probability"),
    "threshold not a number": (setting("threshold", to=float("nan")), "has no readable manifest"),
    "threshold as a word": (setting("threshold", to="low"), "makes no sense"),
    "accuracy as a list": (setting("measured", to={"accuracy": [1]}), r"its accuracy \[1\] is no share"),
    "accuracy beyond all": (setting("measured", to={"accuracy": 10**400}), "its accuracy 10{19} is no share"),
    "cut as a list": (setting("cut", to=["x"]), r"its cut \['x'\] is no name of a stage"),
    "weights as words": (setting("weights", to=["x"]), "makes no sense"),
    "weights without a licence": (setting("weights", to=[{"tag": "a"}]), "makes no sense"),
    "a licence that is none": (setting("weights", to=[{"licence": 1}]), "have no licence"),
    "golden picture that is not there": (setting("golden", 0, "file", to="golden/7.png"), "does not fit"),
    "golden picture without outputs": (dropping("golden", 0, "probabilities"), "makes no sense"),
    "too few golden outputs": (setting("golden", 0, "probabilities", to=[0.5, 0.5]), "does not fit"),
    "golden outputs as words": (setting("golden", 0, "probabilities", to=["a"] * 3), "makes no sense"),
    "golden output beyond all numbers": (
        setting("golden", 0, "probabilities", 0, to=10**400),
        "makes no sense",
    ),
    "nested golden outputs": (setting("golden", 0, "probabilities", to=[[1]] * 3), "does not fit"),
    "golden picture of another size": (picture("RGB", (17, 16)), "not what its preprocessing gives"),
    "golden picture in grey": (picture("L", (16, 16)), "not what its preprocessing gives"),
    "golden picture of 16 bits": (picture("I;16", (16, 16)), "not what its preprocessing gives"),
    "golden picture that is none": (cut_picture, "not a sound PNG"),
    "preprocessing of the future": (setting("preprocess", "gamma", to=2), r"\['gamma'\] are unknown here"),
    "preprocessing left out": (
        dropping("preprocess", "size"),
        r"\['size'\] are missing; make the bundle anew",
    ),
    "rules of the future": (setting("preprocess", "rules", to=99), r"rules 99, this lexnet has \d+; update"),
    "rules of the past": (
        setting("preprocess", "rules", to=1),
        r"rules 1, this lexnet has \d+; make the bundle",
    ),
    "a temperature in words": (setting("temperature", to="NaN"), "its temperature 'NaN' is no number over 0"),
    "a temperature of 0": (setting("temperature", to=0), "its temperature 0 is no number over 0"),
    "classes by letters": (setting("classes", to="abc"), "classes are not two or more different names"),
    "a threshold that is true": (setting("threshold", to=True), "its threshold True is no probability"),
    "golden pictures by name": (setting("golden", to={}), "its golden pictures are not a list of up to"),
    "a split that is none": (setting("split", to=[]), "its split is not what lexnet writes"),
    "groups by a number": (setting("split", to={"group_by": 5}), "its group_by 5 is no regular expression"),
    "preprocessing of another size": (setting("preprocess", "short_side", to=8), "makes no sense"),
    "unknown resampling": (setting("preprocess", "interpolation", to="magic"), "makes no sense"),
    "preprocessing as a list": (setting("preprocess", to=[*asdict(SPEC)]), "makes no sense"),
    "size as a word": (setting("preprocess", "size", to="16"), "makes no sense"),
    "member listed but missing": (unlisted, "its members are"),
    "member there but not listed": (smuggled, "its members are"),
    "no graph": (no_model, "its members are"),
    "no digests": (dropping("members"), "makes no sense"),
    "path upwards": (named("../evil"), "'../evil' has a name that could lie outside"),
    "path upwards inside": (named("golden/../../evil"), "could lie outside"),
    "absolute path": (named("/etc/evil"), "could lie outside"),
    "path of Windows": (named("C:\\evil"), "could lie outside"),
    "hidden file": (named(".evil"), "could lie outside"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_manifest_is_refused(name: str, tmp_path: Path) -> None:
    change, message = FORGERIES[name]
    with pytest.raises(BundleError, match=message):
        reading(forged(TINY, change), tmp_path)


def test_a_graph_for_another_picture_size_is_refused(tmp_path: Path) -> None:
    def change(manifest: Manifest, members: Members) -> None:
        members["model.onnx"] = tiny_graph(size=32)

    with pytest.raises(BundleError, match=r"\(0, 32, 32, 3\).*its preprocessing gives .*\(0, 16, 16, 3\)"):
        reading(forged(TINY, change), tmp_path)


def test_a_graph_for_other_classes_is_refused(tmp_path: Path) -> None:
    def change(manifest: Manifest, members: Members) -> None:
        members["model.onnx"] = tiny_graph(classes=2)

    with pytest.raises(BundleError, match="for 3 classes"):
        reading(forged(TINY, change), tmp_path)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_graph_that_gives_another_shape_than_it_says_is_refused(engine: str, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(tiny_graph(classes=5))
    for output in model.graph.output:
        if output.name in ("probabilities", "logits"):
            output.type.tensor_type.shape.dim[1].dim_value = 3
    content = forged(
        TINY, lambda manifest, members: members.update({"model.onnx": model.SerializeToString()})
    )
    (tmp_path / "lie.lexnet").write_bytes(content)
    with pytest.raises(GraphError):
        lexnet.load(tmp_path / "lie.lexnet", engine=engine).predict(np.zeros((16, 16, 3), np.uint8))


@pytest.mark.parametrize("output", ["probabilities", "logits", "features"])
def test_a_graph_without_one_of_its_outputs_is_refused(output: str, tmp_path: Path) -> None:
    def change(manifest: Manifest, members: Members) -> None:
        model = onnx.load_model_from_string(members["model.onnx"])
        kept = [o for o in model.graph.output if o.name != output]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        members["model.onnx"] = model.SerializeToString()

    with pytest.raises(BundleError, match=f"its graph gives .*{output}"):
        reading(forged(TINY, change), tmp_path)


@pytest.mark.parametrize("shape", [[], ["batch"], ["batch", 8, 1], [1, 8]])
def test_features_of_another_shape_are_refused(shape: list[object], tmp_path: Path) -> None:
    def change(manifest: Manifest, members: Members) -> None:
        model = onnx.load_model_from_string(members["model.onnx"])
        kept = [o for o in model.graph.output if o.name != "features"]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        model.graph.output.append(
            onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, shape)
        )
        members["model.onnx"] = model.SerializeToString()

    with pytest.raises(BundleError, match=r"its graph gives .*features"):
        reading(forged(TINY, change), tmp_path)


def test_a_golden_picture_that_breaks_behind_its_pixels_is_refused(tmp_path: Path) -> None:
    """Pillow meets an empty colour profile when the pixels are loaded, and not as an OSError."""

    def change(manifest: Manifest, members: Members) -> None:
        png = members["golden/0.png"]
        end = png.index(b"IEND") - 4
        profile = bytes(4) + b"iCCP" + zlib.crc32(b"iCCP").to_bytes(4, "big")
        members["golden/0.png"] = png[:end] + profile + png[end:]

    bundle = reading(forged(TINY, change), tmp_path)
    with pytest.raises(BundleError, match="a golden picture is not a sound PNG"):
        len(bundle.golden)


def test_what_is_no_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "pipe", "is no file"),
        (Path("/dev/zero"), "is no file"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(BundleError, match=message):
            read_bundle(path)
    with (tmp_path / "film").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(BundleError, match="over 2,147,483,648; it is no LexNet bundle"):
        read_bundle(tmp_path / "film")


def test_a_graph_fixed_to_one_batch_is_refused(tmp_path: Path) -> None:
    def change(manifest: Manifest, members: Members) -> None:
        model = onnx.load_model_from_string(members["model.onnx"])
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        members["model.onnx"] = model.SerializeToString()

    with pytest.raises(BundleError, match="its graph takes"):
        reading(forged(TINY, change), tmp_path)


def test_a_compressed_member_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """70 kB that would become 64 MB."""
    bomb = forged(TINY, lambda _, members: members.update(bomb=bytes(64_000_000)), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(BundleError, match="compressed member"):
        reading(bomb, tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(TINY)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with pytest.raises(BundleError, match="two members of one name"):
        reading(zipped([*members, members[1]]), tmp_path)


def test_more_than_a_hundred_members_are_refused(tmp_path: Path) -> None:
    """In a bundle that is sound but for that: with a hundred it is read."""

    def having(count: int) -> bytes:
        def change(manifest: Manifest, members: Members) -> None:
            members.update({f"more/{i}": b"" for i in range(count - 1 - len(members))})  # beside the manifest

        return forged(TINY, change)

    assert len(reading(having(100), tmp_path).members) == 100
    with pytest.raises(BundleError, match="is a zip file but not a LexNet bundle"):
        reading(having(101), tmp_path)


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """One lies within the other: a few bytes could be read as many members of any size."""
    inner, outer = BytesIO(), BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("b", bytes(1000))
        within = copy.copy(archive.getinfo("b"))
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("a", inner.getvalue())
        within.header_offset = archive.getinfo("a").header_offset + 30 + len("a")  # behind its header
        archive.filelist.append(within)
        archive.NameToInfo["b"] = within
        archive.comment = bytes(32)
    with pytest.raises(BundleError, match="has members that overlap; refused"):
        reading(redigested(outer.getvalue()), tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"null", b'"format"', b"\xff\xfe", b"{" * 99_999])
def test_a_manifest_that_is_no_object_is_refused(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no readable manifest\.json; it is not a LexNet bundle"):
        reading(zipped([("manifest.json", text), ("model.onnx", b"")]), tmp_path)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(TINY) - 33), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_a_forger_without_skill_is_refused_or_changes_nothing(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(TINY)
    for place, value in changes:
        content[place] = value
    folder = tmp_path_factory.getbasetemp()
    original = reading(TINY, folder)
    try:
        bundle = reading(redigested(bytes(content)), folder)
    except BundleError:
        return
    assert (bundle.members, bundle.manifest) == (original.members, original.manifest)


@pytest.mark.parametrize("name", ["a\x1b[31mred", "two\nlines", "\x9b2J", "\ud800"])
def test_a_class_that_would_steer_the_terminal_is_refused(tmp_path: Path, name: str) -> None:
    def rename(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
        manifest["classes"][0] = name

    path = tmp_path / "model.lexnet"
    path.write_bytes(forged(tiny_bundle(), rename))
    with pytest.raises(BundleError, match="characters that would steer a terminal"):
        lexnet.load(path)


def test_a_number_beyond_all_is_refused(tmp_path: Path) -> None:
    """Python reads it as infinite, and cannot write it again."""
    manifest = b'{"format": 1, "note": 1e999}'
    with pytest.raises(BundleError, match="has no readable manifest"):
        reading(redigested(zipped([("manifest.json", manifest), ("model.onnx", b"")])), tmp_path)


def test_a_manifest_nested_too_deep_to_be_shown_is_refused(tmp_path: Path) -> None:
    deep: object = 0
    for _ in range(100):
        deep = [deep]
    with pytest.raises(BundleError, match="has no readable manifest"):
        reading(forged(tiny_bundle(), setting("note", to=deep)), tmp_path)


def test_a_manifest_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.lexnet"
    path.write_bytes(redigested(zipped([("manifest.json", b"[" * 200_000), ("model.onnx", b"")])))
    with pytest.raises(BundleError, match=r"no readable manifest\.json"):
        lexnet.load(path)


def test_what_is_checked_as_onnx_is_run_as_onnx_by_openvino_too(tmp_path: Path) -> None:
    """Its own format is XML, which may lie in protobuf fields that ONNX does not know."""
    import openvino
    from openvino import opset13

    pixels = opset13.parameter([-1, SPEC.size, SPEC.size, 3], openvino.Type.u8, name="pixels")
    other = openvino.Model([opset13.convert(pixels, openvino.Type.f32)], [pixels], "other")
    openvino.serialize(other, tmp_path / "other.xml", tmp_path / "other.bin")
    layers = (tmp_path / "other.xml").read_bytes()
    layers = b"-->" + layers[layers.index(b"<layers") :].rstrip() + b"\0"
    head = b'<net name="ab" version="11"><!--'
    assert len(head) == ord(
        " "
    )  # as protobuf reads it: field 1 of 32 bytes, then field 9 of as many as follow
    length = bytes([len(layers) & 0x7F | 0x80, len(layers) >> 7])
    disguised = b"\n " + head + b"J" + length + layers + tiny_graph()
    check_self_contained(disguised)
    outputs = openvino.Core().read_model(disguised, b"").outputs
    assert len(outputs) == 1, "OpenVINO would take it for its own"
    results = [OpenVino(one, 1).run(GOLDEN[0][None])["logits"] for one in (tiny_graph(), disguised)]
    assert np.array_equal(*results)


def test_what_is_checked_as_onnx_is_run_as_onnx() -> None:
    """ONNX Runtime takes bytes with ORTM at 4..8 as its own format, in which it would run unchecked
    what the protobuf fields, which are valid too, do not say."""
    graph = tiny_graph()
    disguised = b"\x7a\x84\x80\x00ORTM" + graph
    outputs = [OnnxRuntime(one, 1).run(GOLDEN[0][None])["logits"] for one in (graph, disguised)]
    assert np.array_equal(*outputs)
