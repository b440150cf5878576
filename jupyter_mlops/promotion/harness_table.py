"""A table of sessions of cells, as JSON: reading it, and saying exactly what is wrong with it."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError

__all__ = ["Case", "read_table"]

_HINT = 'A case is {"name": TEXT, "cells": [SOURCE, ...], "target": NAME, "needed": [INDEX, ...]}.'


@dataclass(frozen=True, slots=True)
class Case:
    """A session and the variable that is wanted of it.

    ``needed`` are the positions of the cells that the value needs, ``None`` where the table does
    not say.  ``target_index`` is the cell after which the value is wanted (the last one unless the
    table says otherwise), ``python`` the least version that its cells are valid for.
    """

    name: str
    cells: tuple[str, ...]
    target: str
    needed: tuple[int, ...] | None = None
    target_index: int = -1
    python: tuple[int, int] = (3, 11)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that the target reads: itself, unless it is an expression."""
        tree = ast.parse(self.target, mode="eval")
        return tuple(dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)))

    @property
    def runs_here(self) -> bool:
        """Whether this interpreter is new enough for it."""
        return sys.version_info[:2] >= self.python


def read_table(path: Path) -> list[Case]:
    """Return the cases of a table.

    Raises ``UsageError``: no such file, not JSON, or an entry that is not a case; the message names
    the entry and the key.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint=_HINT) from error
    entries = data.get("cases") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise UsageError(f"{path} has no list under `cases`", hint=_HINT)
    found = [_case(path, position, entry) for position, entry in enumerate(entries)]
    names = [case.name for case in found]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise UsageError(f"{path}: cases[{position}].name: {name!r} is there twice")
    return found


def _case(path: Path, position: int, entry: Any) -> Case:
    where = f"cases[{position}]"
    if not isinstance(entry, Mapping):
        raise UsageError(f"{path}: {where} is not an object", hint=_HINT)
    if isinstance(entry.get("name"), str):
        where += f" ({entry['name']})"

    def wrong(key: str, what: str) -> UsageError:
        return UsageError(f"{path}: {where}.{key}: {what}", hint=_HINT, entry=position, key=key)

    for key in ("name", "cells", "target"):
        if key not in entry:
            raise wrong(key, "is missing")
    for key in ("name", "target"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise wrong(key, "must be a text that is not empty")
    cells = entry["cells"]
    if not isinstance(cells, list) or not cells or not all(isinstance(c, str) for c in cells):
        raise wrong("cells", "must be a list of texts, at least one")
    try:
        ast.parse(entry["target"], mode="eval")
    except (SyntaxError, ValueError):
        raise wrong("target", f"{entry['target']!r} is no name") from None
    index = entry.get("target_index", len(cells) - 1)
    if not _is_index(index, len(cells)):
        raise wrong("target_index", f"must be a whole number below {len(cells)}")
    needed = entry.get("needed")
    if needed is not None:
        if not isinstance(needed, list) or not all(_is_index(n, len(cells)) for n in needed):
            raise wrong("needed", f"must be a list of whole numbers below {len(cells)}")
        needed = tuple(sorted(set(needed)))
    return Case(
        name=entry["name"],
        cells=tuple(cells),
        target=entry["target"].strip(),
        needed=needed,
        target_index=index,
        python=_version(entry.get("python", "3.11"), wrong),
    )


def _is_index(value: Any, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count


def _version(text: Any, wrong: Any) -> tuple[int, int]:
    try:
        major, minor = str(text).split(".")
        return int(major), int(minor)
    except ValueError:
        raise wrong("python", f"{text!r} is no version such as 3.12") from None
