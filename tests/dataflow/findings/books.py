"""Notebooks and the sessions that executed them, written down shortly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_mlops.dataflow.findings import Finding, NotebookCell, check
from jupyter_mlops.model.events import CellEvent

Run = int | tuple[int | str, str] | tuple[int | str, str, dict[str, Any]]

IMPORTS = """\
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
"""


def book(*sources: str, counts: Sequence[int | None] = ()) -> tuple[NotebookCell, ...]:
    """A document of code cells with the ids c0, c1 ..."""
    numbers = [*counts, *[None] * len(sources)]
    return tuple(
        NotebookCell(position, source, id=f"c{position}", count=numbers[position])
        for position, source in enumerate(sources)
    )


def session(cells: Sequence[NotebookCell], runs: Sequence[Run]) -> list[CellEvent]:
    """What ran: a position, or (position or another id, source as executed[, evidence])."""
    events = []
    for number, run in enumerate(runs, 1):
        place, source, *rest = (run, cells[run].source) if isinstance(run, int) else run
        events.append(
            CellEvent(
                session="s",
                seq=number,
                source=source,
                started=float(number),
                ended=number + 0.5,
                status="ok",
                cell_id=f"c{place}" if isinstance(place, int) else place,
                evidence=rest[0] if rest else None,
            )
        )
    return events


def findings(
    sources: Sequence[str], runs: Sequence[Run] | None = None, **how: Any
) -> tuple[Finding, ...]:
    """Check a notebook; ``runs`` ``None`` means from top to bottom."""
    cells = book(*sources)
    return check(cells, session(cells, range(len(cells)) if runs is None else runs), **how)


def found(
    sources: Sequence[str], runs: Sequence[Run] | None = None, **how: Any
) -> list[tuple[str, int]]:
    """The rules and cells of the findings, files without a snapshot aside."""
    return [(f.rule, f.cell) for f in findings(sources, runs, **how) if f.rule != "NB008"]
