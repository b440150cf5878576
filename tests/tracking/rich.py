"""Two runs of one cell with something of everything, as a kernel's journal holds them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from jupyter_mlops.model.events import (
    EnvironmentRecord,
    FileRecord,
    InputRecord,
    ModelRecord,
    RunAmended,
    RunRecord,
)
from jupyter_mlops.project import Project

from .sessions import Session

HOSTILE = "<img src=x onerror=alert(1)>"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
    b"\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
TABLE = (
    '<style>td {color: red}</style><table class="dataframe" onclick="steal()"><thead><tr>'
    "<th>tip</th></tr></thead><tbody><tr><td>4.25</td><td>&lt;b&gt;</td></tr></tbody></table>"
    "<script>alert('table')</script>"
)


def digest(letter: str) -> str:
    return "blake3:" + letter * 64


def environment(session: Session, *, sklearn: str = "1.5.0", **fields: Any) -> EnvironmentRecord:
    """Append an environment to a session's journal."""
    defaults: dict[str, Any] = {
        "session": session.id,
        "digest": digest(sklearn[-1]),
        "python": "3.11.9",
        "platform": "Linux-6.1-x86_64",
        "packages": {"scikit-learn": sklearn, "numpy": "2.1.0"},
        "lock": f"numpy==2.1.0\nscikit-learn=={sklearn}\n",
        "hardware": {"cpu": "a processor", "cores": 2, "memory": 8_000_000_000, "gpu": []},
    }
    record = EnvironmentRecord(**(defaults | fields))
    session.journal.append(record.to_dict(), sync=True)
    return record


def amend(session: Session, run: RunRecord, **fields: Any) -> None:
    """Append what became known of a run later."""
    amendment = RunAmended(run.run_id, session.id, time.time(), **fields)
    session.journal.append(amendment.to_dict(), sync=True)


@dataclass
class Pair:
    """The older run, which is better, and the newer one."""

    session: Session
    a: RunRecord
    b: RunRecord


def pair(project: Project, **changes: Any) -> Pair:
    """Write two runs; ``changes`` are fields of the second."""
    session = Session(project)
    known = environment(session)
    shared: dict[str, Any] = {
        "cell_id": "cell-1",
        "environment": known.digest,
        "git_commit": "c" * 40,
        "git_branch": "main",
        "git_dirty": False,
    }
    a = session.run(
        "taxi #1",
        **shared,
        source="%%track\nmodel = fit(rate=0.1)\nscore = 1",
        params={"rate": 0.1, "depth": 3, "note": HOSTILE},
        hyperparameters={"model.C": 1.0, "rate": 0.1},
        metrics={"accuracy": 0.9, "loss": 0.3, "n": float("nan"), "same": 1.0},
        series={"loss": [[0.0, 0.9, 1.0], [1.0, 0.5, 2.0], [2.0, 0.3, 3.0]]},
        inputs=(
            InputRecord("trips", "frame", digest("a"), 100, 2, 1600, {"tip": "f8", "km": "f8"},
                        "trips.csv"),
            InputRecord("zones", "frame", digest("0"), 9, 1, 72),
            InputRecord("old", "file", digest("9"), size=10),
        ),
        modules={"lib.py": "1" * 64, "gone.py": "2" * 64},
        seeds={"random_state": 0},
        resources={"wall_seconds": 1.0, "cpu_seconds": 2.0, "peak_memory_bytes": 100e6},
        models=(
            ModelRecord("model", "Ridge", size=9, reason="too large",
                        requirements=("scikit-learn==1.5.0",)),
        ),
        files=(
            FileRecord("output.txt", text="epoch 1\n" + HOSTILE, size=40, kind="output"),
            replace(session.file("figures/fit.png", PNG), kind="figure"),
        ),
    )  # fmt: skip
    newer = environment(session, sklearn="1.6.1", python="3.11.9")
    fields: dict[str, Any] = shared | {
        "environment": newer.digest,
        "git_dirty": True,
        "source": "%%track\nmodel = fit(rate=0.2)\nscore = 1",
        "params": {"rate": 0.2, "depth": 3, "note": HOSTILE, "extra": None},
        "hyperparameters": {"model.C": 2.0, "rate": 0.2},
        "metrics": {"accuracy": 0.8, "loss": 0.4, "n": float("nan"), "same": 1.0, "new": 2.0},
        "series": {"loss": [[0.0, 0.9, 1.0], [1.0, 0.6, 2.0], [2.0, 0.4, 3.0]]},
        "inputs": (
            InputRecord("trips", "frame", digest("b"), 90, 2, 1400, {"tip": "i8", "fare": "f8"},
                        "trips.csv"),
            InputRecord("zones", "frame", digest("0"), 9, 1, 72),
            InputRecord("new", "file", digest("8"), size=20),
        ),
        "modules": {"lib.py": "3" * 64},
        "seeds": {"random_state": 1},
        "resources": {"wall_seconds": 2.0, "cpu_seconds": 2.0, "peak_memory_bytes": 150e6},
        "models": (ModelRecord("model", "Lasso", size=9, reason="too large"),),
        "files": (
            FileRecord("changes.diff", kind="code", size=90,
                       text="--- a/lib.py\n+++ b/lib.py\n@@ -1,2 +1,2 @@\n def f():\n"
                       "-    return 1\n+    return 2\n"),
        ),
    }  # fmt: skip
    return Pair(session, a, session.run("taxi #2", **(fields | changes)))
