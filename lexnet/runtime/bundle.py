"""A `.lexnet` file: read, verified, and nothing in it trusted before that.

    manifest.json     classes, preprocessing, training facts, licences, a sha256 for each member
    model.onnx        pixels (N, H, W, C) uint8 → probabilities, logits, features
    golden/0.png ...  pictures as the net sees them, whose outputs the manifest gives
    last 32 bytes     the sha256 of all bytes before them

It is a plain zip file without compression whose archive comment is that digest. The digests show
damage and careless changes; they do not show who made the file.
"""

import base64
import hashlib
import json
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.config import PIXEL_RULES, PreprocessSpec
from lexnet.errors import BundleError, GraphError, LexNetError
from lexnet.files import display, is_printable
from lexnet.preprocess import Pixels
from lexnet.runtime.graph import FLOAT, UINT8, check_operators, check_self_contained, read_ports
from lexnet.runtime.sizes import check_sizes

FORMAT = 1
DIGEST_BYTES = 32
MAX_MEMBERS, MAX_DEPTH, MAX_BYTES = 100, 32, 2**31
ANEW = "make the bundle anew with this lexnet, from its plan.yaml"
MANIFEST, MODEL = "manifest.json", "model.onnx"
BUNDLE = "model.lexnet"
"""What a run's folder calls its bundle."""
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF")
"""How files begin that are often given in a bundle's place."""
MEMBER_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)  # nothing absolute, no `..`


@dataclass(frozen=True)
class Bundle:
    """A bundle whose digests all matched."""

    path: str
    manifest: dict[str, Any]
    members: dict[str, bytes]

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of the outputs."""
        return list(self.manifest["classes"])

    @property
    def spec(self) -> PreprocessSpec:
        """How pictures are prepared for this net."""
        return spec_from(self.manifest["preprocess"])

    @property
    def model(self) -> bytes:
        """The ONNX graph."""
        return self.members[MODEL]

    @property
    def seen(self) -> NDArray[np.uint32]:
        """The beginnings of the sha256 of all pictures that it was made from, as it lists them."""
        try:
            return np.frombuffer(base64.b64decode(self.manifest["split"]["seen"], validate=True), "<u4")
        except (KeyError, TypeError, ValueError):  # a bundle that was made otherwise
            return np.empty(0, np.uint32)

    @property
    def taught(self) -> NDArray[np.uint32]:
        """Those that its net has learned from: of a probe on published weights only the head has from any."""
        return self.seen if self.manifest.get("split", {}).get("taught", True) else self.seen[:0]

    @property
    def golden(self) -> list[tuple[Pixels, np.ndarray]]:
        """(pixels (H, W, C) uint8, expected probabilities (classes,)) for each golden picture."""
        return [
            (_pixels(self.members[entry["file"]]), np.asarray(entry["probabilities"], np.float32))
            for entry in self.manifest["golden"]
        ]


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Reads a bundle, or that in a run's folder, and checks every digest; raises `BundleError` for anything
    not as it was written."""
    try:
        inside = Path(path, BUNDLE)
        path = inside if inside.is_file() else path
        name, status = display(path), os.stat(path)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # a pipe would keep us waiting
            raise BundleError(f"{name} is no file; check the path")
        if status.st_size > MAX_BYTES:
            raise BundleError(
                f"{name} has {status.st_size:,} bytes, over {MAX_BYTES:,}; it is no LexNet bundle"
            )
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", error)
        raise BundleError(f"{display(path)} cannot be read ({why}); check the path") from error
    return parse_bundle(content, name)


def parse_bundle(content: bytes, name: str) -> Bundle:
    """The bundle in these bytes, after all checks; raises `BundleError` with the name it is given."""
    members = _members(content, name)
    if hashlib.sha256(memoryview(content)[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
        raise BundleError(
            f"{name} is damaged: its bytes do not match its sha256{_damaged(members)}; get it again"
        )
    manifest = _manifest(members, name)
    try:
        _check_manifest(manifest, members)
        check_self_contained(members[MODEL])
        check_operators(members[MODEL])
        _check_ports(members[MODEL], spec_from(manifest["preprocess"]), len(manifest["classes"]))
        check_sizes(members[MODEL])
    except BundleError as error:
        raise type(error)(f"{name}: {error}") from error
    except (
        LexNetError,
        ArithmeticError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise BundleError(f"{name} has a manifest that makes no sense ({error!r}); get it again") from error
    return Bundle(name, manifest, members)


def spec_from(record: dict[str, Any]) -> PreprocessSpec:
    """The preprocessing spec as the manifest records it; unknown settings are an error, never ignored."""
    known, rules = {field.name for field in fields(PreprocessSpec)}, record.get("rules")
    if new := set(record) - known:
        raise BundleError(f"preprocessing settings {sorted(new)} are unknown here; update lexnet")
    if missing := known - set(record):
        raise BundleError(f"preprocessing settings {sorted(missing)} are missing; {ANEW}")
    if isinstance(rules, int) and rules != PIXEL_RULES:
        remedy = "update lexnet" if rules > PIXEL_RULES else ANEW
        raise BundleError(
            f"its pictures were prepared by rules {rules}, this lexnet has {PIXEL_RULES}; {remedy}"
        )
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
    return PreprocessSpec(**values)


def _members(content: bytes, name: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            if archive.comment != content[-DIGEST_BYTES:] or len(entries) > MAX_MEMBERS:
                raise BundleError(f"{name} is a zip file but not a LexNet bundle")
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                    raise BundleError(f"{name} has a compressed member {entry.filename!r}; bundles have none")
            if sum(entry.file_size for entry in entries) > len(content):
                raise BundleError(f"{name} has members that overlap; refused")
            members = {entry.filename: archive.read(entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
        struct.error,
    ) as error:
        why = f", or is damaged ({error}); get it again"
        if content.startswith(PICTURES):
            why = " but a picture; give the bundle first"
        raise BundleError(f"{name} is not a LexNet bundle{why}") from error
    if len(members) != len(entries):
        raise BundleError(f"{name} has two members of one name; refused")
    return members


def _manifest(members: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        manifest = json.loads(members[MANIFEST], parse_constant=_refuse, parse_float=_finite)
        written = manifest["format"]
        if _depth(manifest) > MAX_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_DEPTH}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{name} has no readable {MANIFEST}; it is not a LexNet bundle") from error
    if written != FORMAT:
        raise BundleError(f"{name} has format {written!r}, this lexnet reads {FORMAT}; update lexnet")
    return dict(manifest)


def _refuse(constant: str) -> float:
    """JSON has no NaN and no infinity, though Python reads them."""
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    """Python would read 1e999 as infinite."""
    return float(number) if isfinite(float(number)) else _refuse(number)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _check_manifest(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    digests = dict(manifest["members"])
    if set(digests) | {MANIFEST} != set(members) or MODEL not in digests:
        raise BundleError(f"its members are {sorted(members)}, its manifest lists {sorted(digests)}")
    if odd := [member for member in members if not MEMBER_NAME.fullmatch(member)]:
        raise BundleError(f"its member {odd[0]!r} has a name that could lie outside a folder; refused")
    for member, digest in digests.items():
        if hashlib.sha256(members[member]).hexdigest() != digest:
            raise BundleError(f"{member} does not match its sha256; get the bundle again")
    classes, temperature = manifest["classes"], manifest.get("temperature", 1.0)
    if (
        not isinstance(classes, list)
        or not all(isinstance(c, str) for c in classes)
        or len(set(classes)) != len(classes)
        or len(classes) < 2
    ):
        raise BundleError("its classes are not two or more different names")
    if odd := [c for c in classes if not is_printable(c)]:
        raise BundleError(f"its class {odd[0]!r} has characters that would steer a terminal; refused")
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not temperature > 0:
        raise BundleError(f"its temperature {temperature!r} is no number over 0")
    if isinstance(manifest["threshold"], bool) or not 0 <= manifest["threshold"] <= 1:
        raise BundleError(f"its threshold {manifest['threshold']} is no probability")
    accuracy = manifest.get("measured", {}).get("accuracy", 0)
    if not isinstance(accuracy, (int, float)) or not 0 <= accuracy <= 1:
        raise BundleError(f"its accuracy {str(accuracy)[:20]} is no share from 0 to 1")
    if not isinstance(cut := manifest.get("cut"), str | None):
        raise BundleError(f"its cut {cut!r} is no name of a stage; get it again")
    for one in manifest.get("weights", []):
        if not isinstance(one["licence"], str):
            raise BundleError(f"the weights that it came from, {one}, have no licence")
    if not isinstance(split := manifest.get("split", {}), dict):
        raise BundleError("its split is not what lexnet writes; get it again")
    if not isinstance(pattern := split.get("group_by"), str | None):
        raise BundleError(f"its group_by {pattern!r} is no regular expression; get it again")
    spec = spec_from(manifest["preprocess"])
    if not isinstance(manifest["golden"], list) or len(manifest["golden"]) > MAX_MEMBERS:
        raise BundleError(f"its golden pictures are not a list of up to {MAX_MEMBERS}")
    for entry in manifest["golden"]:
        if entry["file"] not in digests or np.asarray(entry["probabilities"], float).shape != (len(classes),):
            raise BundleError(f"golden picture {entry['file']!r} does not fit its classes")
        with _open_png(members[entry["file"]]) as image:
            if (image.mode, image.size) != ("L" if spec.channels == 1 else "RGB", (spec.size, spec.size)):
                raise BundleError(f"golden picture {entry['file']!r} is not what its preprocessing gives")


def _check_ports(model: bytes, spec: PreprocessSpec, classes: int) -> None:
    """Whether the graph takes what the preprocessing gives, and gives a number for each class."""
    inputs, outputs = read_ports(model)
    pixels = (UINT8, (0, *spec.shape))
    if inputs != {"pixels": pixels}:
        raise GraphError(f"its graph takes {inputs}, its preprocessing gives {pixels}; get it again")
    for name in ("probabilities", "logits"):
        if outputs.get(name) != (FLOAT, (0, classes)):
            raise GraphError(
                f"its graph gives {name} {outputs.get(name)} for {classes} classes; get it again"
            )
    kind, shape = outputs.get("features", (FLOAT, ()))
    if kind != FLOAT or len(shape) != 2 or shape[0] or len(outputs) != 3:
        raise GraphError(f"its graph gives {outputs}, not just those and the features; get it again")


def _damaged(members: dict[str, bytes]) -> str:
    """Which members are to blame, as far as the manifest still says."""
    try:
        digests = json.loads(members[MANIFEST])["members"]
        bad = [m for m, digest in digests.items() if hashlib.sha256(members[m]).hexdigest() != digest]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return f" (in {MANIFEST})"
    return f" (in {', '.join(bad) or MANIFEST})"


def _pixels(png: bytes) -> Pixels:
    with _open_png(png) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


@contextmanager
def _open_png(content: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            yield image
    except BundleError:
        raise
    except Exception as error:  # Pillow raises nearly everything on broken pictures
        raise BundleError(f"a golden picture is not a sound PNG ({error}); get the bundle again") from error
