"""``jupyter mlops snapshots``: list, show, tag, remove, check and write out versions of data."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..errors import MlopsError, UsageError
from ..project import open_project
from ..snapshots.addresses import parse_columns, parse_spec
from ..snapshots.durable import size_text
from ..snapshots.refs import Version
from ..snapshots.service import Details, existing_store, export_version, show, take
from ..snapshots.store import SnapshotStore
from ..snapshots.tombstones import Gone, erasures, gone
from ..snapshots.usage import NameUsage
from ..tracking.kept import kept_by_runs
from .output import ago, echo_json, json_option, table
from .snapshots_purge import purge_command
from .snapshots_remote import clone_command, pull_command, push_command, repair_command

__all__ = ["snapshots"]

spec_argument = click.argument("spec")
_EMPTY = (
    "There are no snapshots yet. Take one: %snapshot EXPR in a notebook, or "
    "jupyter mlops snapshots take PATH"
)


@click.group()
def snapshots() -> None:
    """List, show, tag, remove, check, export and send snapshots of data."""


@snapshots.command("ls")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Also those that were removed or erased.")
@json_option
def list_command(name: str | None, everything: bool, as_json: bool) -> int:
    """List the names that have snapshots, or the versions of one NAME."""
    try:
        found = _store().versions(name)
    except MlopsError as error:
        if name is not None or error.reason != "not_found":
            raise
        found = []
    away = gone(_store(), name) if everything and (found or name is not None) else []
    if name is not None and not found and not away:
        _store().resolve(name)  # Says that there is none.
    if as_json:
        listed = [version.to_dict() | {"spec": version.spec} for version in found]
        told = {"gone": [item.to_dict() for item in away]} if everything else {}
        echo_json({"snapshots": listed, **told})
        return 0
    if name is not None:
        rows = [_row(version) for version in found]
        table(("VERSION", "TAGS", "SHAPE", "SIZE", "ADDED", "MADE", "MESSAGE"), rows, empty="")
        _list_gone(away)
        return 0
    newest = {version.name: version for version in reversed(found)}
    counts = {name: sum(v.name == name for v in found) for name in newest}
    table(
        ("NAME", "VERSIONS", "NEWEST", "SHAPE", "SIZE", "MADE", "MESSAGE"),
        [
            (v.name, str(counts[v.name]), v.spec, _shape(v), size_text(v.size), ago(v.created),
             v.message or "")
            for v in sorted(newest.values(), key=lambda v: -v.created)
        ],
        empty=_EMPTY,
    )  # fmt: skip
    _list_gone(away)
    return 0


@snapshots.command("show")
@spec_argument
@json_option
def show_command(spec: str, as_json: bool) -> int:
    """Show a version: where it came from, its columns with types and statistics.

    SPEC is NAME, NAME@VERSION, NAME@TAG, NAME@latest or NAME@2026-11-21T10:00.
    """
    found = show(open_project(create=False), spec)
    if as_json:
        echo_json(found.to_dict())
        return 0
    version = found.version
    click.echo(version.spec + (f"  {version.message}" if version.message else ""))
    facts = [
        ("Digest", version.digest),
        ("Kind", version.kind),
        ("Shape", _shape(version)),
        ("Index", found.index),
        ("Made", datetime.fromtimestamp(version.created).astimezone().isoformat(" ", "seconds")),
        ("Tags", ", ".join(version.tags)),
        ("Size", f"{size_text(version.size)}, added {size_text(version.added)} on disk"),
        ("After", found.parent or ""),
        *(("Erased", f"{text} (before: {old})") for text, old in erasures(version)),
    ]
    for label, fact in facts:
        if fact and fact != "-":
            click.echo(f"{label:<9}{fact}")
    if found.columns:
        click.echo()
        table(
            ("COLUMN", "TYPE", "MISSING", "DISTINCT", "MIN", "MAX", "MEAN"),
            _columns(found),
            empty="",
        )
    click.echo(f"\nTo load it: jupyter_mlops.load({version.spec!r})")
    return 0


@snapshots.command("take")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("-n", "--name", metavar="NAME", help="Its name; by default that of the file.")
@click.option("-m", "--message", metavar="MESSAGE", help="A sentence that says what it is.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A word that names the version.")
@json_option
def take_command(
    path: Path, name: str | None, message: str | None, tags: tuple[str, ...], as_json: bool
) -> int:
    """Keep a file or a folder as the next version of a name.  PATH is the file or folder."""
    version = take(open_project(), path, name or path.resolve().name, message, tags)
    undo = f"jupyter mlops snapshots rm {shlex.quote(version.spec)}"
    if as_json:
        echo_json(version.to_dict() | {"spec": version.spec, "undo": undo})
        return 0
    if not version.added:
        click.echo(f"{version.spec} is this already: nothing was written.")
        return 0
    click.echo(f"Kept {path} as {version.spec}, added {size_text(version.added)}.")
    click.echo(f"To take it back: {undo}")
    return 0


@snapshots.command("rm")
@spec_argument
@json_option
def remove_command(spec: str, as_json: bool) -> int:
    """Remove a version; restore brings it back until gc has run.  SPEC is as for show."""
    store = _store()
    version = store.remove(parse_spec(spec))
    undo = f"jupyter mlops snapshots restore {shlex.quote(version.spec)}"
    return _changed(version, f"Removed {version.spec}.", undo, as_json)


@snapshots.command("restore")
@spec_argument
@json_option
def restore_command(spec: str, as_json: bool) -> int:
    """Bring a removed version back.  SPEC is NAME@VERSION, or NAME for the newest removed."""
    version = _store().restore_removed(parse_spec(spec))
    undo = f"jupyter mlops snapshots rm {shlex.quote(version.spec)}"
    return _changed(version, f"{version.spec} is back.", undo, as_json)


@snapshots.command("tag")
@spec_argument
@click.argument("tag")
@json_option
def tag_command(spec: str, tag: str, as_json: bool) -> int:
    """Give a version a tag: NAME@TAG means it from then on.  SPEC is as for show; TAG a word."""
    store = _store()
    version = store.resolve(parse_spec(spec))
    before = next((v for v in store.versions(version.name) if tag in v.tags), None)
    version = store.tag(version.spec, tag)
    name = shlex.quote(version.name)
    undo = f"jupyter mlops snapshots untag {shlex.quote(f'{version.name}@{tag}')}"
    if before is not None and before.version != version.version:
        undo = f"jupyter mlops snapshots tag {name}@{before.version} {shlex.quote(tag)}"
    return _changed(version, f"{version.name}@{tag} is version {version.version}.", undo, as_json)


@snapshots.command("untag")
@spec_argument
@json_option
def untag_command(spec: str, as_json: bool) -> int:
    """Take a tag away.  SPEC is NAME@TAG."""
    wanted = parse_spec(spec)
    tag = wanted.partition("@")[2]
    if not tag:
        raise UsageError(f"{spec!r} names no tag", hint=f"Write {spec}@TAG.")
    version = _store().untag(wanted)
    undo = f"jupyter mlops snapshots tag {shlex.quote(version.spec)} {shlex.quote(tag)}"
    return _changed(version, f"{version.spec} is not tagged {tag} any more.", undo, as_json)


@snapshots.command("export")
@spec_argument
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", metavar="FORMAT", help="parquet, csv, feather, npy or npz; else by PATH."
)
@click.option("--columns", metavar="A,B", help="Only these columns.")
@click.option("--rows", metavar="START:STOP", help="Only these rows.")
@click.option("--trust", is_flag=True, help="Load pickled objects that somebody else has stored.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@json_option
def export_command(
    spec: str, path: Path, kind: str | None, columns: str | None, rows: str | None, trust: bool,
    force: bool, as_json: bool,
) -> int:  # fmt: skip
    """Write a version to a file: a frame as Parquet, CSV or Feather, an array as .npy.

    A file or a folder is written as itself into the folder PATH.  SPEC is as for show.
    """
    written = export_version(
        open_project(create=False), spec, path, kind, columns=parse_columns(columns), rows=rows,
        trust=trust, force=force,
    )  # fmt: skip
    if as_json:
        echo_json({"path": str(written)})
        return 0
    click.echo(f"Wrote {written}.")
    return 0


@snapshots.command("verify")
@click.argument("name", required=False)
@click.option("--quick", is_flag=True, help="Compare checksums without unpacking every chunk.")
@json_option
def verify_command(name: str | None, quick: bool, as_json: bool) -> int:
    """Read everything and compare it with its checksums.

    NAME: report only what touches its versions.  The exit code is 1 when something is damaged.
    """
    found = _store().verify(name, deep=not quick)
    if as_json:
        echo_json(found.to_dict())
        return 0 if found.ok else 1
    click.echo(
        f"Read {size_text(found.size)}: {found.packs:,} packs, {found.chunks:,} chunks, "
        f"{found.manifests:,} manifests, {found.refs:,} refs."
    )
    if found.ok:
        click.echo("Everything is as it was written.")
        return 0
    for problem in found.problems:
        touched = f" ({', '.join(problem.versions[:10])})" if problem.versions else ""
        click.echo(f"  {problem.kind} {problem.path}: {problem.message}{touched}")
    if found.versions:
        click.echo(f"Cannot be restored: {', '.join(found.versions)}")
        click.echo("To fetch what is damaged: jupyter mlops snapshots repair")
    return 1


@snapshots.command("gc")
@click.option("--yes", is_flag=True, help="Take it away; without this it is only said.")
@click.option(
    "--grace", type=click.FloatRange(min=0), default=3600.0, show_default=True, metavar="SECONDS",
    help="Leave alone what is younger.",
)  # fmt: skip
@json_option
def gc_command(yes: bool, grace: float, as_json: bool) -> int:
    """Say what no version needs, and with --yes take it away.

    Removed versions that are older than the grace period do not come back afterwards, unless a run
    names them. Versions that were taken automatically, for a run that was deleted since, are
    removed.
    """
    project = open_project(create=False)
    found = existing_store(project).gc(dry_run=not yes, grace=grace, runs=kept_by_runs(project))
    if as_json:
        echo_json(found.to_dict())
        return 0
    if found.held:
        click.echo(f"Nothing was taken away: at work are {', '.join(found.held)}. Try again.")
        return 0
    verb = "Freed" if yes else "Would free"
    parts = [f"{found.chunks:,} chunks", f"{found.manifests:,} manifests"]
    click.echo(f"{verb} {size_text(found.freed)}: {', '.join(parts)}.")
    if found.versions:
        gone = "Removed for good" if yes else "Removed before, and then for good"
        click.echo(f"{gone}: {', '.join(found.versions)}")
    later = [spec for spec in found.retired if spec not in found.versions]
    if later:
        click.echo(
            f"{'Removed' if yes else 'Would be removed'}, because no run is there any more that "
            f"used them: {', '.join(later)} (for good by the gc after the grace period)"
        )
    for spec, run in found.kept.items():
        click.echo(f"{spec} was removed and stays: run {run} used it.")
    if found.young:
        click.echo(f"{found.young:,} packs are younger than {grace:g} s and were left alone.")
    for name in found.damaged:
        click.echo(f"Damaged, left alone: {name} (jupyter mlops snapshots verify)")
    if not yes and (found.freed or found.versions or found.retired):
        click.echo("To take it away: jupyter mlops snapshots gc --yes")
    return 0


@snapshots.command("du")
@json_option
def usage_command(as_json: bool) -> int:
    """Say what takes how much space by name, and what sharing saved."""
    found = _store().du()
    if as_json:
        echo_json(found.to_dict())
        return 0
    names = sorted(found.names, key=lambda item: -item.stored)
    own = [item for item in names if item.automatic < item.versions]
    taken = [item for item in names if item.automatic == item.versions]
    heads = ("NAME", "VERSIONS", "RAW", "ON DISK", "ITS OWN", "SHARING SAVED")
    if own or not taken:
        table(heads, map(_usage, own), empty=_EMPTY)
    if taken:
        click.echo("\nTaken automatically, for runs:" if own else "Taken automatically, for runs:")
        table(heads, map(_usage, taken), empty="")
    click.echo(
        f"\n{size_text(found.total)} in all; sharing saved {size_text(found.saved)} of "
        f"{size_text(found.unshared)}."
    )
    if found.dead:
        click.echo(f"{size_text(found.dead)} are needed by no version: jupyter mlops snapshots gc")
    for spec in found.unreadable:
        click.echo(f"Damaged, not counted: {spec} (jupyter mlops snapshots verify)")
    return 0


for _command in (purge_command, push_command, pull_command, clone_command, repair_command):
    snapshots.add_command(_command)


def _store() -> SnapshotStore:
    return existing_store(open_project(create=False))


def _changed(version: Version, text: str, undo: str, as_json: bool) -> int:
    if as_json:
        echo_json(version.to_dict() | {"spec": version.spec, "undo": undo})
        return 0
    click.echo(text)
    click.echo(f"To take it back: {undo}")
    return 0


def _usage(item: NameUsage) -> tuple[str, ...]:
    sizes = map(size_text, (item.raw, item.stored, item.own, item.saved))
    return (item.name, f"{item.versions:,}", *sizes)


def _list_gone(away: list[Gone]) -> None:
    if away:
        click.echo()
        rows = [(item.spec, item.how, ago(item.at), item.reason or "") for item in away]
        table(("NOT THERE", "HOW", "WHEN", "WHY"), rows, empty="")


def _row(version: Version) -> tuple[str, ...]:
    return (
        version.spec, ", ".join(version.tags), _shape(version), size_text(version.size),
        size_text(version.added), ago(version.created), version.message or "",
    )  # fmt: skip


def _shape(version: Version) -> str:
    if version.rows is None:
        return version.kind
    columns = "" if version.columns is None else f" x {version.columns:,}"
    return f"{version.rows:,}{columns}"


def _columns(details: Details) -> list[tuple[str, ...]]:
    from ..snapshots.diff_figures import figures_of_stats
    from ..snapshots.diff_text import figure

    known: list[dict[str, Any]] = details.stats.get("columns") or []
    rows = []
    for position, (name, kind) in enumerate(details.columns):
        found = figures_of_stats(known[position]) if position < len(known) else {}
        names = ("missing", "distinct", "min", "max", "mean")
        rows.append((name, kind, *(figure(found.get(item)) for item in names)))
    return rows
