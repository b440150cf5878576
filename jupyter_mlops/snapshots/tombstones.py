"""What is still said of versions that are not there any more: when they went, and why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import CorruptError
from .descent import earlier
from .marking import name_of
from .refs import Version

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Gone", "erasures", "gone", "gone_text"]


@dataclass(frozen=True, slots=True)
class Gone:
    """A version that is not there: ``how`` is ``removed`` (it can come back) or ``erased``.

    ``at`` is in seconds since the epoch, ``None`` where the record is damaged; ``digest`` is that
    of the data that it had, where it is known.
    """

    name: str
    version: int
    how: str
    at: float | None = None
    reason: str | None = None
    digest: str | None = None

    @property
    def spec(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self) | {"spec": self.spec}


def gone(store: SnapshotStore, name: str | None = None) -> list[Gone]:
    """The versions of a name, or of all, that were removed or erased, newest first."""
    homes = store.refs.homes() if name is None else [store.refs.home(name)]
    found = []
    for home in homes:
        for number, kinds in sorted(store.refs.numbers(home).items(), reverse=True):
            kind = next((k for k in ("gone", "removed") if k in kinds), None)
            if kind is None:
                continue
            how = "erased" if kind == "gone" else "removed"
            record: dict[str, Any] = {}
            with contextlib.suppress(CorruptError, FileNotFoundError):
                record = store.refs.read(home / f"{number:08d}.{kind}")
            at = record.get("erased", record.get("removed"))
            found.append(
                Gone(
                    name or name_of(home), number, how,
                    float(at) if isinstance(at, (int, float)) else None,
                    _text(record.get("reason")), _text(record.get("digest")),
                )
            )  # fmt: skip
    return found


def gone_text(record: dict[str, Any]) -> str:
    """When and why, from a tombstone's record: `` on 2026-11-21 10:00: asked for``."""
    at, reason = record.get("erased", record.get("removed")), _text(record.get("reason"))
    when = f" on {_moment(at)}" if isinstance(at, (int, float)) else ""
    return f"{when}: {reason}" if reason else when


def erasures(version: Version) -> Iterator[tuple[str, str]]:
    """``(when and why, the digest before)`` for each time that something of it was erased."""
    for note in earlier(version).values():
        text = _moment(note["at"]) if isinstance(note.get("at"), (int, float)) else "once"
        if note.get("kept"):
            text += ", of other versions; this one is what it was"
        if reason := _text(note.get("reason")):
            text += f": {reason}"
        yield text, str(note.get("digest") or "")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
