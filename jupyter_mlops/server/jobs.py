"""Promotions and runs as jobs: child processes that this server starts, watches and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from logging import Logger
from pathlib import Path
from typing import Any

from ..errors import ConflictError, MlopsError, NotFoundError, RunError
from ..model.ids import new_id
from ..model.pipeline import Pipeline
from ..project import Project

__all__ = ["Job", "Jobs"]

_KEPT = 200  # jobs that have ended and can still be asked about
_OUTPUT = 4 * 1024 * 1024  # bytes kept of what a child prints
_STEPS = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0))


@dataclass(frozen=True, slots=True)
class _Work:
    """What a job does, and how it is spoken of."""

    command: list[str]
    said: bytes
    noun: str
    doing: str
    done: Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]


@dataclass(slots=True)
class Job:
    """A job: ``state`` is ``running``, ``done`` or ``failed``; ``error`` says why it failed.

    ``kind`` is ``promotion`` or ``run``; ``subject`` a notebook or a pipeline's folder.
    """

    id: str
    kind: str
    project: Project
    subject: Path
    state: str = "running"
    message: str = ""
    result: dict[str, Any] | None = None
    error: MlopsError | None = None


class Jobs:
    """The jobs of this server, in memory; ``limit`` run at once, four times as many may wait.

    ``changed(job, action)`` is called in the event loop when a job is made, moves on, or ends.
    """

    def __init__(
        self,
        limit: int,
        changed: Callable[[Job, str], None],
        log: Logger,
        command: Callable[[Path, Mapping[str, Any]], list[str]] | None = None,
        run_command: Callable[[Path, Mapping[str, Any]], list[str]] | None = None,
    ) -> None:
        self._limit = limit
        self._changed = changed
        self._log = log
        self._command = command or _promote
        self._run_command = run_command or _run_pipeline
        self._slots = asyncio.Semaphore(limit)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def promote(
        self, project: Project, notebook: Path, asked: Mapping[str, Any] | None = None
    ) -> Job:
        """Start promoting a notebook; ``asked`` are the options of ``NewPromotion``.

        Raises ``ConflictError`` when this notebook is being promoted, or too many jobs wait.
        """
        self._refuse_second(notebook, f"{notebook.name} is being promoted already", "path")
        asked = asked or {}
        edits = json.dumps(asked["edits"]).encode() if asked.get("edits") else b""
        return self._start(
            Job(new_id(), "promotion", project, notebook),
            _Work(
                self._command(notebook, asked),
                edits,
                "promotion",
                f"Promoting {notebook.name}: replaying it in a fresh kernel.",
                partial(_promoted, notebook),
            ),
        )

    def run(self, project: Project, pipeline: Pipeline, given: Mapping[str, Any]) -> Job:
        """Start ``jupyter mlops run`` of a pipeline with parameters that were checked before.

        A text is read by the parameter's type.  Raises ``ConflictError`` as ``promote`` does.
        """
        folder = Path(pipeline.folder)
        self._refuse_second(folder, f"{pipeline.name} is being run already", "pipeline")
        return self._start(
            Job(new_id(), "run", project, folder),
            _Work(
                self._run_command(folder, given),
                b"",
                "run",
                f"Running {pipeline.name}.",
                partial(_ran, pipeline.name),
            ),
        )

    def _refuse_second(self, subject: Path, message: str, field: str) -> None:
        for job_id in self._tasks:
            if self._jobs[job_id].subject == subject:
                raise ConflictError(message, job=job_id, field=field)

    def _start(self, job: Job, work: _Work) -> Job:
        if len(self._tasks) >= self._limit * 5:
            raise ConflictError(
                f"{len(self._tasks)} jobs are running or waiting already",
                hint="Wait for one of them to end.",
            )
        job.message = "Waiting for another job."
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._follow(job, work))
        self._changed(job, "created")
        while len(self._jobs) > _KEPT + len(self._tasks):
            oldest = next(key for key in self._jobs if key not in self._tasks)
            del self._jobs[oldest]
        return job

    def get(self, job_id: str) -> Job:
        """The job; ``NotFoundError`` when this server knows no such job."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFoundError(
                f"there is no job {job_id}", hint="Jobs are forgotten when the server ends."
            ) from None

    async def close(self) -> None:
        """End every job's process group, and wait until they have ended."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, job: Job, work: _Work) -> None:
        try:
            async with self._slots:
                job.message = work.doing
                self._changed(job, "updated")
                await self._execute(job, work)
        except asyncio.CancelledError:
            job.state, job.error = "failed", RunError("the server ended before the job did")
            raise
        except MlopsError as error:
            job.state, job.error = "failed", error
        except Exception as error:
            self._log.exception("jupyter_mlops: job %s failed", job.id)
            job.state, job.error = "failed", RunError(f"the job failed: {type(error).__name__}")
        finally:
            if job.error is not None:
                job.message = job.error.message
            del self._tasks[job.id]
            if not self._closing:
                self._changed(job, "updated")

    def _progress(self, job: Job, said: bytes) -> None:
        # What a person would read in the terminal: the cell that runs.
        message = _last_line(said[-4096:])[:140]
        if message and message != job.message:
            job.message = message
            self._changed(job, "updated")

    async def _execute(self, job: Job, work: _Work) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *work.command,
                cwd=job.project.root,
                stdin=asyncio.subprocess.PIPE if work.said else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=os.name != "nt",
            )
        except OSError as error:
            raise RunError(f"the {work.noun} could not be started: {error}") from error
        try:
            await _tell(process, work.said)
            output, errors, _ = await asyncio.gather(
                _drain(process.stdout),
                _drain(process.stderr, lambda said: self._progress(job, said)),
                process.wait(),
            )
        except BaseException:
            await asyncio.shield(_end(process))
            raise
        _finish(job, work, process.returncode or 0, output, errors)


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _promote(notebook: Path, asked: Mapping[str, Any]) -> list[str]:
    # This server's interpreter; the notebook's kernelspec decides about its kernel.
    command = [sys.executable, "-P", "-m", "jupyter_mlops", "promote", "--json"]
    for name in ("name", "run", "steps", "data"):
        if asked.get(name) is not None:
            command.append(f"--{name}={asked[name]}")
    for name in ("drop_displays", "allow_pickle", "force"):
        if asked.get(name):
            command.append(f"--{name.replace('_', '-')}")
    if asked.get("edits"):
        command.append("--edits=-")
    return [*command, "--", str(notebook), *asked.get("targets", ())]


async def _tell(process: asyncio.subprocess.Process, said: bytes) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(said)
            await process.stdin.drain()
        process.stdin.close()


def _run_pipeline(folder: Path, given: Mapping[str, Any]) -> list[str]:
    command = [sys.executable, "-P", "-m", "jupyter_mlops", "run", "--json", str(folder)]
    for name, value in given.items():
        command += ["-p", name, value if isinstance(value, str) else json.dumps(value)]
    return command


def _promoted(notebook: Path, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    equal = data.get("verdict") == "equal"
    proof = "its replay was equal" if equal else "unproven, with no metric to compare"
    return f"{notebook.name} is now the pipeline {data.get('name')}: {proof}.", data


# Of what ``jupyter mlops run --json`` prints; not the folders of this machine.
_OF_A_RUN = (
    *("run_id", "name", "status", "exit_code", "seconds", "metrics", "versions", "delivered"),
    "warnings",
)


def _ran(name: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    made = [f"{v.get('name')} v{v.get('version')}" for v in data.get("versions") or ()]
    message = f"{name} has run" + (f" and made {', '.join(made)}." if made else ".")
    return message, {key: data[key] for key in _OF_A_RUN if key in data}


def _finish(job: Job, work: _Work, code: int, output: bytes, errors: bytes) -> None:
    try:
        data = json.loads(output)
    except ValueError:
        data = {}
    if not isinstance(data, dict):
        data = {}
    if code == 0:
        job.message, job.result = work.done(data)
        job.state = "done"
    elif isinstance(data.get("error"), dict):
        raise _error_of(data)
    else:
        how = f"with code {code}" if code >= 0 else f"by signal {-code}"
        raise RunError(f"the {work.noun} ended {how}: {_last_line(errors) or 'no message'}")


def _error_of(data: dict[str, Any]) -> MlopsError:
    """What a child printed as its error: one of ours, or the cell in which a run failed."""
    error = data["error"]
    if "message" in error:
        return MlopsError.from_dict(error)
    where = [f"step {error['step']}"] if error.get("step") else []
    where += [f"cell [{error['cell']}]"] if error.get("cell") else []
    said = f"{error.get('ename', 'error')}: {error.get('evalue', '')}".rstrip(": ")
    return RunError(
        f"{', '.join(where) or 'the run'}: {said}",
        hint="The executed notebook is kept: jupyter mlops runs show " + str(data.get("run_id")),
        run_id=data.get("run_id"),
    )


async def _drain(
    stream: asyncio.StreamReader | None, heard: Callable[[bytes], None] | None = None
) -> bytes:
    """Read to the end and keep the last part; ``heard`` is called with it as it grows."""
    kept = b""
    while stream is not None and (chunk := await stream.read(65536)):
        kept = (kept + chunk)[-_OUTPUT:]
        if heard is not None:
            heard(kept)
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process group: politely first, so that it cleans up what it had begun to write."""
    for number, seconds in _STEPS:
        _signal(process, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            break
    # Also where the leader has ended: what it started may be left.
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "nt":
            process.terminate()
        else:
            # The child leads a session of its own, so its group bears its number.
            os.killpg(process.pid, number)
