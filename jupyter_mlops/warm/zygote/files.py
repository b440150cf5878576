"""Whether what was imported is still what a fresh kernel would import."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["Files", "stamp"]

_SUFFIXES = (".py", ".so", ".pyc")


class Files:
    """The files behind the imported modules, and the folders that modules are found in."""

    def __init__(self, own: set[str]) -> None:
        """``own``: modules that a kernel imports before it looks into its working folder."""
        self._files: dict[str, tuple[int, int] | None] = {}
        for module in list(sys.modules.values()):
            spec = getattr(module, "__spec__", None)
            path = getattr(spec, "origin", None)
            if isinstance(path, str) and os.path.isabs(path):
                self._files[path] = stamp(path)
        tops = {name.partition(".")[0] for name in sys.modules}
        self._tops = tops
        # What a kernel has loaded itself, the working folder cannot shadow any more.
        self._shadowable = tops - {name.partition(".")[0] for name in own}
        self._folders: dict[str, tuple[Any, frozenset[str]]] = {}
        for folder in sys.path:
            if os.path.isdir(folder):
                names = self._names(folder)
                self._folders[folder] = (stamp(folder), names)
                for name in names:
                    if name.endswith(".pth"):
                        path = os.path.join(folder, name)
                        self._files[path] = stamp(path)
        for path in (sys.executable, os.path.join(sys.prefix, "pyvenv.cfg")):
            self._files[path] = stamp(path)

    def changed(self) -> str | None:
        """The first file or folder that is not what it was."""
        for folder, (before, names) in self._folders.items():
            now = stamp(folder)
            if now != before:
                if self._names(folder) != names:
                    return folder
                self._folders[folder] = (now, names)
        for path, then in self._files.items():
            if stamp(path) != then:
                return path
        return None

    def shadowed(self, folder: str) -> str | None:
        """A name in the working folder that a fresh kernel would import in place of ours."""
        try:
            found = os.scandir(folder)
        except OSError:
            return None
        with found:
            for entry in found:
                name, dot, _suffix = entry.name.partition(".")
                if name not in self._shadowable:
                    continue
                if dot and entry.name.endswith(_SUFFIXES):
                    return entry.name
                if not dot and os.path.exists(os.path.join(entry.path, "__init__.py")):
                    return entry.name
        return None

    def _names(self, folder: str) -> frozenset[str]:
        """The entries of a folder of ``sys.path`` that matter: packages' marks and our modules."""
        try:
            entries = os.listdir(folder)
        except OSError:
            return frozenset()
        return frozenset(
            name
            for name in entries
            if name.endswith((".dist-info", ".egg-info", ".pth"))
            or name.partition(".")[0] in self._tops
        )


def stamp(path: str) -> tuple[int, int] | None:
    """What changes with a file: its time (ns) and size; ``None`` where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
