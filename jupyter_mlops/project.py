"""A project: a root folder and the ``.mlops/`` state beside it.

The root is the nearest ancestor that holds ``.mlops/``; else the nearest with ``.git`` or
``pyproject.toml``; else the starting folder itself; never the home folder or ``/``.
``JUPYTER_MLOPS_HOME`` overrides the rule: it names the folder that holds the state.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ProjectError

__all__ = ["STATE_NAME", "Project", "file_lock", "find_root", "open_project"]

STATE_NAME = ".mlops"
_MARKERS = (".git", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Project:
    """Where one project's files are.

    ``root`` is the folder that paths are shown relative to; ``state`` the ``.mlops`` folder
    (elsewhere only when ``JUPYTER_MLOPS_HOME`` says so).  A process that outlives its reason to be,
    as the agent may, sets ``may_create`` to false: a state folder that was removed stays removed.
    """

    root: Path
    state: Path
    may_create: bool = field(default=True, compare=False)

    @property
    def name(self) -> str:
        """The root folder's name: the default experiment and the panel's title."""
        return self.root.name

    @property
    def key(self) -> str:
        """16 hex digits that name this project in sockets and events (BLAKE2b of its root)."""
        return hashlib.blake2b(os.fsencode(self.root), digest_size=8).hexdigest()

    @property
    def exists(self) -> bool:
        """Whether the state folder has been made."""
        return (self.state / ".gitignore").is_file()

    @property
    def journal(self) -> Path:
        """One append-only file a session, and ``blobs/``."""
        return self.state / "journal"

    @property
    def database(self) -> Path:
        """``state.db``: schedules, deployments, audit log, read model."""
        return self.state / "state.db"

    @property
    def agent(self) -> Path:
        """The agent's lock, pointer and log."""
        return self.state / "agent"

    @property
    def runs(self) -> Path:
        """Output of headless runs: ``runs/<run id>/<step>.ipynb``."""
        return self.state / "runs"

    @property
    def pipelines(self) -> Path:
        """``pipelines/`` beside the state: the part that belongs in git."""
        return self.root / "pipelines"

    @property
    def default_tracking_uri(self) -> str:
        """MLflow's SQLite store inside the state folder."""
        return f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifact root for the embedded store."""
        return self.state / "artifacts"

    def relative(self, path: Path | str) -> str:
        """``path`` as a POSIX path relative to the root, or absolute when it lies outside."""
        resolved = Path(path).resolve()
        if resolved.is_relative_to(self.root):
            return resolved.relative_to(self.root).as_posix()
        return resolved.as_posix()

    def create(self) -> Project:
        """Make the state folder (0700) under a file lock, once; return the project.

        Raises ``ProjectError`` when the folder cannot be written; then nothing is left behind.
        """
        if self.exists:
            return self
        if not self.may_create:
            raise ProjectError(f"{self.state} is not there any more", root=str(self.root))
        try:
            made = not self.state.exists()
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with file_lock(self.state / "lock"):
                    for folder in (self.journal, self.journal / "blobs", self.agent, self.runs):
                        folder.mkdir(mode=0o700, exist_ok=True)
                    # Written last: its presence says that the folder is complete.
                    ignore = self.state / ".gitignore"
                    if not ignore.exists():
                        ignore.write_text("*\n", encoding="utf-8")
            except OSError:
                if made:
                    _remove_if_empty(self.state)
                raise
        except ProjectError:
            raise
        except OSError as error:
            raise ProjectError(
                f"the project folder {self.root} cannot be written: {error.strerror or error}",
                hint="Make it writable, or set JUPYTER_MLOPS_HOME to a folder that is.",
                root=str(self.root),
            ) from error
        return self


def find_root(start: Path | str | None = None) -> Path:
    """Return the project root for a notebook, a file or a folder (default: the current folder)."""
    path = Path.cwd() if start is None else Path(start)
    path = path.resolve()
    folder = path if path.is_dir() else path.parent
    forbidden = {Path(folder.anchor), _home()}
    chain = [p for p in (folder, *folder.parents) if p not in forbidden]
    for candidate in chain:
        if (candidate / STATE_NAME).is_dir():
            return candidate
    for candidate in chain:
        if any((candidate / marker).exists() for marker in _MARKERS):
            return candidate
    if folder in forbidden:
        raise ProjectError(
            f"{folder} cannot be a project: it is the home folder or the root of the file system",
            hint="Work in a folder of its own, or set JUPYTER_MLOPS_HOME.",
            root=str(folder),
        )
    return folder


def open_project(
    start: Path | str | None = None,
    *,
    create: bool = True,
    env: Mapping[str, str] | None = None,
) -> Project:
    """Return the project that ``start`` belongs to; with ``create`` its state folder exists.

    Raises ``ProjectError`` when there can be no project there or it cannot be written.
    """
    env = os.environ if env is None else env
    override = env.get("JUPYTER_MLOPS_HOME")
    if override:
        state = Path(override).expanduser().resolve()
        try:
            root = find_root(start)
        except ProjectError:
            root = state.parent if state.name == STATE_NAME else state
        if state.name == STATE_NAME:
            root = state.parent
        project = Project(root=root, state=state)
    else:
        root = find_root(start)
        project = Project(root=root, state=root / STATE_NAME)
    return project.create() if create else project


@contextlib.contextmanager
def file_lock(path: Path, *, timeout: float = 30.0) -> Iterator[None]:
    """Hold an exclusive advisory lock on ``path`` between processes.

    Raises ``ProjectError`` when it is not free within ``timeout`` seconds.  The file stays:
    removing it would let two holders lock two different files of the same name.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ProjectError(
                    f"{path} is held by another process",
                    hint="Wait for it to finish, or end it, and try again.",
                )
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)  # Closing releases the lock on every platform.


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _home() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:  # no home: a service account
        return Path("/")


def _remove_if_empty(folder: Path) -> None:
    for name in ("lock",):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
