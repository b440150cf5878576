"""kill -9 of the kernel, the agent, the delivery or all of them, in a loop of tracked cells.

Every run whose cell had returned is in MLflow exactly once, with all its values, after the next
start, and none is left RUNNING.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.config import Config, load_config
from jupyter_mlops.journal import list_sessions, read_session
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.tracking import deliver, waiting

from ..agent.living import kill, processes_of, until
from ..tracking.conftest import client
from ..tracking.test_server import free_port
from .capture_child import Kernels

__all__ = ["client"]

Client = Callable[[Project | str], Any]
TARGETS = ("kernel", "agent", "delivery", "all")


@pytest.fixture(scope="module")
def kernels() -> Iterator[Kernels]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        environment.setenv("JUPYTER_MLOPS_AGENT", "on")
        process = Kernels()
    yield process
    process.close()


class Loop:
    """Kernels that track one after the other, and somebody who kills."""

    def __init__(self, project: Project, kernels: Kernels, seed: int) -> None:
        self.project = project
        self.kernels = kernels
        self.chance = random.Random(seed)
        self.acks = project.root.parent / "acks"
        self.acks.touch()
        self.first = 0
        self.kernel: int | None = None

    def acknowledged(self) -> list[int]:
        return [int(line) for line in self.acks.read_text().split()]

    def start(self) -> None:
        if self.kernel is None:
            self.kernel = self.kernels.start(self.project.root, self.acks, self.first)
            self.first += 100_000

    def kill(self, target: str) -> None:
        """Let it run for a moment, then kill."""
        if self.kernel is None:
            before = len(self.acknowledged())
            self.start()
            until(lambda: len(self.acknowledged()) > before)
        time.sleep(self.chance.uniform(0.05, 0.8))
        if target in ("agent", "all"):
            for process in self._of("jupyter_mlops.agent"):
                _kill(process)
        if target in ("delivery", "all"):
            for process in self._of("jupyter_mlops.agent.worker"):
                _kill(process)
        if target in ("kernel", "all"):
            self.end()

    def end(self) -> None:
        if self.kernel is not None:
            os.kill(self.kernel, signal.SIGKILL)
            assert self.kernels.wait(self.kernel) == -signal.SIGKILL
            self.kernel = None

    def _of(self, module: str) -> list[psutil.Process]:
        found = []
        for process in processes_of(self.project):
            with contextlib.suppress(psutil.Error):  # It has ended since.
                if module in process.cmdline():
                    found.append(process)
        return found


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        kill(process)


def stop_agents(project: Project) -> None:
    """End the agent, and one that a killed kernel was just about to start."""

    def stopped() -> bool:
        agent_client.stop(project, timeout=60.0)
        return not processes_of(project)

    until(stopped, 90.0)


def deliver_all(project: Project, config: Config) -> None:
    """The next start: everything that is left is delivered."""
    with StateDB(project).write() as connection:
        # A dead delivery's lease runs out by itself after half a minute.
        connection.execute("UPDATE leases SET expires = 0")
    report = deliver(project, config, wait_lease=60.0, force=True)
    assert report.errors == ()
    assert waiting(project) == 0


def check(project: Project, plain: Any, acknowledged: list[int]) -> int:
    """Hold MLflow against what was acknowledged; return how many runs there are."""
    assert acknowledged
    experiments = [e.experiment_id for e in plain.search_experiments()]
    runs: list[Any] = []
    token = None
    while True:
        page = plain.search_runs(experiments, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    ids = collections.Counter(run.data.tags["mlops.run_id"] for run in runs)
    assert set(ids.values()) <= {1}
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    by_cell = {run.data.tags["cell"]: run for run in runs if "cell" in run.data.tags}
    for number in acknowledged:
        run = by_cell[str(number)]
        assert run.info.status == "FINISHED"
        assert run.data.params["number"] == str(number)
        assert run.data.metrics["half"] == number / 2
        history = plain.get_metric_history(run.info.run_id, "loss")
        points = sorted((point.step, point.value) for point in history)
        assert points == [(step, float(number + step)) for step in range(3)]
    models = plain.search_logged_models(experiments, max_results=100)
    keys = collections.Counter(model.tags["mlops.model_key"] for model in models)
    assert set(keys.values()) <= {1}
    for path in list_sessions(project.journal):
        assert read_session(path).damage == ()
    return len(runs)


def kill_at_random(
    project: Project, kernels: Kernels, plain: Any, config: Config, *, kills: int, seed: int
) -> None:
    loop = Loop(project, kernels, seed)
    try:
        for number in range(kills):
            loop.kill(TARGETS[number % len(TARGETS)])
    finally:
        loop.end()
        stop_agents(project)
    deliver_all(project, config)
    runs = check(project, plain, loop.acknowledged())
    print(f"{kills} kills, {len(loop.acknowledged())} cells returned, {runs} runs")


@pytest.mark.timeout(900)
def test_killed_at_some_moments(
    living: Project, mlflow_template: Path, kernels: Kernels, client: Client
) -> None:
    (living.state / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    config = load_config(living.root)
    kill_at_random(living, kernels, client(living), config, kills=8, seed=1)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_killed_at_two_hundred_moments(
    living: Project, mlflow_template: Path, kernels: Kernels, client: Client
) -> None:
    (living.state / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    config = load_config(living.root)
    kill_at_random(living, kernels, client(living), config, kills=200, seed=2)


def with_a_dead_server(
    project: Project,
    kernels: Kernels,
    client: Client,
    template: Path,
    *,
    kills: int,
) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    settings = f'[tool.jupyter-mlops]\ntracking-uri = "{uri}"\ndelivery-timeout = 1.0\n'
    (project.root / "pyproject.toml").write_text(settings)
    loop = Loop(project, kernels, seed=kills)
    try:
        for number in range(kills):
            loop.kill(TARGETS[number % len(TARGETS)])
    finally:
        loop.end()
        stop_agents(project)
    assert waiting(project) >= len(loop.acknowledged()) > 0
    folder = project.root.parent / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(template.read_bytes())
    command = [
        sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1",
        "--port", str(port), "--workers", "1", "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, process_group=0)
    try:
        until(lambda: _answers(port), 120.0)
        deliver_all(project, load_config(project.root))
        check(project, client(uri), loop.acknowledged())
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


@pytest.mark.timeout(900)
def test_killed_while_the_server_is_down(
    living: Project,
    kernels: Kernels,
    client: Client,
    mlflow_template: Path,
) -> None:
    with_a_dead_server(living, kernels, client, mlflow_template, kills=4)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_killed_two_hundred_times_while_the_server_is_down(
    living: Project,
    kernels: Kernels,
    client: Client,
    mlflow_template: Path,
) -> None:
    with_a_dead_server(living, kernels, client, mlflow_template, kills=200)


@pytest.mark.timeout(300)
def test_a_killed_cell_is_closed_with_what_it_had_by_the_agent_of_the_next_one(
    living: Project, mlflow_template: Path, kernels: Kernels, client: Client
) -> None:
    """Within a minute of the next use: the next kernel's agent finds the dead one's open run."""
    (living.state / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    loop = Loop(living, kernels, seed=3)
    loop.start()
    until(loop.acknowledged)
    (path,) = list_sessions(living.journal)
    until(lambda: read_session(path).unfinished)
    loop.end()
    killed = [started.run_id for started in read_session(path).unfinished]
    loop.start()
    began = time.monotonic()
    plain = client(living)

    def closed() -> list[Any]:
        experiments = [e.experiment_id for e in plain.search_experiments()]
        wanted = "attributes.status = 'KILLED'"
        return [
            run
            for run in plain.search_runs(experiments, wanted)
            if run.data.tags["mlops.run_id"] in killed
        ]

    try:
        if killed:  # It may have been killed between two cells.
            until(closed, 60.0)
            assert time.monotonic() - began < 60.0
    finally:
        loop.end()
        stop_agents(living)


def _answers(port: int) -> bool:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1.0):
            return True
    except (OSError, urllib.error.URLError):
        return False
