"""Starting an agent that outlives this process: standard library only, as in ``agent_client``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ..errors import AgentUnavailable
from ..project import Project

__all__ = ["begin_agent", "begun", "start_agent", "unavailable"]

# What a kernel's environment says about the kernel itself, or about one cell of it.
_KERNEL_ONLY = ("JPY_", "IPY", "PYDEVD_", "DEBUGPY_", "VSCODE_")
_KERNEL_ONLY_NAMES = {"MPLBACKEND", "MLFLOW_RUN_ID", "PYTHONSTARTUP", "PYTHONINSPECT"}

begun: set[Path] = set()  # the states of the projects whose agent ``begin_agent`` has started


def start_agent(project: Project, wait: float = 30.0) -> None:
    """Start the project's agent and return when it listens, or after ``wait`` seconds.

    It belongs to a session of its own and to no parent.  Two that are started at once end up as
    one.  Raises ``AgentUnavailable`` with the reason that a failed start gives.
    """
    starter = _spawn(project, [], subprocess.DEVNULL if os.name == "nt" else subprocess.PIPE)
    if os.name == "nt":  # pragma: no cover
        return
    # The starter forks and ends when the agent listens, so that the agent is nobody's child.
    try:
        said, _ = starter.communicate(timeout=wait)
    except subprocess.TimeoutExpired:
        starter.kill()
        starter.communicate()
        return
    if starter.returncode != 0:
        raise unavailable(project, f"the agent did not start: {_reason(said)}")


def begin_agent(project: Project, *, runner: bool = False) -> None:
    """Start the project's agent, and do not wait until it listens.

    With ``runner`` it is told to hold a process for the next ``jupyter mlops run``.  Raises
    ``AgentUnavailable`` when no process can be started.
    """
    starter = _spawn(project, ["--runner"] if runner else [], subprocess.DEVNULL)
    begun.add(project.state)
    # Who lives longer than that takes must not keep a zombie.
    threading.Thread(target=starter.wait, name="mlops-agent-start", daemon=True).start()


def _spawn(project: Project, options: list[str], output: int) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise unavailable(project, "this Python does not know its own executable")
    project.create()
    log = os.open(project.agent / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    command = [sys.executable, "-P", "-m", "jupyter_mlops.agent", str(project.root), "--detach"]
    try:
        return subprocess.Popen(
            [*command, *options],
            cwd=os.path.abspath(os.sep),
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            close_fds=True,
            **_detached(),
        )
    except OSError as error:
        raise unavailable(project, f"the agent cannot be started: {error}") from error
    finally:
        os.close(log)


def unavailable(project: Project, what: str) -> AgentUnavailable:
    """The error that says so and where to look."""
    return AgentUnavailable(
        f"{project.root}: {what}",
        hint=f"See `jupyter mlops agent status` and {project.agent / 'agent.log'}.",
        root=str(project.root),
    )


def _reason(said: bytes) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return "it ended without saying why"


def _detached() -> dict[str, Any]:
    if os.name == "nt":  # pragma: no cover
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined,unused-ignore]
        return {"creationflags": flags}
    return {"start_new_session": True}


def _clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_KERNEL_ONLY) and name not in _KERNEL_ONLY_NAMES
    }
