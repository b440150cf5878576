"""Keeping what tracked cells read as versions in the project's store of snapshots.

Nothing of it is on the way of a cell but the pin (see ``pinning``): encoding and committing is the
work of the thread that digests what takes longer.  What is not kept has its digest and the reason.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Config, is_local_uri
from ..errors import MlopsError, ProjectError, Undigested
from ..model.address import tracking_uri
from ..model.events import InputRecord
from ..project import Project
from ..snapshots import digest_folder
from .pinning import Copies, Pin

if TYPE_CHECKING:
    from ..snapshots.store import SnapshotStore

__all__ = ["Keeper", "Wanted", "file_state"]

_ASK = 10.0  # Seconds until consent that was not given is looked for again.
_REMEMBERED = 500  # Inputs whose newest version is known.


@dataclass(frozen=True, slots=True)
class Wanted:
    """One input that is to be kept: its name in the store, what that stands for, and its value.

    ``value`` is a pinned object, or the path of a file or folder with its ``state`` when the cell
    ended.
    """

    name: str
    of: str
    run_id: str
    value: Any
    copied: int = 0
    state: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Waiting:
    """Bytes of copies that wait to be kept; counted by two threads."""

    most: int
    bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size: int) -> None:
        with self.lock:
            self.bytes += size

    def left(self) -> int:
        with self.lock:
            return max(0, self.most - self.bytes)


class Keeper:
    """Keeps the inputs of one session's runs.

    ``notebook`` is the file that runs (relative to the project root), if there is one; ``say`` is
    given ``(subject, text)`` for what the person should hear once.
    """

    def __init__(
        self,
        project: Project,
        config: Config,
        session: str,
        notebook: str | None,
        say: Callable[[str, str], object],
    ) -> None:
        self._project = project
        self._config = config
        self._session = session
        self._notebook = notebook or "session"
        self._say = say
        self._store: SnapshotStore | None = None
        self._waiting = _Waiting(config.snapshot_input_limit)
        self._known: dict[str, tuple[str, str, str, int]] = {}
        self._consent = False
        self._asked = -_ASK  # When consent was looked for, by the monotonic clock.

    @property
    def active(self) -> bool:
        """Whether anything is kept: not if it is turned off, nor where capture is minimal."""
        config = self._config
        if config.snapshot_inputs != "auto" or config.capture == "minimal":
            return False
        if not self._consent and time.monotonic() - self._asked >= _ASK:
            self._consent = _may_keep(self._project, config)
            self._asked = time.monotonic()
        return self._consent

    @property
    def limit(self) -> int:
        """Bytes that an input may have."""
        return self._config.snapshot_input_limit

    def copies(self) -> Copies:
        """What may be copied within one cell."""
        return Copies(self._waiting.left())

    def pinned(self, record: InputRecord, held: Pin, run_id: str) -> Wanted:
        """Take note of a variable's value."""
        self._waiting.add(held.copied)
        name = f"{self._notebook.replace(os.sep, '/').rpartition('/')[2]}/{record.name}"
        return Wanted(name, self._variable(record), run_id, held.value, held.copied)

    def file(
        self, record: InputRecord, path: str, status: os.stat_result, run_id: str
    ) -> Wanted | str:
        """Take note of a file or folder as it is now; the reason where it is not kept."""
        if record.kind == "file" and status.st_size > self._config.snapshot_input_limit:
            return self.too_large(record)
        return Wanted(
            _home_relative(record.name), f"{record.kind} {record.name}", run_id, Path(path),
            state=file_state(status),
        )  # fmt: skip

    def again(self, record: InputRecord, of: str | None = None) -> InputRecord | None:
        """The record, where this session has kept this very value and it still is the newest.

        ``of`` is what it is a value of, by default the variable of that name.
        """
        known = self._known.get(of or self._variable(record))
        store = self._store
        if known is None or store is None or record.digest != known[0]:
            return None
        _, spec, name, number = known
        if store.refs.live(store.refs.home(name))[:1] != [number]:
            return None
        return replace(record, snapshot=spec, added=0, reason=None)

    def keep(self, record: InputRecord, wanted: Wanted, pause: Callable[[], None]) -> InputRecord:
        """Keep it; return the record with ``snapshot`` and ``added``, or with the reason.

        Never raises.  Runs in the thread for what takes longer.
        """
        try:
            return self._kept(record, wanted, pause)
        except Undigested as error:
            reason = f"not kept: {error.message}"
        except ProjectError as error:
            reason = f"not kept: {error.message}"
            self._say("snapshots-disk", f"inputs are recorded by digest only: {_told(error)}")
        except MlopsError as error:
            reason = f"not kept: {error.message}"
            if error.reason == "limit":
                self._say("snapshots-limit", f"inputs are recorded by digest only: {_told(error)}")
        except OSError as error:
            reason = f"not kept: it cannot be read: {error.strerror or error}"
        except Exception as error:  # The person's objects, and a library's that is torn down.
            reason = f"not kept: {type(error).__name__}: {error}"
        finally:
            self.release(wanted)
        return replace(record, reason=reason[:500])

    def release(self, wanted: Wanted) -> None:
        """It is not waited for any more."""
        self._waiting.add(-wanted.copied)

    def _kept(self, record: InputRecord, wanted: Wanted, pause: Callable[[], None]) -> InputRecord:
        from ..snapshots.automatic import automatic_name, keep
        from ..snapshots.store import open_store

        if record.digest is None:
            return record
        again = self.again(record, wanted.of)
        if again is not None:
            return again
        if record.size > self._config.snapshot_input_limit:  # Of a folder it is known only now.
            return replace(record, reason=self.too_large(record))
        if self._store is None:
            self._store = open_store(self._project, self._config)
        value = wanted.value
        check = _check(record, wanted)
        if check is not None:
            check()
        # A folder's digest on a run says less of links than the store's does.
        version = keep(
            self._store, value, automatic_name(wanted.name),
            of=wanted.of, digest=None if record.kind == "folder" else record.digest,
            limit=self._config.snapshot_project_limit,
            meta={"run": wanted.run_id, "session": self._session}, check=check, pause=pause,
        )  # fmt: skip
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[wanted.of] = (record.digest, version.spec, version.name, version.version)
        return replace(record, snapshot=version.spec, added=version.added, reason=None)

    def _variable(self, record: InputRecord) -> str:
        return f"variable {record.name} of {self._notebook}"

    def too_large(self, record: InputRecord) -> str:
        """The reason why an input is not kept that is larger than the limit."""
        limit = self._config.snapshot_input_limit
        text = f"{_size(record.size)} is more than the {_size(limit)} that an input may have"
        self._say(
            "snapshots-input",
            f"{record.name} is recorded by digest only: {text} (the setting snapshot-input-limit)",
        )
        return f"not kept: {text}"


def _may_keep(project: Project, config: Config) -> bool:
    """Whether the data of runs may be kept: those of a server that is not local need consent."""
    uri = tracking_uri(project, config)
    if is_local_uri(uri):
        return True
    from ..state.consent import consented

    return consented(project, uri)


def _check(record: InputRecord, wanted: Wanted) -> Callable[[], None] | None:
    """What raises ``Undigested`` when a file or folder is not any more what the cell read."""
    path = wanted.value
    if not isinstance(path, Path):
        return None

    def check() -> None:
        if record.kind == "folder":
            same = digest_folder(path).id == record.digest
        else:
            same = file_state(os.stat(path)) == wanted.state
        if not same:
            raise Undigested("it changed before it was kept")

    return check


def file_state(status: os.stat_result) -> tuple[int, ...]:
    """What tells whether a file is still the one that it was."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _told(error: MlopsError) -> str:
    return f"{error.message}. {error.hint}" if error.hint else error.message


def _size(size: int) -> str:
    from .card_values import show_size

    return show_size(size)


def _home_relative(name: str) -> str:
    """A path outside of the project below the home folder with ``~``."""
    path = Path(name)
    if not path.is_absolute():
        return path.as_posix()
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return path.as_posix()
