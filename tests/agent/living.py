"""A project whose agent may be started, and the certainty that nothing of it survives the test."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.config import Config, load_config
from jupyter_mlops.project import Project

REPOSITORY = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until ``condition()`` is true and return what it returned; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"nothing came within {seconds:g} s"
        time.sleep(0.02)


def processes_of(project: Project) -> list[psutil.Process]:
    """The live processes of this package that work for a project."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            ours = any(word.startswith("jupyter_mlops.") for word in command)
            if ours and str(project.root) in command and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def agent_process(project: Project) -> psutil.Process:
    """The running agent."""
    return psutil.Process(agent_client.hello(project)["pid"])


def config_of(project: Project) -> Config:
    return load_config(project.root)


@pytest.fixture
def living(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with the agent turned on; at the end it is stopped, and no process is left."""
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT", "on")
    # Children are started with -P, from the root folder: a checkout must say where it is.
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    before = {p.pid for p in psutil.Process().children()}
    yield project
    agent_client.stop(project, timeout=40.0)
    deadline = time.monotonic() + 20.0
    while (left := processes_of(project)) and time.monotonic() < deadline:
        time.sleep(0.05)
    shown = [(p.pid, p.cmdline()) for p in left if p.is_running()]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert shown == []
    zombies = [
        p.pid
        for p in psutil.Process().children()
        if p.pid not in before and p.status() == psutil.STATUS_ZOMBIE
    ]
    assert zombies == []


def log_of(project: Project) -> str:
    return (project.agent / "agent.log").read_text()


def kill(process: psutil.Process) -> None:
    """kill -9, and wait until it is gone."""
    os.kill(process.pid, 9)
    until(lambda: gone(process))


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended; it may still wait for init, in a container, to reap it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
