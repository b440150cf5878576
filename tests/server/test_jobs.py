"""Promotions are child processes: bounded, told about, and ended with the server."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.errors import ConflictError, NotFoundError
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.server import jobs as job_module
from jupyter_mlops.server.jobs import Job, Jobs

from ..promotion.test_promote import record, write
from .conftest import Server, job_ended, running_server, until

SLEEP = "import time; time.sleep(600)"


def with_jobs(
    code: str,
    steps: Callable[[Jobs, list[tuple[str, str]]], Coroutine[Any, Any, None]],
    limit: int = 2,
) -> None:
    """Run ``steps`` with jobs whose child runs ``code`` in place of a promotion."""

    async def run() -> None:
        told: list[tuple[str, str]] = []

        def changed(job: Job, action: str) -> None:
            told.append((action, job.state))

        def command(notebook: Path, asked: Mapping[str, Any]) -> list[str]:
            return [sys.executable, "-c", code, str(notebook), str(asked.get("name"))]

        jobs = Jobs(limit, changed, logging.getLogger("jobs"), command)
        try:
            await steps(jobs, told)
        finally:
            await jobs.close()

    asyncio.run(run())


async def ended(job: Job) -> None:
    while job.state == "running":
        await asyncio.sleep(0.02)


def test_a_job_that_succeeds_has_a_result(project: Project) -> None:
    code = (
        "import sys, json; print('cell 1 of 2', file=sys.stderr); "
        "print(json.dumps({'name': sys.argv[2]}))"
    )

    async def steps(jobs: Jobs, told: list[tuple[str, str]]) -> None:
        job = jobs.promote(project, project.root / "nb.ipynb", {"name": "taxi"})
        await ended(job)
        assert (job.state, job.result, job.error) == ("done", {"name": "taxi"}, None)
        assert jobs.get(job.id) is job
        assert told[0] == ("created", "running")
        assert told[-1] == ("updated", "done")

    with_jobs(code, steps)


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (
            "import sys; print('{\"error\": {\"message\": \"accuracy differs\", "
            "\"reason\": \"replay_differs\", \"fields\": {\"differences\": [1]}}}'); sys.exit(4)",
            "replay_differs",
            "accuracy differs",
        ),
        ("import sys; sys.exit('no such thing')", "run_failed", "with code 1: no such thing"),
        ("import os; os.kill(os.getpid(), 9)", "run_failed", "by signal 9: no message"),
        ("import sys; print('x' * 9_000_000); sys.exit(3)", "run_failed", "with code 3"),
    ],
)  # fmt: skip
def test_a_job_that_fails_says_why(project: Project, code: str, reason: str, words: str) -> None:
    async def steps(jobs: Jobs, told: list[tuple[str, str]]) -> None:
        job = jobs.promote(project, project.root / "nb.ipynb")
        await ended(job)
        assert job.state == "failed"
        assert job.error is not None
        assert job.error.reason == reason
        assert words in job.message
        assert told[-1] == ("updated", "failed")

    with_jobs(code, steps)


def test_only_so_many_run_at_once_and_one_a_notebook(project: Project, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    code = f"import sys, pathlib; pathlib.Path({str(marks)!r}, sys.argv[1][-7:]).touch(); {SLEEP}"

    async def steps(jobs: Jobs, told: list[tuple[str, str]]) -> None:
        started = [jobs.promote(project, Path(f"/nb/{n}.ipynb")) for n in range(5)]
        while not list(marks.iterdir()):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert len(list(marks.iterdir())) == 1
        with pytest.raises(ConflictError, match="already") as refused:
            jobs.promote(project, Path("/nb/0.ipynb"))
        assert refused.value.fields["job"] == started[0].id
        with pytest.raises(ConflictError, match="5 jobs"):
            jobs.promote(project, Path("/nb/new.ipynb"))

    with_jobs(code, steps, limit=1)


def test_the_whole_process_group_ends_with_the_server(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "_STEPS", ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2)))
    note = tmp_path / "pids"
    code = (
        "import subprocess, sys, os, time, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"open({str(note)!r} + '.tmp', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.replace({str(note)!r} + '.tmp', {str(note)!r})\n"
        "time.sleep(600)\n"
    )
    job: list[Job] = []

    async def steps(jobs: Jobs, told: list[tuple[str, str]]) -> None:
        job.append(jobs.promote(project, project.root / "nb.ipynb"))
        while not note.exists():
            await asyncio.sleep(0.02)

    with_jobs(code, steps)
    assert job[0].state == "failed"
    assert job[0].error is not None
    for pid in map(int, note.read_text().split()):
        until(lambda pid=pid: not _alive(pid))


def test_jobs_that_ended_long_ago_are_forgotten(project: Project) -> None:
    async def steps(jobs: Jobs, told: list[tuple[str, str]]) -> None:
        with pytest.raises(NotFoundError, match="no job 01ARZ3NDEKTSV4RRFFQ69G5FAV"):
            jobs.get("01ARZ3NDEKTSV4RRFFQ69G5FAV")

    with_jobs("", steps)


def promoted(server: Server, path: str, **body: Any) -> dict[str, Any]:
    """Promote over the API, and return the job when it has ended."""
    answer = server.post("promotions", path=path, **body)
    return job_ended(server, answer, "promotion")


def test_a_tracked_notebook_is_promoted(server: Server, place: Path) -> None:
    project = open_project(place)
    cells = [("c1", "factor = 2"), ("c2", "dead_end = 1"), ("c3", "%%track\nscore = factor * 0.25")]
    notebook = write(place / "trips" / "taxi.ipynb", cells)
    record(project, notebook, cells, metrics={"score": 0.5})
    job = promoted(server, f"{place.name}/trips/taxi.ipynb", name="taxi-tips")
    assert (job["state"], job["error"]) == ("done", None), job
    assert (job["result"]["name"], job["result"]["verdict"]) == ("taxi-tips", "equal")
    assert job["result"]["undo"]
    assert "taxi-tips: its replay was equal" in job["message"]
    (pipeline,) = server.get("pipelines", path=place.name).data["pipelines"]
    assert pipeline["name"] == "taxi-tips"
    assert [p["name"] for p in pipeline["parameters"]] == ["factor"]


def test_a_plan_is_shown_changed_and_promoted(server: Server, place: Path) -> None:
    project = open_project(place)
    cells = [("c1", "factor = 2"), ("c2", "dead_end = 1"), ("c3", "%%track\nscore = factor * 0.25")]
    notebook = write(place / "taxi.ipynb", cells)
    record(project, notebook, cells, metrics={"score": 0.5})
    path = f"{place.name}/taxi.ipynb"
    plan = server.ask("POST", "promotions/plan", {"path": path}).data
    assert [(cell["kept"], cell["source"]) for cell in plan["cells"]][:2] == [
        (True, "factor = 2"), (False, "dead_end = 1"),
    ]  # fmt: skip
    assert [p["name"] for p in plan["parameters"]] == ["factor"]
    dropped = plan["cells"][1]["seq"]
    edits = {
        "parameters": {"factor": {"name": "scale", "type": "number"}},
        "cells": {str(dropped): True},
        "steps": [{"name": "score", "first": plan["cells"][0]["seq"]}],
    }
    changed = server.ask("POST", "promotions/plan", {"path": path, "edits": edits}).data
    assert changed["cells"][1]["kept"]
    assert [s["name"] for s in changed["steps"]] == ["score"]
    assert not (place / "pipelines").exists()
    job = promoted(server, path, name="taxi-tips", edits=edits)
    assert job["state"] == "done", job
    (pipeline,) = server.get("pipelines", path=place.name).data["pipelines"]
    assert [p["name"] for p in pipeline["parameters"]] == ["scale"]
    assert (place / "pipelines" / "taxi-tips" / "score.ipynb").is_file()
    wrong = server.ask("POST", "promotions/plan", {"path": path, "steps": "many"})
    assert wrong.status == 400
    assert "'steps'" in wrong.data["message"]


def test_a_replay_that_differs_says_what(server: Server, place: Path) -> None:
    project = open_project(place)
    cells = [("c1", "%%track\nscore = 0.25")]
    notebook = write(place / "taxi.ipynb", cells)
    record(project, notebook, cells, metrics={"score": 0.5})
    job = promoted(server, f"{place.name}/taxi.ipynb")
    assert job["state"] == "failed"
    assert job["error"]["reason"] == "replay_differs"
    assert "score" in str(job["error"]["fields"]["differences"])
    assert not (place / "pipelines" / "taxi").exists()


def test_a_promotion_ends_with_its_server_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "root" / "proj"
    place.mkdir(parents=True)
    (place / "pyproject.toml").write_text("")
    project = open_project(place)
    cells = [("c1", "import time"), ("c2", "%%track\ntime.sleep(600)\nscore = 1.0")]
    record(project, write(place / "slow.ipynb", cells), cells, metrics={"score": 1.0})
    with running_server(tmp_path, tmp_path / "root") as server:
        job = server.post("promotions", path="proj/slow.ipynb").data["job"]
        until(lambda: "sleep" in server.get(f"jobs/{job['id']}").data["job"]["message"], 120)
        started = psutil.Process(server.process.pid).children(recursive=True)
        assert len(started) >= 2  # the promotion and its kernel
    for process in started:
        until(lambda process=process: not _alive(process.pid))
    assert not (place / "pipelines").exists() or not list((place / "pipelines").iterdir())


def test_a_notebook_that_cannot_be_promoted_fails_its_job(server: Server, place: Path) -> None:
    open_project(place)
    (place / "broken.ipynb").write_text("this is no notebook")
    failed = promoted(server, f"{place.name}/broken.ipynb")
    assert failed["state"] == "failed"
    assert failed["error"]["reason"] == "notebook", failed
    assert "broken.ipynb" in failed["error"]["message"]
    assert not (place / "pipelines").exists()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("missing.ipynb", 404, "missing.ipynb"),
        ("data.csv", 400, "data.csv"),
        ("../nb.ipynb", 400, "'path'"),
        ("", 400, "'path'"),
    ],
)
def test_what_cannot_be_promoted_starts_no_job(
    server: Server, place: Path, path: str, status: int, words: str
) -> None:
    (place / "data.csv").write_text("a,b\n")
    full = path if path.startswith("..") or not path else f"{place.name}/{path}"
    answer = server.post("promotions", path=full)
    assert answer.status == status, answer.text
    assert words in answer.data["message"]
    assert not (place / ".mlops").exists()


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
