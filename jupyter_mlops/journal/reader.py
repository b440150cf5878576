"""Reading the sessions of a project back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.events import (
    CellEvent,
    EnvironmentRecord,
    RunAmended,
    RunProgress,
    RunRecord,
    RunStarted,
    SessionHeader,
    record_from_dict,
)
from .format import Damage, scan
from .process import ProcessIdentity

__all__ = ["SessionFile", "list_sessions", "read_session"]

Record = (
    SessionHeader
    | CellEvent
    | RunStarted
    | RunRecord
    | RunProgress
    | RunAmended
    | EnvironmentRecord
)


@dataclass(frozen=True, slots=True)
class SessionFile:
    """One session as read: its header, its records in order, and what could not be read.

    ``offset`` is where reading ended: pass it as ``start`` to read only what came later; ``ends``
    holds, beside each record, the offset after it.
    """

    path: Path
    header: SessionHeader | None
    records: tuple[Record, ...]
    damage: tuple[Damage, ...]
    offset: int
    ends: tuple[int, ...] = ()

    @property
    def session(self) -> str:
        """The session id, which names the file."""
        return self.path.stem

    @property
    def cells(self) -> tuple[CellEvent, ...]:
        """The executed cells in executed order."""
        return tuple(r for r in self.records if isinstance(r, CellEvent))

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """The runs that have ended, in order."""
        return tuple(r for r in self.records if isinstance(r, RunRecord))

    @property
    def amendments(self) -> tuple[RunAmended, ...]:
        """What became known of runs after their records, in order."""
        return tuple(r for r in self.records if isinstance(r, RunAmended))

    @property
    def environments(self) -> dict[str, EnvironmentRecord]:
        """The environments by digest."""
        return {r.digest: r for r in self.records if isinstance(r, EnvironmentRecord)}

    @property
    def unfinished(self) -> tuple[RunStarted, ...]:
        """Runs that began and have no end in what was read."""
        ended = {r.run_id for r in self.runs}
        return tuple(r for r in self.records if isinstance(r, RunStarted) and r.run_id not in ended)

    def writer_alive(self) -> bool | None:
        """Whether the process that writes this journal lives; ``None`` if that cannot be told."""
        if self.header is None:
            return None
        h = self.header
        return ProcessIdentity(h.host, h.boot_id, h.pid, h.pid_started).alive()


def list_sessions(journal: Path) -> Iterator[Path]:
    """Yield the journal files of a project, oldest session first (session ids are ULIDs)."""
    try:
        yield from sorted(journal.glob("*.journal"))
    except FileNotFoundError:
        return


def read_session(path: Path, start: int = 0) -> SessionFile:
    """Read one session's records from byte ``start`` on.

    The header is always read, also when ``start`` lies behind it.  Records of a type that this
    version does not know are skipped; a record whose fields do not fit is reported as damage.
    Raises ``OSError`` when the file cannot be read.
    """
    header: SessionHeader | None = None
    records: list[Record] = []
    ends: list[int] = []
    damage: list[Damage] = []
    with path.open("rb") as file:
        if start > 0:
            for _, item in scan(file.readline()):
                header = _as_header(item)
            file.seek(start)
        data = file.read()
    offset = start
    for end, item in scan(data):
        begin, offset = offset, start + end
        if isinstance(item, Damage):
            damage.append(Damage(begin, offset, item.reason))
            continue
        record, problem = _as_record(item)
        if problem is not None:
            damage.append(Damage(begin, offset, problem))
        elif isinstance(record, Record):
            if isinstance(record, SessionHeader):
                header = record
            records.append(record)
            ends.append(offset)
    return SessionFile(path, header, tuple(records), tuple(damage), offset, tuple(ends))


def _as_record(item: dict[str, Any]) -> tuple[object | None, str | None]:
    try:
        return record_from_dict(item), None
    except (TypeError, ValueError, AttributeError) as error:
        return None, f"{item.get('type')} record does not fit: {error}"


def _as_header(item: dict[str, Any] | Damage) -> SessionHeader | None:
    if isinstance(item, Damage):
        return None
    record, _ = _as_record(item)
    return record if isinstance(record, SessionHeader) else None
