"""Starting and ending the processes that serve, and learning why one has ended."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ..errors import MlopsError, RunError
from ..journal import ProcessIdentity, process_identity
from ..project import Project
from ..state.deployments import DeploymentRow

__all__ = ["FAILURE", "end", "folder_of", "launch", "log_tail", "reap", "why_ended"]

FAILURE = "failure.json"
_LOG_LIMIT = 1024 * 1024
# What a server needs of the environment.  Not the credentials of tracking servers and clouds: what
# answers the network holds none that it does not use.
_ENVIRONMENT = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
    "VIRTUAL_ENV", "CONDA_PREFIX", "SYSTEMROOT", "NIX_LD", "NIX_LD_LIBRARY_PATH",
}  # fmt: skip
_PREFIXES = (
    "LC_", "LD_", "DYLD_", "PYTHON", "JUPYTER_MLOPS_", "XDG_", "OMP_", "OPENBLAS_", "MKL_", "BLIS_",
    "VECLIB_", "NUMEXPR_", "GOTO_", "KMP_",
)  # fmt: skip
_SECRET = ("JUPYTER_MLOPS_TRACKING_URI",)  # which may hold a password
# Several requests are scored side by side, each in one thread: more threads in each would fight.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Kept so that each is reaped, and that Python does not complain of one that outlives its object.
_started: dict[int, subprocess.Popen[bytes]] = {}
_exit_codes: dict[int, int] = {}


@atexit.register
def _let_go() -> None:
    # They outlive this process on purpose; Python would warn of each.
    for process in _started.values():
        process.returncode = process.poll() or 0


def folder_of(project: Project, id: str) -> Path:
    """Where one deployment keeps its models, logs and token."""
    return project.state / "deployments" / id


def launch(
    project: Project, row: DeploymentRow, *, bundle: str, epoch: int, replaces: bool = False
) -> ProcessIdentity:
    """Start a server in a session of its own, which outlives the caller; return which process.

    ``replaces`` starts it beside the one that serves.  Raises ``RunError`` when the interpreter
    that the deployment was made with cannot be started.
    """
    folder = folder_of(project, row.id)
    log = folder / "server.log"
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT:
            os.replace(log, f"{log}.1")
    command = [row.interpreter, "-P", "-m", "jupyter_mlops.serving.child"]
    command += [str(project.root), row.id, "--epoch", str(epoch), "--bundle", bundle]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [*command, "--replaces"] if replaces else command,
            cwd=folder,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            close_fds=True,
        )
    except OSError as error:
        raise RunError(
            f"{row.interpreter} cannot be started: {error.strerror or error}",
            hint="Deploy the model again, from an environment that exists.",
        ) from error
    finally:
        os.close(descriptor)
    _started[process.pid] = process
    _exit_codes.pop(process.pid, None)
    identity = process_identity(process.pid)
    if identity is None:  # It has ended already; why is in its log.
        raise why_ended(project, row.id, epoch, process.pid)
    return identity


def end(process: ProcessIdentity, *, grace: float) -> None:
    """Ask a server to end and kill its process group after ``grace`` seconds; wait until it is so.

    Does nothing unless this very process still lives on this machine.
    """
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        if seconds <= 0:
            continue
        if not _alive(process):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
        deadline = time.monotonic() + seconds
        while _alive(process) and time.monotonic() < deadline:
            time.sleep(0.02)


def reap() -> None:
    """Collect the servers that this process started and that have ended."""
    for pid, process in list(_started.items()):
        code = process.poll()
        if code is not None:
            del _started[pid]
            _exit_codes[pid] = code


def why_ended(project: Project, id: str, epoch: int, pid: int | None) -> MlopsError:
    """The error that a server reported, else what can be told of its end."""
    folder = folder_of(project, id)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        report = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
        if report["epoch"] == epoch:
            return MlopsError.from_dict(report["error"])
    if pid in _started:
        # It counts as ended a moment before its last thread has, and only then has a code.
        with contextlib.suppress(subprocess.TimeoutExpired):
            _started[pid].wait(0.5)
    reap()
    code = None if pid is None else _exit_codes.pop(pid, None)
    if code is None:
        what = "the server has ended"
    elif code < 0:
        what = f"the server was ended by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            what += " (is there enough memory for the model?)"
    else:
        what = f"the server ended with exit code {code}"
        tail = log_tail(project, id)
        what += f": {tail[-1]}" if tail else ""
    return RunError(what, hint=f"Its log is {folder / 'server.log'}.")


def log_tail(project: Project, id: str, lines: int = 20) -> list[str]:
    """The last lines of a server's log."""
    try:
        with (folder_of(project, id) / "server.log").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _alive(process: ProcessIdentity) -> bool:
    reap()
    return bool(process.alive())


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in given.items()
        if (name in _ENVIRONMENT or name.startswith(_PREFIXES)) and name not in _SECRET
    }
    for name in _ONE_THREAD:
        kept.setdefault(name, "1")
    return kept
