"""``jupyter mlops status``, ``sync`` and ``consent``."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from .._version import version
from ..capture.agent_client import AgentUnavailable, hello
from ..config import Config, is_local_uri, load_config, public_uri
from ..project import Project, open_project
from ..tracking import (
    DeliveryReport,
    capture_level,
    deliver,
    give_consent,
    refresh,
    revoke_consent,
    sync_state,
    tracking_uri,
    what_waits,
)
from .output import ago, duration, echo_json, json_option
from .records import version_dict

__all__ = ["consent", "status", "sync"]

_LEASE_WAIT = 60.0


@click.command()
@json_option
def status(as_json: bool) -> int:
    """Show the project, where its runs go, what waits for delivery, and the agent."""
    project = open_project(create=False)
    config = load_config(project.root)
    facts = _facts(project, config)
    if as_json:
        echo_json(facts)
        return 0
    tracking, agent = facts["tracking"], facts["agent"]
    made = "" if project.exists else "  (nothing tracked yet)"
    click.echo(f"Project   {project.root}{made}")
    place = "on this machine" if tracking["local"] else "not on this machine"
    click.echo(f"Tracking  {tracking['uri']}  ({place})")
    click.echo(f"Capture   {tracking['level']}{_why_minimal(config, tracking)}")
    if tracking["error"] is not None:
        click.echo(f"          {tracking['error']['message']}")
        if tracking["error"].get("hint"):
            click.echo(f"          {tracking['error']['hint']}")
    elif tracking["synced_at"] is not None:
        click.echo(f"          last answered {ago(tracking['synced_at'])}")
    click.echo(f"Waiting   {_waiting_line(facts['waiting'])}")
    for item in facts["waits"]:
        click.echo(f"          {_wait_line(item)}")
    if agent["running"]:
        click.echo(f"Agent     running, process {agent['pid']}")
    elif agent["enabled"]:
        click.echo("Agent     not running; it starts when there is something to do")
    else:
        click.echo("Agent     turned off; runs are delivered by the next command")
    if facts["waiting"]:
        click.echo("\nTo deliver now: jupyter mlops sync")
    return 0


@click.command()
@json_option
def sync(as_json: bool) -> int:
    """Deliver everything that waits, now, and read the tracking store again."""
    project = open_project(create=False)
    config = load_config(project.root)
    report = deliver(project, config, wait_lease=_LEASE_WAIT, force=True)
    if not report.errors or report.delivered:
        refresh(project, config, whole=True)
    problem = sync_state(project).error
    left = what_waits(project)
    code = 5 if problem is not None or left else 0
    if as_json:
        echo_json(
            {
                "delivered": report.delivered,
                "waiting": sum(len(item.runs) for item in left),
                "waits": [asdict(item) for item in left],
                "versions": [version_dict(made) for made in report.versions],
                "errors": list(report.errors),
                "warnings": list(report.warnings),
                "error": problem,
            }
        )
        return code
    _show_report(project, config, report)
    if problem is not None and problem.get("message") not in report.errors:
        click.echo(str(problem.get("message")), err=True)
    if problem is not None and problem.get("hint"):
        click.echo(str(problem["hint"]), err=True)
    for item in left:
        click.echo(f"Waits: {_wait_line(asdict(item))}", err=True)
    return code


@click.command()
@click.option("--revoke", is_flag=True, help="Take consent back.")
@json_option
def consent(revoke: bool, as_json: bool) -> int:
    """Allow full capture on a tracking server that is not local.

    On such a server capture is minimal (code, parameters and metrics; no models, no files) until
    you consent, once for each project and server.
    """
    project = open_project(create=False)
    config = load_config(project.root)
    uri = tracking_uri(project, config)
    shown = public_uri(uri)
    if revoke:
        before = revoke_consent(project, uri) if project.exists else False
        text = (
            f"From now on no models and files of this project go to {shown}. "
            "What is there already stays."
            if before
            else f"There was no consent for {shown}."
        )
        undo = "jupyter mlops consent" if before else ""
    else:
        give_consent(project.create(), uri)
        text = f"Models and files of this project are stored on {shown} from now on."
        undo = "jupyter mlops consent --revoke"
    level = capture_level(project, config)
    if as_json:
        echo_json({"uri": shown, "level": level, "undo": undo})
        return 0
    click.echo(text)
    click.echo(f"Capture is {level}.")
    if undo:
        click.echo(f"To take it back: {undo}")
    return 0


def _facts(project: Project, config: Config) -> dict[str, Any]:
    uri = tracking_uri(project, config)
    state = sync_state(project)
    waits = what_waits(project)
    pid = _agent_pid(project)
    return {
        "version": version(),
        "project": {
            "name": project.name,
            "root": str(project.root),
            "exists": project.exists,
            "key": project.key,
        },
        "tracking": {
            "uri": public_uri(uri),
            "local": is_local_uri(uri),
            "level": capture_level(project, config),
            "synced_at": state.at,
            "error": state.error,
        },
        "waiting": sum(len(item.runs) for item in waits),
        "waits": [asdict(item) for item in waits],
        "agent": {"running": pid is not None, "pid": pid, "enabled": config.agent},
    }


def _agent_pid(project: Project) -> int | None:
    if not project.exists:
        return None
    try:
        pid = hello(project).get("pid")
    except AgentUnavailable:
        return None
    return pid if isinstance(pid, int) else None


def _why_minimal(config: Config, tracking: dict[str, Any]) -> str:
    if tracking["level"] == config.capture:
        return ""
    return f", not {config.capture}, until you consent: jupyter mlops consent"


def _waiting_line(count: int) -> str:
    return "nothing" if count == 0 else f"{count} run{'s' if count > 1 else ''}"


def _wait_line(item: dict[str, Any]) -> str:
    runs = item["runs"]
    names = ", ".join(run[:12] for run in runs[:3]) + (", ..." if len(runs) > 3 else "")
    text = f"{len(runs)} of {item['notebook'] or 'a session'} ({names})"
    if item["error"]:
        text += f": {item['error']}"
    wait = item["next_try"] - time.time()
    if item["error"] and wait > 0:
        text += f"; next try in {duration(wait)}"
    return text


def _show_report(project: Project, config: Config, report: DeliveryReport) -> None:
    uri = public_uri(tracking_uri(project, config))
    if report.delivered:
        runs = f"{report.delivered} run{'s' if report.delivered > 1 else ''}"
        click.echo(f"Delivered {runs} to {uri}.")
    elif report.busy:
        click.echo("Another process is delivering.")
    elif not report.errors:
        click.echo(f"Nothing waits. {uri} was read again.")
    for made in report.versions:
        click.echo(f"  {made.name}@{made.version} from run {made.run_name}")
    for warning in report.warnings:
        click.echo(f"Warning: {warning}", err=True)
    for error in report.errors:
        click.echo(error, err=True)
