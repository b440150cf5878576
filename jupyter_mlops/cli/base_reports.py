"""What a run is compared with: a report of the base branch, or a run of it made now."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Config, load_config
from ..errors import MlopsError, UsageError
from ..pipelines import PIPELINE_FILE, run_pipeline
from ..project import Project

if TYPE_CHECKING:
    from ..reporting import RunReport

__all__ = ["BaseRuns", "Request", "base_metrics", "check_ref", "read_base", "run_base", "worktree"]

_DIFF_LIMIT = 50_000_000  # bytes of a file that is compared row by row
_ROWS = 10


@dataclass(frozen=True)
class Request:
    """How a run was asked for, so that the base can be run in the same way."""

    target: str
    given: Mapping[str, Any] = field(default_factory=dict)
    data: str = "auto"


@dataclass(frozen=True)
class BaseRuns:
    """Reports by the pipeline's or notebook's name; ``label`` says of what.

    ``details`` are texts on data that changed, by name.
    """

    runs: dict[str, RunReport] = field(default_factory=dict)
    label: str = "base"
    details: dict[str, str] = field(default_factory=dict)


def read_base(path: Path) -> BaseRuns:
    """The runs of a ``report.json``, or of one in a folder.  Raises ``UsageError``."""
    from ..reporting import read_reports

    file = path / "report.json" if path.is_dir() else path
    hint = "Give the report.json that an earlier `jupyter mlops run --report FOLDER` has written."
    try:
        runs = read_reports(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{file} is not a report: {error}", hint=hint) from error
    commits = {run.commit for run in runs}
    commit = commits.pop() if len(commits) == 1 else ""
    return BaseRuns({run.name: run for run in runs}, f"base ({commit[:7]})" if commit else "base")


def check_ref(project: Project, ref: str) -> None:
    """Raise ``UsageError`` where git has no such commit."""
    _git(project.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ref=ref)


def run_base(
    project: Project,
    ref: str,
    heads: Sequence[tuple[RunReport, Request]],
    *,
    say: Callable[[str], None],
) -> BaseRuns:
    """Run the same pipelines and notebooks as they are in a commit.

    The commit is checked out into a temporary worktree and runs in this environment.  Snapshots are
    this project's, and so are data files that git does not keep.  Nothing of it is delivered or
    registered.  What the commit does not have, or cannot run, is left out, and ``say`` is told.
    Raises ``UsageError`` where there is no such commit.
    """
    found: dict[str, RunReport] = {}
    details: dict[str, str] = {}
    with worktree(project, ref) as base:
        for head, request in heads:
            try:
                report, text = _run(project, base, head, request)
            except MlopsError as error:
                say(f"Base: {head.name} is left out: {error.message}")
                continue
            if report.exit_code != 0:
                say(f"Base: {head.name} failed in {ref}, so there is nothing to compare with")
                continue
            found[head.name] = report
            if text:
                details[head.name] = text
    return BaseRuns(found, ref.removeprefix("origin/"), details)


def _run(
    project: Project, base: Project, head: RunReport, request: Request
) -> tuple[RunReport, str]:
    from ..reporting import build_report, data_changes

    target = request.target
    if head.kind == "notebook":
        target = str(base.root / head.steps[0].notebook)
    else:
        folder = base.root / Path(head.steps[0].notebook).parent
        target = str(folder) if folder.is_dir() else head.name
    _lend(project, base, [entry.source for entry in head.data])
    outcome = run_pipeline(
        base,
        _alone(base),
        target,
        request.given,
        register=False,
        data=request.data,
        deliver="later",
        cache=False,
    )
    from .run_reports import read_data

    report, _ = build_report(
        outcome.to_dict(), base.root, data=read_data(base, outcome), commit=_head(base.root)
    )
    texts = [
        text
        for change in data_changes(report, head)
        if (text := _rows(project, base, change.name)) is not None
    ]
    return report, "\n\n".join(texts)


def base_metrics(project: Project, base: Project, pipeline: str) -> Mapping[str, float] | None:
    """The metrics of a pipeline as it is in the base; ``None`` where it is not there, or fails."""
    folder = base.pipelines / pipeline
    if not (folder / PIPELINE_FILE).is_file():
        return None
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        proof = json.loads((project.pipelines / pipeline / "proof.json").read_text("utf-8"))
        _lend(project, base, [source["source"] for source in proof["sources"]])
    outcome = run_pipeline(
        base, _alone(base), str(folder), register=False, deliver="later", cache=False
    )
    return outcome.metrics if outcome.exit_code == 0 else None


def _alone(base: Project) -> Config:
    """The base's own settings, without an agent: its folder is gone when the run has ended."""
    return replace(load_config(base.root), agent=False)


def _lend(project: Project, base: Project, sources: Iterable[str]) -> None:
    """Files of data that are here and not in git are read by the base, too."""
    for source in sources:
        here, there = project.root / source, base.root / source
        if "://" in source or Path(source).is_absolute() or not here.exists():
            continue
        if not there.exists() and there.resolve().is_relative_to(base.root):
            there.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                there.symlink_to(here.resolve())


def _rows(project: Project, base: Project, source: str) -> str | None:
    """The rows that differ in a table that both sides have as a file."""
    old, new = base.root / source, project.root / source
    ending = new.suffix.lower()
    try:
        if max(old.stat().st_size, new.stat().st_size) > _DIFF_LIMIT:
            return None
        import pandas

        read: Callable[[Path], Any]
        if ending == ".csv":
            read = pandas.read_csv
        elif ending == ".parquet":
            read = pandas.read_parquet
        else:
            return None
        from ..snapshots.diffing import diff_values

        found = diff_values(read(old), read(new), names=("base", "now"))
        return f"{source}\n{found.text(_ROWS)}"
    except (OSError, ValueError, ImportError):
        return None


@contextlib.contextmanager
def worktree(project: Project, ref: str) -> Iterator[Project]:
    """The project as it is in a commit, in a temporary worktree; its snapshots are this one's.

    Raises ``UsageError`` where there is no such commit.
    """
    top = Path(_git(project.root, "rev-parse", "--show-toplevel").strip()).resolve()
    commit = _git(project.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ref=ref)
    inside = project.root.resolve().relative_to(top)
    place = Path(tempfile.mkdtemp(prefix="mlops-base-"))
    tree = place / "tree"
    try:
        _git(top, "worktree", "add", "--detach", "--quiet", str(tree), commit.strip())
        root = tree / inside
        if not root.is_dir():
            raise UsageError(f"{ref} has no folder {inside}", hint="Compare with a later commit.")
        base = Project(root=root.resolve(), state=root.resolve() / ".mlops").create()
        snapshots = project.state / "snapshots"
        if snapshots.is_dir():
            (base.state / "snapshots").symlink_to(snapshots.resolve())
        yield base
    finally:
        with contextlib.suppress(UsageError):
            _git(top, "worktree", "remove", "--force", str(tree))
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(UsageError):
            _git(top, "worktree", "prune")


def _head(root: Path) -> str:
    return _git(root, "rev-parse", "HEAD").strip()


def _git(folder: Path, *words: str, ref: str | None = None) -> str:
    # Hooks of the repository have nothing to do here.
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *words]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsageError(
            f"git cannot be run: {error.strerror or error}", hint="Install git, or use --base FILE."
        ) from error
    if result.returncode == 0:
        return result.stdout
    if ref is not None:
        raise UsageError(
            f"there is no commit {ref!r} here",
            hint="Fetch it before; in GitHub Actions: actions/checkout with fetch-depth: 0.",
        )
    last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise UsageError(
        f"git {words[0]} failed in {folder}: {last}", hint="Use --base FILE without a repository."
    )
