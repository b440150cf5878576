"""Every piece of work is promoted: proven equal, as small as a person would make it, at home
anywhere.  The full form prints a row a book for ``benchmarks/FIGURES.md``."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import Promotion, plan, promote
from tests.cli.command_line import Mlops
from tests.cli.test_registry_verbs import mlops

from .promoting import Session, by_papermill, git, named, session
from .reading import WORK

__all__ = ["mlops"]

BOOKS = [path.stem for path in WORK]
IN_CI = ("ames_garages", "iris_petals")


def promoted(project: Project, work: Session) -> Promotion:
    """Promote it; where it draws numbers without a seed, give one as the error says."""
    book = work.book
    work.run(book.session)
    work.save(book.document(work.counts))
    tracked = book.tracked
    if ("NB007", tracked) in book.expected:
        (unseeded,) = plan(project, Config(), work.notebook).unseeded
        assert "random_state" in unseeded
        work.run([(tracked, book.versions[tracked, "clean"])])
    return promote(project, Config(), work.notebook)


@pytest.mark.parametrize(
    "name", [n if n in IN_CI else pytest.param(n, marks=pytest.mark.full) for n in BOOKS]
)
def test_work_becomes_a_pipeline(
    project: Project,
    name: str,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    book = named(name)
    started = time.monotonic()
    with session(project, book) as work:
        promotion = promoted(project, work)
        seconds = time.monotonic() - started
        (tracked,) = [r for r in work.kernel.runs if r.run_id == promotion.run_id]
        assert promotion.verdict == "equal"
        assert promotion.proof["widened"] is False
        assert promotion.metrics == tracked.metrics
        assert promotion.metrics
        executed = [cell for cell, _ in book.session]
        kept = [
            cell.cell_id
            for cell in plan(project, Config(), work.notebook).cells
            if cell.kept and cell.cell_id is not None
        ]
        total = len(book.cells.keys() - book.texts)
        with capsys.disabled():
            print(
                f"\n| {name} | {len(executed)} | {total} | {len(kept)} | {len(book.keep)} | "
                f"{len(promotion.steps)} | {promotion.verdict} | {seconds:.0f} |"
            )
        # Nothing that a person would keep is missing, and where one drops half so do we.
        assert not set(book.keep) - set(kept)
        assert len(kept) <= total / 2 or len(book.keep) > total / 2
        if len(promotion.steps) == 1 and "full" not in pytestconfig.getoption("markexpr"):
            return
        assert by_papermill(promotion.folder, project.root / "elsewhere") == promotion.metrics
        again(project, work, promotion)


def again(project: Project, work: Session, first: Promotion) -> None:
    """After a change of the tracked cell, only the notebook of its step is another one."""
    book, tracked = work.book, work.book.tracked
    source = book.cells[tracked]
    if ("NB007", tracked) in book.expected:
        source = book.versions[tracked, "clean"]
    ran = [cell for cell, _ in book.session]
    if set(ran[ran.index(tracked) + 1 :]) & set(book.keep):
        # What it needs was run again since, with other values: that is the state before the change.
        work.run([(tracked, source)])
        first = promote(project, Config(), work.notebook)
        assert first.verdict == "equal"
    before = {p.name: p.read_bytes() for p in first.folder.iterdir()}
    book.cells[tracked] = f"{source}\ncases = len(y_test)"
    work.run([(tracked, book.cells[tracked])])
    work.save(book.document(work.counts))
    second = promote(project, Config(), work.notebook)
    assert second.verdict == "equal"
    assert second.metrics["cases"] > 0
    after = {p.name: p.read_bytes() for p in second.folder.iterdir()}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - {"proof.json"} == {f"{first.steps[-1]}.ipynb"}
    assert {c.file for c in second.changes if c.status == "changed"} == {f"{first.steps[-1]}.ipynb"}


@pytest.mark.parametrize("name", ["taxi_fares", "ames_prices"])
@pytest.mark.full
def test_a_clone_without_our_folder(
    project: Project, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, mlops: Mlops
) -> None:
    book = named(name)
    with session(project, book) as work:
        promotion = promoted(project, work)
    assert promotion.proof["snapshots"]
    remote = tmp_path / "remote"
    settings = [f'snapshot-remote = "{remote.as_posix()}"', "agent = false"]
    (project.root / "pyproject.toml").write_text("\n".join(["[tool.jupyter-mlops]", *settings]))
    assert mlops("snapshots", "push").code == 0
    # The data are not in git, as large ones are not.
    (project.root / ".gitignore").write_text(".mlops/\ndata/\n")
    git("init", "-q", cwd=project.root)
    git("add", ".", cwd=project.root)
    git("commit", "-q", "-m", "Promote", cwd=project.root)
    clone = tmp_path / "clone"
    git("clone", "-q", str(project.root), str(clone), cwd=tmp_path)
    assert not (clone / ".mlops").exists()
    assert not (clone / "data").exists()
    monkeypatch.chdir(clone)

    stopped = mlops("run", promotion.name, "--json")
    assert stopped.code == 2
    hint = f"jupyter mlops snapshots pull --pipeline {promotion.name}"
    assert stopped.json["error"]["hint"] == hint
    assert mlops(*hint.split()[2:]).code == 0
    pulled = mlops("run", promotion.name, "--json")
    assert (pulled.code, pulled.json["metrics"]) == (0, promotion.metrics)

    # Where the sources are there, they are followed.
    shutil.rmtree(clone / ".mlops")
    shutil.copytree(project.root / "data", clone / "data")
    followed = mlops("run", promotion.name, "--json")
    assert (followed.code, followed.json["metrics"]) == (0, promotion.metrics)
