"""Making, finding, loading and removing versions."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops
from jupyter_mlops.config import Config
from jupyter_mlops.errors import (
    ConflictError,
    CorruptError,
    NotFoundError,
    UntrustedError,
    UsageError,
)
from jupyter_mlops.model.registry import ModelSpec
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.registry import (
    get_version,
    list_models,
    load_code,
    load_model,
    model_folder,
    register_run,
    remove_version,
    set_alias,
)
from jupyter_mlops.registry.load import load_folder
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.readmodel import clear
from jupyter_mlops.tracking import find_run, list_runs

from ..tracking.sessions import Session

CONFIG = Config()


def test_a_version_is_loaded_equal_and_without_mlflow(
    registered: Project, forest: Any, iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(registered.root)
    assert (load_model("taxi@1").predict(iris[0]) == forest.predict(iris[0])).all()
    code = load_code(registered, get_version(registered, ModelSpec("taxi", version=2)))
    assert code == 'import jupyter_mlops\n\nmodel = jupyter_mlops.load_model("taxi@2")'
    check = (
        "\nimport sys\nassert type(model).__name__ == 'RandomForestClassifier'"
        "\nassert not {'mlflow', 'papermill'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + check],
        cwd=registered.root,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_the_code_quotes_names(registered: Project) -> None:
    version = get_version(registered, ModelSpec("taxi", version=1))
    name = 'a"b\\n{x}'
    code = load_code(registered, replace(version, name=name))
    call = ast.parse(code).body[1].value  # type: ignore[attr-defined]
    assert ast.literal_eval(call.args[0]) == f"{name}@1"


def test_what_is_not_known_is_asked_of_mlflow(
    registered: Project, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(registered.root)
    set_alias(registered, CONFIG, "taxi", 2, "champion", by="me")
    with StateDB(registered).write() as connection:
        clear(connection)
    folder, version = model_folder(registered, CONFIG, "taxi@champion")
    assert version.version == 2
    assert (folder / "MLmodel").is_file()
    assert folder.is_relative_to(registered.artifacts)


def test_what_does_not_exist(registered: Project, tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(NotFoundError, match="no version 9") as caught:
        get_version(registered, ModelSpec("taxi", version=9))
    assert "1, 2" in str(caught.value.hint)
    with pytest.raises(NotFoundError, match="no alias 'champion'") as caught:
        get_version(registered, ModelSpec("taxi", alias="champion"))
    assert "models set taxi@VERSION champion" in str(caught.value.hint)
    with pytest.raises(NotFoundError, match="no registered model 'bus'") as caught:
        get_version(registered, ModelSpec("bus", version=1))
    assert "taxi" in str(caught.value.hint)
    empty = tmp_path / "empty"
    (empty / ".git").mkdir(parents=True)
    monkeypatch.chdir(empty)
    with pytest.raises(NotFoundError):
        load_model("taxi@1")
    with pytest.raises(UsageError):
        load_model("taxi")
    assert not (empty / ".mlops").exists()
    assert list_models(open_project(empty, create=False)) == []


def test_registering_a_run(registered: Project, forest: Any, iris: Any) -> None:
    project = registered
    session = Session(project)
    two = session.run(
        "two",
        models=(session.model(forest, name="a"), session.model(forest, iris[0], name="b")),
    )
    waits = session.run("waits", models=(session.model(forest),))
    with pytest.raises(UsageError, match="several models: a, b") as caught:
        register_run(project, CONFIG, two.run_id, "taxi")
    assert "--model" in str(caught.value.hint)
    version = register_run(project, CONFIG, two.run_id, "taxi", "b")
    assert (version.version, version.run_id, version.class_name) == (
        3,
        two.run_id,
        "RandomForestClassifier",
    )
    assert register_run(project, CONFIG, two.run_id, "taxi", "b") == version
    assert register_run(project, CONFIG, two.run_id, "taxi", "a").version == 4
    assert register_run(project, CONFIG, waits.run_id, "bus").version == 1
    bare = next(run for run in list_runs(project) if run.name == "bare")
    with pytest.raises(NotFoundError, match="no stored model"):
        register_run(project, CONFIG, bare.run_id, "taxi")
    with pytest.raises(NotFoundError, match="no stored model 'c'") as missing:
        register_run(project, CONFIG, two.run_id, "taxi", "c")
    assert "a, b" in str(missing.value.hint)
    with pytest.raises(UsageError):
        register_run(project, CONFIG, two.run_id, "ta/xi", "b")
    assert find_run(project, two.run_id).registered == "taxi@3, taxi@4"


def test_removing_a_version(registered: Project, client: Callable[..., Any]) -> None:
    set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    with pytest.raises(ConflictError, match="is the champion"):
        remove_version(registered, CONFIG, ModelSpec("taxi", version=1))
    removed = remove_version(registered, CONFIG, ModelSpec("taxi", version=2))
    assert [v.version for v in list_models(registered)[0].versions] == [1]
    assert len(client(registered).search_model_versions("name = 'taxi'")) == 1
    with pytest.raises(NotFoundError):
        remove_version(registered, CONFIG, ModelSpec("taxi", version=2))
    assert removed.run_id is not None
    # The run kept the model.  MLflow gives the number of the newest version again.
    assert register_run(registered, CONFIG, removed.run_id, "taxi").run_id == removed.run_id


def test_files_that_are_gone_or_changed(registered: Project, monkeypatch: Any) -> None:
    monkeypatch.chdir(registered.root)
    version = get_version(registered, ModelSpec("taxi", version=1))
    folder = Path(str(version.source))
    (folder / "model.skops").write_bytes(b"garbage")
    with pytest.raises(CorruptError):
        load_model("taxi@1")
    (folder / "model.skops").unlink()
    with pytest.raises(CorruptError, match="cannot be read"):
        load_model("taxi@1")
    (folder / "MLmodel").unlink()
    with pytest.raises(NotFoundError, match="gone"):
        load_model("taxi@1")


@pytest.mark.parametrize(
    ("mlmodel", "kind"),
    [
        (
            "flavors: {sklearn: {serialization_format: cloudpickle, pickled_model: m}}",
            UntrustedError,
        ),
        ("flavors: {sklearn: {pickled_model: m}}", UntrustedError),
        ("flavors: {pytorch: {}}", UntrustedError),
        ("flavors: 5", UntrustedError),
        ("{}", UntrustedError),
        ("flavors: {sklearn: {serialization_format: skops, pickled_model: ../m}}", CorruptError),
        ("flavors: {sklearn: {serialization_format: skops, pickled_model: link}}", CorruptError),
        ("flavors: {sklearn: {serialization_format: skops}}", CorruptError),
    ],
)
def test_other_formats_are_never_opened(
    tmp_path: Path, mlmodel: str, kind: type[Exception]
) -> None:
    import pickle

    class Canary:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "canary",)

    folder = tmp_path / "model"
    folder.mkdir()
    for path in (tmp_path / "m", folder / "m"):
        path.write_bytes(pickle.dumps(Canary()))
    (folder / "link").symlink_to(tmp_path / "m")
    (folder / "MLmodel").write_text(mlmodel)
    with pytest.raises(kind):
        load_folder(folder)
    assert not (tmp_path / "canary").exists()


def test_the_public_name() -> None:
    assert jupyter_mlops.load_model is load_model
    assert os.environ["JUPYTER_MLOPS_AGENT"] == "off"
