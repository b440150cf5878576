"""Three versions of a text into one: what was promoted last, what the person made of it, what is
promoted now.

Changes of one side are taken; changes of both sides to the same place are a conflict, and then
nothing is written.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Conflict", "Merged", "merge_notebooks", "merge_texts", "notebook_diff", "text_diff"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that both sides changed: the texts of the three versions (``None``: not there)."""

    where: str
    base: str | None
    theirs: str | None
    ours: str | None

    def to_dict(self) -> dict[str, str | None]:
        """The same as plain JSON; ``theirs`` is the person's, ``ours`` the new promotion's."""
        return {
            "where": self.where, "base": self.base, "theirs": self.theirs, "ours": self.ours,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Merged:
    """The result, or the conflicts (then ``value`` is of no use).

    ``edited`` says that it has changes of the person's in it.
    """

    value: Any
    conflicts: tuple[Conflict, ...] = ()
    edited: bool = False


def merge_texts(base: str | None, theirs: str, ours: str, where: str) -> Merged:
    """Merge by lines.  Without a ``base``, two different texts are a conflict."""
    if theirs == ours:
        return Merged(ours)
    if base is None:
        return Merged(ours, (Conflict(where, None, theirs, ours),), True)
    if theirs == base:
        return Merged(ours)
    if ours == base:
        return Merged(theirs, (), True)
    old = base.splitlines(keepends=True)
    left, right = _changes(old, theirs), _changes(old, ours)
    result: list[str] = []
    position = 0
    while left or right:
        side = left if not right or (left and left[0][:2] <= right[0][:2]) else right
        other = right if side is left else left
        start, stop, lines = side.pop(0)
        if other and other[0][0] <= stop:
            if other[0] == (start, stop, lines):
                other.pop(0)
            else:
                return Merged(ours, (Conflict(where, base, theirs, ours),), True)
        result += old[position:start] + lines
        position = stop
    return Merged("".join(result + old[position:]), (), True)


def merge_notebooks(base: Any, theirs: Any, ours: Any, where: str) -> Merged:
    """Merge cell by cell, by their ids; ``base`` may be ``None``.

    A cell that nobody changed stays exactly as the person has it, outputs and metadata included.
    The order is that of ``ours``; cells that the person added stand behind the one they stood
    behind.
    """
    old, mine, new = (_by_id(n) for n in (base, theirs, ours))
    conflicts: list[Conflict] = []
    edited = False
    chosen: dict[str, Any] = {}
    for cell_id in dict.fromkeys([*new, *mine]):
        b, t, o = (side.get(cell_id) for side in (old, mine, new))
        if t is None and b is not None:  # the person took it out
            edited = True
            if o is not None and _text(o) != _text(b):
                conflicts.append(Conflict(f"{where}: cell {cell_id}", _text(b), None, _text(o)))
            continue
        if o is None and b is not None and t is not None:  # the new promotion does not have it
            if _text(t) != _text(b):
                conflicts.append(Conflict(f"{where}: cell {cell_id}", _text(b), _text(t), None))
            continue
        if o is None:
            edited = edited or base is not None or t is not None
            chosen[cell_id] = t
        elif t is None:
            chosen[cell_id] = o
        else:
            place = f"{where}: cell {cell_id}"
            merged = merge_texts(_text(b), _text(t) or "", _text(o) or "", place)
            conflicts += merged.conflicts
            edited = edited or merged.edited
            chosen[cell_id] = _with_text(t, o, b, merged.value)
    order = [cell_id for cell_id in new if cell_id in chosen]
    previous: str | None = None
    for cell_id in mine:
        if cell_id in chosen and cell_id not in order:
            order.insert(0 if previous not in order else order.index(previous) + 1, cell_id)
        if cell_id in order:
            previous = cell_id
    result = json.loads(json.dumps(ours if base is None or theirs is None else theirs))
    result["cells"] = [chosen[cell_id] for cell_id in order]
    if base is not None and base.get("metadata") != ours.get("metadata"):
        result["metadata"] = ours["metadata"]
    return Merged(result, tuple(conflicts), edited)


def notebook_diff(old: Any, new: Any, name: str) -> str:
    """A readable difference of two notebooks: their sources, cell by cell."""
    return text_diff(_script(old), _script(new), name)


def text_diff(old: str, new: str, name: str) -> str:
    """A unified diff; empty where both are the same."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{name}", f"b/{name}", n=2, lineterm=""
    )
    return "\n".join(lines)


def _changes(old: Sequence[str], text: str) -> list[tuple[int, int, list[str]]]:
    new = text.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(a, b, new[c:d]) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def _by_id(notebook: Any) -> dict[str, Any]:
    if notebook is None:
        return {}
    return {c.get("id") or f"#{i}": c for i, c in enumerate(notebook["cells"])}


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    source = cell["source"]
    return "".join(source) if isinstance(source, list) else str(source)


def _with_text(theirs: Any, ours: Any, base: Any, text: str) -> Any:
    cell = dict(theirs)
    if _text(theirs) != text:
        cell["source"] = text
        if "outputs" in cell:
            cell["outputs"], cell["execution_count"] = [], None
    if base is not None and base.get("metadata") == theirs.get("metadata"):
        cell["metadata"] = ours["metadata"]
    return cell


def _script(notebook: Any) -> str:
    parts = []
    for cell in [] if notebook is None else notebook["cells"]:
        mark = "" if cell["cell_type"] == "code" else f" [{cell['cell_type']}]"
        parts.append(f"# %% {cell.get('id', '')}{mark}\n{_text(cell)}\n")
    return "\n".join(parts)
