"""Asking for a runner for the next time, once this time's work is done."""

from __future__ import annotations

import os
import sys
from typing import Any

from ..capture import agent_client
from ..capture.agent_start import begin_agent, begun
from ..config import load_config
from ..errors import AgentUnavailable
from ..pipelines.delivering import in_ci
from ..project import open_project

__all__ = ["order_runner"]

_SECONDS = 1.0
# What another runner would refuse for the same reason.
_USELESS = {"standing", "shadow", "path"}


def order_runner(state: str, env: dict[str, str], refused: str | None) -> None:
    """Ask the agent, or start one that is asked; ``refused``: why there was none this time."""
    if refused in _USELESS or in_ci():
        return
    named = env.get("JUPYTER_MLOPS_HOME")
    project = open_project(None if named else os.path.dirname(state), create=False)
    config = load_config(project.root)
    if not (config.agent and config.runner and project.exists):
        return
    body: dict[str, Any] = {"interpreter": sys.executable, "env": env, "afresh": bool(refused)}
    try:
        agent_client.call(project, "/v1/runner", body, timeout=_SECONDS)
    except AgentUnavailable:
        if project.state not in begun:
            begin_agent(project, runner=True)
