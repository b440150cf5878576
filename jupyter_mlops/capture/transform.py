r"""``%%track`` as a pure input transformer: it blanks its own line and does nothing else.

::

    %%track --register m          (an empty line)
    x = 1                   ->    x = 1

Line 2 stays line 2, so tracebacks are right, top-level await works, and nothing runs inside a
magic.  A cell magic on the second line would no longer be seen by IPython, which looks at the
first: the rest is given to IPython's own ``cell_magic`` transform, below the blank line.

The options are not passed on from here, because IPython transforms a cell more often than it runs
it (completeness checks, history): ``find_track`` reads them from the raw cell when it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["PYTHON_MAGICS", "blank_track", "find_track"]

Lines = list[str]
Transform = Callable[[Lines], Lines]

# Cell magics whose body is Python that runs in the notebook's own namespace.
PYTHON_MAGICS = frozenset({"time", "capture", "prun"})

# `%%track?` is a question, answered by IPython's help.
_TRACK = re.compile(r"%%track(?:[ \t]+(?P<options>.*?))?[ \t]*\r?\n?", re.ASCII)
_CELL_MAGIC = re.compile(r"%%(\w+)(?=\s|$)")


def blank_track(lines: Lines) -> Lines:
    """The transformer: an ``%%track`` line becomes an empty one, anything else stays as it is.

    It belongs before IPython's ``cell_magic`` among the line transforms (not among the clean-up
    transforms, which also decide when a cell typed in a terminal is complete).
    """
    if not lines or _TRACK.fullmatch(lines[0]) is None:
        return lines
    empty = next((n for n, line in enumerate(lines[1:]) if line.strip()), 0)
    blank, rest = ["\n"] * (1 + empty), blank_track(lines[1 + empty :])
    if rest and rest[0].startswith("%%"):
        from IPython.core.inputtransformer2 import cell_magic

        rest = list(cell_magic(rest))  # type: ignore[no-untyped-call,unused-ignore]
    return blank + rest


def find_track(raw: str, cleanup: Iterable[Transform] = ()) -> str | None:
    """Return what follows ``%%track`` in a raw cell, ``None`` for a cell without it.

    ``cleanup`` are the shell's clean-up transforms (indentation, prompts), applied first as IPython
    does.  ``%%track`` may stand below cell magics whose body is Python, as in ``%%time``.
    """
    if "%%track" not in raw:
        return None
    lines = raw.splitlines(keepends=True)
    for transform in cleanup:
        if not getattr(transform, "has_side_effects", False):
            lines = transform(lines)
    for line in lines:
        found = _TRACK.fullmatch(line)
        if found is not None:
            return found["options"] or ""
        magic = _CELL_MAGIC.match(line)
        if line.strip() and (magic is None or magic[1] not in PYTHON_MAGICS):
            return None
    return None
