"""How people write which version and which part of it they mean."""

from __future__ import annotations

import re
from typing import Any

from ..errors import UsageError
from .specs import split_spec

__all__ = ["SCHEME", "is_address", "parse_columns", "parse_rows", "parse_spec"]

SCHEME = "snapshot://"
_ROWS = re.compile(r"(-?[0-9_]*):(-?[0-9_]*)(?::([0-9_]*))?")


def is_address(text: Any) -> bool:
    """Whether this is a ``snapshot://`` address."""
    return isinstance(text, str) and text.startswith(SCHEME)


def parse_spec(text: str) -> str:
    """``name@version`` of what may be a ``snapshot://`` address.

    Raises ``UsageError`` that says how it is written.
    """
    if not isinstance(text, str):
        raise UsageError(
            f"a snapshot is named by text, not by {type(text).__name__}",
            hint='Write "name" or "name@3".',
        )
    spec = text.removeprefix(SCHEME).strip().strip("/")
    split_spec(spec)
    return spec


def parse_rows(rows: Any) -> slice | range | None:
    """Rows as a slice: of ``"100:200"``, ``(100, 200)``, a slice or a range.

    Raises ``UsageError`` for anything else.
    """
    if rows is None or isinstance(rows, slice):
        return rows
    if isinstance(rows, range):
        if rows.step < 1:
            raise UsageError(f"rows cannot be read backwards: {rows}", hint="Restore, then turn.")
        return rows
    if isinstance(rows, str):
        match = _ROWS.fullmatch(rows.strip())
        if match is not None:
            start, stop, step = (int(p) if p and p != "-" else None for p in match.groups())
            if step != 0:
                return slice(start, stop, step)
    elif isinstance(rows, (tuple, list)) and len(rows) == 2:
        if all(isinstance(n, int) and not isinstance(n, bool) for n in rows):
            return slice(*rows)
    elif isinstance(rows, int) and not isinstance(rows, bool) and rows > 0:
        return slice(0, rows)
    raise UsageError(f"{rows!r} names no rows", hint='Write rows="100:200", or slice(100, 200).')


def parse_columns(text: str | None) -> list[str] | None:
    """The names in ``a,b``; a comma within a name is written ``\\,``."""
    if text is None:
        return None
    names = [part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", text)]
    if not all(names):
        raise UsageError(f"{text!r} names no columns", hint="Write them as a,b,c.")
    return names
