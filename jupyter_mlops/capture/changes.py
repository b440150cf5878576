"""The state of the project's code when a cell ran, found out beside the cell.

A thread asks git while the cell runs; a short cell does not wait for it.  As long as the commit,
the index and every followed file are as they were, the last answer is used again and nothing is
started.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from .git import Head, Repository, find_repository
from .git_process import Git, GitRefused
from .modules import project_files
from .worktree import difference, tracked_files

__all__ = ["Changes", "CodeState"]

DIFF_LIMIT = 512 * 1024  # bytes
GIT_TIMEOUT = 5.0  # seconds, for all questions together
_LOOK = 0.001  # Seconds that looking at the followed files may take in the cell's way,
_LOOK_BESIDE = 0.05  # and beside it; then asking git is cheaper.
_LATER = 0.002  # Seconds: a thread that begins at once keeps its starter waiting for 5 ms.
_MANY = 1000  # Files; more are looked at beside the cell only.
_FILES = 20_000  # In a larger tree the last answer is not used again.
_TICK = 50_000_000  # Nanoseconds; a change so soon after another may leave the same time.
_PAUSE = 60.0  # Seconds without another try where git gave no answer.


@dataclass(frozen=True, slots=True)
class Changes:
    """The code of a project.

    ``dirty`` says whether a followed file differs from the commit or an imported file of the
    project is not in git; ``None`` where that is not known, and ``reason`` then says why.  ``diff``
    is a text for ``git apply`` at the top of the working tree; ``truncated`` counts the bytes that
    it lacks.
    """

    commit: str | None
    branch: str | None
    dirty: bool | None
    diff: str = ""
    truncated: int = 0
    reason: str | None = None


class _Job:
    """One look at the tree."""

    def __init__(self) -> None:
        self.changes: Changes | None = None
        self.known: frozenset[str] | None = None  # Files that were compared; `None`: no answer.
        self.done = threading.Event()
        self._then: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def then(self, call: Callable[[], None]) -> None:
        """Call when it is done: at once if it is."""
        with self._lock:
            if not self.done.is_set():
                self._then.append(call)
                return
        call()

    def finish(self, changes: Changes, known: frozenset[str] | None) -> None:
        with self._lock:
            self.changes, self.known = changes, known
            self.done.set()
            calls, self._then = self._then, []
        for call in calls:
            with contextlib.suppress(Exception):  # Whoever asked must not end the thread.
                call()


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and how everything it depends on looked before git was asked."""

    changes: Changes
    known: frozenset[str]
    files: tuple[str, ...]
    looks: tuple[object, ...]


class CodeState:
    """Finds out commit, branch and difference of the working tree around ``root``.

    ``begin`` at the start of a cell, ``end`` after it; neither waits for git unless asked to.
    """

    def __init__(
        self, root: Path, *, limit: int = DIFF_LIMIT, timeout: float = GIT_TIMEOUT
    ) -> None:
        self._root, self._limit, self._timeout = root, limit, timeout
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._current: _Job | None = None
        self._queued: _Job | None = None
        self._working = False
        self._kept: _Kept | None = None
        self._refused: tuple[float, object, Changes] | None = None

    def begin(self) -> None:
        """Start looking, or find that nothing has changed (a millisecond at most)."""
        if self._pid != os.getpid():  # A forked child has neither the thread nor its locks.
            self._reset()
        self._current = self._reuse(_LOOK) or self._submit()

    def end(self, timeout: float = 0.0) -> Changes | None:
        """Return what was found; ``None`` if that takes longer than ``timeout`` seconds.

        Then ``when_done`` gets it.  If the cell has imported files that git does not follow, they
        are looked at now.
        """
        until = time.monotonic() + timeout
        if self._current is None:
            self.begin()
        for _ in range(2):
            job = self._current
            if job is None or not job.done.wait(max(0.0, until - time.monotonic())):
                return None
            if not self._lacks(job):
                return job.changes
            self._current = self._submit()
        return None

    def when_done(self, callback: Callable[[Changes], None]) -> None:
        """Call with what ``end`` could not return yet, in the thread that finds it out.

        Once, and at once if it is known by now.  An exception of ``callback`` is swallowed.
        """
        job = self._current
        if job is None:
            return

        def answer(job: _Job) -> None:
            if job.changes is not None:
                callback(job.changes)

        def look_again() -> None:
            if self._lacks(job):
                again = self._submit()
                again.then(lambda: answer(again))
            else:
                answer(job)

        job.then(look_again)

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is being looked at, callbacks included; whether that came about."""
        until = time.monotonic() + timeout
        while True:
            with self._lock:
                if not self._working:
                    return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.002)

    def _lacks(self, job: _Job) -> bool:
        """Whether files have been imported that the answer does not know of."""
        repository = find_repository(self._root) if job.known is not None else None
        if job.known is None or repository is None:
            return False
        return not job.known.issuperset(_from_top(repository, self._root))

    def _submit(self) -> _Job:
        with self._lock:
            if self._queued is not None:
                return self._queued  # It has not begun: what it will see is late enough.
            job = self._queued = _Job()
            start = not self._working
            self._working = True
        if start:
            try:
                threading.Thread(target=self._work, name="jupyter_mlops.git", daemon=True).start()
            except RuntimeError as error:  # No more threads, or the interpreter is ending.
                with self._lock:
                    self._queued, self._working = None, False
                job.finish(Changes(None, None, None, reason=str(error)), None)
        return job

    def _work(self) -> None:
        time.sleep(_LATER)
        while True:
            with self._lock:
                job, self._queued = self._queued, None
                if job is None:
                    self._working = False
                    return
            try:
                same = self._reuse(_LOOK_BESIDE)
                if same is not None and same.changes is not None and not self._lacks(same):
                    changes, known = same.changes, same.known
                else:
                    changes, known = self._ask()
            except Exception as error:  # A cell must not lose its run over this.
                changes, known = Changes(None, None, None, reason=f"{error}"), None
            job.finish(changes, known)

    def _ask(self) -> tuple[Changes, frozenset[str] | None]:
        self._kept = None
        project_files(self._root)  # The first look at all modules takes long, so it is done here.
        repository = find_repository(self._root)
        if repository is None:
            return Changes(None, None, None, reason="not a git repository"), None
        head = repository.head()
        looks = (head, _look(str(repository.index)))
        if self._refused is not None:
            until, before, answer = self._refused
            if before == looks and time.monotonic() < until:
                return answer, None
            self._refused = None
        try:
            with Git(repository, self._timeout) as git:
                if head.commit is None:
                    head = _asked_head(git, head)
                tracked = tracked_files(git)
                modules = _from_top(repository, self._root)
                known = frozenset(tracked) | modules
                files = tuple(os.path.join(repository.top, name) for name in known)
                now = time.time_ns()
                states = [_look(name) for name in files] if len(files) <= _FILES else None
                top, limit = repository.top, self._limit
                found = difference(git, top, head, modules, set(tracked), limit)
        except GitRefused as error:
            changes = Changes(head.commit, head.branch, None, reason=str(error))
            self._refused = (time.monotonic() + _PAUSE, looks, changes)
            return changes, None
        dirty = bool(found.changed or found.new)
        changes = Changes(head.commit, head.branch, dirty, found.text, found.truncated)
        if states is not None and all(s is None or s[0] < now - _TICK for s in states):
            self._kept = _Kept(changes, known, files, (*looks, *states))
        return changes, known

    def _reuse(self, seconds: float) -> _Job | None:
        """The last answer, if everything looks as it did then."""
        kept = self._kept
        repository = find_repository(self._root) if kept is not None else None
        if kept is None or repository is None or (len(kept.files) > _MANY and seconds <= _LOOK):
            return None
        until = time.perf_counter() + seconds
        if kept.looks[:2] != (repository.head(), _look(str(repository.index))):
            return None
        for number, (file, before) in enumerate(zip(kept.files, kept.looks[2:], strict=True)):
            if _look(file) != before or (number % 32 == 0 and time.perf_counter() > until):
                return None
        job = _Job()
        job.finish(kept.changes, kept.known)
        return job


def _look(path: str) -> tuple[int, ...] | None:
    """What changes when a file does; ``None`` if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)


def _from_top(repository: Repository, root: Path) -> frozenset[str]:
    """The project's imported files as paths from the top of the working tree."""
    prefix = os.path.relpath(os.path.realpath(root), os.path.realpath(repository.top))
    files: Collection[str] = project_files(root)
    if prefix == ".":
        return frozenset(files)
    return frozenset(f"{prefix.replace(os.sep, '/')}/{name}" for name in files)


def _asked_head(git: Git, head: Head) -> Head:
    """The commit by git itself, for references that are not files (reftable)."""
    with contextlib.suppress(GitRefused):
        answer, _ = git.run("rev-parse", "--verify", "--quiet", "HEAD")
        return Head(answer.decode("ascii").strip() or None, head.branch)
    return head
