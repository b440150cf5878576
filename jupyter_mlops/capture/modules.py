"""Which files of the project the session has imported, and their content by hash.

Modules are looked at from outside: a lazy module (``importlib.util.LazyLoader``, a package with a
module ``__getattr__``) loads itself when an attribute is asked for, so only its dictionary is read,
past whatever its class does on access.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from blake3 import blake3

__all__ = ["imported_modules", "project_files"]

_FOREIGN = frozenset({"site-packages", "dist-packages", ".mlops", ".ipynb_checkpoints"})
_SIZE_LIMIT = 64 * 1024 * 1024  # Bytes; a larger file (an extension built in place) has no hash.
_STDLIB = os.path.dirname(os.__file__) + os.sep
_dictionary = vars(ModuleType)["__dict__"].__get__


class _Project:
    """What is known of one root: names that were looked at, files that lie below it."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.seen: set[str] = set()
        self.own: dict[str, str] = {}  # module -> relative path
        self.digests: dict[str, tuple[tuple[int, int], str]] = {}  # by relative path
        self.folders: dict[str, str | None] = {}  # folder as written -> relative folder
        self.lock = threading.Lock()

    def files(self) -> dict[str, str]:
        """Relative paths and where they are."""
        modules = sys.modules.copy()  # Other threads import while this walks.
        new = modules.keys() - self.seen
        self.seen |= new
        # The few of the project are looked at each time: a name may come from another file now.
        for name in {"__main__", *self.own, *new}:
            path = self._place(modules[name]) if name in modules else None
            if path is not None:
                self.own[name] = path
            elif self.own.pop(name, None) is not None:
                self.seen.discard(name)
        return {path: os.path.join(self.root, path) for path in sorted(set(self.own.values()))}

    def _place(self, module: Any) -> str | None:
        file = _file(module)
        if file is None:
            return None
        folder, base = os.path.split(file)
        if folder not in self.folders:
            self.folders[folder] = self._relative(folder)
        relative = self.folders[folder]
        return None if relative is None else (f"{relative}/{base}" if relative else base)

    def _relative(self, folder: str) -> str | None:
        """``folder`` below the root, with slashes; ``None`` outside and in an environment."""
        inside = self.root.rstrip(os.sep) + os.sep
        written = folder[len(inside) :] if folder.startswith(inside) else folder
        # By name first: asking the file system for each folder of a large session takes long.
        if _is_foreign(written) or folder.startswith(_STDLIB):
            return None
        real = os.path.realpath(folder)
        if real == self.root:
            return ""
        if not real.startswith(inside):
            return None
        relative = real[len(inside) :]
        if _is_foreign(relative):
            return None
        for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix}:
            inner = os.path.realpath(prefix)
            if inner.startswith(inside) and (real + os.sep).startswith(inner + os.sep):
                return None
        return relative.replace(os.sep, "/")

    def digest(self, relative: str, path: str) -> str | None:
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _SIZE_LIMIT:
                return None
            stamp = (found.st_mtime_ns, found.st_size)
            known = self.digests.get(relative)
            if known is None or known[0] != stamp:
                known = (stamp, blake3(Path(path).read_bytes()).hexdigest())
                self.digests[relative] = known
        except OSError:
            return None
        return known[1]


_projects: dict[str, _Project] = {}
if hasattr(os, "register_at_fork"):  # Another thread may hold a lock that the child never gets.
    os.register_at_fork(after_in_child=_projects.clear)


def project_files(root: Path) -> dict[str, str]:
    """Files of imported modules below ``root``: relative path with slashes -> absolute path.

    Not those in a virtual environment that lies there.  Only modules that are new since the last
    call are looked at; a module without a file (a namespace package, a built-in one) has none.
    """
    project = _project(root)
    with project.lock:
        return project.files()


def imported_modules(root: Path) -> dict[str, str]:
    """Files of imported modules below ``root``: relative path with slashes -> BLAKE3 (64 hex).

    The hash is that of the file as it is now; it is taken again when modification time or size have
    changed.  A file that has gone or cannot be read is left out.
    """
    project = _project(root)
    with project.lock:
        found = {name: project.digest(name, path) for name, path in project.files().items()}
    return {name: digest for name, digest in found.items() if digest is not None}


def _project(root: Path) -> _Project:
    key = str(root)
    if key not in _projects:
        _projects[key] = _Project(root)
    return _projects[key]


def _is_foreign(folder: str) -> bool:
    return not _FOREIGN.isdisjoint(folder.replace(os.sep, "/").split("/"))


def _file(module: Any) -> str | None:
    """The absolute path of a module's file, if it says one."""
    if not issubclass(type(module), ModuleType):
        return None  # Whatever somebody put there: asking it for anything would run its code.
    values = _dictionary(module)
    spec = values.get("__spec__")
    if type(spec) is ModuleSpec:
        file = spec.origin if spec.has_location else None
    else:
        file = values.get("__file__")
    if type(file) is not str or not os.path.isabs(file):
        return None
    return file
