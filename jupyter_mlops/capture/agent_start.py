"""Starting an agent that outlives this process: standard library only, as in ``agent_client``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from ..errors import AgentUnavailable
from ..project import Project

__all__ = ["start_agent", "unavailable"]

# What a kernel's environment says about the kernel itself, or about one cell of it.
_KERNEL_ONLY = ("JPY_", "IPY", "PYDEVD_", "DEBUGPY_", "VSCODE_")
_KERNEL_ONLY_NAMES = {"MPLBACKEND", "MLFLOW_RUN_ID", "PYTHONSTARTUP", "PYTHONINSPECT"}


def start_agent(project: Project, wait: float = 30.0) -> None:
    """Start the project's agent and return when it listens, or after ``wait`` seconds.

    It belongs to a session of its own and to no parent.  Two that are started at once end up as
    one.  Raises ``AgentUnavailable`` with the reason that a failed start gives.
    """
    if not sys.executable:
        raise unavailable(project, "this Python does not know its own executable")
    project.create()
    log = os.open(project.agent / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        starter = subprocess.Popen(
            [sys.executable, "-P", "-m", "jupyter_mlops.agent", str(project.root), "--detach"],
            cwd=os.path.abspath(os.sep),
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if os.name == "nt" else subprocess.PIPE,
            stderr=log,
            close_fds=True,
            **_detached(),
        )
    except OSError as error:
        raise unavailable(project, f"the agent cannot be started: {error}") from error
    finally:
        os.close(log)
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
