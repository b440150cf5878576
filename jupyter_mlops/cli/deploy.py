"""``jupyter mlops deploy`` and ``jupyter mlops deployments``."""

from __future__ import annotations

import json
import shlex

import click

from ..config import load_config
from ..project import Project, open_project
from ..serving import (
    Deployment,
    deployment_token,
    example_request,
    get_deployment,
    list_deployments,
    remove_deployment,
    stop_deployment,
)
from ..serving import deploy as deploy_model
from .output import ago, echo_json, json_option, table

__all__ = ["deploy", "deployments"]

_EMPTY = "Nothing is deployed. To serve a version: jupyter mlops deploy NAME@ALIAS"


@click.command()
@click.argument("model")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0,
    help="Port on 127.0.0.1; by default the one it had before, or a free one.",
)  # fmt: skip
@json_option
def deploy(model: str, port: int, as_json: bool) -> int:
    """Serve a model version on this machine, behind a token.

    MODEL is NAME@VERSION or NAME@ALIAS.  An alias is resolved now; deploy again when it has moved.
    The version is loaded and scores its own input example before it takes a request.
    """
    project = open_project()
    config = load_config(project.root)
    if not as_json:
        click.echo(f"Loading {model} ...", err=True)
    made = deploy_model(project, config, model, port=port)
    if as_json:
        echo_json(made.to_dict())
        return 0
    click.echo(f"{made.model} version {made.version} is served at {made.url}")
    _show_warnings(made)
    click.echo("\nScore a row:")
    click.echo(_curl(project, made))
    click.echo(f"\nTo take it back: jupyter mlops deployments stop {made.id}")
    return 0


@click.group()
def deployments() -> None:
    """List, show and stop deployments.

    ID is a deployment's id, a unique beginning of it, or the NAME@ALIAS that was deployed.
    """


@deployments.command("ls")
@json_option
def list_command(as_json: bool) -> int:
    """List the deployments."""
    found = list_deployments(open_project(create=False))
    if as_json:
        echo_json({"deployments": [one.to_dict() for one in found]})
        return 0
    table(
        ("ID", "MODEL", "VERSION", "URL", "STATUS", "SINCE"),
        [
            (
                one.id,
                f"{one.model}@{one.selector}",
                _version(one),
                one.url or "-",
                one.status,
                ago(one.started),
            )
            for one in found
        ],
        empty=_EMPTY,
    )
    for one in found:
        if one.hint and one.status in ("down", "failed", "unknown"):
            click.echo(f"{one.id}: {one.error or one.status}. {one.hint}", err=True)
        elif one.behind is not None:
            click.echo(f"{one.id}: {_catch_up(one)}", err=True)
    return 0


@deployments.command("show")
@click.argument("id")
@json_option
def show_command(id: str, as_json: bool) -> int:
    """Show a deployment, and how to call it."""
    project = open_project(create=False)
    one = get_deployment(project, id)
    if as_json:
        echo_json(one.to_dict())
        return 0
    facts = {
        "id": one.id,
        "model": f"{one.model}@{one.selector}",
        "version": _version(one),
        "url": one.url or "-",
        "status": one.status + (f" (process {one.pid})" if one.pid else ""),
        "since": ago(one.started),
        "restarts": str(one.restarts),
        "deployed": ago(one.created),
    }
    if one.error:
        facts["error"] = one.error
    if one.hint:
        facts["to do"] = one.hint
    for name, value in facts.items():
        click.echo(f"{name:<10}{value}")
    if one.behind is not None:
        click.echo(_catch_up(one))
    _show_warnings(one)
    if one.status == "running":
        click.echo("\nScore a row:")
        click.echo(_curl(project, one))
    return 0


@deployments.command("stop")
@click.argument("id")
@json_option
def stop_command(id: str, as_json: bool) -> int:
    """Stop a deployment, after the requests in hand; its port and token are kept."""
    stopped = stop_deployment(open_project(create=False), id)
    if as_json:
        echo_json(stopped.to_dict())
        return 0
    click.echo(f"Stopped {stopped.id}.")
    click.echo(f"To take it back: jupyter mlops deploy {_spec(stopped)}")
    return 0


@deployments.command("rm")
@click.argument("id")
@json_option
def remove_command(id: str, as_json: bool) -> int:
    """Stop a deployment and delete its token, its logs and its copy of the model."""
    removed = remove_deployment(open_project(create=False), id)
    if as_json:
        echo_json(removed.to_dict())
        return 0
    click.echo(f"Removed {removed.id}; the model version is still registered.")
    click.echo(f"To deploy it again, with a new token: jupyter mlops deploy {_spec(removed)}")
    return 0


@deployments.command("token")
@click.argument("id")
def token_command(id: str) -> int:
    """Print a deployment's bearer token, and nothing else."""
    click.echo(deployment_token(open_project(create=False), id))
    return 0


def _spec(one: Deployment) -> str:
    return shlex.quote(f"{one.model}@{one.selector}")


def _version(one: Deployment) -> str:
    return str(one.version) if one.behind is None else f"{one.version} (behind {one.behind})"


def _catch_up(one: Deployment) -> str:
    return (
        f"{one.selector} is version {one.behind} by now; it serves {one.version}. "
        f"To catch up: jupyter mlops deploy {_spec(one)}"
    )


def _show_warnings(one: Deployment) -> None:
    for warning in one.warnings:
        click.secho("Warning: ", fg="yellow", nl=False, err=True)
        click.echo(warning, err=True)


def _curl(project: Project, one: Deployment) -> str:
    """A command to paste; the token stays in a file, off the screen and the list of processes."""
    request = example_request(project, one.id)
    body = json.dumps(request) if request else '{"dataframe_records": [{"COLUMN": 1.0}]}'
    return (
        f"  curl -s {one.url}/invocations \\\n"
        f"    -H {shlex.quote('@' + one.authorization)} \\\n"
        "    -H 'Content-Type: application/json' \\\n"
        f"    -d {shlex.quote(body)}"
    )
