"""What went wrong, at the line of the notebook's file where it did: GitHub's and GitLab's forms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .report import RunReport, StepReport

__all__ = ["Problem", "code_quality", "github_annotations", "problems"]

_OUTPUT = 1500  # characters of a traceback: an annotation stands between lines of a diff
_VALUE = 600  # and of what the error says


@dataclass(frozen=True, slots=True)
class Problem:
    """``file`` is relative to the repository, ``line`` from 1; ``severity`` error or warning."""

    file: str
    line: int
    title: str
    message: str
    severity: str = "error"


def problems(
    runs: Sequence[RunReport],
    *,
    read: Callable[[str], str | None],
    prefix: str = "",
) -> list[Problem]:
    """The failures of runs, each at its place.

    ``read`` gives the text of a file that is named relative to the project's root (``None``: it
    cannot be read), ``prefix`` is the project's folder in the repository, with a ``/`` at its end.
    """
    found: list[Problem] = []
    for run in runs:
        folder = _folder(run)
        for step in run.steps:
            if step.status == "failed":
                found.append(_step(run, step, read, prefix))
        stepless = run.error is not None and not any(s.status == "failed" for s in run.steps)
        if stepless and run.exit_code not in (0, 130, 143):
            error = run.error or {}
            text = f"{error.get('ename', 'Error')}: {error.get('evalue', '')}"
            found.append(Problem(prefix + _main_file(run), 1, f"{run.name} failed", text))
        if run.proof is not None and run.proof.get("verdict") == "differs":
            text = "\n".join(map(str, run.proof.get("reasons", ())))
            title = f"{run.name} differs from its proof"
            found.append(Problem(f"{prefix}{folder}proof.json", 1, title, text))
        for gate in run.gates:
            if not gate["passed"]:
                title = f"{run.name}: gate {gate['name']!r}"
                text = str(gate.get("message", ""))
                found.append(Problem(f"{prefix}{folder}policy.yaml", 1, title, text))
        for warning in run.warnings:
            title = run.name
            found.append(Problem(prefix + _main_file(run), 1, title, warning, "warning"))
    return found


def github_annotations(found: Sequence[Problem]) -> str:
    """Workflow commands, one a line."""
    return "".join(
        f"::{p.severity} file={_property(p.file)},line={p.line},"
        f"title={_property(p.title)}::{_data(p.message)}\n"
        for p in found
    )


def code_quality(found: Sequence[Problem]) -> str:
    """GitLab's code quality report (the artifact ``codequality``)."""
    seen: dict[str, int] = {}
    entries: list[dict[str, Any]] = []
    for problem in found:
        key = f"{problem.file}\n{problem.title}\n{problem.message.partition(chr(10))[0]}"
        seen[key] = seen.get(key, 0) + 1
        text = f"{key}\n{seen[key]}".encode("utf-8", "replace")
        entries.append(
            {
                "description": f"{problem.title}: {problem.message.partition(chr(10))[0]}",
                "check_name": "jupyter-mlops",
                "fingerprint": hashlib.sha256(text).hexdigest(),
                "severity": "major" if problem.severity == "error" else "minor",
                "location": {"path": problem.file, "lines": {"begin": problem.line}},
            }
        )
    return json.dumps(entries, indent=2) + "\n"


def _step(
    run: RunReport, step: StepReport, read: Callable[[str], str | None], prefix: str
) -> Problem:
    error = step.error or {}
    what = f"{error.get('ename', 'Error')}: {error.get('evalue', '')}".strip()
    what = what if len(what) <= _VALUE else f"{what[:_VALUE]} ..."
    number, line = error.get("cell"), error.get("lineno")
    where = f"In [{number}]" + (f", line {line}" if line else "") if number else "the step"
    place = 1
    text = read(step.notebook)
    if text is not None and isinstance(error.get("index"), int):
        from ..checking import cell_lines

        place = cell_lines(text).line(error["index"], int(line or 1))
    message = f"{where}: {what}"
    if error.get("line"):
        message += f"\n    {error['line']}"
    if error.get("traceback"):
        text = str(error["traceback"])
        if len(text) > _OUTPUT:
            text = "...\n" + text[-_OUTPUT:].partition("\n")[2]
        message += f"\n\n{text}"
    title = what.splitlines()[0][:120] if what else "failed"
    named = f"{run.name}/{step.name}" if run.kind == "pipeline" else step.name
    return Problem(prefix + step.notebook, place, f"{named}: {title}", message)


def _folder(run: RunReport) -> str:
    """The pipeline's folder; a notebook has no files beside it that are ours."""
    main = _main_file(run)
    return main.rpartition("/")[0] + "/" if "/" in main else ""


def _main_file(run: RunReport) -> str:
    first = run.steps[0].notebook if run.steps else run.name
    if run.kind != "pipeline":
        return first
    return f"{first.rpartition('/')[0]}/pipeline.yaml" if "/" in first else "pipeline.yaml"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
