"""Asking ``git`` about a working tree without letting the tree answer by running something.

A repository's own configuration names commands: a file system monitor, hooks, filters, external
diffs, text converters, transports for missing objects.  Whoever opens a notebook in a folder has
not agreed to run them, so each is switched off here.  Git's own check that a repository belongs to
this user (``safe.directory``) stays on: git finds the repository by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

from .git import Repository

__all__ = ["Git", "GitRefused", "children_cpu_seconds", "git_executable"]

_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP",
         "LD_LIBRARY_PATH")  # fmt: skip
_SET = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",  # Never in the way of the person's own git.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # A partial clone would fetch, by commands of its configuration.
}
_SAFE = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.untrackedCache=false",
    "core.sshCommand=false",
    "core.alternateRefsCommand=",
    "core.bigFileThreshold=1m",  # Larger files count as binary: no text of them, and little work.
    "core.quotePath=false",
    "submodule.recurse=false",
    "protocol.allow=never",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.relative=false",
)
_FILTER_KEYS = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
_READ_AT_MOST = 64 * 1024 * 1024  # Bytes of one answer; git is ended then.

_cpu_seconds = 0.0
_reaping = threading.Lock()  # A pid must not be reaped, and used again, while it is being killed.


class GitRefused(Exception):
    """Git gave no answer; the text says why."""


def children_cpu_seconds() -> float:
    """CPU seconds that the git processes started here have used: they are not the cell's."""
    return _cpu_seconds


def git_executable() -> str | None:
    """The ``git`` on the path; entries relative to the working folder are not looked at."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(entry for entry in entries if os.path.isabs(entry))
    found = shutil.which("git", path=path)
    # On Windows `which` looks in the working folder first, whatever the path is.
    return found if found is not None and os.path.isabs(found) else None


class Git:
    """Runs git in one working tree; all calls together get ``timeout`` seconds.

    It is a context manager and works on a copy of the index: ``git diff`` renews what it finds out
    of date there, and its lock could be in the way of a ``git commit`` of the person's.  Raises
    ``GitRefused`` where there is no git, and where the configuration names a filter that cannot be
    switched off.
    """

    def __init__(self, repository: Repository, timeout: float) -> None:
        top = repository.top
        executable = git_executable()
        if executable is None:
            raise GitRefused("git is not installed")
        self._top, self._timeout = top, timeout
        self._until = time.monotonic() + timeout
        self._env = {name: os.environ[name] for name in _KEPT if name in os.environ} | _SET
        self._env["GIT_CEILING_DIRECTORIES"] = str(top.parent)
        self._command = [executable, "--no-pager", f"--work-tree={top}"]
        for setting in _SAFE:
            self._command += ["-c", setting]
        self._temporary = tempfile.mkdtemp(prefix="jupyter-mlops-git-")
        try:
            index = os.path.join(self._temporary, "index")
            # With its time: git compares it with those of the files.
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(repository.index, index)
            self._env["GIT_INDEX_FILE"] = index
            for name in self._filters():
                for key, value in _FILTER_KEYS:
                    self._command += ["-c", f"{name}.{key}={value}"]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the copy of the index."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Git:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, *arguments: str, limit: int = _READ_AT_MOST, ok: int = 0) -> tuple[bytes, int]:
        """Return the first ``limit`` bytes of git's output, and how many more there were.

        ``ok`` is an exit code beside 0 that is an answer, too.  Raises ``GitRefused``.
        """
        with self._process(arguments) as process:
            kept, count = bytearray(), 0
            while process.stdout is not None and (block := process.stdout.read(1 << 16)):
                kept += block[: max(0, limit - len(kept))]
                count += len(block)
                if count > _READ_AT_MOST:
                    raise GitRefused(f"git {arguments[0]} says too much")
            code = _reap(process)
        if time.monotonic() >= self._until:
            raise GitRefused(f"git did not answer within {self._timeout:g} s")
        if code not in (0, ok):
            raise GitRefused(f"git {arguments[0]} failed with exit code {code}")
        return bytes(kept), count - len(kept)

    def paths(self, *arguments: str) -> list[str]:
        """Return the names that a command with ``-z`` answers with."""
        answer, _ = self.run(*arguments)
        return [os.fsdecode(name) for name in answer.split(b"\0") if name]

    def _filters(self) -> list[str]:
        """The filters that any configuration file defines, as ``filter.NAME``."""
        keys = ("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
        answer, _ = self.run(*keys, ok=1)  # 1: there are none.
        names = {os.fsdecode(key).rpartition(".")[0] for key in answer.split(b"\0") if key}
        for name in names:
            if "=" in name:  # `-c` would read another name.
                raise GitRefused("git's configuration has a filter that cannot be switched off")
        return sorted(names)

    @contextlib.contextmanager
    def _process(self, arguments: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
        left = self._until - time.monotonic()
        if left <= 0:
            raise GitRefused(f"git did not answer within {self._timeout:g} s")
        try:
            process = subprocess.Popen(
                [*self._command, *arguments],
                cwd=self._top,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # An interrupt of the cell is not meant for it.
            )
        except OSError as error:
            raise GitRefused(f"git cannot be started: {error.strerror or error}") from error
        watch = threading.Timer(left, _end, [process])
        watch.daemon = True
        try:
            watch.start()
            yield process
        finally:
            watch.cancel()
            if process.returncode is None:
                _end(process)
                _reap(process)
            if process.stdout is not None:
                process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill git and whatever it has started."""
    with _reaping, contextlib.suppress(OSError):
        if process.returncode is not None:
            return
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of git, count what it used, return its exit code."""
    global _cpu_seconds
    if sys.platform == "win32":
        return process.wait()
    while True:
        with _reaping:
            try:
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
            except ChildProcessError:  # The person's own code waits for any child.
                process.returncode = -1
                return -1
            if pid:
                _cpu_seconds += used.ru_utime + used.ru_stime
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode
        time.sleep(0.0005)  # It has closed its output: it is about to end.
