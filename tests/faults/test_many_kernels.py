"""Several kernels track at once in a project that nobody has used yet: nothing is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.config import load_config
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import deliver, waiting

from ..agent.living import processes_of, until
from ..capture.conftest import start_kernel
from ..tracking.conftest import client

__all__ = ["client"]

CELL = "%%track --name {kernel}-{number}\nnumber = {number}\nhalf = number / 2"


def track_at_once(
    project: Project, client: Callable[[Project | str], Any], *, kernels: int, runs: int
) -> None:
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(start_kernel(project.root, JUPYTER_MLOPS_AGENT="on"))
            for _ in range(kernels)
        ]
        requests = [(kernel, kernel.send("%load_ext jupyter_mlops")) for kernel in started]
        for number in range(runs):  # Sent without waiting: they all run at the same time.
            for name, kernel in enumerate(started):
                source = CELL.format(kernel=name, number=number)
                requests.append((kernel, kernel.send(source)))
        cards = 0
        for kernel, request in requests:
            outcome = kernel.wait(request)
            assert outcome.ename is None, outcome.traceback
            assert outcome.stderr == ""
            cards += outcome.card is not None
        assert cards == kernels * runs

    def stopped() -> bool:
        agent_client.stop(project, timeout=120.0)
        return not processes_of(project)

    until(stopped, 180.0)
    report = deliver(project, load_config(project.root), wait_lease=60.0, force=True)
    assert report.errors == ()
    assert waiting(project) == 0
    plain = client(project)
    experiments = [e.experiment_id for e in plain.search_experiments()]
    found = plain.search_runs(experiments, max_results=1000)
    names = sorted(run.info.run_name for run in found)
    assert names == sorted(f"{k}-{n}" for k in range(kernels) for n in range(runs))
    for run in found:
        assert run.info.status == "FINISHED"
        number = int(run.info.run_name.rpartition("-")[2])
        assert run.data.params["number"] == str(number)
        assert run.data.metrics["half"] == number / 2


@pytest.mark.timeout(600)
def test_some_kernels_on_a_fresh_project(
    living: Project, client: Callable[[Project | str], Any]
) -> None:
    track_at_once(living, client, kernels=3, runs=4)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_eight_kernels_on_a_fresh_project(
    living: Project, client: Callable[[Project | str], Any]
) -> None:
    track_at_once(living, client, kernels=8, runs=20)
