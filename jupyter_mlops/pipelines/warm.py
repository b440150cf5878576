"""Which kernels of a headless run are forked, and who holds the process they are forked from.

A pipeline of several notebooks holds one itself: its first kernel starts cold while the modules are
imported beside it.  A single notebook would gain nothing by that: it takes the agent's, and where
the agent has none yet, asks for one for the next time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..capture import agent_client
from ..config import Config
from ..errors import MlopsError
from ..model.pipeline import Pipeline
from ..project import Project
from ..warm import end_zygotes, ensure_zygote, imported_modules
from ..warm.choosing import Choice, warm_kernels
from .lookup import find_target

__all__ = ["warm_run"]

_WORTH_HOLDING = 3  # notebooks; for fewer, importing ahead costs what it saves
_OWNER = "runner"


@contextlib.contextmanager
def warm_run(project: Project, config: Config, target: str) -> Iterator[Choice | None]:
    """Run ``target`` within this: its kernels are forked where that is possible.

    Yields the choice, whose ``starts`` say how each kernel was started and why, or ``None`` when
    warm kernels are switched off or the target is not to be found.
    """
    notebooks = _notebooks(project, target) if config.warm else ()
    if not notebooks:
        yield None
        return

    def hold(
        interpreter: tuple[str, ...],
        modules: tuple[str, ...],
        env: Mapping[str, str],
        kind: str,
    ) -> None:
        afresh = kind == "environment"
        ensure_zygote(interpreter, modules, _OWNER, env=env, config=config, afresh=afresh)

    def ask_agent(
        interpreter: tuple[str, ...],
        modules: tuple[str, ...],
        env: Mapping[str, str],
        kind: str,
    ) -> None:
        if config.agent and agent_client.read_pointer(project) is not None:
            body: dict[str, Any] = {
                "interpreter": list(interpreter),
                "modules": list(modules),
                "env": dict(env),
                "afresh": kind == "environment",
            }
            agent_client.call(project, "/v1/warm", body, timeout=5.0)

    several = len(notebooks) >= _WORTH_HOLDING
    try:
        with warm_kernels(imported_modules(*notebooks), hold if several else ask_agent) as choice:
            yield choice
    finally:
        end_zygotes(_OWNER)


def _notebooks(project: Project, target: str) -> tuple[Path, ...]:
    try:
        found = find_target(project, target)
    except MlopsError:
        return ()  # the run itself says so
    if isinstance(found, Pipeline):
        folder = Path(found.folder)
        return tuple(folder / step.notebook for step in found.steps)
    return (found,)
