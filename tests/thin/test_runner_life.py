"""Runners come and go: asked for by the first run, replaced when stale, outlived by their runs."""

from __future__ import annotations

import json
import os
import signal
import socket

import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.errors import UsageError

from ..agent.living import agent_process, gone, kill, until
from .conftest import Place

WAIT = (
    "import pathlib, time\n"
    "pathlib.Path('begun').touch()\n"
    "while not pathlib.Path('go').exists():\n"
    "    time.sleep(0.05)"
)


def test_the_first_run_starts_the_agent_and_its_runner(own: Place) -> None:
    first = own.run("run", own.notebook("one.ipynb", "print(1)"))
    assert first.returncode == 0
    assert "in the journal; the agent delivers it" in first.stdout
    runner = own.ready()
    assert own.taken() == 0
    assert own.run("run", "one.ipynb").returncode == 0
    until(lambda: own.taken() == 1)

    # What is installed changes: it gives way to another one, which takes the next run.
    packages = own.env["PYTHONPATH"].split(os.pathsep)[1]
    os.mkdir(os.path.join(packages, "new-1.0.dist-info"))
    assert own.run("run", "nowhere").returncode == 2
    until(lambda: gone(runner))
    own.ready()
    assert own.run("run", "nowhere").returncode == 2
    assert own.taken() == 1


def test_in_ci_nothing_is_started_and_the_run_is_delivered(own: Place) -> None:
    done = own.run("run", own.notebook("one.ipynb", "print(1)"), env={"CI": "true"})
    assert done.returncode == 0
    assert "Warning: not delivered: " in done.stdout  # it was tried: nobody is at that address
    assert agent_client.read_pointer(own.project) is None
    assert not (own.project.agent / "runners.json").exists()


def test_a_run_outlives_the_agent_and_the_runner(own: Place) -> None:
    runner = own.begin()
    notebook = own.notebook("waits.ipynb", WAIT)
    client = own.start("run", notebook, "--deliver", "now")
    child = own.child(client, runner)
    kill(agent_process(own.project))
    # The runner hears of it, takes no more, and stays for the run's end.
    until(lambda: _closed(own))
    assert runner.is_running()
    os.kill(runner.pid, signal.SIGKILL)
    until(lambda: gone(runner))
    assert child.is_running()
    (own.project.root / "go").touch()
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    assert "Finished in" in out


def _closed(place: Place) -> bool:
    (one,) = json.loads((place.project.agent / "runners.json").read_text())["runners"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(one["socket"]) != 0


@pytest.mark.parametrize(
    "body",
    [{}, {"interpreter": "python", "env": {}}, {"interpreter": "/x", "env": {"A": 1}}],
    ids=str,
)
def test_what_is_no_request_for_a_runner(place: Place, body: dict[str, object]) -> None:
    before = place.runners()
    with pytest.raises(UsageError):
        agent_client.call(place.project, "/v1/runner", body)
    assert place.runners() == before
