"""Fixtures for all tests: private folders, a fresh project, an initialised MLflow store to copy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from jupyter_mlops.journal import redaction
from jupyter_mlops.model import ids
from jupyter_mlops.project import Project, open_project

# No deadlines: a test must not depend on how busy the machine is.  In CI the examples are the same
# every time; by hand they differ, so that new ones are found.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("MLOPS_TESTS") == "ci" else "here")

# Variables of the person's own set-up that would change what is tested.
_FOREIGN = ("MLFLOW_", "JUPYTER_", "JPY_", "PAPERMILL_", "IPYTHONDIR")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the full forms of tests out unless they are asked for: ``-m full``."""
    if "full" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="the full form; run it with -m full"))


@pytest.fixture(scope="session", autouse=True)
def _private_environment() -> Iterator[None]:
    """Keep the person's Jupyter folders, configuration and running agents out of the tests."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it runs in the background so; tests interrupt, and so do kernels.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A short path: Unix sockets live below it, and their paths are limited to 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="mlt"))
    saved = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            del os.environ[name]
    for name, folder in {
        "JUPYTER_RUNTIME_DIR": "run",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_CONFIG_DIR": "config",
        "IPYTHONDIR": "ipython",
        "MPLCONFIGDIR": "mpl",
    }.items():
        (home / folder).mkdir(mode=0o700)
        os.environ[name] = str(home / folder)
    os.environ["JUPYTER_MLOPS_AGENT"] = "off"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    os.environ["MPLBACKEND"] = "agg"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _nothing_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's writers have learned to be a secret is none in the next test.

    Nor does a clock that one test moves move the ids of the next: they only ever rise.
    """
    monkeypatch.setattr(redaction, "_default", None)
    monkeypatch.setattr(ids, "_last", ids._last)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh project whose root is not the test's own temporary folder but one inside it."""
    root = tmp_path / "proj"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    return open_project(root)


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised, empty MLflow database: making one costs seconds, copying it none."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    code = (
        "import sys, mlflow; "
        "mlflow.MlflowClient('sqlite:///' + sys.argv[1]).search_experiments(max_results=1)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], check=True)
    return path


@pytest.fixture
def mlflow_project(project: Project, mlflow_template: Path) -> Project:
    """A fresh project with an initialised, empty MLflow store of its own."""
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    return project
