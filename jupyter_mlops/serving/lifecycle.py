"""Deploying, swapping and stopping: each deployment is changed by one process at a time.

Whoever starts or ends a server holds the deployment's file lock, from before the server is started
until it serves; the agent leaves a locked deployment alone.  ``stop`` first says in the row that
the deployment is not wanted, which makes a deploy that is waiting for its server give up.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..config import Config
from ..errors import AgentUnavailable, ConflictError, MlopsError, RunError
from ..journal import ProcessIdentity
from ..model.registry import ModelSpec, parse_model_spec
from ..project import Project, file_lock
from ..state import StateDB
from ..state.deployments import (
    DeploymentRow,
    deployment_row,
    drop_deployment,
    insert_deployment,
    update_deployment,
)
from .bundle import pin_bundle, read_bundle
from .deployment import Deployment, current, find_row, view
from .process import end, folder_of, launch, why_ended

__all__ = ["deploy", "deploy_folder", "held", "remove_deployment", "stop_deployment"]

_READY_SECONDS = 300.0
_GRACE_SECONDS = 15.0
_HOST = "127.0.0.1"


def deploy(project: Project, config: Config, spec: str, *, port: int = 0) -> Deployment:
    """Serve ``NAME@VERSION`` or ``NAME@ALIAS`` on 127.0.0.1; return when it answers.

    An alias is resolved now: the deployment keeps that version when the alias moves on.  Deployed
    again, what runs the same version already is returned as it is, and another version takes the
    port over when it has been checked, without a refused connection.  ``port`` 0 keeps the former
    port or takes a free one.

    Raises ``UntrustedError`` for a model that is not stored as skops, ``RunError`` when it cannot
    be loaded or cannot score its own input example, ``ConflictError`` when the port is taken; the
    deployment is then left ``failed``, or at the version that ran before.
    """
    # The process that serves imports this package, and has no use for the registry.
    from ..registry import model_folder
    from ..tracking import refresh, sync_state

    wanted = parse_model_spec(spec)
    notes: tuple[str, ...] = ()
    if wanted.alias is not None:
        refresh(project, config)  # Someone may have moved the alias with MLflow's own tools.
        problem = sync_state(project).error
        if problem is not None:
            notes = (f"{spec} is as it was last known: {problem.get('message')}",)
    folder, version = model_folder(project, config, spec)
    made = deploy_folder(project, config, wanted, folder, version.version, port=port)
    return replace(made, warnings=made.warnings + notes)


def deploy_folder(
    project: Project, config: Config, spec: ModelSpec, folder: Path, version: int, *, port: int = 0
) -> Deployment:
    """``deploy`` for a model folder that is on this machine already."""
    bundle = read_bundle(folder)
    db = StateDB(project)
    row = insert_deployment(
        db,
        DeploymentRow(
            id=_new_id(spec.name),
            model=spec.name,
            selector=str(spec.version if spec.version is not None else spec.alias),
            version=version,
            digest="",
            port=port,
            token=secrets.token_urlsafe(32),
            interpreter=sys.executable,
            created=time.time(),
            host=_HOST,
            status="stopped",
            wanted=False,
        ),
    )
    with held(project, row.id):
        row = current(db, row.id)
        _write_authorization(project, row)
        name = pin_bundle(bundle, folder_of(project, row.id) / "models", version)
        if row.alive is None:
            raise ConflictError(
                f"{spec} is served by {row.machine}, which shares this project",
                hint=f"Stop it there: jupyter mlops deployments stop {row.id}",
            )
        if row.alive and row.status == "running" and row.wanted and _answers(row):
            if port not in (0, row.port):
                raise ConflictError(
                    f"{spec} is served on port {row.port} already",
                    hint=f"Stop it first: jupyter mlops deployments stop {row.id}",
                )
            if row.digest != name:
                _swap(project, db, row, name)
        else:
            if row.process is not None:
                end(row.process, grace=_GRACE_SECONDS)
            _start(project, db, row, name, version, port)
        _drop_other_models(folder_of(project, row.id) / "models", name)
        row = current(db, row.id)
    return view(project, row, _supervision(project, config))


def stop_deployment(project: Project, text: str) -> Deployment:
    """End a deployment's server, after the requests in hand; stopped twice is no error.

    Its port and token are kept for when it is deployed again.  Raises ``NotFoundError``, and
    ``ConflictError`` when it runs on another machine.
    """
    db = StateDB(project)
    row = find_row(project, text)
    update_deployment(db, row.id, wanted=False)
    with held(project, row.id):
        row = current(db, row.id)
        if row.alive is None and row.status != "stopped":
            raise ConflictError(
                f"{row.id} runs on {row.machine}, which shares this project",
                hint="It ends there by itself within seconds, if that machine is up.",
            )
        if row.process is not None:
            end(row.process, grace=_GRACE_SECONDS)
        # A new epoch: a server that is only just starting finds out and does not serve.
        update_deployment(
            db, row.id, status="stopped", wanted=False, epoch=row.epoch + 1, pid=None, error=None
        )
        return view(project, current(db, row.id))


def remove_deployment(project: Project, text: str) -> Deployment:
    """Stop a deployment and delete its token, logs and copies of models; return what it was."""
    stopped = stop_deployment(project, text)
    with held(project, stopped.id):
        drop_deployment(StateDB(project), stopped.id)
        shutil.rmtree(folder_of(project, stopped.id), ignore_errors=True)
    return stopped


@contextlib.contextmanager
def held(project: Project, id: str, *, timeout: float = _READY_SECONDS) -> Iterator[None]:
    """Hold a deployment: nobody else starts or ends its server.  ``ProjectError`` after a while."""
    folder = folder_of(project, id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(folder / "lock", timeout=timeout):
        yield


def _start(
    project: Project, db: StateDB, row: DeploymentRow, name: str, version: int, port: int
) -> None:
    try:
        _start_on(project, db, row, name, version, port or row.port)
    except ConflictError as error:
        if port or not row.port or error.fields.get("port") != row.port:
            raise
        # The port it had before is someone else's by now, and nobody asked for it.
        _start_on(project, db, current(db, row.id), name, version, 0)


def _start_on(
    project: Project, db: StateDB, row: DeploymentRow, name: str, version: int, port: int
) -> None:
    epoch = row.epoch + 1
    update_deployment(
        db,
        row.id,
        epoch=epoch,
        status="starting",
        wanted=True,
        version=version,
        digest=name,
        port=port,
        interpreter=sys.executable,
        error=None,
        warnings=(),
        pid=None,
        failures=0,
        restarts=0,
        started=time.time(),
    )
    row = replace(row, epoch=epoch, interpreter=sys.executable)
    try:
        process = launch(project, row, bundle=name, epoch=epoch)
        update_deployment(db, row.id, if_epoch=epoch, process=process)
        _wait_until_ready(project, db, row.id, epoch, process)
    except BaseException as error:
        failed = error if isinstance(error, MlopsError) else None
        update_deployment(
            db,
            row.id,
            if_epoch=epoch,
            status="failed" if failed else "stopped",
            wanted=False,
            error=failed,
            pid=None,
        )
        raise


def _swap(project: Project, db: StateDB, row: DeploymentRow, name: str) -> None:
    """Put another version on the port of the one that serves; on failure that one goes on."""
    epoch = row.epoch + 1
    replacement = replace(row, interpreter=sys.executable)
    try:
        process = launch(project, replacement, bundle=name, epoch=epoch, replaces=True)
        _wait_until_ready(project, db, row.id, epoch, process)
    except MlopsError as error:
        raise type(error)(
            f"{error.message} (version {row.version} goes on serving)",
            hint=error.hint,
            **error.fields,
        ) from error
    update_deployment(db, row.id, if_epoch=epoch, interpreter=sys.executable, failures=0)
    if row.process is not None:
        end(row.process, grace=_GRACE_SECONDS)


def _wait_until_ready(
    project: Project, db: StateDB, id: str, epoch: int, process: ProcessIdentity
) -> None:
    """Return when the server with this epoch serves; end it and raise when it does not."""
    deadline = time.monotonic() + _READY_SECONDS
    try:
        while True:
            row = deployment_row(db, id)
            if row is None or not row.wanted:
                raise ConflictError(f"deployment {id} was stopped while it was starting")
            if row.epoch == epoch and row.status == "running":
                return
            if not process.alive():
                raise why_ended(project, id, epoch, process.pid)
            if time.monotonic() > deadline:
                raise RunError(
                    f"deployment {id} was not ready within {_READY_SECONDS:g} s",
                    hint=f"Its log is {folder_of(project, id) / 'server.log'}.",
                )
            time.sleep(0.05)
    except BaseException:
        end(process, grace=0)
        raise


def _answers(row: DeploymentRow) -> bool:
    connection = http.client.HTTPConnection(row.host, row.port, timeout=5.0)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _supervision(project: Project, config: Config) -> tuple[str, ...]:
    """Make sure that an agent watches over deployments; else what to tell."""
    from ..capture import agent_client

    try:
        if agent_client.ensure(project, config):
            agent_client.call(project, "/v1/wake", {})
            return ()
        agent_client.hello(project)
        return ()
    except AgentUnavailable as error:
        why = str(error) if config.agent else "the agent is turned off"
        return (
            f"not supervised: after a crash or a restart of this machine nothing starts it again "
            f"({why})",
        )


def _write_authorization(project: Project, row: DeploymentRow) -> None:
    """The header in a file for ``curl -H @FILE``: in no shell history, and in no process list."""
    path = folder_of(project, row.id) / "authorization"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"Authorization: Bearer {row.token}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _drop_other_models(folder: Path, keep: str) -> None:
    for path in folder.iterdir():
        if path.name != keep:
            shutil.rmtree(path, ignore_errors=True)


def _new_id(name: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "model"
    return f"{word}-{''.join(secrets.choice('23456789abcdefghjkmnpqrstuvwxyz') for _ in range(4))}"
