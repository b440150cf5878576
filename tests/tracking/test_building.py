"""Models are opened under the interpreter that fitted them, and none can block delivery."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.capture.estimators import Found
from jupyter_mlops.capture.spool import spool
from jupyter_mlops.config import Config
from jupyter_mlops.errors import MissingDependencyError, MlopsError, NotFoundError, UntrustedError
from jupyter_mlops.journal import BlobStore, sign
from jupyter_mlops.model.events import ModelRecord
from jupyter_mlops.project import Project
from jupyter_mlops.registry.load import load_folder
from jupyter_mlops.state import StateDB
from jupyter_mlops.tracking import deliver, find_run
from jupyter_mlops.tracking.building import ModelBuilders, same_environment

from .sessions import Session


class KillsItsReader:
    """A model that takes the process along that opens it, as a native crash would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('os').kill(__import__('os').getpid(), 9)",)


class Prints:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("print('on stdout') or {'model': 1, 'example': None}",)


@pytest.fixture
def other_python(tmp_path: Path) -> str:
    """Another environment that has the same packages: a link is enough to be another prefix."""
    home = tmp_path / "other"
    (home / "bin").mkdir(parents=True)
    python = home / "bin" / "python"
    python.symlink_to(sys.executable)
    configuration = Path(sys.prefix) / "pyvenv.cfg"
    if configuration.exists():  # in a virtual environment its packages are found by this file
        (home / "pyvenv.cfg").write_text(configuration.read_text())
        (home / "lib").symlink_to(Path(sys.prefix) / "lib")
    return str(python)


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """An environment without this package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return str(tmp_path / "bare" / "bin" / "python")


@pytest.fixture
def builders(project: Project) -> Iterator[ModelBuilders]:
    builders = ModelBuilders(BlobStore(project.journal), project.state / "building")
    yield builders
    builders.close()
    assert not (project.state / "building").exists()


def spooled(project: Project, value: Any, **fields: Any) -> ModelRecord:
    data = pickle.dumps(value, protocol=5)
    blob = BlobStore(project.journal).put(data)
    return ModelRecord("m", "M", blob=blob, signature=sign(data), **fields)


def test_environments_are_told_apart_by_folder(tmp_path: Path, other_python: str) -> None:
    assert same_environment(None)
    assert same_environment(sys.executable)
    assert not same_environment(other_python)
    assert os.path.realpath(other_python) == os.path.realpath(sys.executable)


def test_a_session_of_another_environment_is_converted_there(
    mlflow_project: Project, forest: Any, iris: tuple[Any, Any], other_python: str
) -> None:
    session = Session(mlflow_project, interpreter=other_python)
    record = session.run(models=(session.model(forest, iris[0].head()),), register="iris")
    report = deliver(mlflow_project, Config())
    assert report.warnings == ()
    (version,) = report.versions
    assert version.class_name == "RandomForestClassifier"
    assert find_run(mlflow_project, record.run_id).models[0]["kept"]
    assert not (mlflow_project.state / "building").exists()


def test_without_the_package_the_run_arrives_and_the_model_says_what_to_install(
    mlflow_project: Project, forest: Any, bare_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    session = Session(mlflow_project, interpreter=bare_python)
    record = session.run(models=(session.model(forest),))
    report = deliver(mlflow_project, Config())
    assert report.delivered == 1
    reason = find_run(mlflow_project, record.run_id).models[0]["reason"]
    assert "not installed" in reason
    assert f"{bare_python} -m pip install jupyter-mlops" in reason


def test_an_interpreter_that_is_gone(builders: ModelBuilders, project: Project) -> None:
    record = spooled(project, {"model": 1})
    with pytest.raises(MissingDependencyError, match="cannot be started"):
        builders.build(record, "/no/such/bin/python", isolate=False)


def test_a_model_that_kills_its_reader_is_left_out(
    builders: ModelBuilders, project: Project
) -> None:
    record = spooled(project, KillsItsReader())
    with pytest.raises(MlopsError, match="killed by signal 9"):
        builders.build(record, sys.executable, isolate=True)


class Predicts:
    def fit(self, X: Any) -> Predicts:
        return self

    def predict(self, X: Any) -> Any:
        return [len(row) for row in X]


@pytest.mark.parametrize("isolate", [True, False])
def test_a_pickle_is_built_by_consent_and_signed(
    builders: ModelBuilders, project: Project, isolate: bool
) -> None:
    found = Found("m", Predicts(), True, flavor="python")
    record = spool(found, None, None, BlobStore(project.journal), 10**6)
    assert record.format == "cloudpickle"
    with pytest.raises(UntrustedError, match="only a pickle can hold") as caught:
        builders.build(record, sys.executable, isolate=isolate)
    assert "--allow-pickle" in (caught.value.hint or "")
    agreed = replace(record, consent="trust_pickle")
    built = builders.build(agreed, sys.executable, isolate=isolate)
    assert (built.format, built.consent) == ("pickle", "trust_pickle")
    assert load_folder(built.folder).predict([[1, 2]]) == [2]


def test_consent_is_on_the_stored_model_and_its_lack_on_the_run(
    mlflow_project: Project, client: Callable[[Project | str], Any]
) -> None:
    blobs = BlobStore(mlflow_project.journal)
    session = Session(mlflow_project)
    models = tuple(
        spool(Found(name, Predicts(), True, flavor="python"), None, None, blobs, 10**6,
              consent=consent)
        for name, consent in (("asked", "--allow-pickle"), ("unasked", None))
    )  # fmt: skip
    record = session.run(models=models)
    deliver(mlflow_project, Config())
    rows = {row["name"]: row for row in find_run(mlflow_project, record.run_id).models}
    assert rows["asked"]["kept"]
    assert "only a pickle can hold" in rows["unasked"]["reason"]
    assert "%%track --allow-pickle" in rows["unasked"]["reason"]
    plain = client(mlflow_project)
    experiments = [e.experiment_id for e in plain.search_experiments()]
    (model,) = plain.search_logged_models(experiments)
    assert model.tags["mlops.format"] == "pickle"
    assert model.tags["mlops.consent"] == "--allow-pickle"


def test_what_a_model_prints_does_not_disturb(
    builders: ModelBuilders, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    record = spooled(project, Prints())
    for isolate in (True, False):
        assert builders.build(record, sys.executable, isolate=isolate).class_name == "int"
    assert capsys.readouterr().out == ""


def test_bytes_that_are_not_ours_are_not_opened(
    builders: ModelBuilders, project: Project, tmp_path: Path
) -> None:
    class Canary:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "canary",)

    record = spooled(project, Canary())
    foreign = ModelRecord("m", "M", blob=record.blob, signature="0" * 64)
    for isolate in (False, True):
        with pytest.raises(UntrustedError):
            builders.build(foreign, sys.executable, isolate=isolate)
    assert not (tmp_path / "canary").exists()


def test_bytes_that_are_gone(builders: ModelBuilders, project: Project) -> None:
    with pytest.raises(NotFoundError):
        builders.build(ModelRecord("m", "M", blob="0" * 64), sys.executable, isolate=False)
    with pytest.raises(NotFoundError, match="too large"):
        builders.build(ModelRecord("m", "M", reason="too large"), None, isolate=False)


def test_after_three_deaths_the_model_is_opened_elsewhere(
    mlflow_project: Project, tmp_path: Path
) -> None:
    """The process that delivers dies with the model; the fourth attempt survives it."""
    project = mlflow_project
    session = Session(project)
    data = pickle.dumps(KillsItsReader())
    record = ModelRecord("m", "M", blob=session.blobs.put(data), signature=sign(data))
    run = session.run(models=(record,))
    code = (
        "import sys\n"
        "from jupyter_mlops.config import Config\n"
        "from jupyter_mlops.project import open_project\n"
        "from jupyter_mlops.tracking import deliver\n"
        "deliver(open_project(sys.argv[1]), Config(), wait_lease=60, force=True)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, project.root], capture_output=True)
    assert result.returncode == -signal.SIGKILL
    with StateDB(project).write() as connection:
        (attempts,) = connection.execute("SELECT attempts FROM delivery").fetchone()
        assert attempts == 1
        connection.execute("UPDATE delivery SET attempts = 3")  # as after two more of them
        connection.execute("UPDATE leases SET expires = 0")
    assert deliver(project, Config()).delivered == 1
    found = find_run(project, run.run_id)
    assert found.status == "FINISHED"
    assert "killed by signal 9" in found.models[0]["reason"]
