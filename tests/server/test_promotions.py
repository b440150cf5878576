"""Promotions are child processes: bounded, told about, and ended with the server."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.errors import ConflictError, NotFoundError
from jupyter_mlops.project import Project
from jupyter_mlops.server import promotions
from jupyter_mlops.server.promotions import Job, Jobs

from .conftest import Server, until

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

        def command(notebook: Path, name: str | None) -> list[str]:
            return [sys.executable, "-c", code, str(notebook), str(name)]

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
        job = jobs.promote(project, project.root / "nb.ipynb", "taxi")
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
        job = jobs.promote(project, project.root / "nb.ipynb", None)
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
        started = [jobs.promote(project, Path(f"/nb/{n}.ipynb"), None) for n in range(5)]
        while not list(marks.iterdir()):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert len(list(marks.iterdir())) == 1
        with pytest.raises(ConflictError, match="already") as refused:
            jobs.promote(project, Path("/nb/0.ipynb"), None)
        assert refused.value.fields["job"] == started[0].id
        with pytest.raises(ConflictError, match="5 jobs"):
            jobs.promote(project, Path("/nb/new.ipynb"), None)

    with_jobs(code, steps, limit=1)


def test_the_whole_process_group_ends_with_the_server(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotions, "_STEPS", ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2)))
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
        job.append(jobs.promote(project, project.root / "nb.ipynb", None))
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


def test_a_notebook_that_cannot_be_promoted_fails_its_job(server: Server, place: Path) -> None:
    from jupyter_mlops.project import open_project

    open_project(place)
    (place / "broken.ipynb").write_text("this is no notebook")
    answer = server.post("promotions", path=f"{place.name}/broken.ipynb")
    assert answer.status == 202, answer.text
    job = answer.data["job"]
    assert (job["kind"], job["state"]) == ("promotion", "running")

    def done() -> Any:
        found = server.get(f"jobs/{job['id']}").data["job"]
        return found if found["state"] != "running" else None

    failed = until(done)
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
