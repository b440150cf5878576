"""``jupyter mlops snapshots purge``: versions, columns and rows, erased for good."""

from __future__ import annotations

import csv
import shlex

import click

from ..config import load_config
from ..errors import UsageError
from ..project import open_project
from ..snapshots.addresses import parse_spec
from ..snapshots.durable import size_text
from ..snapshots.erasing import Erased, plan_purge
from ..snapshots.purging import Change, Column, Purged, Rows, purge_part
from ..snapshots.remote_erasing import erase_there
from ..snapshots.remotes import open_remote, public_url
from ..snapshots.service import existing_store
from ..snapshots.store import SnapshotStore
from .output import echo_json, json_option
from .snapshots_remote import tell_erased

__all__ = ["purge_command"]

_SHOWN = 50


@click.command("purge")
@click.argument("spec")
@click.option("--column", metavar="NAME", help="Erase this column from all versions of the name.")
@click.option("--key", metavar="COLUMN", help="Erase rows: the column or index level to look in.")
@click.option("--values", metavar="A,B,C", help="The values of the rows to erase.")
@click.option("--rows-where", metavar="COLUMN=VALUE", help="The same for one value.")
@click.option("--yes", is_flag=True, help="Erase it; without this it is only said.")
@click.option("--reason", metavar="TEXT", help="Kept in the tombstone that stays.")
@click.option(
    "--remote", "remote", metavar="URL", is_flag=False, flag_value="", default=None,
    help="Erase it on the remote as well; without URL on that of the setting snapshot-remote.",
)  # fmt: skip
@json_option
def purge_command(
    spec: str, column: str | None, key: str | None, values: str | None, rows_where: str | None,
    yes: bool, reason: str | None, remote: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Say what would be erased for good, and with --yes erase it: nothing brings it back.

    SPEC is NAME@VERSION; with --column, --key or --rows-where it is NAME, and all its versions
    lose the column or the rows, as do those of other names that share them. Versions that were
    made of what goes are written anew. A tombstone with the time and the reason stays.
    """
    wanted = parse_spec(spec)
    loss = _loss(wanted, column, key, values, rows_where)
    project = open_project(create=False)
    store = existing_store(project)
    there = None
    if remote is not None:
        there = open_remote(remote or None, root=project.root, config=load_config(project.root))
    found: Purged | Erased | None
    if loss is None:
        found = _version(store, wanted, yes, reason, again=there is not None)
    else:
        found = purge_part(store, wanted, loss, dry_run=not yes, reason=reason)
    sent = erase_there(store, there) if yes and there is not None else None
    if as_json:
        data = {} if found is None else found.to_dict()
        echo_json(data | {"dry_run": not yes, "remote": sent.to_dict() if sent else None})
        return 0
    if isinstance(found, Purged):
        _tell_part(found)
    elif found is not None:
        _tell_version(found, yes)
    if sent is not None and there is not None:
        tell_erased(sent, there)
    _tell_next(yes, remote, load_config(project.root).snapshot_remote)
    return 0


def _loss(
    wanted: str, column: str | None, key: str | None, values: str | None, rows_where: str | None
) -> Column | Rows | None:
    if sum(option is not None for option in (column, key, rows_where)) > 1:
        raise UsageError("give one of --column, --key with --values, and --rows-where")
    if (key is None) != (values is None):
        raise UsageError(
            "--key and --values belong together", hint="For example: --key id --values 17,23"
        )
    loss: Column | Rows | None = None
    if column is not None:
        loss = Column(column)
    elif key is not None and values is not None:
        loss = Rows(key, [value for line in csv.reader([values]) for value in line])
    elif rows_where is not None:
        name, equals, value = rows_where.partition("=")
        if not equals or not name:
            raise UsageError(
                f"{rows_where!r} names no column and value", hint="For example: --rows-where id=17"
            )
        loss = Rows(name, [value])
    if loss is not None and "@" in wanted:
        raise UsageError(
            "a column or rows are erased from all versions of a name",
            hint=f"Write {wanted.partition('@')[0]} without a version; or erase {wanted} whole.",
        )
    return loss


def _version(
    store: SnapshotStore, wanted: str, yes: bool, reason: str | None, *, again: bool
) -> Erased | None:
    """Erase a version, or plan to; one that was erased here before may still be on the remote."""
    name, _, number = wanted.partition("@")
    if again and number.isdecimal():
        kinds = store.refs.numbers(store.refs.home(name)).get(int(number), set())
        if "gone" in kinds:
            return None
    return store.purge(wanted, reason=reason) if yes else plan_purge(store, wanted)


def _tell_version(found: Erased, yes: bool) -> None:
    verb = "Erased" if yes else "Would erase"
    size = f", {size_text(found.freed)}" if yes else ""
    click.echo(f"{verb} {found.spec}: {found.chunks:,} chunks{size}.")
    for spec in found.apart:
        done = "was" if yes else "would be"
        click.echo(f"  {spec} is made of parts of it, and {done} written anew without them.")
    if found.shared:
        click.echo(
            f"{found.shared:,} chunks stay: {', '.join(found.shared_with[:10])} hold the same."
        )


def _tell_part(found: Purged) -> None:
    for change in found.changes[:_SHOWN]:
        click.echo(f"  {change.spec}: {_what(change)}")
    if len(found.changes) > _SHOWN:
        click.echo(f"  and {len(found.changes) - _SHOWN:,} more")
    if found.dry_run:
        click.echo(f"Would write {len(found.changes):,} versions anew.")
    else:
        click.echo(
            f"Wrote {len(found.changes):,} versions anew; erased {found.chunks:,} chunks, "
            f"{size_text(found.freed)}."
        )
    _list("They show the same chunks and stay as they are", found.shared)
    _list("They have such rows in chunks of their own", found.also)
    _list("Files and folders, which are not looked into", found.unread)


def _what(change: Change) -> str:
    parts = [
        (change.rows, "row", "rows"), (change.columns, "column", "columns"),
        (change.words, "category that no row has", "categories that no row has"),
    ]  # fmt: skip
    lost = ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in parts if n)
    return f"loses {lost}" if lost else "stays what it is; made of parts of the others"


def _list(what: str, specs: list[str]) -> None:
    if specs:
        more = f" and {len(specs) - 10:,} more" if len(specs) > 10 else ""
        click.echo(f"{what}: {', '.join(specs[:10])}{more}")


def _tell_next(yes: bool, remote: str | None, configured: str | None) -> None:
    """How to go on: the same command with what is missing."""
    context = click.get_current_context()
    options = {
        "column": "--column", "key": "--key", "values": "--values", "rows_where": "--rows-where",
        "reason": "--reason",
    }  # fmt: skip
    words = [context.params["spec"]]
    for name, option in options.items():
        if context.params[name] is not None:
            words += [option, context.params[name]]
    command = f"jupyter mlops snapshots purge {shlex.join(words)} --yes"
    if remote is not None:
        command += " --remote" + (f" {shlex.quote(public_url(remote))}" if remote else "")
    if not yes:
        click.echo(f"To erase it: {command}")
    elif remote is None and configured:
        click.echo(
            f"What was pushed to {public_url(configured)} is still there. To erase it there: "
            "jupyter mlops snapshots purge "
            f"{shlex.join(words)} --yes --remote"
        )
