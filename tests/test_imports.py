"""What is imported when: a start must stay quick and torch-free."""

import subprocess
import sys

import pytest

import lexnet
from lexnet.data.samples import sample_folder

HEAVY = ("torch", "sklearn", "scipy", "cv2", "matplotlib", "onnx", "openvino", "jinja2", "yaml")


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Which heavy packages a fresh Python has loaded after the code."""
    tail = f"\nimport sys; print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code + tail, *arguments], capture_output=True, text=True, check=True
    )
    return set(run.stdout.rsplit("LOADED", 1)[1].split())


def call(*arguments: str) -> str:
    """Code that runs the command line in this process and goes on."""
    return (
        f"import sys\nsys.argv = {['lexnet', *arguments]!r}\n"
        "from lexnet.cli import main\ntry: main()\nexcept SystemExit: pass"
    )


def test_import_loads_nothing() -> None:
    assert loaded_by("import lexnet; lexnet.LexNetError") == set()
    numpy = "import lexnet, sys; assert 'numpy' not in sys.modules"
    assert loaded_by(numpy) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "--help"]])
def test_help_loads_nothing(arguments: list[str]) -> None:
    assert loaded_by(call(*arguments)) == set()


def test_predict_val_and_verify_never_load_torch(bundle: str) -> None:
    clipart = str(sample_folder("clipart"))
    assert loaded_by(call("predict", bundle, clipart + "/birds")) == {"openvino"}
    assert loaded_by(call("predict", bundle, clipart + "/birds", "--engine", "onnxruntime")) == set()
    assert loaded_by(call("val", bundle, clipart)) == {"openvino"}
    assert loaded_by(call("verify", bundle)) == set()
    assert loaded_by(f"import lexnet; lexnet.load({bundle!r})") == {"openvino"}


def test_a_second_training_needs_no_torch(bundle: str, tmp_path: object) -> None:
    """The trunk's graph and the features come from the cache."""
    assert "torch" not in loaded_by(call("train", "clipart", "--mode", "probe", "--out", f"{tmp_path}/run"))


def test_public_names_are_there_and_no_others() -> None:
    assert all(getattr(lexnet, name) is not None for name in lexnet.__all__)
    assert dir(lexnet) == lexnet.__all__
    with pytest.raises(AttributeError, match="no attribute 'Classifer'"):
        lexnet.Classifer  # noqa: B018


def test_modules_are_there_without_being_imported_first() -> None:
    code = "import lexnet; print(lexnet.errors.BundleError.__name__, lexnet.preprocess.load.__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "BundleError load\n"


HIDE = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Hidden())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {HEAVY!r} else find_spec(name)
"""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Runs the code where the extra's packages cannot be found, as in a core-only installation."""
    return subprocess.run([sys.executable, "-c", HIDE + code], capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["train", "clipart", "--mode", "probe"], ["nets"]])
def test_without_the_train_extra_it_says_what_to_install(arguments: list[str]) -> None:
    run = without_extras(f"sys.argv = {['lexnet', *arguments]!r}\nfrom lexnet.cli import main\nmain()")
    assert run.returncode == 2
    assert "pip install '.[train]'" in run.stderr and "Traceback" not in run.stderr


def test_without_the_train_extra_the_classifier_says_so_too() -> None:
    run = without_extras("import lexnet; lexnet.Classifier")
    last = run.stderr.splitlines()[-1]
    assert "MissingExtra" in last and "pip install '.[train]'" in last


def test_without_the_train_extra_only_what_is_there_is_offered() -> None:
    run = without_extras("from lexnet import *\nimport lexnet; print(sorted(dir(lexnet)))")
    assert run.stdout == "['LexNetError', 'Prediction', 'Predictor', '__version__', 'load']\n", run.stderr


def test_the_core_alone_predicts_and_scores(bundle: str) -> None:
    for arguments in (
        ["predict", bundle, str(sample_folder("clipart") / "birds")],
        ["val", bundle, "clipart"],
    ):
        run = without_extras(f"sys.argv = {['lexnet', *arguments]!r}\nfrom lexnet.cli import main\nmain()")
        assert (run.returncode, run.stderr) == (0, "")
