"""Leases: who is writing or reading, so that ``gc`` takes nothing away from under them.

A lease is a file with its holder's process identity.  One whose process is gone counts for
nothing; of a process on another host, which cannot be asked, one that was not renewed for ten
minutes.  Nobody ever waits for a lease but ``gc``.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..journal.process import ProcessIdentity, this_process
from ..model.ids import new_id
from .durable import make_folder, write_all

__all__ = ["Lease", "LeaseInfo", "Leases"]

_STALE = 600.0  # Seconds without renewal, for a holder that cannot be asked.
_RENEW = 20.0


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """A lease of somebody: ``kind`` is ``writer``, ``reader`` or ``gc``."""

    id: str
    kind: str
    holder: ProcessIdentity | None
    age: float
    live: bool

    def describe(self) -> str:
        """For a person: who holds it."""
        if self.holder is None:
            return f"a {self.kind} whose lease is damaged"
        return f"a {self.kind}, process {self.holder.pid} on {self.holder.host}"


class Lease:
    """A lease held by this process, until ``release``."""

    def __init__(self, folder: Path, id: str, kind: str) -> None:
        self.path = folder / f"{id}.{kind}"
        self.id = id
        self.pid = os.getpid()
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Say that the holder lives; costs nothing when said within the last 20 s."""
        now = time.monotonic()
        if now - self._renewed > _RENEW:
            self._renewed = now
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def held(self) -> bool:
        """Whether the lease is still there: one that was not renewed in time is taken away."""
        return self.path.exists()

    def release(self) -> None:
        """Give it up; twice does no harm.  A forked child cannot give up its parent's."""
        if os.getpid() == self.pid:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def temporary(self, folder: Path, label: str = "file") -> Path:
        """A path for a temporary file in ``folder``, which ``gc`` knows by this lease."""
        return folder / f".{self.id}.{label}.tmp"


class Leases:
    """The folder ``leases``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, kind: str) -> Lease:
        """Return a new lease for this process.  Raises ``OSError``."""
        make_folder(self.folder)
        data = json.dumps(asdict(_this_process())).encode()
        while True:
            lease = Lease(self.folder, new_id(), kind)
            # Renamed: a lease that is there says whose it is, so one left by a crash is known.
            temporary = lease.temporary(self.folder, "lease")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                try:
                    write_all(descriptor, data)
                finally:
                    os.close(descriptor)
                temporary.rename(lease.path)
            except FileNotFoundError:
                continue  # ``gc`` took it for something left behind.
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
            return lease

    def now(self, mine: Lease) -> float:
        """The file system's clock: on a shared folder the hosts' own may differ."""
        os.utime(mine.path)
        return mine.path.stat().st_mtime

    def all(self, now: float) -> list[LeaseInfo]:
        """Every lease, with whether its holder may still be at work."""
        found = []
        try:
            paths = sorted(p for p in self.folder.iterdir() if not p.name.startswith("."))
        except FileNotFoundError:
            return []
        for path in paths:
            id, _, kind = path.name.partition(".")
            try:
                age = now - path.stat().st_mtime
                data = path.read_bytes()
            except OSError:
                continue
            holder = _identity(data)
            # A lease is renamed into place whole: one that says nothing has been through a power
            # cut, and its holder has not.
            alive = False if holder is None else holder.alive()
            # One from the future says nothing: a clock was set back, and it would hold for ever.
            live = abs(age) < _STALE if alive is None else alive
            found.append(LeaseInfo(id, kind, holder, age, live))
        return found

    def sweep(self, now: float) -> None:
        """Take the leases of the dead away."""
        for info in self.all(now):
            if not info.live:
                with contextlib.suppress(OSError):
                    (self.folder / f"{info.id}.{info.kind}").unlink()

    def wait(self, ids: set[str], seconds: float, mine: Lease) -> list[LeaseInfo]:
        """Wait until none of these is held; return those that still are after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            held = [info for info in self.all(self.now(mine)) if info.id in ids and info.live]
            if not held or time.monotonic() >= deadline:
                return held
            time.sleep(0.02)


_identity_of: tuple[int, ProcessIdentity] | None = None


def _this_process() -> ProcessIdentity:
    global _identity_of
    if _identity_of is None or _identity_of[0] != os.getpid():
        _identity_of = (os.getpid(), this_process())
    return _identity_of[1]


def _identity(data: bytes) -> ProcessIdentity | None:
    try:
        raw: Any = json.loads(data)
        return ProcessIdentity(
            str(raw["host"]), str(raw["boot_id"]), int(raw["pid"]), float(raw["started"])
        )
    except (KeyError, TypeError, ValueError):
        return None
