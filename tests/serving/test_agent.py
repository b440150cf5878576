"""The agent keeps deployments running, and they outlive it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops import serving
from jupyter_mlops.capture import agent_client
from jupyter_mlops.cli.main import main
from jupyter_mlops.journal import process_identity
from jupyter_mlops.model.registry import parse_model_spec
from jupyter_mlops.project import Project
from jupyter_mlops.serving.process import end
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.deployments import deployment_rows

from ..agent.living import agent_process, config_of, kill, living, until

__all__ = ["living"]


@pytest.fixture
def supervised(living: Project) -> Iterator[Project]:
    """A project with an agent, whose servers end with the test however it ends."""
    yield living
    for row in deployment_rows(StateDB(living)):
        if row.process is not None:
            end(row.process, grace=0)


def answers(deployment: serving.Deployment) -> bool:
    connection = http.client.HTTPConnection(str(deployment.url).removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_a_deployment_under_an_agent(
    supervised: Project,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = supervised
    first = serving.deploy_folder(
        project, config_of(project), parse_model_spec("iris@1"), models / "array", 1
    )
    assert first.warnings == ()  # it is supervised: deploying started an agent
    agent = agent_process(project)
    until(lambda: agent_client.call(project, "/v1/status")["deployments"] == 1)
    assert agent_client.call(project, "/v1/status")["ends_in"] is None  # it stays for it

    # A server that is killed is started again on its port.
    os.kill(first.pid or 0, signal.SIGKILL)
    until(lambda: serving.get_deployment(project, first.id).restarts == 1)
    until(lambda: serving.get_deployment(project, first.id).status == "running")
    again = serving.get_deployment(project, first.id)
    assert again.pid != first.pid
    assert again.url == first.url
    assert answers(again)

    # An agent that is killed leaves it alone, and the next one adopts it.
    kill(agent)
    assert answers(again)
    agent_client.ensure(project, config_of(project))
    until(lambda: agent_client.call(project, "/v1/status")["deployments"] == 1)
    assert serving.get_deployment(project, first.id).pid == again.pid

    # So does one that is stopped, unless everything is to end.
    monkeypatch.chdir(project.root)
    for words, ended in ((["agent", "stop"], False), (["agent", "stop", "--all"], True)):
        monkeypatch.setattr(sys, "argv", ["jupyter-mlops", *words, "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--json"])
        assert stopped.value.code == 0
        said = json.loads(capsys.readouterr().out)
        assert said["ended" if ended else "going_on"]["deployments"] == [first.id]
        assert (process_identity(again.pid or 0) is None) is ended
    assert serving.get_deployment(project, first.id).status == "stopped"
