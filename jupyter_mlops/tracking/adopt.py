"""``adopt``: executed notebooks, and the runs and models of another MLflow, are listed at once.

Notebooks become runs through the journal as everything else.  Runs of another MLflow are copied
into the project's own store by their rows: they keep their ids and their artifacts stay where they
are.  Both can be repeated, which adds only what is new, and taken back, which touches no original.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from ..capture.session import Session
from ..config import Config, absolute_uri, public_uri
from ..errors import ConflictError, NotFoundError, UsageError
from ..journal import default_redactor, list_sessions, read_session
from ..model.address import is_embedded, prepare_store, tracking_uri
from ..model.events import RunRecord
from ..model.ports import Copied, TrackingBackend
from ..model.wiring import load_port
from ..project import Project
from ..state import StateDB
from ..state.meta import get_meta, put_meta
from ..state.readmodel import forget_run, put_run, read_run
from .delivery import deliver
from .executed import ADOPTED_FROM, executed_run, find_notebooks
from .sessions import what_waits
from .sync import refresh
from .target import EXPERIMENTS, open_backend

__all__ = ["AdoptReport", "adopt", "unadopt"]

_DATABASE = "mlflow.db"


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What ``adopt`` listed (or would), or ``unadopt`` took back, from ``source``.

    Attributes:
        notebooks: the executed notebooks that became runs, as ``(run id, path)``.
        known: how many runs of ``source`` were here already.
        runs: how many runs of another MLflow came (or went).
        models: the registered models that came (or went).
        skipped: what was left, and why.
        errors: why notebooks still wait for delivery.
        undo: the command that takes it back, ``None`` if nothing came.
    """

    source: str
    notebooks: tuple[tuple[str, str], ...] = ()
    known: int = 0
    runs: int = 0
    models: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    undo: str | None = None
    stores: tuple[str, ...] = field(default=())


def adopt(project: Project, config: Config, source: str, *, dry_run: bool = False) -> AdoptReport:
    """List what there is at ``source``: a folder or notebook, or an MLflow by folder or address.

    In a folder the notebooks of all its folders count, and an ``mlruns`` or ``mlflow.db`` in it.
    ``dry_run`` says what would come and writes nothing.  Raises ``NotFoundError`` for a source that
    is not there, ``UsageError`` for one that cannot be taken, ``ServiceError`` for a server that
    does not answer.
    """
    folder, stores = _places(source)
    report = AdoptReport(str(source))
    for uri in stores:
        report = _merge(report, _adopt_store(project, config, uri, dry_run=dry_run))
    if folder is not None:
        report = _merge(report, _adopt_notebooks(project, config, folder, dry_run=dry_run))
    came = report.runs or report.models or report.notebooks
    undo = (
        shlex.join(["jupyter", "mlops", "adopt", "--undo", source])
        if came and not dry_run
        else None
    )
    return replace(report, undo=undo)


def unadopt(project: Project, config: Config, source: str) -> AdoptReport:
    """Take back what ``adopt`` listed from ``source``; nothing there is touched.

    Runs of notebooks are deleted softly in MLflow, copies of another MLflow's runs for good.
    """
    folder, stores = _places(source, missing=True)
    report = AdoptReport(str(source))
    for uri in stores:
        if not is_embedded(project, config):
            break
        prepare_store(project)
        gone: Copied = load_port("remove_copied")(_label(uri), project.state / _DATABASE)
        with StateDB(project).write() as connection:
            for run_id in gone.ids:
                forget_run(connection, run_id)
        report = _merge(
            report,
            AdoptReport(
                source, runs=gone.new, models=gone.models, skipped=gone.skipped, stores=(uri,)
            ),
        )
    if stores:
        refresh(project, config)
    if folder is not None:
        report = _merge(report, _remove_notebooks(project, config, folder))
    return report


def _places(source: str, *, missing: bool = False) -> tuple[Path | None, list[str]]:
    """The folder with notebooks, if it is one, and the addresses of each MLflow."""
    scheme = urlsplit(source).scheme
    if scheme and not (len(scheme) == 1 or Path(source).exists()):  # C:\\ is no scheme
        uri = absolute_uri(source, Path.cwd())
        return None, [uri]
    path = Path(source).expanduser().resolve()
    if path.is_file():
        return (path, []) if path.suffix == ".ipynb" else (None, [f"sqlite:///{path}"])
    if not path.exists() and missing:  # it has gone since
        return path, [f"sqlite:///{path}", path.as_uri()]
    if not path.is_dir():
        raise NotFoundError(
            f"{source} is neither there nor an address",
            hint="Name a folder, a notebook, an mlruns folder, an mlflow.db or an MLflow URI.",
        )
    if _is_file_store(path):
        return None, [path.as_uri()]
    stores = [(path / "mlruns").as_uri()] if _is_file_store(path / "mlruns") else []
    if (path / _DATABASE).is_file():
        stores.append(f"sqlite:///{path / _DATABASE}")
    return path, stores


def _adopt_store(project: Project, config: Config, uri: str, *, dry_run: bool) -> AdoptReport:
    target = tracking_uri(project, config)
    if uri.rstrip("/") == target.rstrip("/"):
        if is_embedded(project, config):
            raise ConflictError(
                f"{uri} is the project's own store", hint="Its runs are listed already."
            )
        return _watch(project, config, uri, dry_run=dry_run)
    if not is_embedded(project, config):
        raise UsageError(
            f"the runs of {public_uri(uri)} cannot be listed beside those of {public_uri(target)}",
            hint="A project that delivers to a server shows that server's runs: "
            f"jupyter mlops adopt {public_uri(target)} lists all of them.",
        )
    with _store(project, dry_run=dry_run) as database:
        copied: Copied = load_port("copy_runs")(
            uri,
            database,
            project.artifacts,
            redact=_redactor() if config.redact else _as_it_is,
            dry_run=dry_run,
            timeout=config.delivery_timeout,
        )
    if not dry_run:
        with StateDB(project).write() as connection:
            for run in copied.runs:
                put_run(connection, run)
        refresh(project, config)  # the models
    return AdoptReport(
        uri,
        known=len(copied.runs) - copied.new,
        runs=copied.new,
        models=copied.models,
        skipped=copied.skipped,
        stores=(uri,),
    )


@contextlib.contextmanager
def _store(project: Project, *, dry_run: bool) -> Iterator[Path]:
    """The project's own store; a preview must not make it, and is shown on an empty one."""
    if not dry_run or (project.state / _DATABASE).exists():
        prepare_store(project)
        yield project.state / _DATABASE
        return
    with tempfile.TemporaryDirectory(prefix="mlops-adopt-") as temporary:
        database = Path(temporary, _DATABASE)
        load_port("tracking_store")(database, Path(temporary, "artifacts"))
        yield database


def _watch(project: Project, config: Config, uri: str, *, dry_run: bool) -> AdoptReport:
    """The project's own server: all of its experiments are listed from now on."""
    backend: TrackingBackend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    found = backend.runs(None, 0.0, 10_000).runs
    names = sorted({run.experiment for run in found if run.experiment})
    if dry_run:
        return AdoptReport(uri, runs=len(found), stores=(uri,))
    with StateDB(project).write() as connection:
        known = get_meta(connection, EXPERIMENTS, [])
        put_meta(connection, EXPERIMENTS, sorted({*known, *names}))
    refresh(project, config, whole=True)
    return AdoptReport(uri, runs=len(found), stores=(uri,))


def _adopt_notebooks(
    project: Project, config: Config, folder: Path, *, dry_run: bool
) -> AdoptReport:
    known = _adopted(project)
    found: list[RunRecord] = []
    skipped: list[str] = []
    again: list[str] = []
    for path in find_notebooks(folder):
        shown = project.relative(path)
        run = executed_run(path, shown, "")
        if isinstance(run, str):
            skipped.append(f"{shown}: {run}")
        elif run.run_id in known:
            again.append(run.run_id)
        else:
            found.append(run)
    report = AdoptReport(
        str(folder),
        notebooks=tuple((run.run_id, run.notebook or "") for run in found),
        known=len(again),
        skipped=tuple(skipped),
    )
    if dry_run:
        return report
    back = _restore(project, config, again) if again else []
    report = replace(
        report,
        notebooks=(*report.notebooks, *((run_id, known[run_id]) for run_id in back)),
        known=len(again) - len(back),
    )
    if not found:
        return report
    project.create()
    session = Session(project, config, notebook=None, kernel_id=None)
    try:
        for run in found:
            session.write(replace(run, session=session.id))
        session.write(sync=True)
    finally:
        session.close()
    return replace(report, errors=deliver(project, config, wait_lease=30.0).errors)


def _adopted(project: Project) -> dict[str, str]:
    """The runs of notebooks that were adopted before: run id -> path."""
    found = {}
    for path in list_sessions(project.journal) if project.exists else ():
        for run in read_session(path).runs:
            if run.kind == "notebook" and ADOPTED_FROM in run.tags:
                found[run.run_id] = run.tags[ADOPTED_FROM]
    return found


def _restore(project: Project, config: Config, run_ids: list[str]) -> list[str]:
    """Bring back those that were taken back before; return them."""
    waits = {run_id for session in what_waits(project) for run_id in session.runs}
    with StateDB(project).read() as connection:
        gone = [
            run_id
            for run_id in run_ids
            if run_id not in waits and read_run(connection, run_id) is None
        ]
    if not gone:
        return []
    backend = _open(project, config)
    back = []
    for run_id in gone:
        mlflow_id = backend.find_run(run_id)
        if mlflow_id is None:
            continue  # it still waits
        backend.restore_run(mlflow_id)
        run = backend.run(mlflow_id)
        if run is not None:
            with StateDB(project).write() as connection:
                put_run(connection, run)
            back.append(run_id)
    return back


def _remove_notebooks(project: Project, config: Config, folder: Path) -> AdoptReport:
    inside = {
        run_id: path
        for run_id, path in _adopted(project).items()
        if (project.root / path).is_relative_to(folder)
    }
    if not inside:
        return AdoptReport(str(folder))
    errors = deliver(project, config, wait_lease=30.0).errors
    with StateDB(project).read() as connection:
        there = {run_id: read_run(connection, run_id) for run_id in inside}
    backend: TrackingBackend | None = None
    removed, skipped = [], []
    for run_id, run in there.items():
        if run is None:
            continue  # it has been taken back before
        if run.mlflow_run_id is None or (run.registered and "@" in run.registered):
            why = "it is not delivered yet" if run.mlflow_run_id is None else run.registered
            skipped.append(f"{inside[run_id]}: {why}")
            continue
        backend = backend or _open(project, config)
        backend.delete_run(run.mlflow_run_id)
        with StateDB(project).write() as connection:
            forget_run(connection, run_id)
        removed.append((run_id, inside[run_id]))
    return AdoptReport(str(folder), notebooks=tuple(removed), skipped=tuple(skipped), errors=errors)


def _open(project: Project, config: Config) -> TrackingBackend:
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    return backend


def _merge(one: AdoptReport, other: AdoptReport) -> AdoptReport:
    return AdoptReport(
        one.source,
        (*one.notebooks, *other.notebooks),
        one.known + other.known,
        one.runs + other.runs,
        (*one.models, *other.models),
        (*one.skipped, *other.skipped),
        (*one.errors, *other.errors),
        stores=(*one.stores, *other.stores),
    )


def _redactor() -> Callable[[str, str], str]:
    redactor = default_redactor()

    @lru_cache(maxsize=65_536)  # the values of ten thousand runs are mostly the same ones
    def clean(name: str, value: str) -> str:
        return str(redactor.redact_value(name, value))

    return clean


def _as_it_is(_: str, value: str) -> str:
    return value


def _label(uri: str) -> str:
    """How ``integrations`` names a source in the tags of what it copied."""
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return f"sqlite:///{Path(parts.path.removeprefix('/') or '/').resolve()}"
    return uri if parts.scheme == "file" else public_uri(uri)


def _children(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _is_file_store(path: Path) -> bool:
    return any((child / "meta.yaml").is_file() for child in _children(path))
