"""Headless runs with real kernels and a real MLflow store: what they leave, what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from jupyter_mlops.config import Config, load_config
from jupyter_mlops.errors import (
    MlopsError,
    NotebookError,
    NotFoundError,
    ParameterError,
    PipelineError,
    ProjectError,
    UsageError,
)
from jupyter_mlops.journal import list_sessions, read_session
from jupyter_mlops.model.events import RunRecord
from jupyter_mlops.model.ports import CellProgress, ExecutionResult
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import StepProgress, run_pipeline
from jupyter_mlops.project import Project, open_project

from .conftest import WINE, write_notebook, write_pipeline

OFFLINE = Config(tracking_uri="http://127.0.0.1:9", delivery_timeout=1.0)


def records(project: Project) -> list[RunRecord]:
    return [run for path in list_sessions(project.journal) for run in read_session(path).runs]


def files(project: Project) -> set[str]:
    return {p.relative_to(project.root).as_posix() for p in project.root.rglob("*")}


def test_a_pipeline_from_the_parameters_to_the_model_version(wine: Project) -> None:
    subprocess.run(["git", "init", "-q"], cwd=wine.root, check=True)
    sources = {p: p.read_bytes() for p in wine.pipelines.rglob("*") if p.is_file()}
    steps: list[StepProgress] = []
    cells: list[CellProgress] = []
    outcome = run_pipeline(
        wine,
        load_config(wine.root),
        "wine",
        {"depth": "1"},
        progress=cells.append,
        on_step=steps.append,
        trigger={"schedule": "nightly"},
    )
    assert (outcome.status, outcome.exit_code, outcome.error) == ("FINISHED", 0, None)
    assert outcome.params == {"depth": 1, "share": 0.5}
    assert 0.5 < outcome.metrics["accuracy"] < 0.9
    assert outcome.delivered
    assert outcome.warnings == ()
    (version,) = outcome.versions
    assert (version.name, version.version, version.run_id) == ("wine", 1, outcome.run_id)
    assert [(s.name, s.status, s.attempts) for s in outcome.steps] == [
        ("load", "finished", 1),
        ("train", "finished", 1),
    ]
    json.dumps(outcome.to_dict())

    # The record in the journal is what was delivered.
    (run,) = records(wine)
    assert (run.kind, run.pipeline, run.experiment) == ("pipeline", "wine", "wine quality")
    assert run.params == outcome.params
    assert run.tags["mlflow.source.name"] == "pipelines/wine/pipeline.yaml"
    assert run.tags["mlflow.source.type"] == "JOB"
    assert run.tags["mlops.schedule"] == "nightly"
    assert [f.name for f in run.files] == [
        "steps/load.ipynb",
        "steps/train.ipynb",
        "pipeline.yaml",
    ]
    (model,) = run.models
    assert (model.class_name, model.format, model.example_format) == (
        "DecisionTreeClassifier",
        "skops",
        "npy",
    )
    session = read_session(next(list_sessions(wine.journal)))
    assert session.header is not None
    assert session.header.kind == "runner"
    assert session.unfinished == ()

    # Files are handed over inside the run's folder; nothing else was touched.
    folder = wine.runs / outcome.run_id
    assert outcome.output == folder
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "state.json",
        "load.ipynb",
        "load/wine.npz",
        "train.ipynb",
        "train/model.skops",
        "train/metrics.json",
        "train/example.npy",
    }
    assert {p: p.read_bytes() for p in wine.pipelines.rglob("*") if p.is_file()} == sources

    assert [(s.step, s.state, s.number, s.total) for s in steps] == [
        ("load", "started", 1, 2),
        ("load", "completed", 1, 2),
        ("train", "started", 2, 2),
        ("train", "completed", 2, 2),
    ]
    assert {c.state for c in cells} == {"started", "completed"}


def test_a_notebook_records_itself_and_its_tracked_cells(mlflow_project: Project) -> None:
    path = write_notebook(
        mlflow_project.root / "work" / "explore.ipynb",
        "n: int = 3\nwhen = str(4)",
        "%load_ext jupyter_mlops",
        "%%track\nalpha = 1.0\nscore = 1 / (1 + n)",
        "import os\nassert os.path.basename(os.getcwd()) == 'work'\n"
        "assert os.environ['JUPYTER_MLOPS_AGENT'] == 'off'\nraise ValueError('no ' + when)",
        tags={0: "parameters"},
    )
    before = path.read_bytes()
    outcome = run_pipeline(mlflow_project, load_config(mlflow_project.root), path, {"n": "4"})
    assert (outcome.status, outcome.exit_code, outcome.kind) == ("FAILED", 1, "notebook")
    assert outcome.error is not None
    assert outcome.error["evalue"] == "no 4"
    assert outcome.error["line"] == "raise ValueError('no ' + when)"
    assert outcome.error["step"] == "explore"
    assert outcome.params == {"n": 4}
    assert outcome.output == mlflow_project.runs / outcome.run_id / "explore.ipynb"
    assert path.read_bytes() == before
    (child,) = outcome.children
    assert (child.parent, child.kind, child.status) == (outcome.run_id, "cell", "FINISHED")
    assert child.notebook == "work/explore.ipynb"
    assert child.metrics == {"score": 0.2}
    assert outcome.delivered

    run = next(r for r in records(mlflow_project) if r.run_id == outcome.run_id)
    assert (run.kind, run.notebook, run.status) == ("notebook", "work/explore.ipynb", "FAILED")
    assert run.error is not None
    assert run.error["ename"] == "ValueError"
    assert [f.name for f in run.files] == ["explore.ipynb"]
    assert run.tags["mlflow.source.type"] == "NOTEBOOK"


# --- an executor that writes what it is told: everything but the kernel is real ------------------


class Writes:
    """An executor that calls ``write(step, parameters)`` instead of a kernel."""

    def __init__(self, write: Callable[[str, Any], None]) -> None:
        self.write = write

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        pass

    def execute(
        self, notebook: Path, output: Path, parameters: Any, **options: Any
    ) -> ExecutionResult:
        output.write_text("{}")
        self.write(notebook.stem, parameters)
        return ExecutionResult("completed", output, 0.0)


def run_wine(project: Project, write: Callable[[str, Any], None], **options: Any) -> Any:
    with replaced_port("executor", lambda: Writes(write)):
        return run_pipeline(project, OFFLINE, "wine", {}, **options)


def results(metrics: str = '{"accuracy": 1}', model: bytes | None = None) -> Any:
    def write(step: str, parameters: Any) -> None:
        if step == "load":
            Path(parameters["data_path"]).write_text("data")
            return
        assert Path(parameters["data_path"]).read_text() == "data"
        Path(parameters["metrics_path"]).write_text(metrics)
        Path(parameters["example_path"]).write_bytes(b"example")
        if model is not None:
            Path(parameters["model_path"]).write_bytes(model)
        else:
            import skops.io
            from sklearn.dummy import DummyClassifier

            skops.io.dump(DummyClassifier(), parameters["model_path"])

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (results(metrics="nope"), "metrics.json is not JSON"),
        (results(metrics="[1]"), "metrics.json must be one object of metrics, not list"),
        (results(metrics='{"a": "1"}'), "metric 'a' must be a number, not '1'"),
        (results(metrics='{"a": true}'), "metric 'a' must be a number, not True"),
        (results(model=b"pickle"), "model.skops is not a skops file"),
    ],
)
def test_results_that_are_not_what_they_should_be(wine: Project, write: Any, message: str) -> None:
    outcome = run_wine(wine, write)
    assert (outcome.status, outcome.exit_code) == ("FAILED", 1)
    assert message in outcome.error["evalue"]
    (run,) = records(wine)
    assert run.status == "FAILED"
    assert run.register is None
    assert run.models == ()


def test_a_tracking_server_that_is_away(wine: Project) -> None:
    outcome = run_wine(wine, results())
    assert (outcome.status, outcome.exit_code, outcome.delivered) == ("FINISHED", 0, False)
    (warning,) = outcome.warnings
    assert "http://127.0.0.1:9" in warning
    assert "The run is kept: `jupyter mlops sync` delivers it." in warning
    assert outcome.register == "wine"
    (run,) = records(wine)
    assert (run.register, run.register_model) == ("wine", "model")
    assert run_wine(wine, results(), require_delivery=True).exit_code == 5


def test_no_register_keeps_the_model_on_the_run(wine: Project) -> None:
    assert run_wine(wine, results(), register=False).register is None
    (run,) = records(wine)
    assert run.register is None
    assert run.models[0].blob is not None


def test_a_model_over_the_limit_is_named_and_not_kept(wine: Project) -> None:
    with replaced_port("executor", lambda: Writes(results())):
        outcome = run_pipeline(wine, OFFLINE.with_(model_size_limit=10), "wine", {})
    assert outcome.status == "FINISHED"
    assert "more than the limit of 10" in outcome.warnings[0]
    (run,) = records(wine)
    assert run.models[0].blob is None
    assert run.register is None


def test_secrets_are_not_written_down(wine: Project) -> None:
    text = WINE.replace("  share:", "  api_key: {type: string, default: none}\n  share:")
    (wine.pipelines / "wine" / "pipeline.yaml").write_text(text)
    notebook = wine.pipelines / "wine" / "load.ipynb"
    notebook.write_text(notebook.read_text().replace("share = 0.5", "share = 0.5; api_key = 'x'"))
    given: list[str] = []

    class Prints(Writes):
        def execute(
            self, notebook: Path, output: Path, parameters: Any, **options: Any
        ) -> ExecutionResult:
            result = super().execute(notebook, output, parameters, **options)
            node = new_notebook(cells=[new_code_cell("share = 0.5")])
            if "api_key" in parameters:
                given.append(parameters["api_key"])
                node.metadata["papermill"] = {"parameters": dict(parameters)}
                source = f"# Parameters\napi_key = {json.dumps(given[0])}\nshare = 0.5"
                injected = new_code_cell(source, metadata={"tags": ["injected-parameters"]})
                injected.outputs = [new_output("stream", text=f"using {given[0]}!")]
                node.cells.append(injected)
            nbformat.write(node, output)
            return result

    with replaced_port("executor", lambda: Prints(results())):
        outcome = run_pipeline(wine, OFFLINE, "wine", {"api_key": 'hun"ter2'})
    assert given == ['hun"ter2']  # the kernel gets it
    assert outcome.params["api_key"] == "***"
    written = [p for p in wine.state.rglob("*") if p.is_file()]
    assert not [p for p in written if b"ter2" in p.read_bytes()]
    executed = nbformat.read(wine.runs / outcome.run_id / "load.ipynb", as_version=4)
    nbformat.validate(executed)
    assert executed.cells[1].source == '# Parameters\napi_key = "***"\nshare = 0.5'
    assert executed.cells[1].outputs[0].text == "using ***!"
    assert executed.metadata.papermill.parameters.api_key == "***"


def test_an_interrupt_is_recorded_and_not_delivered(wine: Project) -> None:
    def interrupt(step: str, parameters: Any) -> None:
        raise KeyboardInterrupt

    outcome = run_wine(wine, interrupt)
    assert (outcome.status, outcome.exit_code, outcome.delivered) == ("KILLED", 130, False)
    assert outcome.error["step"] == "load"
    (run,) = records(wine)
    assert (run.status, run.register) == ("KILLED", None)
    assert [f.name for f in run.files] == ["steps/load.ipynb", "pipeline.yaml"]


def test_what_goes_wrong_around_a_run_is_recorded_and_raised(wine: Project) -> None:
    def full(step: str, parameters: Any) -> None:
        raise ProjectError("the disk is full")

    with pytest.raises(ProjectError, match="the disk is full"):
        run_wine(wine, full)
    (run,) = records(wine)
    assert run.status == "FAILED"
    assert run.error == {"ename": "ProjectError", "evalue": "the disk is full"}


# --- bad input: nothing is written, no kernel is started ------------------------------------------


@pytest.mark.parametrize(
    ("target", "given", "error", "message"),
    [
        ("whine", {}, NotFoundError, "there is no pipeline or notebook 'whine'"),
        ("wine", {"deep": "1"}, ParameterError, r"unknown parameter 'deep' of pipeline 'wine'"),
        ("wine", {"depth": "0"}, ParameterError, r"'depth' .* expected a whole number .at least 1"),
        ("wine", {"depth": "x"}, ParameterError, 'got "x"'),
        ("gone", {}, NotebookError, r"gone\.ipynb does not exist"),
        ("broken", {}, NotebookError, r"broken\.ipynb is not a notebook"),
        ("unused", {}, PipelineError, "no step declares the parameter 'extra'"),
        ("kernel", {}, UsageError, "the kernel 'nope' is not installed"),
        ("link", {}, PipelineError, "leads out of the pipeline's folder"),
        ("other.ipynb", {}, UsageError, "the kernel 'conda-gone'"),
        ("plain.ipynb", {"n": "1"}, NotebookError, "has no cell tagged 'parameters'"),
        ("tagged.ipynb", {"n": "x"}, ParameterError, r"'n' of tagged\.ipynb: expected a number"),
        ("tagged.ipynb", {"n = 1\nimport os": "x"}, ParameterError, "cannot name a parameter"),
    ],
)
def test_bad_input(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    given: dict[str, str],
    error: type[MlopsError],
    message: str,
) -> None:
    step = "version: 1\nname: {0}\nsteps:\n  - {{name: a, notebook: {0}.ipynb}}\n"
    folder = write_pipeline(project, "wine", WINE)
    write_notebook(folder / "load.ipynb", "share = 1\ndata_path = ''", tags={0: "parameters"})
    write_notebook(folder / "train.ipynb", "depth = 1", tags={0: "parameters"})
    for name in ("gone", "broken", "unused", "kernel", "link"):
        folder = write_pipeline(project, name, step.format(name))
        if name not in ("gone", "link"):
            write_notebook(folder / f"{name}.ipynb", "n = 1", tags={0: "parameters"})
    (project.pipelines / "broken" / "broken.ipynb").write_text("{ not json")
    with (project.pipelines / "unused" / "pipeline.yaml").open("a") as file:
        file.write("parameters: {extra: {default: 1}}\n")
    with (project.pipelines / "kernel" / "pipeline.yaml").open("a") as file:
        file.write("kernelspec: nope\n")
    outside = write_notebook(project.root / "plain.ipynb", "n = 1")
    (project.pipelines / "link" / "link.ipynb").symlink_to(outside)
    write_notebook(project.root / "other.ipynb", "n = 1", kernel="conda-gone")
    write_notebook(project.root / "tagged.ipynb", "n = 1", tags={0: "parameters"})
    before = files(project)
    monkeypatch.chdir(project.root)
    with pytest.raises(error, match=message) as caught:
        run_pipeline(project, OFFLINE, target, given)
    assert caught.value.exit_code == 2
    assert files(project) == before


def test_a_project_that_cannot_be_written(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    write_notebook(root / "a.ipynb", "1")
    (root / ".mlops").write_text("in the way")
    with pytest.raises(ProjectError, match="cannot be written"):
        run_pipeline(open_project(root, create=False), OFFLINE, root / "a.ipynb", {})
    assert sorted(os.listdir(root)) == [".mlops", "a.ipynb"]
