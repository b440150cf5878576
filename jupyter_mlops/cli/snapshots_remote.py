"""``jupyter mlops snapshots push|pull|clone|repair``: versions from and to others."""

from __future__ import annotations

import click

from ..config import load_config
from ..errors import UsageError
from ..pipelines.lookup import find_pipeline
from ..pipelines.named_snapshots import named_snapshots
from ..project import open_project
from ..snapshots.addressed import specs_there
from ..snapshots.addresses import parse_columns, parse_spec
from ..snapshots.durable import size_text
from ..snapshots.pulling import Pulled, clone, pull
from ..snapshots.pushing import Pushed, push
from ..snapshots.remote_erasing import ErasedThere, erase_there
from ..snapshots.remotes import Remote, open_remote
from ..snapshots.repairing import repair
from ..snapshots.service import existing_store
from ..snapshots.store import open_store
from .output import echo_json, json_option

__all__ = ["clone_command", "pull_command", "push_command", "repair_command", "tell_erased"]

specs_argument = click.argument("specs", nargs=-1)
remote_option = click.option(
    "--remote", metavar="URL", help="The remote; by default the one of the setting snapshot-remote."
)
as_option = click.option("--as", "as_name", metavar="NAME", help="Under another name there.")
threads_option = click.option(
    "--threads", type=click.IntRange(1, 64), default=8, show_default=True, metavar="N",
    help="How many transfers are under way at once.",
)  # fmt: skip


@click.command("push")
@specs_argument
@remote_option
@as_option
@click.option("--erase", is_flag=True, help="Erase there what purge has erased here; send nothing.")
@threads_option
@json_option
def push_command(
    specs: tuple[str, ...], remote: str | None, as_name: str | None, erase: bool, threads: int,
    as_json: bool,
) -> int:  # fmt: skip
    """Send versions to a remote; only what is not there yet is sent.

    SPECS are as for show, or NAME@* for all versions of a name; without any, all are sent.
    """
    project = open_project(create=False)
    there = _remote(remote)
    if erase:
        if specs or as_name:
            raise UsageError("--erase is about everything that was erased: name no versions")
        tell_erased(erase_there(existing_store(project), there, threads=threads), there, as_json)
        return 0
    wanted = [parse_spec(spec) for spec in specs] or None
    found = push(existing_store(project), there, wanted, as_name=as_name, threads=threads)
    code = _tell(found, f"Sent to {there.public}", as_json)
    if found.erased and not as_json:
        click.echo(
            f"Something of these was erased here or there, they were left alone: "
            f"{', '.join(found.erased[:10])}\n"
            "To erase it there: push --erase; to erase it here: pull --erase"
        )
    return code


@click.command("pull")
@specs_argument
@remote_option
@click.option("--columns", metavar="A,B", help="Only these columns of each.")
@as_option
@click.option("--erase", is_flag=True, help="Erase here as well what was erased there.")
@click.option("--pipeline", metavar="NAME", help="What this pipeline names; NAME or its folder.")
@threads_option
@json_option
def pull_command(
    specs: tuple[str, ...], remote: str | None, columns: str | None, as_name: str | None,
    erase: bool, pipeline: str | None, threads: int, as_json: bool,
) -> int:  # fmt: skip
    """Bring versions here from a remote; what is here already is not fetched again.

    SPECS are as for push; without any, all are brought.
    """
    project = open_project()
    names = named_snapshots(find_pipeline(project, pipeline)) if pipeline is not None else []
    if pipeline is not None and not names and not specs:
        if as_json:
            echo_json({"versions": [], "new": 0, "chunks": 0, "bytes": 0})
        else:
            click.echo(f"{pipeline} names no snapshots.")
        return 0
    there = _remote(remote)
    named = specs_there(there, names, threads=threads)
    wanted = [*map(parse_spec, specs), *named] or None
    store = open_store(project, load_config(project.root))
    found = pull(
        store, there, wanted, columns=parse_columns(columns), as_name=as_name, erase=erase,
        threads=threads,
    )  # fmt: skip
    code = _tell(found, f"Brought from {there.public}", as_json)
    if found.erased and not as_json:
        shown = ", ".join(found.erased[:10])
        click.echo(
            f"Erased here as there: {shown}" if erase
            else f"Erased there, or something of it, and still here: {shown}\n"
            "To erase it here: the same command with --erase"
        )  # fmt: skip
    return code


@click.command("clone")
@click.argument("url")
@specs_argument
@click.option("--columns", metavar="A,B", help="Only these columns of each.")
@threads_option
@json_option
def clone_command(
    url: str, specs: tuple[str, ...], columns: str | None, threads: int, as_json: bool
) -> int:
    """Make the snapshots of the remote URL those of this project, which has none yet.

    SPECS are as for push; without any, all are brought.
    """
    project = open_project()
    there = open_remote(url, root=project.root)
    wanted = [parse_spec(spec) for spec in specs] or None
    found = clone(there, project, wanted, columns=parse_columns(columns), threads=threads)
    return _tell(found, f"Brought from {there.public}", as_json)


@click.command("repair")
@remote_option
@threads_option
@json_option
def repair_command(remote: str | None, threads: int, as_json: bool) -> int:
    """Make whole what verify finds: from other copies here, or from a remote.

    The exit code is 1 when something stays damaged.
    """
    project = open_project(create=False)
    known = remote or load_config(project.root).snapshot_remote
    there = _remote(remote) if known else None
    found = repair(existing_store(project), there, threads=threads)
    if as_json:
        echo_json({
            "found": found.found, "mended": found.mended, "fetched": found.fetched,
            "rebuilt": found.rebuilt, "left": found.left.to_dict(),
        })  # fmt: skip
        return 0 if found.ok else 1
    if not found.found:
        click.echo("Everything is as it was written.")
        return 0
    click.echo(
        f"{found.found:,} problems: {found.mended:,} mended here, {found.fetched:,} fetched, "
        f"{found.rebuilt:,} records made anew."
    )
    for problem in found.left.problems:
        click.echo(f"  left: {problem.kind} {problem.path}: {problem.message}")
    if not found.ok and there is None:
        click.echo("A remote that holds them may help: --remote URL.")
    return 0 if found.ok else 1


def tell_erased(found: ErasedThere, there: Remote, as_json: bool = False) -> None:
    """Say what was erased on a remote."""
    if as_json:
        echo_json(found.to_dict())
        return
    if not found.versions and not found.chunks:
        click.echo(f"On {there.public} was nothing of it.")
        return
    shown = ", ".join(found.versions[:10]) or "what was left of it"
    more = f" and {len(found.versions) - 10} more" if len(found.versions) > 10 else ""
    click.echo(
        f"Erased on {there.public}: {shown}{more}; {found.chunks:,} chunks, "
        f"{size_text(found.freed)}."
    )
    if found.broken:
        click.echo(
            f"Damaged by it, push them again from where they are whole: {', '.join(found.broken)}"
        )


def _remote(url: str | None) -> Remote:
    project = open_project(create=False)
    return open_remote(url, root=project.root, config=load_config(project.root))


def _tell(found: Pushed | Pulled, done: str, as_json: bool) -> int:
    if as_json:
        echo_json({
            "versions": [v.to_dict() | {"spec": v.spec} for v in found.versions],
            "new": found.new, "chunks": found.chunks, "bytes": found.bytes,
            "kept_tags": found.kept_tags, "erased": found.erased,
        })  # fmt: skip
        return 0
    shown = ", ".join(version.spec for version in found.versions[:10]) or "nothing"
    more = f" and {len(found.versions) - 10} more" if len(found.versions) > 10 else ""
    click.echo(f"{done}: {shown}{more}.")
    click.echo(f"{found.new:,} new versions, {found.chunks:,} chunks, {size_text(found.bytes)}.")
    if found.kept_tags:
        click.echo(f"Tags that name another version there stay: {', '.join(found.kept_tags)}")
    return 0
