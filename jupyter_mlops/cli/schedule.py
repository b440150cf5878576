"""``jupyter mlops schedule``: run pipelines by a cron expression."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import click

from ..capture import agent_client
from ..config import load_config
from ..errors import AgentUnavailable, RunError
from ..model.schedule import CATCH_UP, OVERLAP, Schedule, Slot
from ..project import Project, open_project
from .output import ago, duration, echo_json, json_option, table
from .run_parameters import ParameterCommand, given_parameters, parameter_option, params_option

__all__ = ["schedule"]

_POLL_SECONDS = 0.1
_KEEP_RUNNING = """\
It fires only while the agent runs: until you log out or this machine restarts.  To keep it running:
  jupyter mlops agent unit    prints a systemd user service, and the commands that install it
  jupyter mlops agent run     runs it in the foreground, for containers and tmux"""


@click.group()
def schedule() -> None:
    """Run pipelines by a cron expression.

    Each slot fires once.  Schedules fire only while the project's agent runs.
    """


@schedule.command(cls=ParameterCommand)
@click.argument("pipeline")
@click.option("--cron", required=True, help="Five fields, such as '0 6 * * MON-FRI'.")
@click.option("--tz", help="Time zone, such as Europe/Berlin; this machine's by default.")
@parameter_option()
@params_option
@click.option(
    "--catch-up", type=click.Choice(CATCH_UP), default="latest", show_default=True,
    help="Which slots to fire that passed while no agent ran: the latest of a day, all, none.",
)  # fmt: skip
@click.option(
    "--overlap", type=click.Choice(OVERLAP), default="skip", show_default=True,
    help="What to do with a slot while the firing before it still runs.",
)  # fmt: skip
@click.option(
    "--retries", type=int, default=1, show_default=True,
    help="How often a firing is started again whose process died.",
)  # fmt: skip
@json_option
def add(
    pipeline: str,
    cron: str,
    tz: str | None,
    parameters: tuple[tuple[str, str], ...],
    parameter_files: tuple[Path, ...],
    catch_up: str,
    overlap: str,
    retries: int,
    as_json: bool,
) -> None:
    """Run PIPELINE (a name or a folder) at the moments of a cron expression."""
    from ..scheduling import add_schedule, local_timezone, next_firings

    project = open_project()
    zone = tz or local_timezone()
    given = given_parameters(parameters, parameter_files)
    made = add_schedule(project, pipeline, cron, zone, given, catch_up, overlap, retries=retries)
    agent, why_not = _agent(project)
    firings = next_firings(made)
    if as_json:
        echo_json(
            made.to_dict()
            | {
                "firings": [moment.isoformat() for moment in firings],
                "agent": {"running": agent is not None, "pid": agent},
            }
        )
        return
    click.echo(f"Scheduled {made.id}: {made.pipeline} at {made.cron!r} in {made.timezone}.")
    click.echo("Next firings:")
    for moment in firings:
        click.echo(f"  {moment:%a %Y-%m-%d %H:%M %Z}")
    if agent is not None:
        click.echo(f"The agent runs (process {agent}) and stays while there are schedules.")
    else:
        click.secho(f"No agent runs, so nothing fires: {why_not}.", fg="yellow")
    click.echo(_KEEP_RUNNING)
    click.echo(f"To take it back: jupyter mlops schedule rm {made.id}")


@schedule.command()
@json_option
def ls(as_json: bool) -> None:
    """List the schedules."""
    from ..scheduling import list_schedules

    project = open_project(create=False)
    found = list_schedules(project)
    if as_json:
        echo_json([one.to_dict() for one in found])
        return
    table(
        ("ID", "PIPELINE", "CRON", "ZONE", "NEXT", "LAST"),
        [
            (one.id, one.pipeline, one.cron, one.timezone, _next(one), _last(one.last))
            for one in found
        ],
        empty="There are no schedules.  To add one: "
        "jupyter mlops schedule add PIPELINE --cron '0 6 * * *'",
    )
    if found and _greeting(project) is None:
        click.secho(
            "No agent runs, so nothing fires.  To start it: jupyter mlops agent start",
            fg="yellow",
            err=True,
        )


@schedule.command()
@click.argument("id")
@click.option("--limit", default=20, show_default=True, help="How many slots to show.")
@json_option
def show(id: str, limit: int, as_json: bool) -> None:
    """Show a schedule and what its slots became."""
    from ..scheduling import find_schedule, list_slots, next_firings

    project = open_project(create=False)
    found = find_schedule(project, id)
    slots = list_slots(project, found.id, limit)
    if as_json:
        firings = [moment.isoformat() for moment in next_firings(found)]
        echo_json(
            found.to_dict() | {"firings": firings, "slots": [slot.to_dict() for slot in slots]}
        )
        return
    facts = {
        "pipeline": found.pipeline,
        "cron": f"{found.cron} in {found.timezone}",
        "parameters": ", ".join(f"{k}={v!r}" for k, v in found.parameters.items()) or "-",
        "policies": f"catch-up {found.catch_up}, overlap {found.overlap}, retries {found.retries}",
        "next": ", ".join(f"{m:%a %Y-%m-%d %H:%M %Z}" for m in next_firings(found)) or "removed",
    }
    click.echo(found.id)
    for name, value in facts.items():
        click.echo(f"  {name:<11} {value}")
    click.echo()
    table(
        ("SLOT", "KIND", "STATE", "TOOK", "EXIT", "RUN", "DETAIL"),
        [_slot_row(found, slot) for slot in slots],
        empty="It has not fired yet.",
    )


@schedule.command()
@click.argument("id")
@json_option
def rm(id: str, as_json: bool) -> None:
    """Stop firing a schedule: its history is kept, and a firing that runs goes on."""
    from ..scheduling import remove_schedule

    removed = remove_schedule(open_project(create=False), id)
    command = _add_command(removed)
    if as_json:
        echo_json({"removed": removed.id, "undo": command})
        return
    click.echo(f"Removed {removed.id}; what it fired stays in its history.")
    click.echo(f"To take it back: {command}")


@schedule.command()
@click.argument("id")
@json_option
def fire(id: str, as_json: bool) -> int:
    """Fire a schedule once, now, and wait for its end; Ctrl-C cancels it."""
    from ..scheduling import cancel, find_schedule, start_worker, worker_log
    from ..scheduling import fire as make_due

    project = open_project(create=False)
    slot = make_due(project, find_schedule(project, id))
    worker = start_worker(project, slot)
    log = worker_log(project, slot)
    try:
        # With --json the answer has stdout for itself.
        ended = _follow(project, slot, worker, log, sys.stderr if as_json else sys.stdout)
    except KeyboardInterrupt:
        ended = cancel(project, slot)
        worker.wait()
    code = 1 if ended.exit_code is None else ended.exit_code
    if ended.state == "done":
        code = 0
    if as_json:
        echo_json(ended.to_dict() | {"exit_code": code, "log": str(log)})
        return code
    click.echo(f"{ended.schedule}: {ended.state}{f': {ended.detail}' if ended.detail else ''}")
    if ended.run_id:
        click.echo(f"To see the run: jupyter mlops runs show {ended.run_id}")
    if code != 0:
        click.echo(f"Its log: {log}", err=True)
    return code


def _follow(
    project: Project,
    slot: Slot,
    worker: subprocess.Popen[bytes],
    log: Path,
    out: IO[str],
) -> Slot:
    """Print a firing's log as it grows and return its slot when that has ended."""
    from ..scheduling import get_slot, give_up

    with log.open("r", encoding="utf-8", errors="replace") as file:
        while True:
            code = worker.poll()
            current = get_slot(project, slot)
            out.write(file.read())
            out.flush()
            if current.ended_for_good:
                worker.wait()
                out.write(file.read())
                return current
            if code is not None and give_up(project, current, f"its process ended ({code})"):
                raise RunError(
                    f"the firing of {slot.schedule} died: exit code {code}",
                    hint=f"Its log is {log}.",
                )
            time.sleep(_POLL_SECONDS)


def _agent(project: Project) -> tuple[int | None, str]:
    """The pid of the running agent, started if need be; else why there is none."""
    config = load_config(project.root)
    try:
        if agent_client.ensure(project, config):
            agent_client.call(project, "/v1/wake", {})
        return int(agent_client.hello(project)["pid"]), ""
    except AgentUnavailable as error:
        return None, str(error) if config.agent else "it is turned off (JUPYTER_MLOPS_AGENT)"


def _greeting(project: Project) -> dict[str, Any] | None:
    try:
        return agent_client.hello(project)
    except AgentUnavailable:
        return None


def _add_command(schedule: Schedule) -> str:
    words = ["jupyter", "mlops", "schedule", "add", schedule.pipeline]
    words += ["--cron", schedule.cron, "--tz", schedule.timezone]
    for name, value in schedule.parameters.items():
        words += ["-p", name, value if isinstance(value, str) else json.dumps(value)]
    words += ["--catch-up", schedule.catch_up, "--overlap", schedule.overlap]
    return shlex.join([*words, "--retries", str(schedule.retries)])


def _next(schedule: Schedule) -> str:
    from ..scheduling import next_firings

    return ", ".join(f"{moment:%a %Y-%m-%d %H:%M}" for moment in next_firings(schedule, 1)) or "-"


def _last(slot: Slot | None) -> str:
    return "-" if slot is None else f"{slot.state} {ago(slot.slot)}"


def _slot_row(schedule: Schedule, slot: Slot) -> tuple[str, ...]:
    from ..scheduling import Cron

    moment = Cron(schedule.cron, schedule.timezone).local(slot.slot)
    took = "-"
    if slot.started is not None and slot.ended is not None and slot.ended >= slot.started:
        took = duration(slot.ended - slot.started)
    return (
        f"{moment:%a %Y-%m-%d %H:%M %Z}",
        slot.kind,
        slot.state,
        took,
        "-" if slot.exit_code is None else str(slot.exit_code),
        slot.run_id or "-",
        slot.detail or "",
    )
