"""What runs an ONNX graph on a CPU.

Every engine runs one picture on one core, and several threads may call it at once. That keeps all
cores busy while other pictures are decoded, and makes an output a function of the picture alone:
not of the batch it came in, nor of how many threads there were.
"""

import os
import sys
import threading
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lexnet.errors import ConfigError, GraphError, LexNetError, MissingExtra
from lexnet.preprocess import Pixels
from lexnet.runtime.graph import Port, read_ports

Outputs = dict[str, NDArray[np.float32]]
"""Each output of the graph by name, with a leading axis of length N."""


class Engine(Protocol):
    """Runs a graph whose input is `pixels` (N, H, W, C) uint8."""

    name: str
    """The engine and its version: part of the key under which features are cached."""
    callers: int
    """How many threads should call it to keep all cores busy."""

    def run(self, pixels: Pixels) -> Outputs:
        """All outputs for (N, H, W, C) uint8 pixels; any thread may call it."""


class OnnxRuntime:
    """Runs anywhere that LexNet runs."""

    def __init__(self, graph: bytes, workers: int) -> None:
        import onnxruntime

        self.callers = workers

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # below, it prints what the graph's own text says to the terminal
        # Else it would take bytes that pass for both as its own format, which nobody has checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the binding raises bare RuntimeError subclasses of its own
            raise GraphError(f"ONNX Runtime {onnxruntime.__version__} refuses the graph: {error}") from error
        self._ports = read_ports(graph)[1]
        self.name = f"onnxruntime {onnxruntime.__version__}"

    def run(self, pixels: Pixels) -> Outputs:
        """All outputs for (N, H, W, C) uint8 pixels."""
        try:
            rows = [self._session.run(list(self._ports), {"pixels": one[None]}) for one in pixels]
        except Exception as error:
            raise GraphError(f"{self.name} cannot run the graph: {error}") from error
        return _outputs(rows, self._ports)


class OpenVino:
    """Faster than ONNX Runtime (`benchmarks/trunk.py`); in float32 whatever else the CPU offers."""

    def __init__(self, graph: bytes, workers: int) -> None:
        openvino = _import_openvino()
        self.callers = workers + 2  # it computes in threads of its own, while those that called wait
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self._graph, self._workers = graph, workers
        self._compiled = {os.getpid(): self._compile()}
        self._ports = read_ports(graph)[1]  # OpenVINO has several names for each

    def run(self, pixels: Pixels) -> Outputs:
        """All outputs for (N, H, W, C) uint8 pixels."""
        rows = []
        try:
            request = self._request()
            for one in pixels:
                results = request.infer({0: one[None]}, share_inputs=True)
                rows.append([results[i].copy() for i in range(len(self._ports))])
        except RuntimeError as error:
            raise GraphError(f"{self.name} cannot run the graph: {error}") from error
        return _outputs(rows, self._ports)

    def _request(self) -> Any:
        """Of this thread. A process that was forked compiles anew, for the threads that compute stay behind;
        what it brought along is kept, because it cannot be ended without them."""
        process = os.getpid()
        if process not in self._compiled:
            with _compiling:
                if process not in self._compiled:
                    self._compiled[process] = self._compile()
        model, local = self._compiled[process]
        if not hasattr(local, "request"):
            local.request = model.create_infer_request()
        return local.request

    def _compile(self) -> tuple[Any, threading.local]:
        openvino = _import_openvino()
        count = str(self._workers)
        streams = {"NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count}
        try:
            # `read_model` would take bytes that pass for both as its own format, which nobody has checked
            onnx = openvino.frontend.FrontEndManager().load_by_framework("onnx")
            model = onnx.convert(onnx.load(BytesIO(self._graph)))
            _, *shape = model.input("pixels").get_partial_shape()
            model.reshape([1, *shape])
            settings = {"INFERENCE_PRECISION_HINT": "f32", **streams}
            compiled = openvino.Core().compile_model(model, "CPU", settings)
        except Exception as error:  # of several kinds, and none of its own where the frontend is missing
            raise GraphError(f"{self.name} refuses the graph: {error}") from error
        with _first_run:
            compiled({0: np.zeros(compiled.input(0).shape, np.uint8)})
        return compiled, threading.local()


def _outputs(rows: list[Any], ports: dict[str, Port]) -> Outputs:
    """The outputs of the pictures one below the other; `GraphError` for another shape than declared."""
    for i, (name, (_, declared)) in enumerate(ports.items()):
        for given in {row[i].shape for row in rows}:
            if len(given) != len(declared) or any(
                b not in (0, a) for a, b in zip(given, declared, strict=True)
            ):
                raise GraphError(
                    f"the graph's output {name} is {given}, not {declared} as it says; get it again"
                )
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(ports)}


_compiling = threading.Lock()
_first_run = threading.Lock()
"""The first run fills tables inside OpenVINO's binding, which hangs for ever if two threads meet there."""


def open_engine(choice: str, graph: bytes, workers: int) -> Engine:
    """The named engine, for `workers` cores; "auto" takes OpenVINO where it works."""
    if choice == "auto":
        try:
            return OpenVino(graph, workers)
        except LexNetError:  # not installed, or not for this machine
            return OnnxRuntime(graph, workers)
    if choice == "openvino":
        return OpenVino(graph, workers)
    if choice == "onnxruntime":
        return OnnxRuntime(graph, workers)
    raise ConfigError(f"engine={choice!r} must be auto, openvino or onnxruntime")


def expected_name(choice: str) -> str | None:
    """The name of what `open_engine` will most likely open, without opening it; none where unknown."""
    for package in ("openvino", "onnxruntime"):
        if choice in ("auto", package):
            with suppress(PackageNotFoundError):
                return f"{package} {version(package)}"
    return None


def _import_openvino() -> Any:
    """OpenVINO without its usage reports: it falls back to a silent stub when the reporter is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
        import openvino.frontend
    except ImportError as error:
        raise MissingExtra("OpenVINO") from error
    return openvino
