"""What a session's interpreter is and has: the environment's record.

Reading it costs milliseconds once; as long as no folder of ``sys.path`` has changed, the next call
costs only a look at their times.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from blake3 import blake3

from ..model.events import EnvironmentRecord
from .distributions import Distribution, DistributionFolders, normal_name
from .hardware import hardware
from .lock import lock_text

__all__ = ["current_environment", "prepare"]


_LATER = 0.002  # Seconds: a thread that begins at once keeps its starter waiting for 5 ms.


class _Reader:
    """Keeps the last record, and what it was made from."""

    def __init__(self) -> None:
        self._folders = DistributionFolders()
        self._lock = threading.Lock()
        self._stamp: object = None
        self._record: EnvironmentRecord | None = None

    def record(self) -> EnvironmentRecord:
        with self._lock:
            packages = self._folders.stamp()
            stamp = (packages, _conda_stamp())
            if self._record is None or stamp != self._stamp:
                self._record = _make(self._folders.read(packages))
                self._stamp = stamp
            return self._record


_reader = _Reader()


def _begin_anew() -> None:
    global _reader
    _reader = _Reader()


if hasattr(os, "register_at_fork"):  # Another thread may hold the lock; the child never gets it.
    os.register_at_fork(after_in_child=_begin_anew)


def current_environment(session_id: str) -> EnvironmentRecord:
    """Return the record of this interpreter now, for the session.

    ``digest`` (``blake3:`` and 64 hex digits) is that of Python, platform, packages and lock: two
    machines with the same software have the same one, whatever their hardware.  Packages of a conda
    environment that are not Python distributions are in ``packages`` as ``conda:NAME``.
    """
    record = _reader.record()
    return replace(record, session=session_id, hardware=hardware())


def prepare() -> None:
    """Read everything in a thread, so that a later call finds it done."""
    with contextlib.suppress(RuntimeError):  # No more threads: then the call itself reads it.
        threading.Thread(target=_prepare, name="jupyter_mlops.environment", daemon=True).start()


def _prepare() -> None:
    time.sleep(_LATER)
    with contextlib.suppress(Exception):  # The call that needs it will say it.
        current_environment("")


def _make(distributions: dict[str, Distribution]) -> EnvironmentRecord:
    conda = dict(_conda())
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info.releaselevel != "final":
        python += f"{sys.version_info.releaselevel}{sys.version_info.serial}"
    name = sys.implementation.name
    python = python if name == "cpython" else f"{python} ({name})"
    platform = _platform()
    lock = lock_text(distributions.values(), python=python, platform=platform, conda=conda)
    packages = {d.name: d.version for d in distributions.values()}
    for package, built in conda.items():
        if normal_name(package) not in distributions:
            packages[f"conda:{package}"] = built.partition("=")[0]
    content = {"python": python, "platform": platform, "packages": packages, "lock": lock}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = f"blake3:{blake3(text.encode('ascii')).hexdigest()}"
    return EnvironmentRecord("", digest, python, platform, packages, lock)


def _platform() -> str:
    """Like ``platform.platform()``, which opens the interpreter's file to find its C library."""
    try:
        system = os.uname()
    except AttributeError:
        import platform

        return platform.platform()
    text = f"{system.sysname}-{system.release}-{system.machine}"
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):
        return text
    return f"{text}-with-{library.replace(' ', '')}" if library else text


def _conda_folder() -> str:
    return os.path.join(sys.prefix, "conda-meta")


def _conda_stamp() -> int | None:
    try:
        return os.stat(_conda_folder()).st_mtime_ns
    except OSError:
        return None


def _conda() -> Iterator[tuple[str, str]]:
    """Packages of a conda environment and their ``VERSION=BUILD``, from the files' names."""
    try:
        names = os.listdir(_conda_folder())
    except OSError:
        return
    for file in sorted(names):
        parts = file.removesuffix(".json").rsplit("-", 2)
        if file.endswith(".json") and len(parts) == 3 and all(parts) and file.isprintable():
            name, version, build = parts
            yield name, f"{version}={build}"
