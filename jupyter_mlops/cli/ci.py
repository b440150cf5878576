"""``jupyter mlops ci``."""

from __future__ import annotations

import difflib
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import click

from .._version import version
from ..config import load_config
from ..errors import ProjectError, UsageError
from ..project import Project, open_project
from ..reporting.workflows import (
    DATA_WAYS,
    GITLAB_FILE,
    Setup,
    github_workflow,
    gitlab_jobs,
    gitlab_root,
)
from .output import echo_json, json_option

__all__ = ["ci"]

_GITHUB_FILE = ".github/workflows/mlops.yml"


@click.group()
def ci() -> None:
    """Set up continuous integration, and comment on pull requests."""


@ci.command("init")
@click.option(
    "--provider",
    type=click.Choice(["github", "gitlab", "both"]),
    help="The CI system; by default it is asked.",
)
@click.option(
    "--data",
    "way",
    type=click.Choice(list(DATA_WAYS)),
    help="Where a job's data come from; by default it is asked.",
)
@click.option("--remote", metavar="URL", help="The remote of the snapshots, for remote and cache.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take what fits, and replace files.")
@json_option
def init_command(
    provider: str | None, way: str | None, remote: str | None, yes: bool, as_json: bool
) -> int:  # fmt: skip
    """Write a workflow that tests the pipelines of this project.

    A file that is there and is another is shown beside the new one, and kept unless you agree.
    """
    project = open_project(create=False)
    top, inside = _repository(project)
    ask = not yes and not as_json
    if ask and (provider is None or way is None) and not sys.stdin.isatty():
        raise UsageError(
            "nobody is here to be asked where the data come from",
            hint="Say it: jupyter mlops ci init --provider github --data source, or --yes for what "
            "fits.",
        )
    provider = provider or _provider(top, ask)
    configured = remote or load_config(project.root).snapshot_remote
    way = way or _way(configured, ask)
    if way == "source":
        configured = None
    elif configured is None:
        if not ask or not sys.stdin.isatty():
            raise UsageError(
                f"--data {way} needs the remote that the snapshots are on",
                hint="Give it with --remote URL, or set snapshot-remote.",
            )
        configured = click.prompt("Remote of the snapshots (s3://bucket/prefix, ...)").strip()
    if configured is not None and urlsplit(configured).password:
        raise UsageError(
            "the remote's address has a password in it, which would stand in the workflow",
            hint="Leave it out of the address, and give the job a secret instead.",
        )
    setup = Setup(
        data=way,
        version=version().partition("+")[0],
        folder=inside,
        branch=_branch(top),
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        requirements=_requirements(project.root),
        remote=configured,
    )
    notes: list[str] = []
    files: dict[str, str] = {}
    if provider in ("github", "both"):
        files[_GITHUB_FILE] = github_workflow(setup)
    if provider in ("gitlab", "both"):
        files[GITLAB_FILE] = gitlab_jobs(setup)
        root = top / ".gitlab-ci.yml"
        if not root.exists():
            files[".gitlab-ci.yml"] = gitlab_root()
        elif GITLAB_FILE not in root.read_text(encoding="utf-8", errors="replace"):
            notes.append(f"Add to .gitlab-ci.yml:\n\n{gitlab_root()}")
    if setup.secrets:
        notes.append(f"Give the job these secrets: {', '.join(setup.secrets)}")
    written = {
        name: _write(project, top / name, text, yes=yes, ask=ask, quiet=as_json)
        for name, text in files.items()
    }
    if as_json:
        echo_json({"provider": provider, "data": way, "files": written, "notes": notes})
    else:
        for note in notes:
            click.echo(note)
    return 0


@ci.command("comment")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--pull-request",
    "number",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Which pull or merge request; by default the one that this CI job is about.",
)
@json_option
def comment_command(file: Path, number: int | None, as_json: bool) -> int:
    """Put a report's comment on the pull request of this job; the one before is updated.

    FILE is the comment.md of a report.  In GitHub Actions GITHUB_TOKEN must be set, in GitLab
    GITLAB_TOKEN.
    """
    from .ci_comment import post_comment

    posted = post_comment(file, number=number)
    if as_json:
        echo_json({"url": posted.url, "updated": posted.updated})
    else:
        click.echo(f"{'Updated' if posted.updated else 'Added'} the comment {posted.url}".rstrip())
    return 0


def _repository(project: Project) -> tuple[Path, str]:
    """The repository's folder, and the project's inside of it."""
    for folder in (project.root, *project.root.parents):
        if (folder / ".git").exists():
            inside = project.root.relative_to(folder).as_posix()
            return folder, "" if inside == "." else inside
    return project.root, ""


def _provider(top: Path, ask: bool) -> str:
    address = _git(top, "remote", "get-url", "origin")
    gitlab = (top / ".gitlab-ci.yml").exists() or "gitlab" in address
    fits = "gitlab" if gitlab else "github"
    if not ask:
        return fits
    choice = click.Choice(["github", "gitlab", "both"])
    return str(click.prompt("CI system", type=choice, default=fits))


def _way(remote: str | None, ask: bool) -> str:
    fits = "source" if remote is None else "remote"
    if not ask:
        return fits
    click.echo("Where do a job's data come from?")
    for name, meaning in DATA_WAYS.items():
        click.echo(f"  {name:<7} {meaning}")
    return str(click.prompt("Data", type=click.Choice(list(DATA_WAYS)), default=fits))


def _branch(top: Path) -> str:
    head = _git(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
    if head:
        return head.partition("/")[2] or head
    return _git(top, "symbolic-ref", "--short", "HEAD") or "main"


def _requirements(root: Path) -> tuple[str, ...]:
    """What pip installs of the project: its requirements, or the project itself."""
    if (root / "requirements.txt").is_file():
        return ("-r", "requirements.txt")
    try:
        text = (root / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return ()
    return (".",) if "[project]" in text else ()


def _git(folder: Path, *words: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _write(
    project: Project, path: Path, text: str, *, yes: bool, ask: bool, quiet: bool
) -> str:  # fmt: skip
    """Write a file of the repository; returns ``written``, ``unchanged``, ``replaced`` or ``kept``.

    What was there is shown beside the new and is replaced with consent only; it is kept aside.
    """
    name = path.name
    try:
        old = path.read_text(encoding="utf-8") if path.exists() else None
        if old == text:
            if not quiet:
                click.echo(f"{path} is up to date")
            return "unchanged"
        undo = f"rm {shlex.quote(str(path))}"
        if old is not None:
            if not quiet:
                lines = difflib.unified_diff(
                    old.splitlines(), text.splitlines(), f"{name} (now)", f"{name} (new)",
                    lineterm="",
                )  # fmt: skip
                click.echo("\n".join(lines))
            if not yes and not (
                ask and sys.stdin.isatty() and click.confirm(f"Replace {path}?", default=False)
            ):
                if not quiet:
                    click.echo(f"Kept {path}; --yes replaces it.")
                return "kept"
            kept = project.create().state / "replaced" / f"{name}-{time.time_ns()}"
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(path, kept)
            undo = f"cp {shlex.quote(str(kept))} {shlex.quote(str(path))}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        if isinstance(error, ProjectError):
            raise
        raise ProjectError(f"{path} cannot be written: {error.strerror or error}") from error
    if not quiet:
        click.echo(f"Wrote {path} (to take that back: {undo})")
    return "written" if old is None else "replaced"
