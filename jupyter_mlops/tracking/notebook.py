"""Comparisons and explanations as MIME bundles for a notebook.

MLflow is imported by nothing here while the runs are on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config import Config, load_config
from ..errors import UsageError
from ..model.events import FileRecord
from ..project import Project, open_project
from .comparison import Comparison, compare
from .details import RunDetails, read_run_file, run_details
from .page import html, text
from .sections import comparison_sections, explanation_sections
from .why import explain

__all__ = ["compare_display", "compare_runs", "display", "why_display"]


def display(project: Project, words: Sequence[str]) -> dict[str, Any]:
    """The MIME bundle of ``compare A B`` or ``why [RUN] [--metric M]``, the verb included.

    Only what is on this machine is read.  Raises what ``compare_display`` raises.
    """
    verb, *rest = words or ("",)
    if verb not in _VERBS:
        raise UsageError(f"{verb!r} is shown as text only", hint=f"Not so: {', '.join(_VERBS)}.")
    return _VERBS[verb](rest, project)


def compare_runs(
    project: Project, config: Config, a: str, b: str, *, ask: bool = True
) -> Comparison:
    """Compare two runs by what names them; raises what ``run_details`` raises."""
    first, second = (run_details(project, config, text, ask=ask) for text in (a, b))

    def read(details: RunDetails, item: FileRecord) -> bytes:
        return read_run_file(project, config, details, item, ask=ask)

    return compare(first, second, read)


def compare_display(
    words: Sequence[str], project: Project | None = None, *, ask: bool = False
) -> dict[str, Any]:
    """The MIME bundle of ``compare A B``; ``words`` are A and B.

    ``project`` is by default that of the current folder.  Only with ``ask`` MLflow is asked for
    runs that are not on this machine.  Raises ``UsageError`` for other words than two runs, and
    what ``run_details`` raises.
    """
    if len(words) != 2 or any(word.startswith("--") for word in words):
        raise UsageError(
            f"compare takes two runs, not {' '.join(words) or 'none'}",
            hint="For example: %mlops compare -2 last",
        )
    project, config = _open(project)
    sections = list(comparison_sections(compare_runs(project, config, *words, ask=ask)))
    return {"text/html": html(sections), "text/plain": text(sections)}


def why_display(
    words: Sequence[str], project: Project | None = None, *, ask: bool = False
) -> dict[str, Any]:
    """The MIME bundle of ``why [RUN] [--metric M]``; see ``compare_display``."""
    rest = list(words)
    metric = None
    for position, word in enumerate(rest):
        if word == "--metric" and position + 1 < len(rest):
            metric = rest[position + 1]
            del rest[position : position + 2]
            break
        if word.startswith("--metric="):
            metric = word.partition("=")[2]
            del rest[position]
            break
    if len(rest) > 1 or any(word.startswith("--") for word in rest):
        raise UsageError(
            f"why takes one run and --metric, not {' '.join(words)}",
            hint="For example: %mlops why last --metric accuracy",
        )
    project, config = _open(project)
    explanation = explain(project, config, rest[0] if rest else "last", metric, ask=ask)
    sections = list(explanation_sections(explanation))
    return {"text/html": html(sections), "text/plain": text(sections)}


def _open(project: Project | None) -> tuple[Project, Config]:
    project = project or open_project(create=False)
    return project, load_config(project.root)


_VERBS = {"compare": compare_display, "why": why_display}
