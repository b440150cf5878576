"""Runs that were killed, at each of their stages, and gone on with: equal, and nothing twice."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.errors import ConflictError, NotFoundError, ParameterError, UsageError
from jupyter_mlops.journal import list_sessions, read_session
from jupyter_mlops.model.ports import ExecutionResult
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import RunOutcome, run_pipeline
from jupyter_mlops.pipelines.run_state import STATE_FILE, read_states
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import find_run

from .conftest import write_notebook
from .five import CONFIG, STEPS, Plain, counts, killed_at, make_five, results, run_five

POINTS = [
    "after state",
    "before begin",
    *(f"{what} {step}" for step in STEPS for what in ("in", "made", "noted")),
    "before record",
    "after record",
    "after end",
    "before delivery",
]
forks = pytest.mark.skipif(os.name == "nt", reason="the killed run is a fork of the test")


@pytest.fixture
def log(project: Project) -> Path:
    return make_five(project)


@cache
def _uninterrupted() -> dict[str, Any]:
    return {}


def uninterrupted(project: Project, log: Path) -> dict[str, Any]:
    """What a run makes that nobody kills; the same in every project."""
    known = _uninterrupted()
    if not known:
        known.update(results(project, run_five(project)))
        log.unlink()
    return known


def statuses(outcome: RunOutcome) -> dict[str, str]:
    return {step.name: step.status for step in outcome.steps}


@forks
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_is_resumed(project: Project, log: Path, point: str) -> None:
    whole = uninterrupted(project, log)
    killed_at(project, point)
    killed = next(read_states(project))
    before = json.loads((killed.folder / STATE_FILE).read_text())
    outcome = run_five(project, resume="last")
    assert results(project, outcome) == whole
    # What counted as finished when it was killed has not run again.
    executed = counts(log)
    assert {name for name in killed.steps if executed[name] != 1} == set()
    assert set(executed) == set(STEPS)
    assert max(executed.values()) <= 2
    # The earlier run stays as it was, and is known to be dead.
    assert json.loads((killed.folder / STATE_FILE).read_text()) == before
    if point in ("after record", "after end", "before delivery"):
        assert outcome.run_id == killed.run_id  # it had finished: there is nothing left to do
        return
    assert outcome.run_id != killed.run_id
    assert outcome.resumes == killed.run_id
    assert {n for n, s in statuses(outcome).items() if s == "resumed"} == set(killed.steps)
    if point not in ("after state", "before begin"):
        assert find_run(project, killed.run_id).status == "KILLED"


@forks
def test_killed_while_it_goes_on_it_is_resumed_again(project: Project, log: Path) -> None:
    whole = uninterrupted(project, log)
    killed_at(project, "in d")
    killed_at(project, "noted a", resume="last")  # b and c are not taken over yet
    killed_at(project, "made d", resume="last")
    outcome = run_five(project, resume="last")
    assert results(project, outcome) == whole
    assert counts(log) == {"a": 1, "b": 1, "c": 1, "d": 3, "e": 1}
    assert len({state.run_id for state in read_states(project) if state.resumes}) == 3


@pytest.fixture
def failed(project: Project, log: Path) -> RunOutcome:
    """A run whose step ``d`` failed; ``d`` is mended."""
    path = project.pipelines / "five" / "d.ipynb"
    good = path.read_bytes()
    write_notebook(path, "of_b = of_c = made = ''; factor = 3", "1 / 0", tags={0: "parameters"})
    outcome = run_five_failing(project)
    path.write_bytes(good)
    return outcome


def run_five_failing(project: Project) -> RunOutcome:
    class Fails(Plain):
        def execute(self, *arguments: object, **options: object) -> ExecutionResult:
            try:
                return super().execute(*arguments, **options)  # type: ignore[arg-type]
            except ZeroDivisionError as error:
                said = {"ename": "ZeroDivisionError", "evalue": str(error)}
                return ExecutionResult("failed", arguments[1], 0.0, said)  # type: ignore[arg-type]

    with replaced_port("executor", Fails):
        return run_five(project, plain=False, parameters={"factor": 5})


def test_a_failed_run_goes_on_with_its_parameters(
    project: Project, log: Path, failed: RunOutcome
) -> None:
    assert statuses(failed)["d"] == "failed"
    outcome = run_five(project, resume=failed.run_id[:20])
    assert statuses(outcome) == {
        "a": "resumed", "b": "resumed", "c": "resumed", "d": "finished", "e": "finished",
    }  # fmt: skip
    assert outcome.params == {"factor": 5}
    assert outcome.metrics == {"e": 30.0}
    assert counts(log) == dict.fromkeys(STEPS, 1)
    runs = [run for path in list_sessions(project.journal) for run in read_session(path).runs]
    assert runs[-1].tags["mlops.resumes"] == failed.run_id


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("code", {"b", "d", "e"}),
        ("comment of the notebook", {"d", "e"}),
        ("module", set(STEPS)),
        ("parameter", set(STEPS)),
        ("output", {"b", "d", "e"}),
        ("output is gone", {"c", "d", "e"}),
        ("executed notebook", {"b", "d", "e"}),
    ],
)
def test_what_has_changed_runs_again(
    project: Project, failed: RunOutcome, change: str, again: set[str]
) -> None:
    folder, run = project.pipelines / "five", project.runs / failed.run_id
    if change == "code":
        text = (folder / "b.ipynb").read_text().replace("print(total)", "total += 0")
        (folder / "b.ipynb").write_text(text)
    elif change == "comment of the notebook":
        node = json.loads((folder / "b.ipynb").read_text())
        node["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "Now.", "id": "m"})
        (folder / "b.ipynb").write_text(json.dumps(node))
    elif change == "module":
        (folder / "lib.py").write_text("a = 1")
    elif change == "output":
        (run / "b" / "b.json").write_text('{"b": 1}')
    elif change == "output is gone":
        (run / "c" / "c.json").unlink()
    elif change == "executed notebook":
        (run / "b.ipynb").write_text((run / "b.ipynb").read_text() + " ")
    told: dict[str, str] = {}
    outcome = run_five(
        project,
        resume="last",
        parameters={"factor": 6} if change == "parameter" else {},
        on_step=lambda step: told.setdefault(step.step, step.detail),
    )
    assert {name for name, status in statuses(outcome).items() if status == "finished"} == again
    assert outcome.metrics == {"e": 36.0 if change == "parameter" else 30.0}
    for name in again - {"d", "e"}:
        assert f"it had finished in run {failed.run_id}, but" in told[name]


def test_a_step_whose_input_came_out_otherwise_runs_again(
    project: Project, failed: RunOutcome
) -> None:
    path = project.pipelines / "five" / "a.ipynb"
    path.write_text(path.read_text().replace("total = factor", "total = factor + 1"))
    told: dict[str, str] = {}
    outcome = run_five(
        project, resume="last", on_step=lambda step: told.setdefault(step.step, step.detail)
    )
    assert set(statuses(outcome).values()) == {"finished"}
    assert told["b"].endswith("its inputs have changed")


def test_a_file_that_a_parameter_names(project: Project, failed: RunOutcome) -> None:
    folder = project.pipelines / "five"
    text = (folder / "pipeline.yaml").read_text()
    more = "parameters:\n  source: {type: string, default: source.csv}\n"
    (folder / "pipeline.yaml").write_text(text.replace("parameters:\n", more))
    path = folder / "c.ipynb"
    path.write_text(path.read_text().replace("factor = 3", "factor = 3; source = ''"))
    source = project.root / "source.csv"
    source.write_text("1")
    path = folder / "e.ipynb"
    good = path.read_bytes()
    write_notebook(path, "of_d = made = ''; factor = 3", "1 / 0", tags={0: "parameters"})
    run_five_failing(project)
    path.write_bytes(good)
    source.write_text("22")
    outcome = run_five(project, resume="last")
    assert statuses(outcome)["c"] == "finished"
    assert statuses(outcome)["b"] == "resumed"


def test_what_cannot_be_resumed(project: Project, log: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no run of pipeline 'five' to resume"):
        run_five(project, resume="last")
    write_notebook(project.root / "alone.ipynb", "1")
    with pytest.raises(UsageError, match="a notebook has no steps"):
        run_pipeline(project, CONFIG, project.root / "alone.ipynb", resume="last")
    outcome = run_five(project)
    with pytest.raises(NotFoundError):
        run_five(project, resume="01NOSUCHRUN")
    state = json.loads((project.runs / outcome.run_id / STATE_FILE).read_text())
    path = project.runs / outcome.run_id / STATE_FILE
    path.write_text(json.dumps({**state, "pipeline": "six"}))
    with pytest.raises(UsageError, match="is of pipeline 'six', not of pipeline 'five'"):
        run_five(project, resume=outcome.run_id)
    path.write_text(json.dumps({**state, "ended": None}))  # this process is alive
    with pytest.raises(ConflictError, match=f"is going on in process {os.getpid()}"):
        run_five(project, resume=outcome.run_id)
    path.write_text(json.dumps({**state, "secrets": ["factor"]}))
    with pytest.raises(ParameterError, match="'factor', which is a secret"):
        run_five(project, resume=outcome.run_id)
    # Parameters that the pipeline has no longer are no hindrance.
    path.write_text(json.dumps({**state, "secrets": ["old"], "given": {"older": 1}}))
    assert run_five(project, resume=outcome.run_id).status == "FINISHED"


def test_no_secret_is_in_the_state(project: Project, log: Path) -> None:
    folder = project.pipelines / "five"
    text = (folder / "pipeline.yaml").read_text()
    more = "parameters:\n  api_key: {type: string, default: ''}\n"
    (folder / "pipeline.yaml").write_text(text.replace("parameters:\n", more))
    path = folder / "a.ipynb"
    path.write_text(path.read_text().replace("factor = 3", "factor = 3; api_key = ''"))
    outcome = run_five(project, parameters={"api_key": "hunter2", "factor": 4})
    written = (project.runs / outcome.run_id / STATE_FILE).read_text()
    assert "hunter2" not in written
    state = json.loads(written)
    assert (state["given"], state["secrets"]) == ({"factor": 4}, ["api_key"])
