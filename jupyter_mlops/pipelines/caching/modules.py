"""The project's own modules that a step imports, found without importing them.

Where a module may come from several folders, all of them count: too many make a step run again,
too few would let an old result pass.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from pathlib import Path

from .code import module_digest
from .findings import Source

__all__ = ["Helper", "find_helpers", "importable"]

_MOST = 2000  # files
_SUFFIXES = (".py", ".so", ".pyd", ".pyc")


class Helper:
    """A module of the project: where it is, its digest, and its syntax tree if it is Python."""

    __slots__ = ("digest", "path", "tree")

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.path = path
        self.digest = module_digest(data)
        self.tree: ast.Module | None
        try:
            self.tree = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.tree = None

    def source(self, shown: str) -> Source | None:
        """It as a source of hazards, under the name ``shown``."""
        return None if self.tree is None else Source(shown, self.tree)


def find_helpers(imports: Iterable[str], folders: Iterable[Path]) -> dict[Path, Helper]:
    """Modules below ``folders`` that ``imports`` (absolute names) lead to, with theirs.

    Not this package's own: where it is a checkout, its files are seen when they are loaded.
    """
    roots = list(dict.fromkeys(folders))
    found: dict[Path, Helper] = {}
    pending = [(name, root) for name in sorted(imports) for root in roots]
    seen: set[tuple[str, Path]] = set()
    while pending and len(found) < _MOST:
        name, root = pending.pop()
        own = name.partition(".")[0] == "jupyter_mlops"
        if (name, root) in seen or not name or own:
            continue
        seen.add((name, root))
        for path in _files(root, name.split(".")):
            if path in found:
                continue
            try:
                helper = found[path] = Helper(path)
            except OSError:
                continue
            if helper.tree is not None:
                package = path.parent
                for inner, level in _imports(helper.tree):
                    if level == 0:
                        pending += [(inner, one) for one in roots]
                    else:
                        base = package
                        for _ in range(level - 1):
                            base = base.parent
                        pending.append((inner or "__init__", base))
    return found


def importable(folder: str, names: Iterable[str]) -> list[str]:
    """Which of the top-level modules ``names`` the import system would find in ``folder``."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    wanted = set(names)
    found = set()
    for entry in entries:
        stem, _, rest = entry.partition(".")
        if stem in wanted and (not rest or f".{rest}".endswith(_SUFFIXES)):
            found.add(stem)
    return sorted(found)


def _files(root: Path, parts: list[str]) -> list[Path]:
    """The files that are executed when ``parts`` is imported from ``root``."""
    found = []
    folder = root
    for part in parts:
        module, package = folder / f"{part}.py", folder / part
        if module.is_file():
            found.append(module)
        if (package / "__init__.py").is_file():
            found.append(package / "__init__.py")
        if not package.is_dir():
            break
        folder = package
    return found


def _imports(tree: ast.Module) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found.append((base, node.level))
            for alias in node.names:
                if alias.name != "*":
                    found.append((f"{base}.{alias.name}".lstrip("."), node.level))
    return found
