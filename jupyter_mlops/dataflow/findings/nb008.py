"""Reads a file that no snapshot keeps.

**What.** The cell reads a file that the notebook did not write and that no snapshot of the project
holds.

**Why.** When the file changes or goes, the result cannot be computed again, and nobody can tell
what it was computed from.

**Example.**

```python
df = pd.read_csv("data/customers.csv")
```

**Fix.** `%snapshot df` keeps what was read; `pd.read_parquet("snapshot://customers@3")` reads a
kept version.  The inputs of a tracked run are kept with it where snapshots are on.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..paths import ANY, is_local, linked, normal
from .execution import Execution
from .finding import NOTE, Finding
from .history import History
from .reporting import report

ID, SEVERITY = "NB008", NOTE

_DATA = frozenset(
    {
        ".csv", ".tsv", ".txt", ".parquet", ".pq", ".feather", ".arrow", ".json", ".jsonl",
        ".ndjson", ".xls", ".xlsx", ".ods", ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle",
        ".joblib", ".db", ".sqlite", ".gz", ".zip", ".bz2", ".xz", ".zst", ".dat", ".sas7bdat",
        ".dta", ".sav", ".orc", ".avro", ".xml", ".arff", ".svmlight", ".libsvm",
    }
)  # fmt: skip
_SNAPSHOT = re.compile(r"^\s*%snapshot\s+(.+)$", re.MULTILINE)


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each file that is read and not kept."""
    written: set[str] = set()
    for run in history.executions:
        written |= _paths(run.flow.files_written)
        written |= _paths((run.event.evidence or {}).get("files_written") or ())
    kept = _kept_in_text(history)
    for cell, run in history.settled():
        for path in sorted(_read(run)):
            if any(linked(path, other) for other in written) or path in kept or history.kept(path):
                continue
            yield report(
                history, run, ID, SEVERITY, path,
                f"{path} is read, and no snapshot keeps it",
                "When the file changes, this result cannot be computed again.",
                f"Keep what was read: %snapshot in {cell.label}, or read a snapshot:// address.",
                at=_where(run, path),
            )  # fmt: skip


def _paths(found: object) -> set[str]:
    texts = found if isinstance(found, (frozenset, set, list, tuple)) else ()
    return {t for t in texts if isinstance(t, str) and ANY not in t}


def _read(run: Execution) -> set[str]:
    static = {p for p in _paths(run.flow.files_read) if is_local(p)}
    seen = _paths((run.event.evidence or {}).get("files_read") or ())
    named = {_file(p) for p in static}
    found = {p for p in static if PurePosixPath(p).suffix.lower() in _DATA}
    return found | {
        p for p in seen if PurePosixPath(p).suffix.lower() in _DATA and _file(p) not in named
    }


def _file(path: str) -> str:
    return normal(path).rpartition("/")[2]


def _kept_in_text(history: History) -> set[str]:
    """Files whose path, or the variable that was read from them, a ``%snapshot`` names."""
    kept: set[str] = set()
    for run in history.executions:
        for expression in _SNAPSHOT.findall(run.event.source):
            kept |= set(re.findall(r"""["']([^"']+)["']""", expression))
            name = re.match(r"[A-Za-z_]\w*", expression)
            version = run.writes.get(name.group()) if name else None
            version = version or (run.reads.get(name.group()) if name else None)
            if version is None and name is not None:
                version = history.current.get(name.group())
            for ancestor in version.ancestors() if version is not None else ():
                if ancestor.writer >= 0:
                    kept |= _read(history.executions[ancestor.writer])
    return kept


def _where(run: Execution, path: str) -> tuple[int, int]:
    for statement in run.code.body:
        for node in ast.walk(statement.node):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and _file(node.value) == _file(path)
            ):
                return node.lineno, node.col_offset + 1
    return 1, 1


__all__ = ["ID", "SEVERITY", "find"]
