"""``jupyter mlops models``."""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

import click

from ..config import load_config
from ..errors import NotFoundError, UsageError
from ..model.policy import GateVerdict
from ..model.registry import (
    ModelSpec,
    ModelVersion,
    RegisteredModel,
    key_metric,
    parse_model_spec,
)
from ..project import Project, open_project
from ..registry import (
    AliasChange,
    alias_moves,
    get_version,
    list_models,
    load_code,
    register_run,
    remove_version,
    revert_alias,
    set_alias,
)
from ..tracking import sync_state, waiting
from .output import ago, echo_json, json_option, number, table
from .records import model_dict, version_dict

__all__ = ["models"]

_EMPTY = (
    "There are no registered models yet. To make one: %%track --register NAME in a notebook, or "
    "jupyter mlops models register RUN NAME"
)


@click.group()
def models() -> None:
    """List models, register versions, move and revert aliases."""


@models.command("ls")
@json_option
def list_command(as_json: bool) -> int:
    """List the registered models."""
    project = open_project(create=False)
    found = list_models(project)
    if as_json:
        echo_json({"models": [model_dict(model) for model in found]})
        return 0
    table(
        ("MODEL", "VERSIONS", "NEWEST", "METRIC", "ALIASES", "CHANGED"),
        [_row(model) for model in found],
        empty=_EMPTY,
    )
    _footer(project)
    return 0


@models.command("show")
@click.argument("model")
@json_option
def show_command(model: str, as_json: bool) -> int:
    """Show a model with its versions, or one version.

    MODEL is NAME, NAME@VERSION or NAME@ALIAS.
    """
    project = open_project(create=False)
    if "@" in model:
        version = get_version(project, parse_model_spec(model))
        if as_json:
            echo_json(version_dict(version))
        else:
            _show_version(project, version)
        return 0
    found = next((m for m in list_models(project) if m.name == model), None)
    if found is None:
        get_version(project, ModelSpec(model, version=0))  # raises: it knows what there is
        raise NotFoundError(f"there is no registered model {model!r}")
    moves = alias_moves(project, model)
    if as_json:
        echo_json(model_dict(found) | {"history": [asdict(move) for move in moves]})
        return 0
    click.echo(f"{found.name}  {found.description}".rstrip())
    metrics = list(dict.fromkeys(k for v in found.versions if (k := key_metric(v.metrics))))[:3]
    table(
        ("VERSION", "ALIASES", *(name.upper() for name in metrics), "RUN", "FROM", "MADE"),
        [
            (
                str(v.version),
                ", ".join(v.aliases) or "-",
                *(number(v.metrics.get(name)) for name in metrics),
                (v.run_id or "-")[:12],
                v.pipeline or v.notebook or "-",
                ago(v.created),
            )
            for v in found.versions
        ],
        empty="It has no versions.",
    )
    if moves:
        click.echo("\nAliases, newest move first")
        for move in moves[:10]:
            when = datetime.fromtimestamp(move.at).astimezone().strftime("%Y-%m-%d %H:%M")
            undone = " (taken back)" if move.undone else ""
            click.echo(
                f"  {when}  {move.alias}: {_version(move.before)} -> {_version(move.after)}"
                f"  by {move.by}{undone}"
            )
    _footer(project)
    return 0


@models.command("register")
@click.argument("run")
@click.argument("name")
@click.option(
    "--model", metavar="VARIABLE", help="Which of the run's models, where it has several."
)
@json_option
def register_command(run: str, name: str, model: str | None, as_json: bool) -> int:
    """Make a model version from a run.

    RUN is a run id, a unique beginning of one, or MLflow's run id; NAME the registered model.
    """
    project = open_project(create=False)
    version = register_run(project, load_config(project.root), run, name, model)
    spec = f"{version.name}@{version.version}"
    undo = f"jupyter mlops models rm {shlex.quote(spec)}"
    if as_json:
        echo_json(version_dict(version) | {"undo": undo})
        return 0
    click.echo(f"{spec} is made from run {version.run_name or run} ({version.run_id}).")
    click.echo(f"To use it by name: jupyter mlops models set {shlex.quote(spec)} champion")
    click.echo(f"To take it back:   {undo}")
    return 0


@models.command("set")
@click.argument("version")
@click.argument("alias")
@json_option
def set_command(version: str, alias: str, as_json: bool) -> int:
    """Point an alias at a version, if the gates agree.

    VERSION is NAME@VERSION (or NAME@ALIAS, for what has that alias now); ALIAS is a word such as
    champion.  The gates are those in the policy.yaml of the pipeline that registers the model.
    """
    project = open_project(create=False)
    spec = parse_model_spec(version)
    wanted = spec.version if spec.version is not None else get_version(project, spec).version
    change = set_alias(project, load_config(project.root), spec.name, wanted, alias, by=_person())
    if as_json:
        echo_json(_change(change))
        return 0
    _show_verdicts(change.verdicts)
    if not change.gated:
        click.echo(f"No gate guards {alias} of {change.name}: no policy.yaml speaks of it.")
    if change.before == change.after:
        click.echo(f"{change.name}@{change.after} is {alias} already.")
        return 0
    click.echo(f"{change.name}@{change.after} is {alias} now; before: {_version(change.before)}.")
    click.echo(f"To take it back: {change.undo}")
    return 0


@models.command("revert")
@click.argument("name")
@click.option("--alias", default="champion", show_default=True, help="The alias to move back.")
@json_option
def revert_command(name: str, alias: str, as_json: bool) -> int:
    """Take the last move of an alias back; again, the one before it.

    NAME is the registered model.
    """
    project = open_project(create=False)
    change = revert_alias(project, load_config(project.root), name, alias, by=_person())
    if as_json:
        echo_json(_change(change))
        return 0
    if change.after is None:
        click.echo(f"{name} has no {alias} now; before: {_version(change.before)}.")
    else:
        click.echo(f"{name}@{change.after} is {alias} again; before: {_version(change.before)}.")
    click.echo(f"To take it back: {change.undo}")
    return 0


@models.command("rm")
@click.argument("version")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def remove_command(version: str, yes: bool, as_json: bool) -> int:
    """Delete a version from the registry; its run keeps the model.

    VERSION is NAME@VERSION.  One that has an alias or is deployed is not deleted.
    """
    project = open_project(create=False)
    spec = parse_model_spec(version)
    if spec.version is None:
        raise UsageError(
            f"{version!r} does not say which version", hint="Write NAME@VERSION, as in taxi-tips@3."
        )
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError(
                f"deleting {version} cannot be undone: its number may go to another model",
                hint="To delete it without a question: --yes",
            )
        click.confirm(f"Delete {version}? Its number may go to another model.", abort=True)
    removed = remove_version(project, load_config(project.root), spec)
    undo = (
        f"jupyter mlops models register {removed.run_id} {shlex.quote(removed.name)}"
        if removed.run_id
        else None
    )
    if as_json:
        echo_json({"name": removed.name, "version": removed.version, "undo": undo})
        return 0
    click.echo(f"Deleted {removed.name}@{removed.version}.")
    if undo:
        click.echo(f"To make a new version of the same model: {undo}")
    return 0


def _row(model: RegisteredModel) -> tuple[str, ...]:
    newest = model.versions[0] if model.versions else None
    key = key_metric(newest.metrics) if newest is not None else None
    aliases = [f"{a} = {v.version}" for v in model.versions for a in v.aliases]
    return (
        model.name,
        str(len(model.versions)),
        "-" if newest is None else str(newest.version),
        "-" if newest is None or key is None else f"{key} {number(newest.metrics[key])}",
        ", ".join(sorted(aliases)) or "-",
        ago(model.updated),
    )


def _show_version(project: Project, version: ModelVersion) -> None:
    click.echo(f"{version.name}@{version.version}  {', '.join(version.aliases)}".rstrip())
    facts = [
        ("Class", version.class_name),
        ("Made", ago(version.created)),
        ("Run", f"{version.run_name} ({version.run_id})" if version.run_id else None),
        ("Notebook", version.notebook),
        ("Pipeline", version.pipeline),
        ("MLflow", version.uri),
        ("Files", version.source),
        ("Status", version.status if version.status != "READY" else None),
    ]
    for label, value in facts:
        if value:
            click.echo(f"{label:<10}{value}")
    for name, metric in version.metrics.items():
        click.echo(f"  {name}  {number(metric)}")
    click.echo("\nTo load it:\n")
    for line in load_code(project, version).splitlines():
        click.echo(f"    {line}".rstrip())


def _show_verdicts(verdicts: Iterable[GateVerdict]) -> None:
    for verdict in verdicts:
        word = "passed" if verdict.passed else "refused"
        click.echo(f"  {word:<8}{verdict.name}: {verdict.message}")


def _change(change: AliasChange) -> dict[str, object]:
    return {
        "name": change.name,
        "alias": change.alias,
        "version": change.after,
        "previous": change.before,
        "gates": [asdict(verdict) for verdict in change.verdicts],
        "undo": change.undo,
    }


def _footer(project: Project) -> None:
    count = waiting(project)
    if count:
        click.echo(f"\n{count} runs are not delivered yet. To deliver now: jupyter mlops sync")
    state = sync_state(project)
    if state.error is not None:
        click.echo(f"\nAs of {ago(state.at)}; since then: {state.error.get('message')}")


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        return "unknown"
