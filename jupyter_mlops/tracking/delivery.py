"""``deliver``: what the journal holds reaches MLflow, each run once.

One process delivers at a time, under the lease ``delivery``.  The stored position moves in the
transaction that checks the lease, after MLflow has everything; a process killed at any moment is
followed by one that finds, by tags, what is there already and completes it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from ..config import Config, public_uri
from ..errors import ConflictError, MlopsError, ServiceError, UsageError
from ..journal import BlobStore, Damage, SessionFile
from ..model.events import ModelRecord, RunAmended, RunRecord
from ..model.ports import BuiltModel, Delivered, TrackingBackend
from ..model.registry import ModelVersion, check_model_name
from ..project import Project
from ..state import StateDB
from ..state.delivery import advance, begin_attempt, postpone
from ..state.held import HeldLease, hold
from ..state.meta import get_meta, put_meta
from ..state.readmodel import forget_run, put_run, put_version
from .amending import WholeSession, amended, changes_of, settled
from .building import ModelBuilders
from .queries import journal_summary
from .report import DeliveryReport
from .sessions import Session, open_sessions, waiting
from .spooled import any_spent, blobs_of, note_spent, remove_spent
from .sync import note_contact, settle_target
from .target import EXPERIMENTS, capture_level, has_state, open_backend, tracking_uri

__all__ = ["deliver"]

_ATTEMPTED = "attempted_uri"  # meta: where the last delivery went
_ISOLATE_AFTER = 3  # attempts, maybe ended by the model itself: the next builds it in a child
_SERVER_FAILURES = 3  # sessions in a row before the server is taken for dead


def deliver(
    project: Project, config: Config, *, wait_lease: float = 0.0, force: bool = False
) -> DeliveryReport:
    """Deliver the ended runs of every session, in order; close those of dead processes as KILLED.

    Waits up to ``wait_lease`` seconds for another process that delivers.  Sessions that failed a
    moment ago are left for later unless ``force``.  A server that does not answer, a damaged record
    and a model that cannot be stored are in the report; nothing of that is raised.  Raises
    ``ProjectError`` when the project itself cannot be written.
    """
    if not project.exists:
        return DeliveryReport()
    state = StateDB(project)
    due, later = _due(project, config, state, force=force)
    if not due and not (has_state(project) and any_spent(state)):
        return DeliveryReport(waiting=waiting(project) if later else 0, errors=_unique(later))
    with hold(state, "delivery", wait=wait_lease) as lease:
        if lease is None:
            return DeliveryReport(waiting=waiting(project), busy=True)
        return _Delivery(project, config, state, lease, force=force).run()


def _due(
    project: Project, config: Config, state: StateDB, *, force: bool
) -> tuple[list[Session], list[str]]:
    """The sessions with something to do now, and what keeps the others."""
    due, later = [], []
    moved: bool | None = None
    for session in open_sessions(project):
        if not _has_work(session):
            continue
        if not force and session.progress.next_try > time.time():
            if moved is None:  # another address deserves a try of its own
                with state.read() as connection:
                    before = get_meta(connection, _ATTEMPTED)
                moved = before != public_uri(tracking_uri(project, config))
            if not moved:
                later.append(session.progress.error or "an earlier attempt failed")
                continue
        due.append(session)
    return due, later


def _has_work(session: Session) -> bool:
    try:
        found = session.examine()
    except OSError:
        return True  # it is reported under the lease
    return bool(found.runs or found.file.amendments or found.file.damage or found.ended)


@dataclass
class _Delivery:
    project: Project
    config: Config
    state: StateDB
    lease: HeldLease
    force: bool
    delivered: int = 0
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    versions: list[ModelVersion] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    busy: bool = False

    def __post_init__(self) -> None:
        self.full = capture_level(self.project, self.config) != "minimal"
        self.blobs = BlobStore(self.project.journal)
        self.builders = ModelBuilders(self.blobs, self.project.state / "building")
        self.backend: TrackingBackend | None = None

    def run(self) -> DeliveryReport:
        # Under the lease: another process may just have delivered all that was seen before.
        due, later = _due(self.project, self.config, self.state, force=self.force)
        try:
            self._run(due)
            if any_spent(self.state):
                remove_spent(self.project, self.state, self.blobs, self.lease)
        except ConflictError:
            self.busy = True  # this process was stopped for so long that another went on
        finally:
            self.builders.close()
        return DeliveryReport(
            delivered=self.delivered,
            waiting=waiting(self.project),
            errors=_unique([*self.errors, *later]),
            versions=tuple(self.versions),
            warnings=_unique(self.warnings),
            busy=self.busy,
        )

    def _run(self, sessions: list[Session]) -> None:
        failures = 0
        for number, session in enumerate(sessions):
            try:
                self._session(session)
                failures = 0
            except ConflictError:
                raise
            except UsageError as error:
                self._postpone([session], error)
            except Exception as error:
                # ServiceError, ProjectError, a full disk: what may pass.  Anything else is a fault
                # of ours or of a library's, which must not keep other sessions waiting either.
                failures += 1
                problem = _as_ours(error)
                if self.backend is None or failures >= _SERVER_FAILURES:
                    self._postpone(sessions[number:], problem)
                    return
                self._postpone([session], problem)

    def _session(self, session: Session) -> None:
        name = session.path.stem
        found = session.examine()
        file = found.file
        damage = list(file.damage)
        if found.runs or file.amendments:
            backend = self._connect()
            whole = WholeSession(session.path, file)
            with self.state.write() as connection:
                self.lease.lease.check(connection)
                isolate = begin_attempt(connection, name).attempts > _ISOLATE_AFTER
            self.begun.add(name)
            done: set[str] = set()  # runs of which MLflow has all that was read of them
            for record, end in zip(file.records, file.ends, strict=True):
                if isinstance(record, RunRecord):
                    run = amended(record, file.amendments)
                    self._deliver(backend, whole, run, end, isolate=isolate)
                    self._report_damage(session, damage, end)
                    isolate = False
                    done.add(record.run_id)
                elif isinstance(record, RunAmended) and record.run_id not in done:
                    self._amend(backend, whole, record.run_id, end)
                    self._report_damage(session, damage, end)
                    done.add(record.run_id)
            for run in found.killed:
                self._deliver(backend, whole, run, session.progress.position, isolate=isolate)
        if found.ended:
            self._settle(session, file)
        with self.state.write() as connection:
            self.lease.lease.check(connection)
            advance(connection, name, file.offset, closed=found.ended)
        self._report_damage(session, damage, file.offset)

    def _settle(self, session: Session, file: SessionFile) -> None:
        """Tell of the inputs that a session was keeping when it was killed, without that."""
        whole = WholeSession(session.path, file)
        for run in whole.unsettled():
            record = settled(run)
            changes = RunAmended(run.run_id, run.session, time.time(), inputs=record.inputs)
            self._connect().amend(
                record, changes, read_blob=self.blobs.get, full=self.full, guard=self.lease.holds
            )

    def _report_damage(self, session: Session, damage: list[Damage], position: int) -> None:
        """Say what was skipped, once: the position has passed it."""
        while damage and damage[0].end <= position:
            item = damage.pop(0)
            self.errors.append(
                f"{self.project.relative(session.path)}: bytes {item.start} to {item.end} are "
                f"damaged and were skipped: {item.reason}"
            )

    def _deliver(
        self,
        backend: TrackingBackend,
        whole: WholeSession,
        record: RunRecord,
        end: int,
        *,
        isolate: bool,
    ) -> None:
        """Deliver one run and move the position to ``end``."""
        file = whole.part
        interpreter = file.header.interpreter if file.header is not None else None

        def build(model: ModelRecord) -> BuiltModel:
            return self.builders.build(model, interpreter, isolate=isolate)

        try:
            done = backend.deliver(
                record,
                read_blob=self.blobs.get,
                build_model=build,
                full=self.full,
                guard=self.lease.holds,
                environment=whole.environment(record),
                has_children=whole.has_children(record),
            )
            self.warnings += done.warnings
            version = self._register(backend, record, done)
        except ConflictError:
            raise
        except UsageError as error:
            self._skip(file, record, end, error)
            return
        with self.state.write() as connection:
            self.lease.lease.check(connection)
            advance(connection, file.session, end)
            note_spent(connection, record)
            if done.removed:
                forget_run(connection, record.run_id)
            else:
                put_run(connection, done.summary)
            if version is not None:
                put_version(connection, version)
            known = get_meta(connection, EXPERIMENTS, [])
            if done.summary.experiment not in known:
                put_meta(connection, EXPERIMENTS, [*known, done.summary.experiment])
        self.delivered += 1
        if blobs_of(record) and not self.full and self.config.capture != "minimal":
            self.warnings.append(
                f"no models and files go to {public_uri(backend.uri)} until you consent: "
                "jupyter mlops consent"
            )

    def _amend(self, backend: TrackingBackend, whole: WholeSession, run_id: str, end: int) -> None:
        """Add to a delivered run what became known later, and move the position to ``end``."""
        run = whole.run(run_id)
        changes = changes_of(c for c in whole.part.amendments if c.run_id == run_id)
        done = None
        if run is not None:  # one that still goes on has them when it ends
            try:
                done = backend.amend(
                    run,
                    changes,
                    read_blob=self.blobs.get,
                    full=self.full,
                    guard=self.lease.holds,
                    environment=whole.environment(run),
                )
            except ConflictError:
                raise
            except UsageError as error:
                self.errors.append(f"run {run.name} ({run_id}) was not completed: {error}")
        with self.state.write() as connection:
            self.lease.lease.check(connection)
            advance(connection, whole.part.session, end)
            if run is not None:
                note_spent(connection, changes)
            if done is not None and not done.removed:
                self.warnings += done.warnings
                put_run(connection, done.summary)

    def _register(
        self, backend: TrackingBackend, record: RunRecord, done: Delivered
    ) -> ModelVersion | None:
        """Make the version that the run asked for."""
        if record.register is None or done.removed:
            return None
        mlflow_id = done.summary.mlflow_run_id or ""
        try:
            check_model_name(record.register)
            with hold(self.state, f"model:{record.register}", wait=60.0) as lease:
                if lease is None:
                    raise ServiceError(f"{record.register} is being registered by another process")
                version, new = backend.register(record.register, mlflow_id, record.register_model)
        except ConflictError:
            raise
        except UsageError as error:
            self.warnings.append(f"{record.register} got no version from {record.name}: {error}")
            return None
        if new:
            self.versions.append(version)
        return version

    def _skip(self, file: SessionFile, record: RunRecord, end: int, error: MlopsError) -> None:
        """Pass over a run that will never be accepted; it stays in the journal and in the list."""
        why = f"it was not accepted: {error}"
        self.errors.append(f"run {record.name} ({record.run_id}) was skipped: {error}")
        summary = journal_summary(record)
        with self.state.write() as connection:
            self.lease.lease.check(connection)
            advance(connection, file.session, end)
            put_run(connection, replace(summary, warnings=(*summary.warnings, why)))

    def _connect(self) -> TrackingBackend:
        if self.backend is not None:
            return self.backend
        uri = tracking_uri(self.project, self.config)
        with self.state.write() as connection:
            put_meta(connection, _ATTEMPTED, public_uri(uri))
        backend = open_backend(self.project, self.config)
        backend.check(self.config.delivery_timeout)
        with self.state.write() as connection:
            self.lease.lease.check(connection)
            settle_target(connection, uri)
            note_contact(connection, None)
        self.backend = backend
        return backend

    def _postpone(self, sessions: list[Session], error: MlopsError) -> None:
        self.errors.append(str(error))
        with self.state.write() as connection:
            for name in (session.path.stem for session in sessions):
                if name not in self.begun:
                    begin_attempt(connection, name)
                postpone(connection, name, str(error))
            note_contact(connection, error)


def _as_ours(error: Exception) -> MlopsError:
    if isinstance(error, MlopsError):
        return error
    return MlopsError(f"{type(error).__name__}: {error}"[:400])


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
