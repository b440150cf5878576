"""Which kernels of a headless run are forked, and who holds the process they are forked from.

A pipeline of several notebooks holds one itself.  Its first kernel waits for it where it would
import all of the modules itself; else it starts cold, while they are imported beside it.  A single
notebook would gain nothing by that: it takes the agent's, and where the agent has none yet, asks
for one for the next time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..capture import agent_client
from ..config import Config
from ..errors import MlopsError
from ..model.pipeline import Pipeline
from ..project import Project
from ..warm import WORTH_HOLDING, end_zygotes, holder, imported_modules, waiter
from ..warm.choosing import Absent, Choice, Wait, current_choice, warm_kernels
from .lookup import find_target

__all__ = ["kernel_starts", "warm_run"]

_OWNER = "runner"
_WAIT_SECONDS = 20.0
_lock = threading.Lock()
_within = 0  # runs of this process that may fork from its zygotes


@contextlib.contextmanager
def warm_run(
    project: Project, config: Config, target: str | Path | Pipeline
) -> Iterator[Choice | None]:
    """Run ``target`` within this: its kernels are forked where that is possible.

    Yields the choice, whose ``starts`` say how each kernel was started and why, or ``None`` when
    warm kernels are switched off or the target is not to be found.  It may be entered again inside,
    and by several threads: the process that is forked from lives until the last of them leaves.
    """
    notebooks = _notebooks(project, target) if config.warm else ()
    if not notebooks:
        yield None
        return

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

    modules = imported_modules(*notebooks)
    around = current_choice()
    if around is not None and set(modules) <= set(around.modules):
        yield around  # what was begun for several runs serves each
        return
    absent: Absent = ask_agent
    wait: Wait | None = None
    if len(notebooks) >= WORTH_HOLDING:
        absent = holder(_OWNER, config)
        first = _first(project, target)
        if first and all(set(imported_modules(one)) >= set(modules) for one in first):
            wait = waiter(_OWNER, config, _WAIT_SECONDS)
    with _holding(), warm_kernels(modules, absent, wait) as choice:
        yield choice


def kernel_starts(choice: Choice, run_id: str) -> tuple[dict[str, Any], ...]:
    """How the kernels of a run were started, in order: ``step``, ``start`` and ``why``."""
    own = [report for report in tuple(choice.starts) if report.get("run") == run_id]
    return tuple({key: report[key] for key in ("step", "start", "why")} for report in own)


@contextlib.contextmanager
def _holding() -> Iterator[None]:
    """End the zygotes of this process when the last run that may use them has ended."""
    global _within
    with _lock:
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            last = _within == 0
        if last:
            end_zygotes(_OWNER)


def _first(project: Project, target: str | Path | Pipeline) -> tuple[Path, ...]:
    """The notebooks of the steps that need no other."""
    found = target if isinstance(target, Pipeline) else find_target(project, target)
    if not isinstance(found, Pipeline):
        return ()
    folder = Path(found.folder)
    return tuple(folder / step.notebook for step in found.steps if not step.needs)


def _notebooks(project: Project, target: str | Path | Pipeline) -> tuple[Path, ...]:
    try:
        found = target if isinstance(target, Pipeline) else find_target(project, target)
    except MlopsError:
        return ()  # the run itself says so
    if isinstance(found, Pipeline):
        folder = Path(found.folder)
        return tuple(folder / step.notebook for step in found.steps)
    return (found,)
