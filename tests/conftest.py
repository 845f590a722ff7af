"""Which tests can run here, and what they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lexnet.job.run import Run

NEEDS = {
    "pictures": ("LEXNET_TEST_DATA", Path.is_dir),
    "fashion": ("LEXNET_FASHION_MNIST", Path.is_dir),
    "browser": ("LEXNET_CHROMIUM", Path.is_file),
}
RUN_ALL = os.environ.get("LEXNET_RUN_ALL") == "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # one thread where a test does not say, before torch is imported
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that spin while they wait keep other tests waiting


def _missing(marker: str) -> bool:
    variable, exists = NEEDS[marker]
    value = os.environ.get(variable)
    return not value or not exists(Path(value))


def pytest_configure() -> None:
    """Refuses to begin where all must run and something is not here."""
    missing = [NEEDS[marker][0] for marker in filter(_missing, NEEDS)]
    if RUN_ALL and missing:
        raise pytest.UsageError(f"{', '.join(missing)}: every test must run, and nothing is there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects what needs pictures or a browser that are not here."""
    for marker in filter(_missing, NEEDS):
        needy = [item for item in items if item.get_closest_marker(marker)]
        if needy:
            items[:] = [item for item in items if not item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=needy)
    items.sort(
        key=lambda item: "test_pretrained" not in item.nodeid
    )  # few and slow: last, all would wait for them


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker in filter(_missing, NEEDS):
        terminalreporter.write_line(f"not run: the tests that need {NEEDS[marker][0]}")
    skipped = terminalreporter.stats.get("skipped", [])
    if RUN_ALL and skipped:
        terminalreporter.write_line(f"{len(skipped)} tests were skipped, and none may be here", red=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if RUN_ALL and reporter and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True, scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests, apart from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["LEXNET_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real pictures; tests that ask for it are marked `pictures`."""
    return Path(os.environ["LEXNET_TEST_DATA"]).resolve()


@pytest.fixture(scope="session")
def fashion_folder() -> Path:
    """The folder of Fashion-MNIST's files; tests that ask for it are marked `fashion`."""
    return Path(os.environ["LEXNET_FASHION_MNIST"])


@pytest.fixture(scope="session")
def run(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on the built-in clip art."""
    from lexnet.config import TrainConfig
    from lexnet.job.run import train

    return train("clipart", TrainConfig(mode="probe"), tmp_path_factory.mktemp("runs") / "clipart")


@pytest.fixture(scope="session")
def bundle(run: Run) -> str:
    """The path of that run's bundle."""
    return str(run.folder / "model.lexnet")
