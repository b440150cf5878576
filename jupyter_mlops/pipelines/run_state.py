"""``state.json`` in a run's folder: who runs it, which steps have finished, how it ended.

It is what is left of a run whose process was killed: `--resume` reads it, and so does
`runs cancel`.  A step counts as finished when it is in here; the file is replaced as a whole.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import NotFoundError, ProjectError, UsageError
from ..journal import ProcessIdentity, this_process
from ..project import Project

__all__ = [
    "CANCEL_FILE",
    "STATE_FILE",
    "RunState",
    "StateFile",
    "find_state",
    "new_state",
    "read_states",
    "resumed_chain",
]

STATE_FILE = "state.json"
CANCEL_FILE = "cancel"  # beside it: somebody asks the run to end
_VERSION = 1


@dataclass
class RunState:
    """What is known durably of a run.

    ``pipeline`` is ``None`` for a notebook.  ``given`` are the parameters that it was started with
    and that may be written down, ``secrets`` the names of the others.  ``steps`` are those that
    have finished; ``ended`` has ``status`` and ``exit_code``.
    """

    run_id: str
    name: str
    pipeline: str | None
    session: str
    process: ProcessIdentity
    started: float
    folder: Path = Path()
    resumes: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    data: str = "auto"
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, Any] | None = None

    @property
    def running(self) -> bool | None:
        """Whether it is going on; ``None`` where that cannot be told (another machine)."""
        return False if self.ended is not None else self.process.alive()


class StateFile:
    """Writes the state of this process's run.  Its methods may be called in any thread."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self._lock = threading.Lock()
        self._write(durable=state.pipeline is not None)  # a notebook is never resumed

    def step(self, name: str, entry: Mapping[str, Any]) -> None:
        """Note a step that has finished; durable when this returns."""
        with self._lock:
            self.state.steps[name] = dict(entry)
            self._write(durable=True)

    def cancel_asked(self) -> bool:
        """Whether somebody asks the run to end."""
        return (self.state.folder / CANCEL_FILE).exists()

    def end(self, status: str, exit_code: int) -> None:
        """Note how the run ended."""
        with self._lock:
            self.state.ended = {"status": status, "exit_code": exit_code, "time": time.time()}
            self._write(durable=False)

    def _write(self, *, durable: bool) -> None:
        data = {"version": _VERSION, **asdict(self.state)}
        del data["folder"]
        path = self.state.folder / STATE_FILE
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(data, file, ensure_ascii=False, indent=1, default=str)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
            if durable:
                _sync_folder(path.parent)
        except OSError as error:
            raise ProjectError(
                f"{path} cannot be written: {error.strerror or error}", path=str(path)
            ) from error


def new_state(
    run_id: str,
    name: str,
    pipeline: str | None,
    session: str,
    folder: Path,
    **more: Any,
) -> RunState:
    """The state of a run that this process begins."""
    return RunState(
        run_id, name, pipeline, session, this_process(), time.time(), folder=folder, **more
    )


def read_states(project: Project) -> Iterator[RunState]:
    """Yield the runs whose state is known, the newest first (run ids are ULIDs)."""
    try:
        folders = sorted(project.runs.iterdir(), reverse=True)
    except OSError:
        return
    for folder in folders:
        state = _read(folder)
        if state is not None:
            yield state


def find_state(project: Project, text: str) -> RunState:
    """The state of the run that ``text`` means: our id, a unique beginning of it, or MLflow's id.

    Raises ``NotFoundError`` when there is no such run or it has no state here, ``UsageError`` when
    several begin so.
    """
    wanted = text.strip().upper()
    if wanted:
        try:
            names = [f.name for f in project.runs.iterdir() if f.name.upper().startswith(wanted)]
        except OSError:
            names = []
        if len(names) > 1:
            raise UsageError(
                f"several runs begin with {text!r}: {', '.join(sorted(names)[:5])}",
                hint="Give a few more characters of the run id.",
                runs=sorted(names),
            )
        if not names:
            from ..tracking import find_run

            names = [find_run(project, text).run_id]
        state = _read(project.runs / names[0])
        if state is not None:
            return state
    raise NotFoundError(
        f"there is nothing in {project.runs} of a run {text!r}",
        hint="Only headless runs of this project keep their state: `jupyter mlops runs ls`.",
        run=text,
    )


def resumed_chain(project: Project, state: RunState) -> list[RunState]:
    """The run and those that it goes on with, the newest first.

    A run that was killed while it took steps over has not taken over all of them.
    """
    chain = [state]
    while state.resumes is not None:
        before = _read(project.runs / state.resumes)
        if before is None or before.run_id in [one.run_id for one in chain]:
            break
        chain.append(before)
        state = before
    return chain


def _read(folder: Path) -> RunState | None:
    try:
        data = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        if data.pop("version") != _VERSION:
            return None
        data["process"] = ProcessIdentity(**data["process"])
        return RunState(**data, folder=folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
