"""What a run is told while it goes on: ``track.log``, ``track.param``, ``track.artifact``.

Each call is in the journal when it returns, so that a run whose process is killed is closed with
what it had.  The innermost open run of this context is meant, else the one opened last: a thread
that trains has a context of its own.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..model.events import FileRecord, RunProgress
from .metrics import as_metric

__all__ = ["RunLog", "close_log", "current_log", "open_log", "opened", "plain_value"]

_NAME_LIMIT = 250  # MLflow's
_TEXT_LIMIT = 6000  # The longest parameter that MLflow keeps.
_ITEMS = 200  # A longer list is data.

_here: ContextVar[RunLog | None] = ContextVar("jupyter_mlops_run", default=None)
_open: list[RunLog] = []


class RunLog:
    """The open end of one run.

    ``write`` puts a record into the journal, ``keep`` bytes into the blob store (both may raise
    ``OSError``); without them (a dry run) everything stays in memory.  ``listen`` is called after
    each ``log``.
    """

    def __init__(
        self,
        run_id: str,
        session: str,
        write: Callable[[RunProgress], None] | None = None,
        keep: Callable[[bytes], str] | None = None,
    ) -> None:
        self.run_id = run_id
        self.series: dict[str, list[list[float]]] = {}
        self.params: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.files: list[FileRecord] = []
        self.models: dict[str, Any] = {}
        self.problems: list[str] = []
        self.listen: Callable[[RunLog], None] | None = None
        self._session = session
        self._write = write
        self._keep = keep
        self._lock = threading.RLock()

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | None = None,
        **more: Any,
    ) -> None:
        """Log metrics: ``log(loss=0.3, step=7)`` or ``log({"val/loss": 0.3})``.

        Values are numbers (plain, NumPy, 0-d tensors).  Without a ``step`` each metric counts its
        own from 0.  Raises ``UsageError`` for a name or value that cannot be a metric; the others
        of the same call are then not logged either.
        """
        now = time.time()
        points: list[list[Any]] = []
        for name, value in {**(values or {}), **more}.items():
            number = as_metric(value)
            if number is None:
                kind = type(value).__name__
                raise UsageError(
                    f"track.log: {name!r} must be a number, not {kind}",
                    hint="Convert it first, for example float(value) or value.mean().",
                )
            points.append([_checked(name), self._step(name, step), number, now])
        with self._lock:
            for name, at, number, moment in points:
                self.series.setdefault(name, []).append([at, number, moment])
            self._tell(RunProgress(self.run_id, self._session, points=tuple(points)))
        if self.listen is not None:
            self.listen(self)

    def param(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Record parameters: ``param(lr=0.1)``.  Plain values as they are, others by ``repr``."""
        from .redact import redact

        found = {
            _checked(name): redact(name, plain_value(value))
            for name, value in {**(values or {}), **more}.items()
        }
        with self._lock:
            self.params |= found
            self._tell(RunProgress(self.run_id, self._session, params=found))

    def tag(self, values: Mapping[str, str] | None = None, /, **more: str) -> None:
        """Set tags: ``tag(team="pricing")``."""
        from .redact import redact

        for name, value in {**(values or {}), **more}.items():
            self.tags[_checked(name)] = str(redact(name, str(value)))

    def artifact(self, source: str | os.PathLike[str] | bytes, name: str | None = None) -> None:
        """Keep a file beside the run: a path, or bytes with a ``name``.

        Raises ``UsageError`` without a name for bytes, ``OSError`` when it cannot be read or kept.
        """
        if isinstance(source, bytes):
            if not name:
                raise UsageError("track.artifact: bytes need a name")
            data = source
        else:
            data, name = Path(source).read_bytes(), name or Path(source).name
        blob = self._keep(data) if self._keep is not None else None
        with self._lock:
            self.files.append(FileRecord(str(name), blob, len(data)))

    def model(self, model: Any, name: str = "model") -> None:
        """Keep a fitted model with the run under ``name``, also one that no cell binds."""
        self.models[_checked(name)] = model

    def last(self) -> dict[str, float]:
        """The last value of each metric."""
        with self._lock:
            return {name: points[-1][1] for name, points in self.series.items()}

    def _step(self, name: str, step: int | None) -> int:
        if step is None:
            points = self.series.get(name)
            return int(points[-1][0]) + 1 if points else 0
        try:
            return int(step)
        except (TypeError, ValueError) as error:
            raise UsageError(f"track.log: step must be an integer, not {step!r}") from error

    def _tell(self, progress: RunProgress) -> None:
        """Write it down; what cannot be written now is in the run's own record later."""
        if self._write is None:
            return
        try:
            self._write(progress)
        except OSError as error:
            text = f"progress cannot be written: {error.strerror or error}"
            if text not in self.problems:
                self.problems.append(text)


def open_log(log: RunLog) -> None:
    """Make ``log`` the current one for every context that has none of its own."""
    _open.append(log)


def close_log(log: RunLog) -> None:
    """Its run has ended; closing twice is no error."""
    if log in _open:
        _open.remove(log)


@contextmanager
def opened(log: RunLog) -> Iterator[RunLog]:
    """Make ``log`` the current one of this context."""
    token = _here.set(log)
    open_log(log)
    try:
        yield log
    finally:
        close_log(log)
        try:
            _here.reset(token)
        except ValueError:  # Ended in another context than it began in.
            _here.set(None)


def current_log() -> RunLog | None:
    """The run that ``track.log`` means here, if one is open."""
    log = _here.get()
    if log is not None and log in _open:
        return log
    return _open[-1] if _open else None


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > _NAME_LIMIT:
        raise UsageError(
            f"track: {name!r} cannot be a name",
            hint=f"Use a text of 1 to {_NAME_LIMIT} characters.",
        )
    return name


def plain_value(value: Any) -> Any:
    """A value as a parameter: plain ones and flat lists as they are, others as bounded text."""
    if value is None or type(value) in (bool, int, float):
        return value
    number = as_metric(value)
    if number is not None:
        return int(number) if number.is_integer() and "int" in type(value).__name__ else number
    if type(value) in (list, tuple) and len(value) <= _ITEMS and all(map(_is_scalar, value)):
        return list(value)
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception as error:  # the person's own __repr__
        text = f"<{type(value).__name__}: {type(error).__name__}>"
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 3] + "..."


def _is_scalar(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)
