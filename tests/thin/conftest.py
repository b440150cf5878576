"""A project whose agent holds a runner, and commands that go through the thin client."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.project import Project, open_project

from ..agent.living import REPOSITORY, gone, processes_of, until

COMMAND = [sys.executable, "-m", "jupyter_mlops"]


class Place:
    """A project, the environment of its commands, and its agent."""

    def __init__(self, project: Project, env: dict[str, str]) -> None:
        self.project = project
        self.env = env

    def notebook(self, name: str, *sources: str) -> str:
        """Write a notebook; return its name."""
        cells = [
            {
                "cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source,
                "outputs": [], "execution_count": None,
            }
            for number, source in enumerate(sources)
        ]  # fmt: skip
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {
            "cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5,
        }  # fmt: skip
        (self.project.root / name).write_text(json.dumps(content))
        return name

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``jupyter mlops`` with these words, in the project."""
        given = self.env | options.pop("env", {})
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(
            [*COMMAND, *words], env=given, cwd=self.project.root, text=True, **options
        )

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The same, to its end."""
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def runners(self) -> list[dict[str, Any]]:
        """What the agent says of its runners."""
        found: list[dict[str, Any]] = agent_client.call(self.project, "/v1/status")["runners"]
        return found

    def taken(self) -> int:
        """How many commands the runners have taken."""
        return sum(runner["runs"] for runner in self.runners())

    def begin(self) -> psutil.Process:
        """Start the agent and its runner, and wait for both; the runner."""
        assert self.run("agent", "start").returncode == 0
        body = {"interpreter": sys.executable, "env": self.env}
        agent_client.call(self.project, "/v1/runner", body)
        return self.ready()

    def ready(self) -> psutil.Process:
        """Wait for a runner that listens."""
        path = self.project.agent / "runners.json"
        until(lambda: path.exists() and json.loads(path.read_text())["runners"])
        (runner,) = self.runners()
        return psutil.Process(runner["pid"])

    def child(self, client: subprocess.Popen[str], runner: psutil.Process) -> psutil.Process:
        """The process that does the work of a client, once its notebook says ``begun``."""
        until(lambda: (self.project.root / "begun").exists() or client.poll() is not None)
        assert client.poll() is None
        (child,) = runner.children()
        return child


Make = Callable[[Path], Place]


@contextlib.contextmanager
def a_place(folder: Path) -> Iterator[Place]:
    root = folder / "proj"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    project = open_project(root)
    packages = folder / "packages"
    packages.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST")}
    env |= {
        "JUPYTER_MLOPS_AGENT": "on",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(packages)]),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "JUPYTER_MLOPS_DELIVERY_TIMEOUT": "1",
    }
    place = Place(project, env)
    held: list[psutil.Process] = []
    try:
        yield place
    finally:
        with contextlib.suppress(Exception):
            held = [psutil.Process(runner["pid"]) for runner in place.runners()]
        agent_client.stop(project, timeout=40.0)
        deadline = time.monotonic() + 20.0
        while processes_of(project) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes_of(project) == []
        for process in held:
            until(lambda process=process: gone(process), 20.0)  # type: ignore[misc]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A project with a runner that the tests of a module share."""
    with a_place(tmp_path_factory.mktemp("thin")) as found:
        found.begin()
        yield found


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Place]:
    """A project of one test, without an agent as yet."""
    with a_place(tmp_path) as found:
        yield found
