"""``jupyter mlops agent``: start, stop and inspect the project's background agent."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import click

from ..capture import agent_client
from ..config import load_config
from ..errors import AgentUnavailable, MlopsError, UsageError
from ..project import STATE_NAME, Project, open_project
from .output import duration, echo_json, json_option

__all__ = ["agent"]

# Settings that a service started by systemd would not have otherwise.
_KEPT_VARIABLES = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_PATH")
_UNIT = """\
# A systemd user service that keeps the agent of {root} running.  To install it:
#   mkdir -p ~/.config/systemd/user
#   jupyter mlops agent unit > ~/.config/systemd/user/{name}.service
#   systemctl --user daemon-reload && systemctl --user enable --now {name}
#   loginctl enable-linger      (it then starts with the machine and stays when you log out)
# To take it back: systemctl --user disable --now {name}

[Unit]
Description=jupyter-mlops agent of {description}

[Service]
Type=exec
ExecStart={command}
{environment}Restart=on-failure
RestartSec=5
# Another agent of this project runs in somebody's foreground: not to be fought over.
RestartPreventExitStatus=2
# Deployments and running firings outlive the agent; the next one takes them over.
KillMode=process
TimeoutStopSec=60

[Install]
WantedBy=default.target
"""


@click.group()
def agent() -> None:
    """Start, stop and inspect the background agent.

    It delivers runs, fires schedules and keeps deployments running.  It starts by itself when it is
    needed, and ends when there is nothing more for it to do.
    """


@agent.command()
@json_option
def start(as_json: bool) -> None:
    """Start the agent in the background, unless it runs."""
    project = open_project()
    if not agent_client.ensure(project, load_config(project.root)):
        raise UsageError(
            "the agent is turned off, so it is not started in the background",
            hint="Unset JUPYTER_MLOPS_AGENT (or agent in pyproject.toml), or run it in the "
            "foreground: jupyter mlops agent run",
        )
    greeting = agent_client.hello(project)
    if as_json:
        echo_json(greeting)
        return
    click.echo(f"The agent of {project.root} runs (process {greeting['pid']}).")
    click.echo("To take it back: jupyter mlops agent stop")


@agent.command()
def run() -> None:
    """Run the agent in the foreground, for containers, tmux and systemd; it takes over."""
    command = _command(open_project())
    if os.name == "nt":  # pragma: no cover
        sys.exit(subprocess.call(command))
    sys.stdout.flush()
    # The agent becomes this very process: signals and exit codes are its own.
    os.execv(command[0], command)  # noqa: S606  Without a shell, as it should be.


@agent.command()
@click.option("--all", "everything", is_flag=True, help="End firings and deployments as well.")
@json_option
def stop(everything: bool, as_json: bool) -> None:
    """End the agent after what it has in hand; firings and deployments go on."""
    project = open_project(create=False)
    pid = agent_client.stop(project)
    firings, deployments = _end_all(project) if everything else _going_on(project)
    if as_json:
        key = "ended" if everything else "going_on"
        echo_json({"pid": pid, key: {"firings": firings, "deployments": deployments}})
        return
    click.echo("No agent runs." if pid is None else f"The agent (process {pid}) has ended.")
    verb = "Ended" if everything else "Still running"
    for kind, names in (("firings", firings), ("deployments", deployments)):
        if names:
            click.echo(f"{verb}: {kind} {', '.join(names)}")
    if not everything and (firings or deployments):
        click.echo("To end them, too: jupyter mlops agent stop --all")
    if pid is not None:
        click.echo("To take it back: jupyter mlops agent start")


@agent.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether the agent runs, and what it is doing."""
    project = open_project(create=False)
    config = load_config(project.root)
    try:
        found: dict[str, Any] = agent_client.call(project, "/v1/status")
    except AgentUnavailable as error:
        pointer = agent_client.read_pointer(project)
        if as_json:
            echo_json({"running": False, "enabled": config.agent, "message": error.message})
            return
        click.echo(f"No agent of {project.root} runs.")
        if pointer is not None and pointer.process.alive():
            click.echo(f"Process {pointer.pid} is there, but it does not answer: {error.message}")
        if not config.agent:
            click.echo("It is turned off: the next command delivers, and schedules do not fire.")
        return
    if as_json:
        echo_json(found | {"running": True, "enabled": config.agent})
        return
    where = "in the foreground" if found["foreground"] else "in the background"
    click.echo(f"The agent of {project.root} runs {where} (process {found['pid']}).")
    click.echo(f"  version {found['version']}, under {found['interpreter']}")
    click.echo(f"  up for {duration(found['uptime'])}{_until(found)}")
    click.echo(f"  {_delivery(found['delivery'])}")
    click.echo(f"  firings: {found['firings']}, deployments: {found['deployments']}")
    for runner in found.get("runners", ()):
        taken = f"{runner['state']}, has taken {runner['runs']} runs, {runner['running']} now"
        click.echo(f"  runner of {runner['interpreter']}: {taken}")
    for problem in found["problems"]:
        click.secho(f"  problem: {problem}", fg="yellow")


@agent.command()
def unit() -> None:
    """Print a systemd user service that keeps the agent running, and how to install it."""
    project = open_project()
    root = str(project.root).replace("\n", " ")
    lines = [f"Environment={_quoted(f'{n}={v}')}\n" for n, v in _environment(project).items()]
    click.echo(
        _UNIT.format(
            root=root,
            description=root.replace("%", "%%"),
            name=f"jupyter-mlops-{project.key}",
            # In a command, and nowhere else, a dollar sign begins a variable.
            command=" ".join(_quoted(word).replace("$", "$$") for word in _command(project)),
            environment="".join(lines),
        ),
        nl=False,
    )


def _command(project: Project) -> list[str]:
    root = str(project.root)
    return [sys.executable, "-P", "-m", "jupyter_mlops.agent", root, "--foreground"]


def _environment(project: Project) -> dict[str, str]:
    found = {name: os.environ[name] for name in _KEPT_VARIABLES if os.environ.get(name)}
    if project.state != project.root / STATE_NAME:
        found["JUPYTER_MLOPS_HOME"] = str(project.state)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri and not urlsplit(uri).password:  # A unit file is no place for a password.
        found["MLFLOW_TRACKING_URI"] = uri
    return found


def _quoted(word: str) -> str:
    """A word of a unit file: systemd.service(5), "COMMAND LINES" and "SPECIFIERS"."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _going_on(project: Project) -> tuple[list[str], list[str]]:
    if not project.exists:
        return [], []
    from ..scheduling import running_slots
    from ..serving import list_deployments

    firings = [slot.schedule for slot in running_slots(project)]
    return firings, [d.id for d in list_deployments(project) if d.status in ("running", "starting")]


def _end_all(project: Project) -> tuple[list[str], list[str]]:
    if not project.exists:
        return [], []
    from ..scheduling import cancel, running_slots
    from ..serving import list_deployments, stop_deployment

    firings, deployments = [], []
    for slot in running_slots(project):
        cancel(project, slot)
        firings.append(slot.schedule)
    problems: list[MlopsError] = []
    for deployment in list_deployments(project):
        if deployment.status != "stopped":
            try:
                stop_deployment(project, deployment.id)
                deployments.append(deployment.id)
            except MlopsError as error:
                problems.append(error)
    if problems:
        raise problems[0]
    return firings, deployments


def _until(found: dict[str, Any]) -> str:
    left = found["ends_in"]
    return "" if left is None else f", ends in {duration(left)} if there is nothing to do"


def _delivery(found: dict[str, Any]) -> str:
    if found["running"]:
        return f"delivery: delivering {found['waiting']} runs"
    if not found["waiting"]:
        return "delivery: nothing waits"
    wait = found["next_try_in"] or 0
    return f"delivery: {found['waiting']} runs wait, next try in {wait:g} s ({found['error']})"
