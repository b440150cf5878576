"""Diffs of text, and what the diffs against a commit say of the difference between two runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from ..errors import MlopsError
from ..model.events import FileRecord
from .details import RunDetails

__all__ = ["ReadFile", "between", "reversed_patch", "split_patch", "unified"]

ReadFile = Callable[[RunDetails, FileRecord], bytes]

_OLD = re.compile(r"--- (?:a/)?(.*?)(?:\t.*)?")
_NEW = re.compile(r"\+\+\+ (?:b/)?(.*?)(?:\t.*)?")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")


def unified(a: str, b: str, name_a: str = "a", name_b: str = "b") -> str:
    """The unified diff of two texts, ``""`` where they are equal."""
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), name_a, name_b, lineterm="", n=3)
    return "\n".join(lines)


def split_patch(text: str) -> dict[str, str]:
    """The hunks of a unified diff (git's or plain) by file; what is no hunk is dropped."""
    found: dict[str, list[str]] = {}
    lines = text.splitlines()
    current: list[str] | None = None
    position = 0
    while position < len(lines):
        line = lines[position]
        after = lines[position + 1] if position + 1 < len(lines) else ""
        hunk = _HUNK.fullmatch(line)
        if hunk is not None and current is not None:
            end = _hunk_end(lines, position, hunk)
            current += lines[position:end]
            position = end
            continue
        old, new = _OLD.fullmatch(line), _NEW.fullmatch(after)
        if old is not None and new is not None:
            name = new[1] if new[1] != "/dev/null" else old[1]
            current = found.setdefault(name, [])
            position += 1
        position += 1
    return {name: "\n".join(part) for name, part in found.items() if part}


def reversed_patch(hunks: str) -> str:
    """The hunks of a diff, from its new side to its old one."""
    turned = []
    for line in hunks.splitlines():
        hunk = _HUNK.fullmatch(line)
        if hunk is not None:
            old, old_count, new, new_count, rest = hunk.groups()
            turned.append(f"@@ -{_range(new, new_count)} +{_range(old, old_count)} @@{rest}")
        elif line[:1] in ("+", "-"):
            turned.append(("-" if line[0] == "+" else "+") + line[1:])
        else:
            turned.append(line)
    return "\n".join(turned)


def between(a: RunDetails, b: RunDetails, name: str, read: ReadFile | None = None) -> str | None:
    """The diff of an imported file from one run to another, as far as it is known.

    Both kept what they changed against a commit.  Where that is the same one, a run that changed
    nothing has the commit's file, and the other's diff is the difference; where both changed it,
    their two diffs are compared.  ``None`` where the commits differ or a diff was not kept whole.
    ``read`` gives the content of a run's file that its record does not hold itself.
    """
    if a.record.git_commit is None or a.record.git_commit != b.record.git_commit:
        return None
    first, second = _changes(a, read), _changes(b, read)
    if first is None or second is None:
        return None
    one, other = _of_file(first, name), _of_file(second, name)
    if one is None:
        return other  # None where neither diff names it: then it is not in git
    if other is None:
        return reversed_patch(one)
    return unified(one, other, f"{name} changed in {a.name}", f"{name} changed in {b.name}")


def _changes(details: RunDetails, read: ReadFile | None) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for item in details.files("code"):
        text = item.text
        if item.reason is not None or (text is None and read is None):
            return None
        if text is None and read is not None:
            try:
                text = read(details, item).decode("utf-8", "replace")
            except MlopsError:
                return None
        found.update(split_patch(text or ""))
    return found


def _of_file(changes: dict[str, str], name: str) -> str | None:
    """A project may lie below the top of its repository, whose paths git's diffs have."""
    if name in changes:
        return changes[name]
    longer = [path for path in changes if path.endswith(f"/{name}")]
    return changes[longer[0]] if len(longer) == 1 else None


def _hunk_end(lines: list[str], start: int, hunk: re.Match[str]) -> int:
    """The line after a hunk: its counts say how long it is, so its text may look like anything."""
    old, new = int(hunk[2] or 1), int(hunk[4] or 1)
    position = start + 1
    while position < len(lines) and (old > 0 or new > 0):
        mark = lines[position][:1]
        old -= mark in ("-", " ", "")
        new -= mark in ("+", " ", "")
        position += 1
    while position < len(lines) and lines[position].startswith("\\"):
        position += 1
    return position


def _range(start: str, count: str | None) -> str:
    return start if count is None else f"{start},{count}"
